//! `tagmint demo`: the whole path in one process, and what happens off it.

mod aws;
mod http;
mod relying_party;
mod steps;

use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tagmint_core::clock::{Clock, SystemClock};

use tagmint_aws::prove::Outcome;

use self::{
    aws::{Given, LocalAws},
    http::IssuerClient,
    relying_party::{Keys, Refusal, VerifiedToken},
    steps::{Steps, Stop},
};
use crate::{
    compose::{self, Signals, Wanted},
    config::Config,
    error::CliError,
    local::{self, AUTH_TOKEN, LocalIssuer, LocalOptions, OTHER_AUDIENCE, WALLET, WALLET_TAG},
    logging,
    output::{Output, pairs, write_line},
};

/// Whom the tokens are for.
const AUDIENCE: &str = "sts.amazonaws.com";
/// Where AWS looks for session tags.
const TAGS_CLAIM: &str = "https://aws.amazon.com/tags";

/// Runs every step and tells what was proved.
pub async fn run(output: Output) -> Result<(), CliError> {
    // s3s logs every refusal as an error of its own.
    logging::init(&crate::config::Log { level: "error,s3s=off".to_owned(), json: output.is_json() });
    let folder = tempfile::tempdir().map_err(|source| CliError::Io { what: "a temporary folder", source })?;
    let issuer = |name: &str| LocalOptions {
        dir: folder.path().join(name),
        listen: ([127, 0, 0, 1], 0).into(),
        algorithm: None,
    };
    // The second stands for another environment's.
    let (local, other) = tokio::try_join!(local::start(issuer("issuer")), local::start(issuer("other")))?;
    let mut steps = Steps::new(output);
    let mut token = None;
    // A step that others build on has told already why it stopped the rest.
    let mut signals = Signals::listen()?;
    let interrupted = tokio::select! {
        walked = walk(&local, &other, &mut steps, &mut token) => { let _: Result<(), Stop> = walked; false }
        () = async { while signals.next().await != Wanted::End {} } => true,
    };
    tokio::join!(local.shutdown(), other.shutdown());
    if interrupted {
        return Err(CliError::Refused("interrupted".to_owned()));
    }

    let passed = steps.all_passed();
    if output.is_json() {
        let token = token.as_ref().map(|token| json!({"header": token.header, "claims": token.claims}));
        output.data(&json!({"passed": passed, "steps": steps.steps, "token": token}), String::new)?;
    } else {
        if let Some(token) = &token {
            write_line(&format!("\nThe token of the session:\n\n{}", decoded(token)))?;
        }
        write_line(&conclusion(passed))?;
    }
    if passed { Ok(()) } else { Err(CliError::Refused("a step of the demo does not hold".to_owned())) }
}

