//! The arguments of `tagmint rules`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use crate::completion;

/// Tests and explains rules.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Run the tests of the rules.
    ///
    /// A test file is TOML with `[[test]]` tables: who asks for what, and which rule must grant which token, or how it must refuse
    /// (docs/rules-testing.md). Needs the configuration file only, not the database. Exit code 0: all tests pass, 1: one fails, 3: a
    /// file cannot be read. With --format json: `{"ok", "tests", "failed", "results": [{"file", "name", "ok", "error": text | null,
    /// "differences": [{"field", "expected": text | null, "actual": text | null}], "reason": text | null}], "untested_rules": [name]}`.
    Test(RulesTestArgs),
    /// Make a test from a row of the ledger.
    ///
    /// Writes what the rules saw and what came of it: the token of a mint, or the refusal.
    Record(RulesRecordArgs),
    /// Show what each rule says of a set of claims.
    ///
    /// For each rule: the first condition that does not hold, with the value that it expects and the value that it finds. Then which rule
    /// decides, or which is nearest. Nothing is verified, sent or minted. Exit code 0: a rule grants, 1: none does. With --format json:
    /// `{"granted", "identity": {"from", "sub", "attributes"}, "grant": {"rule", "subject", "audience", "roles", "lifetime_seconds",
    /// "tags", "transitive", "session": {"policy"?, "policy_arns"?, "assume_then"?}} | null, "refused": {"code", "rule": name | null, "message"} | null, "nearest": name | null, "rules":
    /// [{"rule", "mode", "verdict": "granted" | "refused" | "missed" | "when_false" | "from" | "not_asked", "claim", "expected", "actual",
    /// "missed", "text"}], "notes": [text]}`.
    Explain(RulesExplainArgs),
}

/// Which tests are run.
#[derive(Debug, Args)]
pub struct RulesTestArgs {
    /// The test files. Default: `rules-tests/*.toml` beside the configuration.
    #[arg(value_name = "FILE", add = completion::rules_tests())]
    pub files: Vec<PathBuf>,
    /// Write the results as JUnit XML, too.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// Which row becomes a test.
#[derive(Debug, Args)]
pub struct RulesRecordArgs {
    /// The row's id: `mnt_…` of a mint, `rfs_…` of a refusal.
    #[arg(value_name = "ID", add = completion::ledger_rows())]
    pub id: String,
    /// The file to append the test to. Default: stdout.
    #[arg(long, value_name = "FILE", add = completion::rules_tests())]
    pub out: Option<PathBuf>,
    /// The test's name. Default: the row's id and time.
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// Look for the row in this file instead of the configuration's database: a file of `tagmint ledger export` or `ledger archive`, or
    /// another database; `-` for stdin. Can be given several times.
    #[arg(long = "ledger", value_name = "FILE")]
    pub ledgers: Vec<PathBuf>,
}

/// Whose claims are explained.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("identity").args(["claims", "token"]).required(true)))]
pub struct RulesExplainArgs {
    /// The file with the claims as a JSON object; `-` for stdin. Of a session or a bearer token: `sub` and its attributes.
    #[arg(long, value_name = "FILE")]
    pub claims: Option<PathBuf>,
    /// The file with a JWT; `-` for stdin. It is decoded, not verified.
    #[arg(long, value_name = "FILE")]
    pub token: Option<PathBuf>,
    /// Where the identity comes from: the name of a trusted issuer, or `session`, `bearer` or `anonymous`. Default: the trusted issuer of
    /// the claim `iss`.
    #[arg(long, value_name = "NAME", add = completion::sources())]
    pub from: Option<String>,
    /// The file with what is asked for, as JSON: `{"audience", "role", "lifetime_seconds", "rule", "tags"}`, each of them optional; `-` for
    /// stdin.
    #[arg(long, value_name = "FILE")]
    pub request: Option<PathBuf>,
}
