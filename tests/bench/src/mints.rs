//! Mints of a running issuer, with bare signatures measured in between: clock rates drift, ratios don't.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use serde_json::Value;
use tagmint_core::{
    clock::{Clock, SystemClock},
    jwk::VerificationKeys,
    jws::{self, Expected},
    signing_key::Algorithm,
};
use tokio::task::LocalSet;

use crate::{
    args::{Args, Transport},
    error::BenchError,
    issuer::{AUDIENCE, Issuer, Site},
    load::{self, Caller, Outcome},
    report::{Mints, MintsRow},
    signature::{Bare, BareKey},
};

/// A slice of bare signatures takes this part of a measurement's time.
const SLICE: u32 = 10;

/// Measures one issuer for each algorithm and transport, one after the other.
pub(crate) async fn measure(site: &Site, args: &Args) -> Result<Mints, BenchError> {
    let mut mints = Mints::default();
    for &algorithm in &args.algorithms {
        for &transport in &args.transports {
            let issuer = Issuer::start(site, algorithm, transport)?;
            LocalSet::new().run_until(one_issuer(issuer, algorithm, transport, args, &mut mints)).await?;
        }
    }
    Ok(mints)
}

async fn one_issuer(
    issuer: Issuer<'_>,
    algorithm: Algorithm,
    transport: Transport,
    args: &Args,
    mints: &mut Mints,
) -> Result<(), BenchError> {
    let most = args.concurrency.iter().max().copied().unwrap_or(1);
    let mut callers = Vec::new();
    for _ in 0..most {
        callers.push(Caller::new(&issuer.target).await?);
    }
    let first = first_token(&mut callers).await?;
    let mut answers = 1;
    let bare_key = BareKey::generate(algorithm, signing_input(&first))?;
    let span = args.span();
    let mut rows: Vec<MintsRow> =
        args.concurrency.iter().map(|&concurrency| MintsRow::new(algorithm, transport, concurrency)).collect();
    let mut kept = Vec::new();
    let mut before = bare(&bare_key, span)?;
    for _ in 0..args.rounds() {
        for row in &mut rows {
            let count = usize::try_from(row.concurrency).unwrap_or(usize::MAX);
            let mut some: Vec<Caller> = callers.drain(..count.min(callers.len())).collect();
            for caller in &mut some {
                caller.reconnect(&issuer.target).await?;
            }
            let outcome = load::run(&mut some, issuer.pid(), span).await?;
            callers.append(&mut some);
            let after = bare(&bare_key, span)?;
            answers += outcome.all_answers;
            row.add(&outcome, before, after);
            let Outcome { kept: some, .. } = outcome;
            kept.extend(some);
            before = after;
        }
    }
    let jwks = issuer.target.connect().await?.get("/.well-known/jwks.json").await?;
    let verified = verify(&kept, &jwks, &issuer.url, algorithm)?;
    drop(callers);
    let ledger_rows = issuer.finish()?;
    if ledger_rows != answers {
        return Err(BenchError::wrong(format!(
            "{answers} tokens were handed out and the ledger has {ledger_rows} rows"
        )));
    }
    for row in &mut rows {
        row.finish();
    }
    mints.rows.append(&mut rows);
    mints.ledger_rows += ledger_rows;
    mints.tokens_verified += verified;
    Ok(())
}

async fn first_token(callers: &mut [Caller]) -> Result<String, BenchError> {
    let caller = callers.first_mut().ok_or_else(|| BenchError::wrong("there is no caller"))?;
    token(&caller.mint().await?)
}

fn token(answer: &Bytes) -> Result<String, BenchError> {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    answer["token"].as_str().map(str::to_owned).ok_or_else(|| BenchError::wrong("an answer has no token"))
}

/// What a token's signature is made over.
fn signing_input(token: &str) -> Vec<u8> {
    token.rsplit_once('.').map_or(token, |(input, _)| input).as_bytes().to_vec()
}

/// On this thread: no caller is minting.
fn bare(key: &BareKey, span: Duration) -> Result<Bare, BenchError> {
    key.measure(span / SLICE)
}

/// Verifies tokens as a relying party does; no two may have the same id. Returns how many.
fn verify(answers: &[Bytes], jwks: &[u8], issuer: &str, algorithm: Algorithm) -> Result<u64, BenchError> {
    let keys = VerificationKeys::parse(jwks).map_err(|error| BenchError::wrong(error.to_string()))?;
    let expected = Expected { issuer, audience: AUDIENCE, now: SystemClock.now(), leeway_seconds: 5 };
    let mut ids = HashSet::new();
    for answer in answers {
        let verified = jws::verify(&token(answer)?, &keys, &expected);
        let verified =
            verified.map_err(|error| BenchError::wrong(format!("a minted token does not verify: {error}")))?;
        let id = verified.claims.get("jti").and_then(Value::as_str).unwrap_or_default().to_owned();
        if verified.algorithm != algorithm || !ids.insert(id.clone()) {
            return Err(BenchError::wrong(format!("the token {id} was minted twice or with {}", verified.algorithm)));
        }
    }
    Ok(answers.len() as u64)
}
