//! The third judge of `tagmint-iam`: Ceph's RADOS Gateway, a server that verifies tokens and enforces policies on its own.
//!
//! Each row of `ceph_judge/trust.json` is a token at a role's door, each row of `ceph_judge/access.json` a request of a session to S3. The
//! engine has to give AWS's answer in every row. Ceph gives it too, or the row says that it doesn't, and why; a row that says so while Ceph
//! agrees fails as well, so the list of differences stays true.

#![allow(clippy::print_stdout, reason = "a judge says what it found")]

#[path = "ceph_judge/ceph.rs"]
mod ceph;
#[path = "ceph_judge/engine.rs"]
mod engine;
#[path = "ceph_judge/issuer.rs"]
mod issuer;
#[path = "ceph_judge/rows.rs"]
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use ceph::Ceph;
use engine::Engine;
use issuer::Issuer;
use rows::{Ask, Differs, Entry, Reasons, Setup, Tables, TokenRow, TrustRow, document, open_statement, outcome};

type Error = Box<dyn std::error::Error + Send + Sync>;
type TestResult<T = ()> = Result<T, Error>;

/// The rows' account; at Ceph, the tenant.
const ACCOUNT: &str = "111122223333";
const AUDIENCE: &str = "sts.amazonaws.com";
/// The session's name.
const SESSION: &str = "judged";

/// What came of one row.
struct Judged<'a> {
    about: String,
    aws: &'a str,
    engine: String,
    ceph: String,
    differs: Option<&'a Differs>,
}

/// The three that a row is about.
struct Court {
    issuer: Issuer,
    engine: Engine,
    ceph: Ceph,
}

#[tokio::test]
async fn ceph_agrees_but_where_a_row_says_why_not() -> TestResult {
    let issuer = Issuer::start().await?;
    let Tables { reasons, trust, access } = rows::read(issuer.host())?;
    let court = Court { engine: Engine::new(&issuer)?, ceph: Ceph::start(&issuer).await?, issuer };
    let mut judged = Vec::new();
    for entry in &trust {
        judged.push(court.trust(entry).await.map_err(|error| format!("{}: {error}", entry.row.about))?);
    }
    for entry in &access {
        judged.extend(court.access(entry).await.map_err(|error| format!("{}: {error}", entry.row.about))?);
    }
    let wrong = conclude(&judged, &reasons);
    assert!(wrong.is_empty(), "{} rows are not as they say:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

fn role_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

#[expect(clippy::disallowed_methods, reason = "Ceph reads the system's time: tokens have to be of now")]
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

impl Court {
    async fn trust<'a>(&self, entry: &'a Entry<TrustRow>) -> TestResult<Judged<'a>> {
        let Entry { role, row, .. } = entry;
        let (arn, policy, at) = (role_arn(role), row.policy(self.engine.provider()), now());
        let token = self.issuer.token(&row.token, at)?;
        let by_ceph = if !self.ceph.role(role, &policy).await? {
            "malformed"
        } else if self.ceph.assume(&arn, &token, None).await?.is_some() {
            "accepted"
        } else {
            "refused"
        };
        Ok(Judged {
            about: row.about.clone(),
            aws: &row.aws,
            engine: self.engine.assume(&arn, &policy, &token, at)?,
            ceph: by_ceph.to_owned(),
            differs: row.differs.as_ref(),
        })
    }

    async fn access<'a>(&self, entry: &'a Entry<Setup>) -> TestResult<Vec<Judged<'a>>> {
        let Entry { role, bucket, row: setup } = entry;
        let (arn, at) = (role_arn(role), now());
        let trust = document("2012-10-17", &json!([open_statement(self.engine.provider())]));
        let token = self.issuer.token(&TokenRow { tags: setup.tags.clone(), ..TokenRow::default() }, at)?;
        let in_version = |statements: &serde_json::Value| document(&setup.version, statements);
        let session_policy = setup.session.as_ref().map(|statements| in_version(statements).to_string());
        let session_policy = session_policy.as_deref();

        let ours = match engine::Stored::read(setup) {
            Some(stored) => Some((stored, self.engine.session(&arn, &trust, &token, session_policy, at)?)),
            None => None,
        };

        let asked = setup.rows.iter().filter_map(|row| match &row.ask {
            Ask::Get(key) | Ask::Delete(key) => Some(key.as_str()),
            _ => None,
        });
        self.ceph.bucket(bucket, asked.collect::<BTreeSet<_>>()).await?;
        let mut stored = self.ceph.role(role, &trust).await?;
        if let Some(statements) = &setup.role {
            stored &= self.ceph.role_policy(role, &in_version(statements)).await?;
        }
        if let Some(statements) = &setup.bucket {
            stored &= self.ceph.bucket_policy(bucket, &in_version(statements)).await?;
        }
        let theirs = if stored {
            let session = self.ceph.assume(&arn, &token, session_policy).await?;
            Some(session.ok_or("Ceph refuses the token")?)
        } else {
            None
        };

        let mut judged = Vec::new();
        for row in &setup.rows {
            let malformed = || "malformed".to_owned();
            judged.push(Judged {
                about: format!("{}: {}", setup.about, row.about),
                aws: &row.aws,
                engine: match &ours {
                    Some((stored, session)) => stored.decide(session, bucket, &row.ask, at)?,
                    None => malformed(),
                },
                ceph: match &theirs {
                    Some(session) => self.ceph.ask(session, bucket, &row.ask).await?,
                    None => malformed(),
                },
                differs: row.differs.as_ref(),
            });
        }
        Ok(judged)
    }
}

/// Prints the summary and the reasons. Returns the rows that aren't as they say.
fn conclude(judged: &[Judged<'_>], reasons: &Reasons) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    for Judged { about, aws, engine, ceph, differs } in judged {
        if engine != aws {
            wrong.push(format!("tagmint-iam is wrong: {about}: {engine}, and AWS {aws}"));
        }
        match differs {
            None if ceph != outcome(aws) => {
                wrong.push(format!("Ceph differs without a reason: {about}: {ceph}, and AWS {aws}"));
            }
            None => {}
            Some(Differs { says, reason }) => {
                *used.entry(reason).or_default() += 1;
                if ceph == outcome(aws) {
                    wrong.push(format!("Ceph agrees now: {about}: take {reason} away"));
                } else if ceph != says {
                    wrong.push(format!("Ceph differs otherwise: {about}: {ceph}, and the row says {says}"));
                }
            }
        }
    }
    let unused = reasons.keys().filter(|id| !used.contains_key(id.as_str()));
    wrong.extend(unused.map(|id| format!("no row has the reason {id}")));
    let unknown = used.keys().filter(|id| !reasons.contains_key(**id));
    wrong.extend(unknown.map(|id| format!("the reason {id} is not in reasons.json")));

    let agree = judged.iter().filter(|row| row.ceph == outcome(row.aws)).count();
    println!(
        "ceph: {} rows, {agree} agree, {} differ for {} listed reasons",
        judged.len(),
        judged.len() - agree,
        reasons.len()
    );
    for (id, reason) in reasons {
        let rows = used.get(id.as_str()).unwrap_or(&0);
        println!("  {id} ({rows})\n    Ceph: {}\n    AWS: {}", reason.ceph, reason.aws);
    }
    wrong
}
