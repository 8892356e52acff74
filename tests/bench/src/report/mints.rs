//! Mints against bare signatures.

use serde::Serialize;
use tagmint_core::signing_key::Algorithm;

use super::aim;
use crate::{
    args::Transport,
    cpu::Spent,
    load::Outcome,
    numbers::{count, per, percentile, quotient, range, rate, table},
    signature::Bare,
};

/// The most CPU time of an RS256 mint, in bare signatures.
const RS256_AIM: f64 = 1.25;
/// The least ES256 mints in a second of CPU time.
const ES256_AIM: f64 = 8_000.0;

/// Mints against bare signatures.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Mints {
    /// One for each algorithm, transport and concurrency.
    pub(crate) rows: Vec<MintsRow>,
    /// Rows of all ledgers: as many as tokens were handed out.
    pub(crate) ledger_rows: u64,
    /// Tokens that were verified.
    pub(crate) tokens_verified: u64,
}

/// Mints at one concurrency. The figures are those of the median round by CPU time: a neighbour on the same host spoils a round, not all.
#[derive(Debug, Serialize)]
pub(crate) struct MintsRow {
    algorithm: Algorithm,
    transport: &'static str,
    /// Requests under way at once.
    pub(crate) concurrency: u32,
    #[serde(skip)]
    rounds: Vec<Round>,
    #[serde(flatten)]
    pub(super) figures: MintsFigures,
}

/// One measurement, with the bare signatures of just before and just after.
#[derive(Debug)]
struct Round {
    mints: u64,
    spent: Spent,
    bare: Bare,
    /// Sorted.
    latencies: Vec<u32>,
}

impl Round {
    fn cpu_micros(&self) -> f64 {
        per(self.spent.server, self.mints)
    }
}

/// What follows from the counts.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(super) struct MintsFigures {
    mints_per_second: f64,
    latency_ms_p50: f64,
    latency_ms_p99: f64,
    server_cores: f64,
    cpu_us_per_mint: f64,
    cpu_us_from: f64,
    cpu_us_to: f64,
    mints_per_cpu_second: f64,
    bare_us_alone: f64,
    bare_us_loaded: f64,
    ratio_to_bare_alone: f64,
    ratio_to_bare_loaded: f64,
    pub(super) other_programs_cores: f64,
}

impl MintsRow {
    /// Nothing measured yet.
    pub(crate) fn new(algorithm: Algorithm, transport: Transport, concurrency: u32) -> Self {
        Self {
            algorithm,
            transport: transport.name(),
            concurrency,
            rounds: Vec::new(),
            figures: MintsFigures::default(),
        }
    }

    /// Adds a round, with the bare signatures of just before and just after.
    pub(crate) fn add(&mut self, outcome: &Outcome, before: Bare, after: Bare) {
        let mut bare = before;
        bare += after;
        let mut latencies = outcome.latencies.clone();
        latencies.sort_unstable();
        self.rounds.push(Round { mints: outcome.answers, spent: outcome.spent, bare, latencies });
    }

    /// Works the figures out.
    pub(crate) fn finish(&mut self) {
        self.rounds.sort_unstable_by(|a, b| a.cpu_micros().total_cmp(&b.cpu_micros()));
        let (Some(first), Some(last)) = (self.rounds.first(), self.rounds.last()) else { return };
        let Round { mints, spent, bare, latencies } = &self.rounds[(self.rounds.len() - 1) / 2];
        let cpu = per(spent.server, *mints);
        let (alone, loaded) = (bare.alone.micros(), bare.loaded.micros());
        let others =
            self.rounds.iter().map(|round| quotient(round.spent.others.as_secs_f64(), round.spent.wall.as_secs_f64()));
        self.figures = MintsFigures {
            mints_per_second: rate(*mints, spent.wall),
            latency_ms_p50: percentile(latencies, 50),
            latency_ms_p99: percentile(latencies, 99),
            server_cores: quotient(spent.server.as_secs_f64(), spent.wall.as_secs_f64()),
            cpu_us_per_mint: cpu,
            cpu_us_from: first.cpu_micros(),
            cpu_us_to: last.cpu_micros(),
            mints_per_cpu_second: rate(*mints, spent.server),
            bare_us_alone: alone,
            bare_us_loaded: loaded,
            ratio_to_bare_alone: quotient(cpu, alone),
            ratio_to_bare_loaded: quotient(cpu, loaded),
            other_programs_cores: others.fold(0.0, f64::max),
        };
    }

    /// The aim, and whether it is met. RS256 is judged by the harder of the two ratios.
    fn aim(&self) -> String {
        match self.algorithm {
            Algorithm::Rs256 => aim(self.figures.ratio_to_bare_alone <= RS256_AIM, &format!("≤ {RS256_AIM} × alone")),
            Algorithm::Es256 => {
                aim(self.figures.mints_per_cpu_second >= ES256_AIM, &format!("≥ {} /CPU s", count(ES256_AIM)))
            }
        }
    }
}

