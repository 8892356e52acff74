//! The command line. The doc comments are the help and the reference page.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tagmint_core::{
    id::SessionId,
    ledger::LedgerHead,
    rules::RuleName,
    signing_key::{Algorithm, KeyId},
};

use crate::{
    commands::{explain::ExplainArgs, localaws::LocalawsArgs, prove::ProveArgs},
    durations,
    output::Format,
    redact,
};

/// Where the configuration is looked for.
pub const DEFAULT_CONFIG: &str = "/etc/tagmint/tagmint.toml";

/// A self-hosted OIDC issuer and credential broker for AWS session tags.
///
/// Begin with `tagmint demo` (shows the whole path in two seconds) or `tagmint dev` (an issuer on this machine to try things
/// on). Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 wrong configuration, 4 something could not be reached.
#[derive(Debug, Parser)]
#[command(name = "tagmint", version, arg_required_else_help = true)]
pub struct Cli {
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", env = "TAGMINT_CONFIG", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,

    /// How data and errors are written. With `json`, stdout has JSON alone and an error is
    /// `{"error": {"code", "message"}}` on stderr.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs an issuer.
    ///
    /// SIGTERM and Ctrl-C end it in order; SIGHUP reads the certificate files anew. With `--format json` it prints one line
    /// when it is ready: `{"issuer", "admin"}`. Logs go to stderr.
    Serve,
    /// Runs an issuer on this machine, with nothing configured.
    ///
    /// Makes a folder with a key, a certificate authority of its own, a database, a mock session backend and a
    /// configuration file, opens a session and makes a bearer, and prints what to try. With `--format json` it prints one
    /// line when it is ready: `{"issuer", "ca_file", "admin", "auth_token", "session", "bearer", "config"}`.
    Dev(DevArgs),
    /// Shows the whole path in this one process: session, token, verification, refusals, ledger.
    ///
    /// Needs no network and leaves nothing behind. Fails (exit code 1) when a step does not hold.
    Demo,
    /// Runs the stand-in for a session backend, for test issuers.
    ///
    /// It accepts one auth token and vouches for one wallet. A prod issuer refuses to start against it.
    MockBackend(MockBackendArgs),
    /// Runs the stand-in for AWS on this machine: STS, the IAM around it and S3, which enforce.
    ///
    /// One endpoint for all three (S3 by path). Tokens are verified against the issuer's documents, policies decide as on AWS.
    /// With `--format json` it prints one line when it is ready:
    /// `{"endpoint", "access_key_id", "secret_access_key", "account", "region"}`; the keys are the administrator's.
    Localaws(LocalawsArgs),
    /// Checks the configuration and the files that it names.
    Check,
    /// Looks after the signing keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Makes, lists and revokes bearers: long-lived credentials for CI.
    #[command(subcommand)]
    Bearer(BearerCommand),
    /// Lists and revokes sessions.
    #[command(subcommand)]
    Session(SessionCommand),
    /// Reads and verifies the record of every mint and refusal.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Tells why AWS STS would accept or refuse a token for a role, and what to do about it.
    ///
    /// Exit code 0: accepted, 1: refused. The token is not sent to AWS and never shown. What it does not know it takes as right, and
    /// says so: without --jwks or --fetch the signature, without --role or --client-id the audience. With --format json:
    /// `{"accepted", "error": {"code", "message"} | null, "checks": [{"check", "passed", "expected", "actual", "fix"?}],
    /// "warnings": [{"id", "text"}]}`.
    Explain(Box<ExplainArgs>),
    /// Proves end to end that a token opens its own prefix of a bucket and nothing else.
    ///
    /// Mints (or takes) a token, assumes the role, and checks: the own prefix is listed, read and written; neighbours' prefixes and
    /// the bare bucket are refused for list, get, put and delete; tokens that were altered, have no tag, are for another audience, of
    /// another environment or expired are refused. Works against AWS and what speaks its protocol; AWS's variables count. What it
    /// wrote it removes. What fails is explained, by the policies that AWS's credentials in the environment may read. Exit code 0:
    /// proved, 1: a check failed, 4: something could not be reached. With --format json: `{"passed", "rows": [{"name", "proves",
    /// "expected", "observed", "passed", "explanation"?}], "not_checked": [{"name", "proves", "expected", "why"}],
    /// "left": [{"key", "version"?, "why"}]}`.
    Prove(Box<ProveArgs>),
    /// Prints a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Prints the manual page, or writes one page a command.
    Man {
        /// The folder to write the pages to.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Writes the reference pages of the documentation.
    #[command(hide = true)]
    Docs {
        /// The folder to write the pages to.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// How a local issuer runs.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// The folder for its files. Default: `tagmint-dev` in your data folder (`$XDG_DATA_HOME` or `~/.local/share`).
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Where to listen; a loopback address. Port 0: the port of the last time, or a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// The algorithm of the signing keys. Default: what the folder's issuer had, or ES256.
    #[arg(long, value_name = "ES256|RS256")]
    pub algorithm: Option<Algorithm>,
}

/// What the mock accepts and answers.
#[derive(Debug, Args)]
pub struct MockBackendArgs {
    /// Where to listen. Port 0: a free one, told on stdout.
    #[arg(long, value_name = "ADDR")]
    pub listen: SocketAddr,
    /// The one auth token that it accepts.
    #[arg(long, value_name = "TOKEN", value_parser = secret, env = "TAGMINT_MOCK_AUTH_TOKEN", hide_env_values = true)]
    pub auth_token: SecretString,
    /// The wallet that it vouches for.
    #[arg(long, value_name = "0x…", default_value = crate::commands::dev::WALLET)]
    pub wallet: String,
    /// An attribute that it vouches for; can be given several times.
    #[arg(long = "attribute", value_name = "KEY=VALUE", value_parser = attribute)]
    pub attributes: Vec<(String, String)>,
}

/// Looks after the signing keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Shows all keys, withdrawn ones included.
    List,
    /// Begins a rotation: publishes the next key now and signs with it later.
    Rotate {
        /// How long the new key is published before it signs. At least `jwks.max_age` and three times `keys.refresh`.
        /// Default: `keys.publish_ahead`.
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        after: Option<SignedDuration>,
    },
    /// Takes a key out of the key set.
    ///
    /// A key that signs, or whose tokens may still live, is refused unless `--compromised` is given.
    Withdraw {
        /// The key's id, as `keys list` shows it.
        #[arg(allow_hyphen_values = true)]
        kid: KeyId,
        /// The private key is in wrong hands: withdraw it at once, whatever its phase. Its tokens are refused from the
        /// moment that relying parties read the key set again.
        #[arg(long)]
        compromised: bool,
    },
}

/// Makes, lists and revokes bearers.
#[derive(Debug, Subcommand)]
pub enum BearerCommand {
    /// Makes a bearer and shows its secret, once.
    Create {
        /// Its name, which rules see as `identity.subject`: letters, digits and `._-@`. Unique among the bearers that are not
        /// revoked.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// The only rule that it may use. Default: any rule that lets it.
        #[arg(long, value_name = "RULE", value_parser = rule_name)]
        rule: Option<RuleName>,
        /// How long it is good. Default: until it is revoked.
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires: Option<SignedDuration>,
        /// An attribute for the rules (`identity.attributes.KEY`); can be given several times.
        #[arg(long = "attribute", value_name = "KEY=VALUE", value_parser = attribute)]
        attributes: Vec<(String, String)>,
    },
    /// Shows the bearers that can be used.
    List {
        /// Shows revoked and expired ones too.
        #[arg(long)]
        all: bool,
        /// The most to show.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// Revokes a bearer. It works at once.
    ///
    /// A bearer that has leaked can be named by its secret: with `--secret-stdin`, because other users of this machine see the
    /// arguments of every command, and shells keep them.
    Revoke {
        /// Its id (`brr_…`), its name, or its secret (`tmb_…`; better with `--secret-stdin`).
        #[arg(value_name = "BEARER", value_parser = named::<BearerName>, required_unless_present = "secret_stdin")]
        bearer: Option<Named<BearerName>>,
        /// Reads its secret from the first line of stdin.
        #[arg(long, conflicts_with = "bearer")]
        secret_stdin: bool,
    },
}

/// Lists and revokes sessions.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// Shows the sessions that can be used.
    List {
        /// Shows revoked and expired ones too, as long as they are kept.
        #[arg(long)]
        all: bool,
        /// The most to show.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// Revokes a session. It works at once.
    ///
    /// A session that has leaked can be named by its secret: with `--secret-stdin`, because other users of this machine see the
    /// arguments of every command, and shells keep them.
    Revoke {
        /// Its id (`ses_…`) or its secret (`tms_…`; better with `--secret-stdin`).
        #[arg(value_name = "SESSION", value_parser = named::<SessionId>, required_unless_present = "secret_stdin")]
        session: Option<Named<SessionId>>,
        /// Reads its secret from the first line of stdin.
        #[arg(long, conflicts_with = "session")]
        secret_stdin: bool,
    },
}

/// Reads and verifies the ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Shows mints and refusals, the latest last.
    List {
        /// The most to show.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// From this moment on: RFC 3339, or a duration before now (`2h`).
        #[arg(long, value_name = "WHEN")]
        since: Option<Since>,
        /// Mints or refusals alone.
        #[arg(long, value_enum)]
        outcome: Option<OutcomeArg>,
        /// The one row with this id (`mnt_…`, `rfs_…`), as in a token's `jti` or CloudTrail's source identity.
        #[arg(long, value_name = "ID")]
        id: Option<String>,
    },
    /// Checks every row, the chain of hashes and the sealed head.
    ///
    /// Names the first row that is wrong and exits with 1. Note the head that it prints elsewhere: a database that was put
    /// back whole to an earlier state is found by that alone (`--expect-head`).
    Verify {
        /// A head that was noted before: the ledger must still hold it.
        #[arg(long, value_name = "SEQ:HASH", value_parser = head)]
        expect_head: Option<LedgerHead>,
    },
    /// Writes all rows as JSON lines, in order, as they were hashed.
    Export {
        /// The file to write. Default: stdout.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// Mints or refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutcomeArg {
    /// Tokens that were signed.
    Minted,
    /// Requests that were refused.
    Refused,
}

/// A moment, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The moment.
    At(Timestamp),
    /// So long before now.
    Ago(SignedDuration),
}

impl Since {
    /// The moment.
    pub fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Ago(duration) => now.checked_sub(duration).unwrap_or(Timestamp::MIN),
        }
    }
}

