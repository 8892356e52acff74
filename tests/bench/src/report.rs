//! The figures, as tables and as JSON.

use std::time::Duration;

use serde::Serialize;
use tagmint_core::signing_key::Algorithm;

use crate::{
    args::Transport,
    cpu::Spent,
    load::Outcome,
    machine::Machine,
    numbers::{count, count_u64, per, percentile, quotient, range, rate, table},
    signature::Bare,
};

/// The most CPU time of an RS256 mint, in bare signatures.
const RS256_AIM: f64 = 1.25;
/// The least ES256 mints in a second of CPU time.
const ES256_AIM: f64 = 8_000.0;
/// The least requests for the key set, in nginx's.
const JWKS_AIM: f64 = 1.0;
/// Cores used by other programs above which the figures are doubtful.
const BUSY: f64 = 0.1;

/// All of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The machine.
    pub(crate) machine: Machine,
    /// How long each measurement took, in seconds.
    pub(crate) seconds: f64,
    /// How often each was made.
    pub(crate) rounds: u32,
    /// Mints against bare signatures.
    pub(crate) mints: Option<Mints>,
    /// The key set against nginx.
    pub(crate) jwks: Option<Jwks>,
}

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
    figures: MintsFigures,
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
struct MintsFigures {
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
    other_programs_cores: f64,
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
            Algorithm::Rs256 => {
                verdict(self.figures.ratio_to_bare_alone <= RS256_AIM, &format!("≤ {RS256_AIM} × alone"))
            }
            Algorithm::Es256 => {
                verdict(self.figures.mints_per_cpu_second >= ES256_AIM, &format!("≥ {} /CPU s", count(ES256_AIM)))
            }
        }
    }
}

/// The key set over TLS against nginx.
#[derive(Debug, Serialize)]
pub(crate) struct Jwks {
    /// Connections kept open.
    pub(crate) connections: u32,
    /// The length of the key set.
    pub(crate) body_bytes: usize,
    /// The issuer.
    pub(crate) tagmint: JwksRow,
    /// nginx.
    pub(crate) nginx: JwksRow,
}

/// One server's answers, all turns together.
#[derive(Debug, Serialize)]
pub(crate) struct JwksRow {
    server: &'static str,
    requests: u64,
    requests_per_second: f64,
    cpu_us_per_request: f64,
    server_cores: f64,
    other_programs_cores: f64,
    #[serde(skip)]
    took: Duration,
    #[serde(skip)]
    spent: Spent,
}

impl JwksRow {
    /// Nothing measured yet.
    pub(crate) fn new(server: &'static str) -> Self {
        Self {
            server,
            requests: 0,
            requests_per_second: 0.0,
            cpu_us_per_request: 0.0,
            server_cores: 0.0,
            other_programs_cores: 0.0,
            took: Duration::ZERO,
            spent: Spent::default(),
        }
    }

    /// Adds a turn.
    pub(crate) fn add(&mut self, requests: u64, took: Duration, spent: Spent) {
        self.requests += requests;
        self.took += took;
        self.spent += spent;
        let wall = self.spent.wall.as_secs_f64();
        self.requests_per_second = rate(self.requests, self.took);
        self.cpu_us_per_request = per(self.spent.server, self.requests);
        self.server_cores = quotient(self.spent.server.as_secs_f64(), wall);
        self.other_programs_cores = quotient(self.spent.others.as_secs_f64(), wall);
    }
}

impl Report {
    /// Everything, for people.
    pub(crate) fn to_text(&self) -> String {
        let Machine { processor, cores, kernel, sync_micros } = &self.machine;
        let mut parts = vec![format!(
            "{cores} cores of {processor}, Linux {kernel}; a synced write of a page takes {sync_micros:.0} µs.\n\
             Of {} rounds of {:.0} s each the median stands below.",
            self.rounds, self.seconds
        )];
        if let Some(mints) = &self.mints {
            parts.push(mints.bare_table());
            parts.push(mints.table());
            parts.push(format!(
                "The ledgers verified, with a row for each of the {} tokens that were handed out; {} of the tokens were verified.",
                count_u64(mints.ledger_rows),
                count_u64(mints.tokens_verified)
            ));
        }
        if let Some(jwks) = &self.jwks {
            parts.push(jwks.table());
        }
        let others = self.others();
        if others > BUSY {
            parts.push(format!(
                "Doubtful: other programs used up to {others:.2} cores meanwhile. Measure again on an idle machine."
            ));
        }
        parts.join("\n\n")
    }

