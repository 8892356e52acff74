//! The command line. The doc comments are the help and the reference page.

mod init;
mod reach;
mod replay;
mod rules;
mod values;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::SignedDuration;
use secrecy::SecretString;
use tagmint_core::{
    id::SessionId,
    issuer::IssuerUrl,
    ledger::LedgerHead,
    rules::RuleName,
    signing_key::{Algorithm, KeyId},
};

use self::values::{any_duration, head, issuer_url, named, plain_name, prefix_scope, rule_name, secret};
pub(crate) use self::values::{attribute, duration, region};
pub use self::{
    init::InitArgs,
    reach::{Place, ReachArgs},
    replay::ReplayArgs,
    rules::{RulesCommand, RulesExplainArgs, RulesRecordArgs, RulesTestArgs},
    values::{BearerName, Named, Since},
};
#[cfg(feature = "localaws")]
use crate::commands::localaws::LocalawsArgs;
use crate::{
    commands::{
        aws::AwsCommand,
        client::{EnvArgs, ExecArgs, RoleArgs, TokenArgs},
        explain::ExplainArgs,
        prove::ProveArgs,
        sweep::SweepArgs,
    },
    completion,
    output::Format,
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
    /// Write the configuration of a new issuer, its key file and tests of its rules.
    ///
    /// Asks a few questions on the terminal; flags answer them in advance, and without a terminal all of them. Overwrites nothing, and writes
    /// all files or none: `tagmint.toml`, `tagmint-key` (mode 0600), `rules-tests/rules.toml`. Prints what to run next. With --format json:
    /// `{"files": [{"path", "what"}], "config", "issuer", "environment", "role", "next": [command]}`.
    Init(Box<InitArgs>),
    /// Shows the whole path in this one process: session, token, refusals, STS, S3 with its own and foreign prefixes, ledger.
    ///
    /// Needs no network and leaves nothing behind. Fails (exit code 1) when a step does not hold.
    #[cfg(feature = "localaws")]
    Demo,
    /// Runs the stand-in for a session backend, for test issuers.
    ///
    /// It accepts one auth token and vouches for one wallet. A prod issuer refuses to start against it.
    MockBackend(MockBackendArgs),
    /// Runs the stand-in for AWS on this machine: STS, the IAM around it and S3, which enforce.
    ///
    /// One endpoint for all three (S3 by path). Tokens are verified against the issuer's documents, policies decide as on AWS.
    /// With `--format json` it prints one line when it is ready:
    /// `{"endpoint", "access_key_id", "secret_access_key", "account", "region", "partition"}`; the keys are the administrator's.
    #[cfg(feature = "localaws")]
    Localaws(LocalawsArgs),
    /// Checks the configuration and the files that it names; with --remote a running issuer, with --against that two share nothing.
    ///
    /// With --against it compares two issuers of different environments, part by part: what they are configured with, their key files and
    /// databases where it may read them, with --remote the keys that they serve. Exit code 0: nothing is shared that must not be, 1: something
    /// is. What it could not look at it says. With --format json: `{"isolated", "this": {"config", "issuer", "environment"}, "other",
    /// "findings": [{"part", "this": [text], "other": [text], "verdict": "isolated" | "shared" | "warned" | "unknown", "shared": [text],
    /// "not_seen": [text], "why"}]}`.
    ///
    /// With --remote it looks at an issuer as STS would: DNS, port 80, TLS, the discovery document, the key set, latency, clock. Without
    /// a URL at the one of the configuration, whose certificate and keys are then compared with what is served. Exit code 0: good, or
    /// warnings alone, 1: something failed, 4: nobody answered. With --format json: `{"ok", "url", "rows": [{"check", "ok",
    /// "level": "ok" | "note" | "warning" | "failure" | "skipped", "seen", "expected", "fix": text | null}]}`.
    Check(CheckArgs),
    /// Shows alarms, and tries whether notices of them arrive.
    #[command(subcommand)]
    Alarms(AlarmsCommand),
    /// Looks after the signing keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Looks after the certificate, where `tls.mode` is `acme`.
    #[command(subcommand)]
    Certificates(CertificatesCommand),
    /// Makes, rotates, lists and revokes bearers: long-lived credentials for CI.
    #[command(subcommand)]
    Bearer(BearerCommand),
    /// Lists and revokes sessions.
    #[command(subcommand)]
    Session(SessionCommand),
    /// Reads and verifies the record of every mint and refusal.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Test and explain rules.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Show what a change of rules or policies would have done to the requests in the ledger.
    ///
    /// Decides every mint and refusal of a period again, by the rules of the configuration, and compares with what the ledger recorded: which
    /// requests would be newly refused, newly allowed, or get another token; by rule and repository, with the first example of each. With
    /// --trust-policy or --bucket-policy: whether AWS would still take each token, and its session reach its prefix. Rows that do not hold
    /// what a decision needs are counted apart. Reads one page at a time, whatever the ledger's size. Exit code 0: nothing changes, 1:
    /// something does. With --format json: `{"same", "against", "since", "until", "rows", "mints", "refusals", "refusals_not_recorded", "unchanged",
    /// "newly_refused", "newly_allowed", "changed", "undecided", "groups": [{"change", "rule", "repository", "rows", "fields", "first":
    /// {"id", "at", "reason"}}], "rows_beyond_groups", "not_affected": {CODE: rows}, "undecided_rows": {REASON: {"rows", "first"}},
    /// "notes": [text], "seconds", "rows_per_second"}`.
    Replay(Box<ReplayArgs>),
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
    /// Sets up the AWS side of the issuer from its configuration: OIDC provider, roles, bucket.
    #[command(subcommand)]
    Aws(AwsCommand),
    /// Removes what runs of CI left in a test issuer's bucket: prefixes that are old, and those of closed pull requests.
    ///
    /// Shows what would go; with --apply it goes, with old versions, delete markers and unfinished uploads. Looks only at the namespaces of CI
    /// (`pr-NUMBER/run-ID/`, `branch-SLUG/run-ID/`, `mr-SLUG/run-ID/`, `ref-SLUG/run-ID/`, `bearer-NAME/`), in the configuration's bucket,
    /// of a test issuer. AWS's credentials of the environment count. It can be interrupted and run again. Exit code 0: done, or a limit was
    /// reached; 1: interrupted, refused, or something was not removed; 4: S3 could not be reached. With --format json: `{"bucket",
    /// "applied", "now", "prefixes": [{"prefix", "objects", "bytes", "uploads", "used_at", "age_seconds", "why", "closed_at", "outcome",
    /// "removed"}], "kept": {REASON: N}, "outside", "outside_examples", "removed_objects", "removed_bytes", "removed_uploads", "failed",
    /// "failures": [{"key", "version", "code", "message"}], "ended", "problem"}`.
    Sweep(Box<SweepArgs>),
    /// Gets a token from an issuer: for a session, a bearer, or the ID token of a CI job.
    ///
    /// Prints it, or writes it to a file for `AWS_WEB_IDENTITY_TOKEN_FILE`, which it can keep fresh. With --format json:
    /// `{"token", "mint_id", "subject", "audience", "tags", "expires_at"}`; with --out: `{"file", "expires_at"}`.
    Token(Box<TokenArgs>),
    /// Gets credentials of a role session, in the form that the AWS SDKs take from a `credential_process`.
    ///
    /// Mints a token and shows it to STS. Prints `{"Version", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"}` whatever
    /// --format says; on failure nothing. AWS's variables for endpoints, CA bundle and proxies count.
    Credentials(Box<RoleArgs>),
    /// Runs a command with credentials of a role session in its environment.
    ///
    /// Its exit code is this one's. It sees no other AWS credentials than these, and no credential of the issuer; they are not renewed
    /// while it runs.
    Exec(Box<ExecArgs>),
    /// Writes credentials of a role session to a file of variables.
    ///
    /// In a GitHub job to `GITHUB_ENV`, for the steps that follow, after masking each of them. Elsewhere to --out, mode 0600:
    /// `set -a; . FILE`.
    Env(Box<EnvArgs>),
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
#[command(args_conflicts_with_subcommands = true)]
pub struct DevArgs {
    /// What to do with a local issuer that runs. Default: run one.
    #[command(subcommand)]
    pub command: Option<DevCommand>,
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

/// What can be done with a local issuer that runs.
#[derive(Debug, Subcommand)]
pub enum DevCommand {
    /// Print the variables that other commands need to use the running local issuer.
    ///
    /// `eval "$(tagmint dev env)"` sets them in a POSIX shell: the issuer, its certificate authority, a session, the role, and the
    /// endpoints of `tagmint localaws`.
    Env {
        /// The folder that the local issuer was started with. Default: as `tagmint dev`.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
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

/// What is checked.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Checks only the configuration file: not the files that it names, and not the database. For a workstation and for CI.
    #[arg(long, conflicts_with_all = ["remote", "against"])]
    pub config_only: bool,
    /// Looks at a running issuer: at this URL, or at the one of the configuration.
    #[arg(long, value_name = "URL", num_args = 0..=1, value_parser = issuer_url)]
    pub remote: Option<Option<IssuerUrl>>,
    /// The configuration of the other world's issuer, with which this one must share nothing.
    #[arg(long, value_name = "OTHER.toml")]
    pub against: Option<PathBuf>,
    /// The folder with the other's key file, where its configuration names a systemd credential: `/etc/tagmint/prod`.
    #[arg(long, value_name = "FOLDER", requires = "against")]
    pub against_credentials: Option<PathBuf>,
    /// A PEM file with the certificates to trust instead of the system's (with --against: beside them). AWS does not trust them.
    #[arg(long, value_name = "PEM", requires = "remote")]
    pub ca_file: Option<PathBuf>,
    /// How long each connection and each answer may take.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5s", requires = "remote")]
    pub timeout: SignedDuration,
    /// The port that is asked over plain HTTP. Default: 80, and none where the issuer's URL has a port.
    #[arg(long, value_name = "PORT", requires = "remote")]
    pub http_port: Option<u16>,
}

/// Shows alarms, and tries their sinks.
#[derive(Debug, Subcommand)]
pub enum AlarmsCommand {
    /// Shows the alarms that the issuer knows of: those that stand, and with --all those that are over.
    List {
        /// Shows alarms that are over too.
        #[arg(long)]
        all: bool,
    },
    /// Sends a notice that says that it is a test to every sink of the configuration, and tells what became of it.
    ///
    /// Exit code 0: all took it, 1: one did not, or there is none.
    Test {
        /// This sink alone.
        #[arg(long, value_name = "NAME")]
        sink: Option<String>,
    },
}

/// Looks after the signing keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Shows all keys, withdrawn ones included, and when STS last fetched each.
    List,
    /// Shows who fetched discovery and the key set, by hour, the latest first.
    ///
    /// A running issuer writes it down every few seconds. Of an address the network alone is kept (/24, /48). Who counts as STS says
    /// `[witness]` in the configuration.
    Fetches {
        /// Of STS or of all others alone.
        #[arg(long, value_enum)]
        class: Option<ClassArg>,
        /// The most to show.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
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
        #[arg(allow_hyphen_values = true, add = completion::keys())]
        kid: KeyId,
        /// The private key is in wrong hands: withdraw it at once, whatever its phase. Its tokens are refused from the
        /// moment that relying parties read the key set again.
        #[arg(long)]
        compromised: bool,
        /// Withdraws without asking. On a terminal `--compromised` asks first where minting would stop.
        #[arg(long, requires = "compromised")]
        yes: bool,
    },
}

/// Who fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClassArg {
    /// AWS STS, as far as the configuration can tell.
    Sts,
    /// Anybody else.
    Other,
}

/// Looks after the certificate, where `tls.mode` is `acme`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum CertificatesCommand {
    /// Shows the stored certificates, when the next one is ordered, and why the last attempt failed.
    ///
    /// With --format json: `{"certificates": [{"id", "state", "names", "serial", "issuer", "not_before", "not_after", "stored_at",
    /// "directory", "renewal_window": {"start", "end"} | null, "explanation_url"}], "next_renewal_at", "renew_requested_at" | null,
    /// "last_failure": {"at", "kind", "problem", "consecutive"} | null}`; a state is `served`, `superseded` or `expired`.
    List,
    /// Asks for a new certificate now. A running issuer orders it.
    ///
    /// Ends the pause after a failure. The certificate that is served stays until the new one is there. The ACME server's rate limits
    /// hold: Let's Encrypt issues five certificates for the same names in a week.
    Renew,
    /// Asks for another key of the ACME account. A running issuer changes it.
    ///
    /// The certificate's own key changes with every renewal; this is for an account key that may be in wrong hands.
    RotateAccountKey,
}

