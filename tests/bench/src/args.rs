//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};
use tagmint_core::signing_key::Algorithm;

/// Measures a running `tagmint serve` against the bare crypto library, and its key set against nginx, in one run.
///
/// Every figure is of this machine and this moment: read the ratios. What each means is in docs/benchmarks.md.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
pub(crate) struct Args {
    /// Seconds of each measurement. Default: 4, or 1 with `--quick`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: Option<u32>,
    /// How many times each measurement is made; the median counts. Default: 3, or 1 with `--quick`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// A look in half a minute; too short for figures to be quoted.
    #[arg(long)]
    quick: bool,
    /// Writes all figures to this file as JSON too.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Rows of the ledger that is replayed. Default: 1,000,000, or 100,000 with `--quick`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    rows: Option<u64>,
    /// Measures one part alone.
    #[arg(long, value_enum)]
    pub(crate) only: Option<Part>,
    /// The signature algorithms.
    #[arg(long, value_delimiter = ',', default_value = "RS256,ES256", value_name = "ALG,…")]
    pub(crate) algorithms: Vec<Algorithm>,
    /// How many requests are under way at once, one connection each.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64", value_name = "N,…", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) concurrency: Vec<u32>,
    /// HTTP over TLS, or without it as behind a proxy.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "tls,plain", value_name = "T,…")]
    pub(crate) transports: Vec<Transport>,
    /// The folder for the databases, on a disk. Default: next to the binary.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// The `tagmint` to measure. Default: the one next to this program.
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
}

/// A part of the measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Mints against bare signatures.
    Mints,
    /// Tokens of CI jobs exchanged.
    Exchanges,
    /// The key set against nginx; needs nginx and wrk.
    Jwks,
    /// Verdicts of the engine.
    Verdicts,
    /// Decisions by rules, and replays of the ledger.
    Replay,
}

/// How requests reach the issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// HTTP/1.1 over TLS 1.3, connections kept open.
    Tls,
    /// HTTP/1.1, connections kept open.
    Plain,
}

impl Transport {
    /// Its name in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tls => "TLS",
            Self::Plain => "plain",
        }
    }
}

impl Args {
    /// The length of each measurement.
    pub(crate) fn span(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(if self.quick { 1 } else { 4 }).into())
    }

    /// How many times each measurement is made.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 })
    }

    /// The size of the ledger that is replayed.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.unwrap_or(if self.quick { 100_000 } else { 1_000_000 })
    }

    /// Whether a part is wanted.
    pub(crate) fn wants(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}
