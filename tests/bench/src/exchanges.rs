//! Token exchanges of a running issuer: the platform signs with RS256, the issuer with ES256, its keys of the platform are warm. Every token is
//! used once, so all are signed before the measurement begins.

use std::{
    cell::RefCell,
    collections::VecDeque,
    fs,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::json;
use tagmint_core::{clock::SystemClock, signing_key::Algorithm};
use tagmint_testkit::{ci_claims, ci_platform::CiPlatform};
use tokio::task::{JoinSet, LocalSet};

use crate::{
    args::{Args, Transport},
    client::{Connection, Target},
    cpu::Reading,
    error::BenchError,
    issuer::{AUDIENCE, Issuer, Site},
    report::{Exchanges, ExchangesRow},
};

/// The audience of the platform's tokens.
const OURS: &str = "https://broker.example";
/// Exchanges before the measurement begins.
const WARM_UP: usize = 300;
/// Tokens that are signed for each second of a measurement. They take about a quarter of a millisecond each.
const TOKENS_PER_SECOND: u64 = 3_000;
/// How many present one token at once.
const REPLAYS: usize = 200;

/// Measures one issuer at each concurrency.
pub(crate) async fn measure(site: &Site, args: &Args) -> Result<Exchanges, BenchError> {
    LocalSet::new().run_until(one_issuer(site, args)).await
}

async fn one_issuer(site: &Site, args: &Args) -> Result<Exchanges, BenchError> {
    let platform = CiPlatform::start(Arc::new(SystemClock)).await;
    let ca_file = site.path().join("platform-ca.pem");
    fs::write(&ca_file, platform.ca_pem()).map_err(BenchError::file("write", &ca_file))?;
    let issuer = Issuer::start_with(site, Algorithm::Es256, Transport::Tls, &configuration(platform.issuer()))?;
    let count = usize::try_from(args.span().as_secs().max(1) * TOKENS_PER_SECOND).unwrap_or(usize::MAX);
    let mut exchanges = Exchanges::default();
    let mut answers = 0;
    for &concurrency in &args.concurrency {
        let mut row = ExchangesRow::new(concurrency);
        for _ in 0..args.rounds() {
            run(&issuer.target, tokens(&platform, WARM_UP), concurrency).await?;
            let tokens = tokens(&platform, count);
            let before = Reading::take(issuer.pid())?;
            let latencies = run(&issuer.target, tokens, concurrency).await?;
            let spent = Reading::take(issuer.pid())?.since(before);
            answers += latencies.len() + WARM_UP;
            row.add(spent, latencies);
        }
        row.finish();
        exchanges.rows.push(row);
    }
    exchanges.replays = REPLAYS;
    exchanges.replays_accepted = replay(&issuer.target, &platform.token(&claims())).await?;
    drop(platform);
    let minted = answers + exchanges.replays_accepted;
    let refused = REPLAYS - exchanges.replays_accepted;
    let rows = issuer.finish()?;
    if rows != (minted + refused) as u64 {
        let text = format!("{minted} tokens were handed out, {refused} refused, and the ledger has {rows} rows");
        return Err(BenchError::wrong(text));
    }
    Ok(exchanges)
}

/// Jobs of one branch.
fn configuration(platform: &str) -> String {
    format!(
        r#"
[[trusted_issuer]]
name = "github"
kind = "github"
issuer = "{platform}"
audiences = ["{OURS}"]
ca_file = "../platform-ca.pem"
allow_private_addresses = true

[[rule]]
name = "main"
from = "github"
match = {{ repository_id = "{id}", event_name = "push", branch = "main", ref_protected = true }}
subject = "ci:${{repository_id}}"
audiences = ["{AUDIENCE}"]
roles = ["arn:aws:iam::000000000000:role/ci"]
transitive = ["prefix"]

[rule.tags]
prefix = "branch-main/run-${{run_id}}"
"#,
        id = ci_claims::GITHUB_REPOSITORY_ID,
    )
}

fn claims() -> serde_json::Map<String, serde_json::Value> {
    let mut claims = ci_claims::github_push();
    claims.retain(|name, _| !["jti", "iat", "nbf", "exp"].contains(&name.as_str()));
    claims.insert("aud".to_owned(), json!(OURS));
    claims
}

fn tokens(platform: &CiPlatform, count: usize) -> VecDeque<String> {
    let claims = claims();
    (0..count).map(|_| platform.token(&claims)).collect()
}

/// Exchanges all tokens over so many connections; returns how long each took, in microseconds.
async fn run(target: &Target, tokens: VecDeque<String>, concurrency: u32) -> Result<Vec<u32>, BenchError> {
    let tokens = Rc::new(RefCell::new(tokens));
    let mut tasks = JoinSet::new();
    for _ in 0..concurrency {
        let (mut connection, tokens) = (target.connect().await?, Rc::clone(&tokens));
        tasks.spawn_local(async move {
            let mut latencies = Vec::new();
            loop {
                let next = tokens.borrow_mut().pop_front();
                let Some(token) = next else { return Ok::<_, BenchError>(latencies) };
                let started = Instant::now();
                exchange(&mut connection, &token, StatusCode::OK).await?;
                latencies.push(micros(started.elapsed()));
            }
        });
    }
    let mut all = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        all.extend(ended.map_err(|error| BenchError::wrong(format!("a caller failed: {error}")))??);
    }
    Ok(all)
}

fn micros(took: Duration) -> u32 {
    u32::try_from(took.as_micros()).unwrap_or(u32::MAX)
}

async fn exchange(connection: &mut Connection, token: &str, expected: StatusCode) -> Result<Bytes, BenchError> {
    let form = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
         &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token&subject_token={token}"
    );
    connection.post_form("/oauth2/token", Bytes::from(form), expected).await
}

/// Presents one token over many connections at once; returns how often it was accepted.
async fn replay(target: &Target, token: &str) -> Result<usize, BenchError> {
    let mut connections = Vec::new();
    for _ in 0..REPLAYS {
        connections.push(target.connect().await?);
    }
    let mut tasks = JoinSet::new();
    for mut connection in connections {
        let token = token.to_owned();
        tasks.spawn_local(async move { exchange(&mut connection, &token, StatusCode::OK).await.is_ok() });
    }
    let mut accepted = 0;
    while let Some(ended) = tasks.join_next().await {
        accepted += usize::from(ended.unwrap_or(false));
    }
    Ok(accepted)
}