/// Makes, lists and revokes bearers.
#[derive(Debug, Subcommand)]
pub enum BearerCommand {
    /// Makes a bearer and shows its secret, once.
    Create {
        /// Its name, which rules see as `sub`: letters, digits and `._-@`. Unique among the bearers that are not
        /// revoked.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// The only rule that it may use. Default: any rule that lets it.
        #[arg(long, value_name = "RULE", value_parser = rule_name, add = completion::rules())]
        rule: Option<RuleName>,
        /// How long it is good. Default: until it is revoked.
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires: Option<SignedDuration>,
        /// An attribute for the rules (`identity.attributes.KEY`); can be given several times.
        #[arg(long = "attribute", value_name = "KEY=VALUE", value_parser = attribute)]
        attributes: Vec<(String, String)>,
        /// Confines it to tokens whose session tag `prefix` (or TAG) is PREFIX or lies below it, whatever its rule gives; can be given
        /// once for each tag.
        #[arg(long = "prefix-scope", value_name = "PREFIX|TAG=PREFIX", value_parser = prefix_scope)]
        scopes: Vec<(String, String)>,
    },
    /// Gives a bearer a new secret, and shows it, once. The old one goes on working for a while.
    ///
    /// Rule, scope and attributes stay as they are. A name has two secrets at most: as long as an earlier rotation's overlap lasts this
    /// is refused.
    Rotate {
        /// Its name.
        #[arg(value_name = "NAME", value_parser = plain_name, add = completion::bearers())]
        name: String,
        /// How long the old secret still works, unless it ends sooner by itself. `0s`: no longer.
        #[arg(long, value_name = "DURATION", value_parser = any_duration)]
        overlap: SignedDuration,
        /// How long the new one is good. Default: as long as the old one was when it was made.
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires: Option<SignedDuration>,
        /// Ends a secret at once that an earlier rotation has left.
        #[arg(long)]
        force: bool,
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
    /// By its name all its secrets are revoked, also one that a rotation has left; by its id or a secret that one alone. A bearer that has leaked can be named by its secret: with `--secret-stdin`, because other users of this machine see the
    /// arguments of every command, and shells keep them.
    Revoke {
        /// Its id (`brr_…`), its name, or its secret (`tmb_…`; better with `--secret-stdin`).
        #[arg(
            value_name = "BEARER", value_parser = named::<BearerName>, required_unless_present = "secret_stdin",
            add = completion::bearers()
        )]
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
        #[arg(
            value_name = "SESSION", value_parser = named::<SessionId>, required_unless_present = "secret_stdin",
            add = completion::sessions()
        )]
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
        /// The archives that rows have left for, all of them: with these the whole ledger is checked, from its first row on.
        /// Without them the rows that are left are, and that they build on the last archived row by its sealed record.
        #[arg(long = "archive", value_name = "FILE", num_args = 1..)]
        archives: Vec<PathBuf>,
    },
    /// Moves the oldest rows into a sealed file, and out of the database.
    ///
    /// Verifies the ledger, writes the file (JSON lines, as `export` does, with a sealed last line), makes it durable, reads it
    /// back, records it in the database, and then removes its rows. It may be killed at any point: the same command goes on where it was.
    /// The chain stays verifiable (`verify`). Runs beside the issuer. The database's file does not shrink; its space is used again.
    /// With --format json: `{"archive": {"file", "first_seq", "last", "rows", "sha256"} | null, "removed_rows", "head", "held_by_seq"}`.
    Archive(ArchiveArgs),
    /// Writes all rows as JSON lines, in order: as they were hashed, or as events for a SIEM.
    Export {
        /// `jsonl`: rows as they were hashed, which can be verified. `ocsf`: events of the Open Cybersecurity Schema Framework.
        #[arg(long, value_name = "FORMAT", default_value = "jsonl", value_parser = values::export_format())]
        format: Format,
        /// The file to write. Default: stdout.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// Which rows are archived, and where to.
#[derive(Debug, Args)]
pub struct ArchiveArgs {
    /// Rows before this moment: RFC 3339, or a duration before now (`90d`). At least 24 hours ago, because role sessions that were
    /// opened with the tokens of younger rows may still live.
    #[arg(long, value_name = "WHEN")]
    pub before: Since,
    /// The file to write, on a disk of its own at best. It must not exist, unless an interrupted run has left it.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The latest rows that stay whatever their age.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub keep: u32,
}

/// Mints or refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutcomeArg {
    /// Tokens that were signed.
    Minted,
    /// Requests that were refused.
    Refused,
    /// Credentials that were fetched from STS on a caller's behalf.
    Fetched,
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
}
