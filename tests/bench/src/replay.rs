//! `tagmint replay` of a large ledger: rows per second and peak memory; and the time of one decision by many rules.

use std::{
    fmt::Write as _,
    fs::{self, File},
    hint::black_box,
    io::{BufWriter, Write as _},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Value, json};
use tagmint_core::{
    environment::{Environment, Stamp},
    id::{MintId, RefusalId, RequestId},
    identity::{CredentialId, IdentitySource, VerifiedIdentity},
    issuer::IssuerUrl,
    ledger::{FORMAT, LedgerEntry, LedgerHead, Minted, Outcome, Refused, Run},
    random::SystemRandom,
    rules::{MintRequest, RuleConfig, RuleSet, TagScope, TrustedIssuers},
    sealing::MasterKey,
    trusted_issuer::{IssuerKind, TrustedIssuerName},
};
use tagmint_store::{DatabaseUrl, Store, StoreOptions};
use tokio::task::JoinSet;

use crate::{
    args::Args,
    cpu,
    error::BenchError,
    issuer::Site,
    report::{Decision, Replay, ReplayRun},
    signature::Slice,
};

const ISSUER: &str = "https://broker.example.org";
/// As many rules as a configuration may have.
const RULES: u32 = 200;
/// Repositories that jobs run for. Those beyond [`RULES`] are refused.
const REPOSITORIES: u32 = 210;
/// When the first row was recorded, in milliseconds; one comes every 20 ms.
const BEGIN_MS: i64 = 1_790_000_000_000;
/// Entries that wait for the ledger at once.
const IN_FLIGHT: usize = 2_048;
/// Decisions between two looks at the clock.
const AT_ONCE: u64 = 64;
const PATIENCE: Duration = Duration::from_mins(2);
const REMOTE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

/// Measures decisions, and replays of a tenth of the rows and of all of them, from a database and from an export.
pub(crate) async fn measure(site: &Site, args: &Args) -> Result<Replay, BenchError> {
    let matches = rules(&rule_text(RULES, ""))?;
    let conditions = rules(&rule_text(RULES, "when = 'actor != \"dependabot\"'\n"))?;
    let decisions = [
        ("the first of 200 rules decides", &matches, 0),
        ("the last of 200 rules decides", &matches, RULES - 1),
        ("none of 200 rules takes the identity", &matches, RULES),
        ("the last of 200 rules with `when` decides", &conditions, RULES - 1),
    ];
    let decisions = decisions.map(|(name, rules, repository)| decide(name, rules, repository, args)).to_vec();
    let mut runs = Vec::new();
    for rows in [args.rows() / 10, args.rows()] {
        let folder = site.path().join(format!("replay-{rows}"));
        fs::create_dir(&folder).map_err(BenchError::file("make", &folder))?;
        write_ledgers(&folder, rows, &matches).await?;
        for (source, ledger) in [("database", "tagmint.db"), ("export", "ledger.jsonl")] {
            runs.push(replay(site, &folder, source, ledger, rows)?);
        }
        fs::remove_dir_all(&folder).map_err(BenchError::file("remove", &folder))?;
    }
    Ok(Replay { rules: RULES, decisions, runs })
}

fn wrong(error: &dyn std::fmt::Display) -> BenchError {
    BenchError::wrong(format!("the set-up of the replay: {error}"))
}

/// Rules as they are written, one for each repository.
fn rule_text(count: u32, condition: &str) -> String {
    let mut text = String::new();
    for number in 0..count {
        write!(
            text,
            "[[rule]]\nname = \"repository-{number}\"\nfrom = \"github\"\n\
             match = {{ repository_id = \"{}\", repository_owner_id = \"123456\", event_name = [\"push\", \"pull_request\"] }}\n{condition}\
             subject = \"github:${{repository_id}}:${{event_name}}\"\nrole = \"arn:aws:iam::111122223333:role/ci-{number}\"\n\
             tags = {{ repository = \"${{repository_id}}\", prefix = \"run-${{run_id}}\" }}\n\n",
            1_000 + number
        )
        .expect("a string takes any text");
    }
    text
}

fn rules(text: &str) -> Result<RuleSet, BenchError> {
    #[derive(serde::Deserialize)]
    struct File {
        rule: Vec<RuleConfig>,
    }
    let file: File = toml::from_str(text).map_err(|error| wrong(&error))?;
    let issuers: TrustedIssuers = [(issuer_name()?, IssuerKind::GITHUB)].into_iter().collect();
    RuleSet::compile(&file.rule, &issuers).map_err(|errors| wrong(&errors[0]))
}

fn issuer_name() -> Result<TrustedIssuerName, BenchError> {
    TrustedIssuerName::parse("github").map_err(|error| wrong(&error))
}

