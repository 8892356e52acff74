//! AWS's half of the demo: `localaws` in this process, and the proof against it.

use std::{ops::ControlFlow, sync::Arc};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tagmint_aws::{
    connection::Connection,
    prove::{self, Access, Neighbour, Offered, Plan, Prefix, Report, Row, Tokens},
    token::Token,
};
use tagmint_core::{
    clock::SystemClock,
    random::SystemRandom,
    signing_key::{KeyId, Signer},
};
use tagmint_localaws::{
    account::REGION,
    aws::{Aws, Settings},
    front,
    scope::ScopeChoice,
    seed::Seed,
};
use tokio::task::JoinHandle;

use super::relying_party::VerifiedToken;
use crate::{
    compose,
    config::Config,
    local::{self, BUCKET, LocalIssuer, ROLE_ARN, WALLET, WALLET_TAG},
};

/// How long ago the expired token was made, in seconds: longer than it lives and STS's leeway together.
const LONG_AGO: i64 = 3_600;

/// The stand-in for AWS, set up to trust one issuer.
pub(super) struct LocalAws {
    connection: Connection,
    serving: JoinHandle<()>,
}

/// The tokens that the proof needs, beside those that are made here.
pub(super) struct Given {
    /// The session's.
    pub(super) good: String,
    /// A bearer's: without the wallet's tag.
    pub(super) untagged: String,
    /// The session's, for another audience.
    pub(super) other_audience: String,
    /// Another issuer's.
    pub(super) other_environment: String,
}

impl LocalAws {
    /// Starts it with provider, role and bucket.
    pub(super) fn start(local: &LocalIssuer) -> Result<Self, String> {
        let message = |error: &dyn std::fmt::Display| error.to_string();
        let seed =
            Seed::parse(local::aws_set_up(&local.url).to_string().as_bytes()).map_err(|error| message(&error))?;
        let settings = Settings {
            data: None,
            ca_pem: Some(std::fs::read(&local.ca_file).map_err(|error| message(&error))?),
            seed: Some(seed),
            explain: false,
            secure_transport: false,
            scope: ScopeChoice::default(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        };
        let aws = Arc::new(Aws::open(settings).map_err(|error| message(&error))?);
        let listener = compose::bind(([127, 0, 0, 1], 0).into()).map_err(|error| message(&error))?;
        let address = compose::local_address(&listener).map_err(|error| message(&error))?;
        let administrator = aws.account().administrator.clone();
        let serving = front::serve(listener, aws).map_err(|error| message(&error))?;
        let endpoint = format!("http://{address}");
        let connection = Connection::to_endpoint(&endpoint, REGION, &administrator.id, &administrator.secret)
            .map_err(|error| message(&error))?;
        let serving = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the stand-in for AWS ended");
            }
        });
        Ok(Self { connection, serving })
    }

    /// Makes the proof's checks; each row is told when it is known.
    pub(super) async fn prove(
        &self,
        given: Given,
        expired: String,
        mut on_row: impl FnMut(&Row),
    ) -> Result<Report, String> {
        let token = |text: &str| Token::parse(text).map_err(|error| error.to_string());
        let offered = |text: &str| token(text).map(Offered::Token);
        let own = Prefix::parse(WALLET).map_err(|error| error.to_string())?;
        let plan = Plan {
            terms: tagmint_core::rules::SessionTerms::default(),
            role_arn: ROLE_ARN.to_owned(),
            session_name: "tagmint-demo".to_owned(),
            bucket: BUCKET.to_owned(),
            neighbours: Neighbour::made_up(&own, &SystemRandom).map_err(|error| error.to_string())?,
            own,
            tag: Some(WALLET_TAG.to_owned()),
            neighbour_object: None,
            access: Access::ReadWrite,
            tokens: Tokens {
                good: token(&given.good)?,
                untagged: offered(&given.untagged)?,
                other_audience: offered(&given.other_audience)?,
                other_environment: offered(&given.other_environment)?,
                expired: offered(&expired)?,
            },
            issuer_roots: None,
            require_all: true,
        };
        let told = |row: &Row| {
            on_row(row);
            ControlFlow::Continue(())
        };
        let report = prove::run(&plan, &self.connection, &SystemClock, &SystemRandom, told).await;
        report.map_err(|error| error.to_string())
    }
}

impl Drop for LocalAws {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The same token as the issuer would have signed it an hour ago: with its key, which the demo opens as the issuer does.
pub(super) async fn long_expired(local: &LocalIssuer, token: &VerifiedToken) -> Result<String, String> {
    let message = |error: &dyn std::fmt::Display| error.to_string();
    let config = Config::load(&local.config).map_err(|error| message(&error))?;
    let master_key = compose::master_key(&config).map_err(|error| message(&error))?;
    let kid: KeyId = token.kid.parse().map_err(|error| message(&error))?;
    let key = local.issuer.store().keys().load_signing_key(&kid, &master_key).await.map_err(|error| message(&error))?;
    let mut claims = token.claims.clone();
    for time in ["iat", "nbf", "exp"] {
        let moment = claims.get(time).and_then(Value::as_i64).ok_or_else(|| format!("the token has no `{time}`"))?;
        claims.insert(time.to_owned(), json!(moment - LONG_AGO));
    }
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&Value::Object(token.header.clone())), part(&Value::Object(claims)));
    let signature = key.sign(signed.as_bytes()).map_err(|error| message(&error))?;
    Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
}