    fn others(&self) -> f64 {
        let mints = self.mints.iter().flat_map(|mints| &mints.rows).map(|row| row.figures.other_programs_cores);
        let jwks = self.jwks.iter().flat_map(|jwks| [&jwks.tagmint, &jwks.nginx]).map(|row| row.other_programs_cores);
        mints.chain(jwks).fold(0.0, f64::max)
    }
}

impl Mints {
    fn bare_table(&self) -> String {
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
                count(rate(all.alone.signatures, all.alone.cpu)),
                format!("{:.1}", all.alone.micros()),
                spread(|bare| bare.alone.micros()),
                count(rate(all.loaded.signatures, all.loaded.cpu)),
                format!("{:.1}", all.loaded.micros()),
                spread(|bare| bare.loaded.micros()),
            ]
        });
        let header = ["bare signature", "alone /s", "µs", "from–to", "all cores busy /s", "µs", "from–to"];
        table(header, lines)
    }

    fn table(&self) -> String {
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

impl Jwks {
    fn table(&self) -> String {
        let header = ["key set over TLS", "/s", "CPU µs", "/CPU s", "cores"];
        let line = |row: &JwksRow| {
            [
                row.server.to_owned(),
                count(row.requests_per_second),
                format!("{:.1}", row.cpu_us_per_request),
                count(rate(row.requests, row.spent.server)),
                format!("{:.2}", row.server_cores),
            ]
        };
        let wall = quotient(self.tagmint.requests_per_second, self.nginx.requests_per_second);
        let cpu = quotient(self.nginx.cpu_us_per_request, self.tagmint.cpu_us_per_request);
        let ratio =
            ["tagmint : nginx".to_owned(), format!("{wall:.2}"), String::new(), format!("{cpu:.2}"), String::new()];
        let text = table(header, [line(&self.tagmint), line(&self.nginx), ratio]);
        let aim = verdict(wall >= JWKS_AIM, &format!("≥ {JWKS_AIM:.2} × nginx"));
        format!("{text}\n{} bytes, {} connections; aim: {aim}", self.body_bytes, self.connections)
    }
}

fn verdict(met: bool, aim: &str) -> String {
    format!("{} {aim}", if met { "met" } else { "NOT met" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::Slice;

    fn row(algorithm: Algorithm, mints: u64, cpu_millis: u64, others: Duration) -> MintsRow {
        let mut row = MintsRow::new(algorithm, Transport::Tls, 64);
        let slice = |micros: u64| Slice { signatures: 1000, cpu: Duration::from_millis(micros) };
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

    #[test]
    fn the_text_has_every_row_and_warns_of_a_busy_machine() {
        let busy = row(Algorithm::Es256, 9000, 1000, Duration::from_millis(500));
        let mut jwks =
            Jwks { connections: 64, body_bytes: 230, tagmint: JwksRow::new("tagmint"), nginx: JwksRow::new("nginx") };
        let second = Duration::from_secs(1);
        jwks.tagmint.add(30_000, second, Spent { wall: second, server: second, others: Duration::ZERO });
        jwks.nginx.add(25_000, second, Spent { wall: second, server: second, others: Duration::ZERO });
        let machine =
            Machine { processor: "a processor".to_owned(), cores: 2, kernel: "6".to_owned(), sync_micros: 900.0 };
        let mints = Mints {
            rows: vec![row(Algorithm::Rs256, 1000, 300, Duration::ZERO), busy],
            ledger_rows: 20_000,
            tokens_verified: 40,
        };
        let report = Report { machine, seconds: 1.0, rounds: 2, mints: Some(mints), jwks: Some(jwks) };
        let text = report.to_text();
        for part in [
            "RS256",
            "9,000",
            "20,000 tokens",
            "tagmint : nginx",
            "1.20",
            "aim: met ≥ 1.00 × nginx",
            "up to 0.50 cores",
        ] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["mints"]["rows"][0]["algorithm"], "RS256");
        assert_eq!(json["mints"]["rows"][0]["cpu_us_per_mint"], 300.0);
    }
}