impl std::str::FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let moment = || text.parse().ok().map(Self::At);
        durations::parse(text)
            .map(Self::Ago)
            .or_else(moment)
            .ok_or_else(|| "give a moment such as `2026-01-31T12:00:00Z`, or a duration such as `2h`".to_owned())
    }
}

fn duration(text: &str) -> Result<SignedDuration, String> {
    let positive = durations::parse(text).filter(SignedDuration::is_positive);
    positive.ok_or_else(|| "give a duration such as `90s`, `2h` or `90d`".to_owned())
}

fn rule_name(text: &str) -> Result<RuleName, String> {
    RuleName::parse(text).map_err(|error| error.to_string())
}

/// How a credential is named on the command line.
#[derive(Debug, Clone)]
pub enum Named<I> {
    /// By its id or name.
    Plainly(I),
    /// By its secret, or by what has the beginning of one. It does not print.
    Secret(SecretString),
}

/// A bearer's id or name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BearerName(pub String);

impl std::str::FromStr for BearerName {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

/// What begins like a secret is never an error here: clap's message would repeat it.
fn named<I: std::str::FromStr>(text: &str) -> Result<Named<I>, I::Err> {
    if redact::looks_like_a_secret(text) {
        Ok(Named::Secret(SecretString::from(text)))
    } else {
        text.parse().map(Named::Plainly)
    }
}

/// A secret on the command line. The error does not repeat it.
fn secret(text: &str) -> Result<SecretString, String> {
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(SecretString::from(text)) }
}

