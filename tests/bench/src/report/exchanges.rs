//! Token exchanges.

use serde::Serialize;

use crate::{
    cpu::Spent,
    numbers::{count, per, percentile, quotient, range, rate, table},
};

/// Token exchanges: RS256 of the platform, ES256 of ours.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Exchanges {
    /// One for each concurrency.
    pub(crate) rows: Vec<ExchangesRow>,
    /// How many presented one token at once.
    pub(crate) replays: usize,
    /// How many of them got something for it.
    pub(crate) replays_accepted: usize,
}

/// Exchanges at one concurrency. The figures are those of the median round by CPU time.
#[derive(Debug, Serialize)]
pub(crate) struct ExchangesRow {
    concurrency: u32,
    #[serde(skip)]
    rounds: Vec<(Spent, Vec<u32>)>,
    exchanges_per_second: f64,
    latency_ms_p50: f64,
    latency_ms_p99: f64,
    cpu_us_per_exchange: f64,
    cpu_us_from: f64,
    cpu_us_to: f64,
    exchanges_per_cpu_second: f64,
    pub(super) other_programs_cores: f64,
}

impl ExchangesRow {
    /// Nothing measured yet.
    pub(crate) const fn new(concurrency: u32) -> Self {
        Self {
            concurrency,
            rounds: Vec::new(),
            exchanges_per_second: 0.0,
            latency_ms_p50: 0.0,
            latency_ms_p99: 0.0,
            cpu_us_per_exchange: 0.0,
            cpu_us_from: 0.0,
            cpu_us_to: 0.0,
            exchanges_per_cpu_second: 0.0,
            other_programs_cores: 0.0,
        }
    }

    /// Adds a round: what it cost, and how long each exchange took, in microseconds.
    pub(crate) fn add(&mut self, spent: Spent, mut latencies: Vec<u32>) {
        latencies.sort_unstable();
        self.rounds.push((spent, latencies));
    }

    /// Works the figures out.
    pub(crate) fn finish(&mut self) {
        let cpu = |(spent, latencies): &(Spent, Vec<u32>)| per(spent.server, latencies.len() as u64);
        self.rounds.sort_unstable_by(|a, b| cpu(a).total_cmp(&cpu(b)));
        let (Some(first), Some(last)) = (self.rounds.first(), self.rounds.last()) else { return };
        let median = &self.rounds[(self.rounds.len() - 1) / 2];
        let (spent, latencies) = median;
        let done = latencies.len() as u64;
        let others =
            self.rounds.iter().map(|(spent, _)| quotient(spent.others.as_secs_f64(), spent.wall.as_secs_f64()));
        (self.cpu_us_from, self.cpu_us_to, self.cpu_us_per_exchange) = (cpu(first), cpu(last), cpu(median));
        self.other_programs_cores = others.fold(0.0, f64::max);
        self.exchanges_per_second = rate(done, spent.wall);
        self.exchanges_per_cpu_second = rate(done, spent.server);
        self.latency_ms_p50 = percentile(latencies, 50);
        self.latency_ms_p99 = percentile(latencies, 99);
    }
}

impl Exchanges {
    pub(super) fn table(&self) -> String {
        let header = ["exchanges over TLS, at once", "/s", "p50 ms", "p99 ms", "CPU µs", "from–to", "/CPU s"];
        let line = |row: &ExchangesRow| {
            [
                row.concurrency.to_string(),
                count(row.exchanges_per_second),
                format!("{:.2}", row.latency_ms_p50),
                format!("{:.2}", row.latency_ms_p99),
                format!("{:.1}", row.cpu_us_per_exchange),
                range(row.cpu_us_from, row.cpu_us_to),
                count(row.exchanges_per_cpu_second),
            ]
        };
        let text = table(header, self.rows.iter().map(line));
        format!(
            "{text}\nOf {} that presented one token at once {} got something for it.",
            self.replays, self.replays_accepted
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_median_round_counts() {
        let mut row = ExchangesRow::new(16);
        for millis in [300, 100, 200] {
            let server = Duration::from_millis(millis);
            row.add(Spent { wall: Duration::from_secs(1), server, others: Duration::ZERO }, vec![3000, 1000]);
        }
        row.finish();
        assert!((row.exchanges_per_cpu_second - 10.0).abs() < 1e-6, "{row:?}");
        assert!((row.latency_ms_p50 - 3.0).abs() < 1e-6, "{row:?}");
        let text = Exchanges { rows: vec![row], replays: 200, replays_accepted: 1 }.table();
        assert!(text.contains("Of 200 that presented one token at once 1 got"), "{text}");
    }
}