/// The configuration that is replayed: the rules, the last of them changed.
fn configuration() -> String {
    let rules = rule_text(RULES, "");
    let (before, last) = rules.rsplit_once("prefix = \"run-").unwrap_or((&rules, ""));
    format!(
        "environment = \"test\"\nissuer = \"{ISSUER}\"\n\n[listen]\npublic = \"127.0.0.1:8443\"\nadmin = \"127.0.0.1:9443\"\n\n\
         [tls]\nmode = \"proxy\"\n\n[database]\npath = \"tagmint.db\"\n\n[keys]\nkey_file = \"key\"\n\n\
         [[trusted_issuer]]\nname = \"github\"\nkind = \"github\"\naudiences = [\"{ISSUER}\"]\n\n{before}prefix = \"changed-{last}"
    )
}

/// A job of one repository, with the claims that GitHub writes.
fn job(repository: u32, run: u64) -> Result<VerifiedIdentity, BenchError> {
    let attributes = json!({
        "repository_id": (1_000 + repository).to_string(), "repository_owner_id": "123456",
        "repository": format!("octo-org/repository-{repository}"), "repository_owner": "octo-org",
        "repository_visibility": "private", "event_name": "push", "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": true,
        "branch": "main", "workflow": "ci", "workflow_ref": "octo-org/ci/.github/workflows/ci.yml@refs/heads/main",
        "workflow_sha": "f417a0d1a5d2d43a4b8dcf3a2a0c6b9c2d1e0f3a", "job_workflow_ref": "octo-org/ci/.github/workflows/ci.yml@refs/heads/main",
        "job_workflow_sha": "f417a0d1a5d2d43a4b8dcf3a2a0c6b9c2d1e0f3a", "actor": "octocat", "actor_id": "12", "run_id": run.to_string(),
        "run_number": "10", "run_attempt": "1", "check_run_id": "55667788990", "sha": "f417a0d1a5d2d43a4b8dcf3a2a0c6b9c2d1e0f3a",
        "runner_environment": "github-hosted", "subject_form": "names",
    });
    let Value::Object(attributes) = attributes else { return Err(wrong(&"no object")) };
    Ok(VerifiedIdentity {
        source: IdentitySource::TrustedIssuer(IssuerKind::GITHUB),
        trusted_issuer: Some(issuer_name()?),
        subject: format!("repo:octo-org/repository-{repository}:ref:refs/heads/main"),
        attributes,
        credential: CredentialId::Absent,
        only_rule: None,
        scope: TagScope::default(),
    })
}

/// Decides again and again on this thread.
fn decide(name: &'static str, rules: &RuleSet, repository: u32, args: &Args) -> Decision {
    let (Ok(identity), request) = (job(repository, 7), MintRequest::default()) else {
        return Decision::new(name, Slice::default());
    };
    let mut done = Slice::default();
    for _ in 0..args.rounds() {
        let (start, before) = (Instant::now(), cpu::of_this_thread());
        while start.elapsed() < args.span() {
            for _ in 0..AT_ONCE {
                let _ = black_box(rules.decide(black_box(&identity), &request));
            }
            done.count += AT_ONCE;
        }
        done.cpu += cpu::of_this_thread().saturating_sub(before);
    }
    Decision::new(name, done)
}

/// The row that the issuer writes of a request.
fn entry(number: u64, rules: &RuleSet) -> Result<LedgerEntry, BenchError> {
    let at_ms = BEGIN_MS + i64::try_from(number).unwrap_or(0) * 20;
    let at = Timestamp::from_millisecond(at_ms).map_err(|error| wrong(&error))?;
    let repository = u32::try_from(number % u64::from(REPOSITORIES)).unwrap_or(0);
    let (identity, request) = (job(repository, number)?, MintRequest::default());
    let (rule, outcome) = match rules.decide(&identity, &request).result {
        Ok(grant) => {
            let issued_at = at.as_second();
            let minted = Minted {
                mint_id: MintId::generate(at, &SystemRandom).map_err(|error| wrong(&error))?,
                kid: "YztXHCrKnYuhq8Tg7NHkoDPIMHYvBvOUIv5oS1DrGPg".to_owned(),
                subject: grant.subject.to_string(),
                audience: grant.audience.to_string(),
                tags: serde_json::to_value(&grant.tags).map_err(|error| wrong(&error))?,
                roles: grant.roles.iter().map(ToString::to_string).collect(),
                issued_at,
                expires_at: issued_at + i64::from(grant.lifetime.seconds()),
            };
            (Some(grant.rule.to_string()), Outcome::Minted(minted))
        }
        Err(denial) => {
            let refused = Refused {
                refusal_id: RefusalId::generate(at, &SystemRandom).map_err(|error| wrong(&error))?,
                code: denial.code().to_owned(),
                detail: denial.to_string(),
                omitted: None,
            };
            (None, Outcome::Refused(refused))
        }
    };
    Ok(LedgerEntry {
        format: FORMAT,
        at_ms,
        request_id: RequestId::generate(at, &SystemRandom).map_err(|error| wrong(&error))?,
        route: "POST /oauth2/token".to_owned(),
        remote: Some(REMOTE.to_string()),
        credential: Some("github/5ea2b0a56d0c4b0a".to_owned()),
        source: Some("github".to_owned()),
        identity: Some(identity.subject.clone()),
        rule,
        run: Some(Box::new(Run::of(&identity, &request, REMOTE, rules.hash()))),
        outcome,
    })
}