pub(crate) fn attribute(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("give KEY=VALUE")?;
    if key.is_empty() {
        Err("the key is empty; give KEY=VALUE".to_owned())
    } else {
        Ok((key.to_owned(), value.to_owned()))
    }
}

fn head(text: &str) -> Result<LedgerHead, String> {
    let parsed = text.split_once(':').and_then(|(seq, hash)| {
        let hex = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let seq: i64 = seq.parse().ok().filter(|seq| *seq >= 0)?;
        hex.then(|| LedgerHead { seq, hash: hash.to_ascii_lowercase() })
    });
    parsed.ok_or_else(|| "give SEQ:HASH as `ledger verify` prints it".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_is_as_it_was_read() {
        let mut command = crate::docs::plain_command();
        insta::assert_snapshot!(command.render_help().to_string());
    }

    #[test]
    fn special_values_are_read() {
        assert_eq!(attribute("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(attribute("a").is_err() && attribute("=b").is_err());
        assert_eq!("2h".parse(), Ok(Since::Ago(SignedDuration::from_hours(2))));
        assert_eq!("2026-01-31T12:00:00Z".parse(), Ok(Since::At("2026-01-31T12:00:00Z".parse().unwrap())));
        assert!("yesterday".parse::<Since>().is_err());
        assert!(duration("0s").is_err());
        assert!(matches!(named::<SessionId>("tms_cut"), Ok(Named::Secret(_))));
        assert!(named::<SessionId>("nonsense").is_err());
        let hash = "AB".repeat(32);
        assert_eq!(head(&format!("7:{hash}")), Ok(LedgerHead { seq: 7, hash: hash.to_lowercase() }));
        assert!(head("7").is_err() && head("-1:ab").is_err() && head(&format!("x:{hash}")).is_err());
    }
}
