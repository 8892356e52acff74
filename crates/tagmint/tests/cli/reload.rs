//! SIGHUP: `tagmint serve` reads the rules anew. Good ones decide from then on; whatever cannot be used changes nothing.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    process::{Running, client, json as tagmint_json, wait_for},
    serve::{Prepared, prepare},
};

/// A running issuer and its configuration.
struct Stage {
    prepared: Prepared,
    serve: Running,
    /// The configuration at the start.
    text: String,
    /// How many lines about rules the log has.
    told: usize,
}

const REPLACED: &str = "other rules are in force";
const SAME: &str = "the rules are the same as before";
const KEPT: &str = "the rules could not be reloaded: the old ones stay in force";

impl Stage {
    fn new() -> Self {
        let prepared = prepare();
        let serve = Running::start(["serve", "--config", &prepared.config], prepared.folder.path());
        let text = fs::read_to_string(&prepared.config).expect("the configuration");
        Self { prepared, serve, text, told: 0 }
    }

    /// Writes the configuration, sends SIGHUP, and returns the line that the log then has about the rules.
    fn reload(&mut self, text: &str) -> String {
        fs::write(&self.prepared.config, text).expect("written");
        self.hang_up()
    }

    fn hang_up(&mut self) -> String {
        self.serve.signal(Signal::HUP);
        let lines = |stderr: &str| -> Vec<String> {
            let about = |line: &&str| [REPLACED, SAME, KEPT].iter().any(|told| line.contains(told));
            stderr.lines().filter(about).map(str::to_owned).collect()
        };
        wait_for("a line about the rules", || lines(&self.serve.stderr()).len() > self.told);
        let lines = lines(&self.serve.stderr());
        assert_eq!(lines.len(), self.told + 1, "{lines:?}");
        self.told += 1;
        lines.last().expect("it has come").clone()
    }

    /// What a bearer token's rule gives: the beginning of the subject.
    async fn subject(&self) -> String {
        let answer = self.mint(&self.prepared.bearer).await;
        let subject = answer["subject"].as_str().expect("a token");
        subject.split_once(':').expect("a colon").0.to_owned()
    }

    async fn mint(&self, credential: &str) -> Value {
        let client = client(&self.prepared.ca_file);
        let request = client.post(format!("{}/v1/tokens", self.prepared.issuer)).bearer_auth(credential);
        request.json(&json!({})).send().await.expect("an answer").json().await.expect("JSON")
    }

    async fn admin(&self, path: &str) -> String {
        let client = client(&self.prepared.ca_file);
        let answer = client.get(format!("{}{path}", self.serve.field("admin"))).send().await.expect("an answer");
        answer.text().await.expect("text")
    }

    /// The hash of the rules in force, as the admin listener gives it.
    async fn hash(&self) -> String {
        let ready: Value = serde_json::from_str(&self.admin("/readyz").await).expect("JSON");
        ready["rules"].as_str().expect("a hash").to_owned()
    }

    /// The hash of the rules in the file, as `check` gives it.
    fn checked(&self) -> String {
        let found = tagmint_json(["check", "--config", &self.prepared.config]);
        found["rules_hash"].as_str().expect("a hash").to_owned()
    }

    /// Asserts the values of series.
    async fn metrics(&self, series: &[(String, u64)]) {
        let metrics = self.admin("/metrics").await;
        for (name, value) in series {
            assert!(metrics.contains(&format!("\n{name} {value}\n")), "{name} {value}\n{metrics}");
        }
    }
}

fn read(result: &str) -> String {
    format!("tagmint_rule_reloads_total{{result=\"{result}\"}}")
}

