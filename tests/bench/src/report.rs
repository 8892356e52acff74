//! The figures, as tables and as JSON.

mod exchanges;
mod jwks;
mod mints;
mod replay;
mod verdicts;

use serde::Serialize;

pub(crate) use self::{
    exchanges::{Exchanges, ExchangesRow},
    jwks::{Jwks, JwksRow},
    mints::{Mints, MintsRow},
    replay::{Decision, Replay, ReplayRun},
    verdicts::VerdictsRow,
};
use crate::{machine::Machine, numbers::count_u64};

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
    /// Token exchanges.
    pub(crate) exchanges: Option<Exchanges>,
    /// The key set against nginx.
    pub(crate) jwks: Option<Jwks>,
    /// Verdicts of the engine.
    pub(crate) verdicts: Option<Vec<VerdictsRow>>,
    /// Decisions and replays.
    pub(crate) replay: Option<Replay>,
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
        if let Some(exchanges) = &self.exchanges {
            parts.push(exchanges.table());
        }
        if let Some(jwks) = &self.jwks {
            parts.push(jwks.table());
        }
        if let Some(rows) = &self.verdicts {
            parts.push(verdicts::render(rows));
        }
        if let Some(replay) = &self.replay {
            parts.push(replay.render());
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
        let exchanges = self.exchanges.iter().flat_map(|exchanges| &exchanges.rows).map(|row| row.other_programs_cores);
        mints.chain(jwks).chain(exchanges).fold(0.0, f64::max)
    }
}

/// Whether an aim is met, and the aim.
fn aim(met: bool, aim: &str) -> String {
    format!("{} {aim}", if met { "met" } else { "NOT met" })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tagmint_core::signing_key::Algorithm;

    use super::{mints::tests::row, *};
    use crate::{cpu::Spent, signature::Slice};

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
        let done = Slice { count: 500, cpu: Duration::from_millis(20) };
        let verdicts = vec![VerdictsRow::new(Algorithm::Rs256, done)];
        let report = Report {
            machine,
            seconds: 1.0,
            rounds: 2,
            mints: Some(mints),
            exchanges: None,
            jwks: Some(jwks),
            verdicts: Some(verdicts),
            replay: None,
        };
        let text = report.to_text();
        for part in [
            "RS256",
            "9,000",
            "20,000 tokens",
            "25,000",
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