async fn walk(
    local: &LocalIssuer,
    other: &LocalIssuer,
    steps: &mut Steps,
    shown: &mut Option<VerifiedToken>,
) -> Result<(), Stop> {
    let ca = std::fs::read(&local.ca_file).map_err(|error| error.to_string());
    let client = ca.and_then(|ca| IssuerClient::new(&local.url, local.address, &ca));
    let client = steps.need(
        "an issuer runs, over TLS with a certificate authority of its own",
        client.map(|client| (client, local.url.clone())),
    )?;
    let keys = client.discover().await.and_then(public_members_only);
    let keys = steps.need("its key set is found by the discovery document and has nothing private", keys)?;

    let wrong = client.post("/v1/sessions", None, &json!({"auth_token": "another-proof"})).await;
    steps
        .note("a wrong auth token opens no session", wrong.and_then(|answer| answer.refused(StatusCode::UNAUTHORIZED)));
    let session = open_session(&client).await;
    let session = steps.need("a session is opened on the session backend's word", session)?;

    let minted =
        client.post("/v1/tokens", Some(&session), &json!({})).await.and_then(|answer| answer.expect(StatusCode::OK));
    let minted = minted.and_then(|body| Ok((text(&body, "token")?, text(&body, "mint_id")?)));
    let (token, mint_id) = steps.need(
        "the session mints a token",
        minted.map(|(token, id)| ((token, id.clone()), format!("{id}, in the ledger"))),
    )?;
    let now = SystemClock.now();
    let verified = keys.verify(&token, &local.url, AUDIENCE, now).map_err(|error| error.to_string());
    let verified = verified.map(|token| (token.clone(), format!("{} under the key {}", token.algorithm, token.kid)));
    let verified = steps.need("a relying party verifies it by the published key", verified)?;
    steps.note(
        "it carries the wallet as a transitive session tag, and names its row in the ledger",
        carries_wallet(&verified, &mint_id),
    );
    *shown = Some(verified.clone());

    refusals(&client, &session, &token, &keys, steps).await;
    let untagged = bearer(&client, local.bearer.expose(), &keys, steps).await?;
    let given = tokens(&client, other, token, &session, untagged).await;
    let given = steps.need(
        "the tokens that AWS must refuse are there: without the tag, for another audience, of another issuer, expired",
        given.map(|given| (given, "each is whole and signed; one thing is wrong with it".to_owned())),
    )?;
    on_aws(local, &verified, given, steps).await?;

    let revoked = client.ask(Method::DELETE, "/v1/sessions/current", Some(&session), None).await;
    let after = match revoked.and_then(|answer| answer.expect(StatusCode::NO_CONTENT)) {
        Ok(_) => client.post("/v1/tokens", Some(&session), &json!({})).await,
        Err(wrong) => Err(wrong),
    };
    steps.note("a revoked session mints nothing", after.and_then(|answer| answer.refused(StatusCode::UNAUTHORIZED)));
    steps.note(
        "the ledger has every mint and every refusal, and its chain of hashes holds",
        ledger(local, &mint_id).await,
    );
    Ok(())
}

/// What the rules and the verifier must not let through.
async fn refusals(client: &IssuerClient, session: &str, token: &str, keys: &Keys, steps: &mut Steps) {
    let asked = client.post("/v1/tokens", Some(session), &json!({"audience": "somebody-else"})).await;
    steps.note(
        "an audience that the rule does not name is refused",
        asked.and_then(|answer| answer.refused(StatusCode::FORBIDDEN)),
    );
    let foreign = json!({"tags": {"agentkeys_user_wallet": "0x0000000000000000000000000000000000000bad"}});
    let asked = client.post("/v1/tokens", Some(session), &foreign).await;
    steps.note("another wallet's tag is refused", asked.and_then(|answer| answer.refused(StatusCode::FORBIDDEN)));

    let (issuer, now) = (client.url(), SystemClock.now());
    let mut refused = |name, token: &str, audience: &str, at, fits: fn(&Refusal) -> bool| {
        let result = match keys.verify(token, issuer, audience, at) {
            Err(error) if fits(&error) => Ok(error.to_string()),
            Err(error) => Err(format!("refused for another reason: {error}")),
            Ok(_) => Err("it was accepted".to_owned()),
        };
        steps.note(name, result);
    };
    refused("an altered token is not accepted", &altered(token), AUDIENCE, now, |error| *error == Refusal::Signature);
    refused("the token is not accepted by another audience", token, "somebody-else", now, |error| {
        *error == Refusal::Audience
    });
    let later = now + SignedDuration::from_mins(20);
    refused("the token is not accepted 20 minutes later", token, AUDIENCE, later, |error| {
        matches!(error, Refusal::Expired(_))
    });
}

/// The rest of the tokens for the proof.
async fn tokens(
    client: &IssuerClient,
    other: &LocalIssuer,
    good: String,
    session: &str,
    untagged: String,
) -> Result<Given, String> {
    let minted = client.post("/v1/tokens", Some(session), &json!({"audience": OTHER_AUDIENCE})).await?;
    let other_audience = text(&minted.expect(StatusCode::OK)?, "token")?;
    let ca = std::fs::read(&other.ca_file).map_err(|error| error.to_string())?;
    let stranger = IssuerClient::new(&other.url, other.address, &ca)?;
    let minted = stranger.post("/v1/tokens", Some(other.session.expose()), &json!({})).await?;
    let other_environment = text(&minted.expect(StatusCode::OK)?, "token")?;
    Ok(Given { good, untagged, other_audience, other_environment })
}

