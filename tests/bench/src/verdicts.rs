//! Verdicts of the engine on a token that STS accepts: documents parsed, signature, claims, tags, trust policy, with the whole trace.

use std::{hint::black_box, time::Instant};

use jiff::Timestamp;
use serde_json::json;
use tagmint_core::{
    claims::{Audience, Claims, Lifetime, OptionalClaims, RoleArn, Subject},
    id::MintId,
    issuer::IssuerUrl,
    jwk::{Jwk, JwkSet},
    jws,
    random::SystemRandom,
    signing_key::{Algorithm, SigningKey},
    tags::SessionTags,
};
use tagmint_iam::{
    context::Context,
    provider::{OidcProvider, Registration},
    trust_policy,
    web_identity::{Fetched, Role, WebIdentityRequest, World, verdict},
};

use crate::{args::Args, cpu, error::BenchError, report::VerdictsRow, signature::Slice};

const ISSUER: &str = "https://broker.example.org";
const ACCOUNT: &str = "123456789012";
const ROLE: &str = "arn:aws:iam::123456789012:role/data";
const NOW: i64 = 1_800_000_000;
/// Verdicts between two looks at the clock.
const AT_ONCE: u64 = 16;

/// Measures each algorithm on this thread, all rounds together.
pub(crate) fn measure(args: &Args) -> Result<Vec<VerdictsRow>, BenchError> {
    let one = |algorithm: &Algorithm| Ok(VerdictsRow::new(*algorithm, verdicts(*algorithm, args)?));
    args.algorithms.iter().map(one).collect()
}

fn verdicts(algorithm: Algorithm, args: &Args) -> Result<Slice, BenchError> {
    let wrong = |error: &dyn std::fmt::Display| BenchError::wrong(format!("the set-up of the verdicts: {error}"));
    let now = Timestamp::from_second(NOW).map_err(|error| wrong(&error))?;
    let key = SigningKey::generate(algorithm).map_err(|error| wrong(&error))?;
    let token = jws::sign(&claims(now).map_err(|error| wrong(&error))?, &key).map_err(|error| wrong(&error))?;
    let jwks =
        serde_json::to_vec(&JwkSet { keys: vec![Jwk::new(key.public(), None)] }).map_err(|error| wrong(&error))?;
    let discovery = json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}/.well-known/jwks.json")}).to_string();
    let registration = Registration {
        url: ISSUER.to_owned(),
        client_ids: vec!["sts.amazonaws.com".to_owned()],
        ..Registration::default()
    };
    let provider = OidcProvider::register(ACCOUNT, registration).map_err(|error| wrong(&error))?;
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"Federated": provider.arn()},
            "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"],
            "Condition": {
                "StringEquals": {"broker.example.org:aud": "sts.amazonaws.com"},
                "StringLike": {"broker.example.org:sub": "wallet:0x*"},
                "Null": {"aws:RequestTag/agentkeys_user_wallet": "false"},
            },
        }],
    });
    let trust_policy = trust_policy::check(&policy.to_string()).map_err(|error| wrong(&error))?;
    let role = Role { arn: ROLE.to_owned(), trust_policy, max_session_seconds: 3600 };
    let world = World {
        provider: Some(&provider),
        discovery: Some(Fetched::Document(discovery.as_bytes())),
        jwks: Fetched::Document(&jwks),
        role: Some(&role),
        base: &Context::new(),
        now,
    };
    let request = WebIdentityRequest {
        role_arn: ROLE,
        role_session_name: "bench",
        token: token.expose(),
        duration_seconds: None,
        policy: None,
        provider_id: None,
    };
    if let Some(refusal) = verdict(&request, &world).refusal() {
        return Err(wrong(refusal));
    }
    let mut done = Slice::default();
    for _ in 0..args.rounds() {
        let (start, before) = (Instant::now(), cpu::of_this_thread());
        while start.elapsed() < args.span() {
            for _ in 0..AT_ONCE {
                black_box(verdict(black_box(&request), &world));
            }
            done.count += AT_ONCE;
        }
        done.cpu += cpu::of_this_thread().saturating_sub(before);
    }
    Ok(done)
}

/// A token as the wallets have it.
fn claims(now: Timestamp) -> Result<Claims, Box<dyn std::error::Error>> {
    let wallet = "0x00000000000000000000000000000000000000a1";
    let tag = "agentkeys_user_wallet";
    Ok(Claims {
        issuer: IssuerUrl::parse(ISSUER)?,
        subject: Subject::parse(&format!("wallet:{wallet}"))?,
        audience: Audience::parse("sts.amazonaws.com")?,
        mint_id: MintId::generate(now, &SystemRandom)?,
        issued_at: now,
        lifetime: Lifetime::from_seconds(300)?,
        tags: SessionTags::new([(tag, wallet)], [tag])?,
        roles: vec![RoleArn::parse(ROLE)?],
        optional: OptionalClaims::default(),
    })
}
