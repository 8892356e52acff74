//! Measures a running issuer, in one run and against what the machine can do: `cargo xtask bench`.
//!
//! - [`mints`]: mints of a release `tagmint serve` with a durable ledger, per second of its CPU time, against bare signatures
//! - [`exchanges`]: tokens of CI jobs exchanged, per second of its CPU time
//! - [`jwks`]: its key set over TLS, against nginx
//! - [`verdicts`]: the engine behind `explain` and `localaws`, on one core
//! - [`replay`]: decisions by 200 rules, and `tagmint replay` of a million rows
//!
//! [`issuer`] runs the server, [`load`] and [`client`] ask it, [`cpu`] reads what that cost, [`signature`] is the yardstick, [`report`]
//! works out the ratios and [`numbers`] writes them. docs/benchmarks.md says what each figure means.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures go to the terminal")]

mod args;
mod client;
mod cpu;
mod error;
mod exchanges;
mod issuer;
mod jwks;
mod load;
mod machine;
mod mints;
mod numbers;
mod replay;
mod report;
mod signature;
mod verdicts;

use std::{fs, path::Path, process::ExitCode};

use clap::Parser;

use crate::{
    args::{Args, Part},
    error::BenchError,
    issuer::Site,
    jwks::Programs,
    machine::Machine,
    report::Report,
};

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One thread asks: the other cores are the server's.
#[tokio::main(flavor = "current_thread")]
async fn run(args: &Args) -> Result<(), BenchError> {
    // Before minutes are spent on the rest.
    let programs = if args.wants(Part::Jwks) { Some(Programs::find()?) } else { None };
    let us = std::env::current_exe().map_err(BenchError::io("find the path of this program"))?;
    let beside = us.parent().unwrap_or(Path::new("."));
    let binary = args.binary.clone().unwrap_or_else(|| beside.join("tagmint"));
    if !binary.is_file() {
        let text =
            format!("{} is not there: `cargo xtask bench` builds it; or name one with --binary", binary.display());
        return Err(BenchError::wrong(text));
    }
    let site = Site::prepare(args.dir.as_deref().unwrap_or(beside), binary)?;
    let machine = Machine::look(site.path())?;
    let mints = if args.wants(Part::Mints) { Some(mints::measure(&site, args).await?) } else { None };
    let exchanges = if args.wants(Part::Exchanges) { Some(exchanges::measure(&site, args).await?) } else { None };
    let jwks = match &programs {
        Some(programs) => Some(jwks::measure(&site, programs, args).await?),
        None => None,
    };
    let verdicts = if args.wants(Part::Verdicts) { Some(verdicts::measure(args)?) } else { None };
    let replay = if args.wants(Part::Replay) { Some(replay::measure(&site, args).await?) } else { None };
    let report = Report {
        machine,
        seconds: args.span().as_secs_f64(),
        rounds: args.rounds(),
        mints,
        exchanges,
        jwks,
        verdicts,
        replay,
    };
    println!("{}", report.to_text());
    if let Some(file) = &args.json {
        let json = serde_json::to_vec_pretty(&report).map_err(|error| BenchError::wrong(error.to_string()))?;
        fs::write(file, json).map_err(BenchError::file("write", file))?;
    }
    Ok(())
}