/// STS and S3: the session of the role, what it reaches and what not, and the tokens that open none.
async fn on_aws(local: &LocalIssuer, token: &VerifiedToken, given: Given, steps: &mut Steps) -> Result<(), Stop> {
    let expired = aws::long_expired(local, token).await;
    let expired = steps.need(
        "the issuer's key opens by its key file",
        expired.map(|token| (token, "it signs a token of an hour ago, to be refused".to_owned())),
    )?;
    let aws = LocalAws::start(local);
    let told = "localaws: STS, IAM and S3 that enforce; provider, role and bucket policy are set up".to_owned();
    let aws = steps.need("a stand-in for AWS runs, and trusts the issuer", aws.map(|aws| (aws, told)))?;
    let proved = aws
        .prove(given, expired, |row| {
            let result = match (row.outcome, &row.explanation) {
                (Outcome::Passed, _) => Ok(format!("{}: {}", row.name, row.observed)),
                (_, Some(why)) => Err(format!("{}: {}\n{why}", row.name, row.observed)),
                (_, None) => Err(format!("{}: {}", row.name, row.observed)),
            };
            steps.note(&row.proves, result);
        })
        .await;
    let proved = proved.and_then(|report| match report.left.len() {
        0 => Ok(format!("{} checks", report.rows.len())),
        left => Err(format!("{left} objects are still there")),
    });
    steps.note("the proof came to its end and removed what it wrote", proved);
    Ok(())
}

/// What a bearer may; its token, which has no wallet's tag, is given back.
async fn bearer(client: &IssuerClient, bearer: &str, keys: &Keys, steps: &mut Steps) -> Result<String, Stop> {
    let narrowed = json!({"tags": {"prefix": "dev/one", "run": "42"}});
    let minted =
        client.post("/v1/tokens", Some(bearer), &narrowed).await.and_then(|answer| answer.expect(StatusCode::OK));
    let token = minted.and_then(|body| {
        let token = text(&body, "token")?;
        let verified = keys.verify(&token, client.url(), AUDIENCE, SystemClock.now());
        let verified = verified.map_err(|error| error.to_string())?;
        let tags = &verified.claims[TAGS_CLAIM]["principal_tags"];
        let expected = json!({"prefix": ["dev/one"], "run": ["42"]});
        if *tags == expected { Ok((token, tags.to_string())) } else { Err(format!("the tags are {tags}")) }
    });
    let token = steps.need("a bearer narrows the tags that its rule leaves open", token)?;
    let asked = client.post("/v1/tokens", Some(bearer), &json!({"tags": {"prefix": "other"}})).await;
    steps.note("it cannot leave its own prefix", asked.and_then(|answer| answer.refused(StatusCode::FORBIDDEN)));
    Ok(token)
}

fn public_members_only((document, keys): (Value, Keys)) -> Result<(Keys, String), String> {
    let listed = document["keys"].as_array().cloned().unwrap_or_default();
    let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    match listed.iter().find_map(|key| private.iter().find(|member| key.get(**member).is_some())) {
        Some(member) => Err(format!("a key has the private member `{member}`")),
        None if listed.is_empty() => Err("it has no key".to_owned()),
        None => Ok((keys, format!("{} key", listed.len()))),
    }
}

async fn open_session(client: &IssuerClient) -> Result<(String, String), String> {
    let answer =
        client.post("/v1/sessions", None, &json!({"auth_token": AUTH_TOKEN})).await?.expect(StatusCode::CREATED)?;
    let subject = text(&answer, "subject")?;
    if subject != WALLET {
        return Err(format!("the session is {subject}'s"));
    }
    Ok((text(&answer, "session")?, format!("for the wallet {subject}")))
}

fn text(body: &Value, member: &str) -> Result<String, String> {
    body[member].as_str().map(str::to_owned).ok_or_else(|| format!("the answer has no `{member}`"))
}

/// The same token with another payload under the old signature.
fn altered(token: &str) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    if let Some(payload) = parts.get_mut(1) {
        let other = if payload.as_bytes().get(4) == Some(&b'A') { "B" } else { "A" };
        payload.replace_range(4..5, other);
    }
    parts.join(".")
}