fn in_force(hash: &str) -> String {
    format!("tagmint_rule_set_info{{hash=\"{hash}\"}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_puts_other_rules_in_force() {
    let mut stage = Stage::new();
    let first = stage.hash().await;
    assert_eq!((stage.subject().await.as_str(), &stage.checked()), ("bearer", &first));
    stage.metrics(&[(in_force(&first), 1), (read("replaced"), 0), (read("unchanged"), 0), (read("failed"), 0)]).await;

    let changed = stage.text.replace("subject = \"bearer:${sub}\"", "subject = \"job:${sub}\"");
    assert_ne!(changed, stage.text);
    assert!(stage.reload(&changed).contains(REPLACED));
    let second = stage.hash().await;
    assert_ne!(first, second);
    assert_eq!((stage.subject().await.as_str(), &stage.checked()), ("job", &second));
    // A session from before goes on, by the rules that are in force now.
    let minted = stage.mint(&stage.prepared.session).await;
    assert!(minted["subject"].as_str().is_some_and(|subject| subject.starts_with("wallet:")), "{minted}");
    stage.metrics(&[(in_force(&first), 0), (in_force(&second), 1), (read("replaced"), 1)]).await;

    assert!(stage.hang_up().contains(SAME));
    // What is no rule is read at the start alone.
    let elsewhere = changed.replace("level = \"trace\"", "level = \"debug\"");
    assert!(elsewhere != changed && stage.reload(&elsewhere).contains(SAME));
    stage.metrics(&[(in_force(&second), 1), (read("replaced"), 1), (read("unchanged"), 2), (read("failed"), 0)]).await;
    let text = stage.text.clone();
    assert!(stage.reload(&text).contains(REPLACED));
    assert_eq!((stage.subject().await.as_str(), &stage.hash().await), ("bearer", &first));
    stage.metrics(&[(in_force(&first), 1), (in_force(&second), 0), (read("replaced"), 2)]).await;

    // The ledger knows by which rules each token was made.
    stage.serve.signal(Signal::TERM);
    assert_eq!(stage.serve.end(), Some(0), "{}", stage.serve.stderr());
    let listed = tagmint_json(["ledger", "list", "--config", &stage.prepared.config]);
    let rows = listed.as_array().unwrap_or_else(|| panic!("{listed}"));
    let by: Vec<&str> = rows.iter().filter_map(|row| row["entry"]["run"]["rules"].as_str()).collect();
    assert_eq!(by, [&first, &second, &second, &first], "the newest first");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_cannot_be_used_leave_the_old_ones_in_force() {
    let mut stage = Stage::new();
    let (first, text) = (stage.hash().await, stage.text.clone());
    let rule = |lines: &str| format!("{text}\n[[rule]]\nname = \"more\"\nsubject = \"more:x\"\n{lines}\n");
    let trusted =
        "[[trusted_issuer]]\nname = \"github\"\nkind = \"github\"\naudiences = [\"https://localhost/jobs\"]\n";
    let broken = [
        (text.replace("[[rule]]", "[[rule"), "not TOML"),
        (rule("from = \"nobody\""), "`nobody` is neither a `[[trusted_issuer]]` nor a source"),
        (rule("from = \"bearer\"\nwhen = 'sub =='"), "not a CEL expression"),
        // What is no rule must be good too: the next start would fail.
        (text.replace("[database]", "[databases]"), "unknown key"),
        (format!("{text}\n[token]\nroles = false\n"), "`[token]` differs from what the issuer runs with"),
        (format!("{text}\n[anonymous_minting]\n"), "`[anonymous_minting]` differs from what the issuer runs with"),
        (format!("{text}\n{trusted}"), "the `[[trusted_issuer]]` tables differ from those that the issuer runs with"),
        (rule(&format!("from = \"github\"\n{trusted}")), "restart"),
    ];
    for (number, (broken, says)) in (1..).zip(&broken) {
        assert_ne!(broken, &text);
        let line = stage.reload(broken);
        assert!(line.contains(KEPT) && line.contains(says) && line.contains("ERROR"), "{says}: {line}");
        assert_eq!((stage.subject().await.as_str(), &stage.hash().await), ("bearer", &first), "{says}");
        stage.metrics(&[(in_force(&first), 1), (read("failed"), number), (read("replaced"), 0)]).await;
    }
    fs::remove_file(&stage.prepared.config).expect("removed");
    assert!(stage.hang_up().contains(KEPT));
    assert_eq!(stage.subject().await, "bearer");
    // The issuer is none the worse for it.
    assert!(stage.reload(&text.replace("bearer:${sub}", "job:${sub}")).contains(REPLACED));
    assert_eq!(stage.subject().await, "job");
    stage.serve.signal(Signal::TERM);
    assert_eq!(stage.serve.end(), Some(0), "{}", stage.serve.stderr());
}