impl Mints {
    pub(super) fn bare_table(&self) -> String {
        let mut algorithms: Vec<Algorithm> = Vec::new();
        for row in &self.rows {
            if !algorithms.contains(&row.algorithm) {
                algorithms.push(row.algorithm);
            }
        }
        let lines = algorithms.into_iter().map(|algorithm| {
            let mut all = Bare::default();
            let rows = || self.rows.iter().filter(|row| row.algorithm == algorithm);
            let rounds = || rows().flat_map(|row| &row.rounds);
            rounds().for_each(|round| all += round.bare);
            let spread = |of: fn(&Bare) -> f64| {
                let each = || rounds().map(|round| of(&round.bare));
                range(each().fold(f64::INFINITY, f64::min), each().fold(0.0, f64::max))
            };
            [
                algorithm.to_string(),
                count(rate(all.alone.count, all.alone.cpu)),
                format!("{:.1}", all.alone.micros()),
                spread(|bare| bare.alone.micros()),
                count(rate(all.loaded.count, all.loaded.cpu)),
                format!("{:.1}", all.loaded.micros()),
                spread(|bare| bare.loaded.micros()),
            ]
        });
        let header = ["bare signature", "alone /s", "µs", "from–to", "all cores busy /s", "µs", "from–to"];
        table(header, lines)
    }

    pub(super) fn table(&self) -> String {
        let header = [
            "mints",
            "over",
            "at once",
            "/s",
            "p50 ms",
            "p99 ms",
            "CPU µs",
            "from–to",
            "/CPU s",
            "× bare alone",
            "× bare busy",
            "aim",
        ];
        table(
            header,
            self.rows.iter().map(|row| {
                let figures = row.figures;
                [
                    row.algorithm.to_string(),
                    row.transport.to_owned(),
                    row.concurrency.to_string(),
                    count(figures.mints_per_second),
                    format!("{:.2}", figures.latency_ms_p50),
                    format!("{:.2}", figures.latency_ms_p99),
                    format!("{:.1}", figures.cpu_us_per_mint),
                    range(figures.cpu_us_from, figures.cpu_us_to),
                    count(figures.mints_per_cpu_second),
                    format!("{:.2}", figures.ratio_to_bare_alone),
                    format!("{:.2}", figures.ratio_to_bare_loaded),
                    row.aim(),
                ]
            }),
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::signature::Slice;

    pub(in crate::report) fn row(algorithm: Algorithm, mints: u64, cpu_millis: u64, others: Duration) -> MintsRow {
        let mut row = MintsRow::new(algorithm, Transport::Tls, 64);
        let slice = |micros: u64| Slice { count: 1000, cpu: Duration::from_millis(micros) };
        let bare = Bare { alone: slice(250), loaded: slice(300) };
        for extra in [0, 1000, 2000] {
            // The middle one counts.
            let server = Duration::from_millis(cpu_millis + extra - 1000 * u64::from(extra > 0));
            let spent = Spent { wall: Duration::from_secs(1), server, others };
            let outcome = Outcome {
                answers: mints,
                all_answers: mints,
                spent,
                latencies: vec![3000, 1000, 2000],
                kept: Vec::new(),
            };
            row.add(&outcome, bare, bare);
        }
        row.finish();
        row
    }

    #[test]
    fn the_median_round_counts_and_aims_are_judged() {
        let good = row(Algorithm::Rs256, 1000, 300, Duration::ZERO);
        let figures = good.figures;
        assert!((figures.mints_per_second - 1000.0).abs() < 1e-6, "{figures:?}");
        assert!((figures.cpu_us_per_mint - 300.0).abs() < 1e-6, "{figures:?}");
        assert!((figures.cpu_us_from - 300.0).abs() < 1e-6 && (figures.cpu_us_to - 1300.0).abs() < 1e-6, "{figures:?}");
        assert!((figures.ratio_to_bare_alone - 1.2).abs() < 1e-6, "{figures:?}");
        assert!((figures.ratio_to_bare_loaded - 1.0).abs() < 1e-6, "{figures:?}");
        assert!((figures.latency_ms_p50 - 2.0).abs() < 1e-6, "{figures:?}");
        assert_eq!(good.aim(), "met ≤ 1.25 × alone");
        assert_eq!(row(Algorithm::Rs256, 1000, 320, Duration::ZERO).aim(), "NOT met ≤ 1.25 × alone");
        assert_eq!(row(Algorithm::Es256, 8100, 1000, Duration::ZERO).aim(), "met ≥ 8,000 /CPU s");
        assert_eq!(row(Algorithm::Es256, 7900, 1000, Duration::ZERO).aim(), "NOT met ≥ 8,000 /CPU s");
    }
}