fn carries_wallet(token: &VerifiedToken, mint_id: &str) -> Result<String, String> {
    let tags = &token.claims[TAGS_CLAIM];
    let expected = json!({
        "principal_tags": {WALLET_TAG: [WALLET]},
        "transitive_tag_keys": [WALLET_TAG],
    });
    if *tags != expected {
        return Err(format!("the tags are {tags}"));
    }
    if token.claims["jti"] != mint_id {
        return Err(format!("its jti is {}", token.claims["jti"]));
    }
    Ok(format!("{WALLET_TAG} = {WALLET}, jti = {mint_id}"))
}

/// Verifies the ledger by the key file, and counts.
async fn ledger(local: &LocalIssuer, mint_id: &str) -> Result<String, String> {
    let message = |error: &dyn std::fmt::Display| error.to_string();
    let config = Config::load(&local.config).map_err(|error| message(&error))?;
    let master_key = compose::master_key(&config).map_err(|error| message(&error))?;
    let ledger = local.issuer.store().ledger();
    let report = ledger.verify(&master_key).await.map_err(|error| message(&error))?;
    let rows = ledger.page(&tagmint_store::LedgerQuery::default(), 1_000).await.map_err(|error| message(&error))?;
    let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
    let (mints, refusals) = (count("minted"), count("refused"));
    // Three tokens were handed out; an auth token, two requests of the session, one of the bearer and one after the revocation were refused.
    if (mints, refusals) != (3, 5) || report.rows != 8 || !rows.iter().any(|row| row.entry_id == mint_id) {
        return Err(format!(
            "{mints} mints and {refusals} refusals in {} rows, where 3 and 5 were expected",
            report.rows
        ));
    }
    Ok(format!("{mints} mints, {refusals} refusals; head {}:{}", report.head.seq, report.head.hash))
}

/// Header and claims as a table; times also as people read them.
fn decoded(token: &VerifiedToken) -> String {
    let shown = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) if ["iat", "nbf", "exp"].contains(&name.as_str()) => {
                let at = value.as_i64().and_then(|second| Timestamp::from_second(second).ok());
                format!("{value} ({})", at.map(|at| at.to_string()).unwrap_or_default())
            }
            other => other.to_string(),
        };
        (format!("  {name}"), value)
    };
    let tags = token.claims.get(TAGS_CLAIM).and_then(|tags| tags.get("principal_tags")).and_then(Value::as_object);
    let tags = tags
        .into_iter()
        .flatten()
        .map(|(key, values)| (format!("  {key}"), values[0].as_str().unwrap_or_default().to_owned()));
    let part = |name: &str| std::iter::once((name.to_owned(), String::new()));
    let header = part("header").chain(token.header.iter().map(shown));
    let claims = part("claims").chain(token.claims.iter().map(shown));
    pairs(header.chain(claims).chain(part("session tags")).chain(tags))
}

fn conclusion(passed: bool) -> String {
    let verdict = if passed { "Every step holds." } else { "A step does not hold; see the ✗ above." };
    format!(
        "\n{verdict}\n\n\
         Shown here: an issuer, its sessions, rules, tokens and ledger, and an STS and S3 on this machine that enforce what AWS enforces.\n\
         Not shown here: AWS itself. Where `tagmint localaws` stands in, `tagmint prove` makes the same checks against AWS.\n\n\
         Next:\n  \
         tagmint dev                    an issuer on this machine, with commands to try\n  \
         tagmint localaws               AWS's side of it: STS, IAM and S3\n  \
         tagmint prove                  these checks against your own AWS\n  \
         tagmint check --config FILE    what a configuration means, and what is wrong with it\n  \
         tagmint --help"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_altered_token_differs_in_its_payload_alone() {
        for token in ["aaaa.bbbbbbbb.cccc", "aaaa.bbbbAbbb.cccc"] {
            let altered = altered(token);
            assert_ne!(altered, token);
            let (old, new): (Vec<&str>, Vec<&str>) = (token.split('.').collect(), altered.split('.').collect());
            assert_eq!((old[0], old[2], old[1].len()), (new[0], new[2], new[1].len()));
        }
    }
}