/// The same rows in a database and in a file as `tagmint ledger export` writes it, and the configuration.
async fn write_ledgers(folder: &Path, rows: u64, rules: &RuleSet) -> Result<(), BenchError> {
    let config = folder.join("tagmint.toml");
    fs::write(&config, configuration()).map_err(BenchError::file("write", &config))?;
    let stamp =
        Stamp { issuer: IssuerUrl::parse(ISSUER).map_err(|error| wrong(&error))?, environment: Environment::Test };
    let key = folder.join("key");
    let made = MasterKey::generate_file(&SystemRandom).map_err(|error| wrong(&error))?;
    fs::write(&key, made.as_bytes()).map_err(BenchError::file("write", &key))?;
    let master_key = MasterKey::parse(&made).map_err(|error| wrong(&error))?;
    let options = StoreOptions::new(DatabaseUrl::from(folder.join("tagmint.db").as_path()), stamp.clone());
    let store = Store::open(&options).await.map_err(|error| wrong(&error))?;
    let writer = store.ledger_writer(Arc::new(master_key)).await.map_err(|error| wrong(&error))?;
    let export = folder.join("ledger.jsonl");
    let mut lines = BufWriter::new(File::create(&export).map_err(BenchError::file("write", &export))?);
    let mut head = LedgerHead::genesis(&stamp);
    let mut waiting = JoinSet::new();
    for number in 0..rows {
        let entry = entry(number, rules)?;
        let line = serde_json::to_string(&head.append(&entry)).map_err(|error| wrong(&error))?;
        writeln!(lines, "{line}").map_err(BenchError::file("write", &export))?;
        if waiting.len() >= IN_FLIGHT {
            done(waiting.join_next().await)?;
        }
        let writer = writer.clone();
        waiting.spawn(async move { writer.append(entry, PATIENCE).await.map(|_| ()) });
    }
    while !waiting.is_empty() {
        done(waiting.join_next().await)?;
    }
    lines.flush().map_err(BenchError::file("write", &export))?;
    writer.close().await;
    store.close().await;
    Ok(())
}

fn done(
    result: Option<Result<Result<(), tagmint_store::LedgerError>, tokio::task::JoinError>>,
) -> Result<(), BenchError> {
    match result {
        None | Some(Ok(Ok(()))) => Ok(()),
        Some(Ok(Err(error))) => Err(wrong(&error)),
        Some(Err(error)) => Err(wrong(&error)),
    }
}

/// Runs `tagmint replay` to its end, and looks at its memory all the while.
fn replay(site: &Site, folder: &Path, source: &'static str, ledger: &str, rows: u64) -> Result<ReplayRun, BenchError> {
    let file: PathBuf = folder.join(ledger);
    let mut command = Command::new(site.binary());
    command.args([
        "replay",
        "--since",
        "2026-09-01T00:00:00Z",
        "--until",
        "2027-09-01T00:00:00Z",
        "--format",
        "json",
        "--config",
    ]);
    command.arg(folder.join("tagmint.toml")).arg("--ledger").arg(&file);
    let answer = folder.join("answer.json");
    let stdout = File::create(&answer).map_err(BenchError::file("write", &answer))?;
    let started = command.stdout(stdout).stderr(Stdio::null()).spawn();
    let mut child = started.map_err(BenchError::io("start `tagmint replay`"))?;
    let (mut peak, mut cpu_time) = (0, Duration::ZERO);
    let begun = Instant::now();
    let status = loop {
        // Both only grow, so what was read last before the end is the whole, up to one pause.
        peak = peak.max(peak_memory(child.id()));
        cpu_time = cpu::of_process(child.id()).unwrap_or(cpu_time).max(cpu_time);
        if let Some(status) = child.try_wait().map_err(BenchError::io("wait for `tagmint replay`"))? {
            break status;
        }
        #[expect(clippy::disallowed_methods, reason = "nothing else runs on this thread")]
        std::thread::sleep(Duration::from_millis(20));
    };
    let wall = begun.elapsed();
    let text = fs::read(&answer).map_err(BenchError::file("read", &answer))?;
    let told: Value = serde_json::from_slice(&text).map_err(|error| wrong(&error))?;
    // The last rule was changed: of every 210 rows one is different, and ten were refused all along.
    let expected = (rows + u64::from(REPOSITORIES - RULES)) / u64::from(REPOSITORIES);
    let changed = told["changed"].as_u64().unwrap_or_default();
    if status.code() != Some(1) || told["rows"].as_u64() != Some(rows) || changed.abs_diff(expected) > 1 {
        return Err(BenchError::wrong(format!("`tagmint replay` ended with {status} and said {told}")));
    }
    Ok(ReplayRun::new(source, rows, wall, cpu_time, peak))
}

/// `VmHWM` of a process: the most memory that it has held, in KiB (proc_pid_status(5)).
fn peak_memory(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
