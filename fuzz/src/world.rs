//! One issuer, one role, one time, and keys that everybody knows: the private one is in this repository, and must never sign anything real.

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use tagmint_core::{
    jwk::VerificationKeys,
    jws::{self, Expected, VerifiedToken, VerifyError},
    signing_key::{Algorithm, Signer, SigningKey},
};
use tagmint_iam::{
    context::Context,
    policy::Policy,
    provider::{OidcProvider, Registration},
    web_identity::{self, Fetched, Report, Role, WebIdentityRequest, World},
};

/// The issuer.
pub const ISSUER: &str = "https://broker.example.org/one";
/// The audience.
pub const AUDIENCE: &str = "sts.amazonaws.com";
/// The account.
pub const ACCOUNT: &str = "123456789012";
/// The role.
pub const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/deploy";
/// The key set of the issuer: an ES256 key and an RS256 key.
pub const JWKS: &[u8] = include_bytes!("../fixtures/jwks.json");
/// Good tokens of the issuer, one a line: two signed with ES256, one with RS256.
pub const TOKENS: &str = include_str!("../fixtures/tokens.txt");
/// The time, in seconds: that at which [`TOKENS`] were issued.
const NOW: i64 = 1_790_000_000;

/// The ES256 key of [`JWKS`].
pub static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    SigningKey::from_pkcs8(Algorithm::Es256, include_bytes!("../fixtures/es256.pkcs8.der")).expect("a key")
});

/// [`JWKS`], read.
pub static KEYS: LazyLock<VerificationKeys> = LazyLock::new(|| VerificationKeys::parse(JWKS).expect("a key set"));

/// The provider of [`ISSUER`].
pub static PROVIDER: LazyLock<OidcProvider> = LazyLock::new(|| provider(ISSUER, AUDIENCE));

/// [`ROLE_ARN`], which trusts [`PROVIDER`].
pub static ROLE: LazyLock<Role> = LazyLock::new(|| role(ROLE_ARN, &PROVIDER));

/// The time.
pub fn now() -> Timestamp {
    Timestamp::from_second(NOW).expect("a time")
}

/// A provider with one audience.
pub fn provider(issuer: &str, audience: &str) -> OidcProvider {
    let client_ids = vec![audience.to_owned()];
    let registration = Registration { url: issuer.to_owned(), client_ids, ..Registration::default() };
    OidcProvider::register(ACCOUNT, registration).expect("IAM registers the issuer")
}

/// A role that every token of the provider may assume, with tags and source identity.
pub fn role(arn: &str, provider: &OidcProvider) -> Role {
    let trust_policy = serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"Federated": provider.arn()},
            "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"],
        }],
    });
    let trust_policy = Policy::parse(&trust_policy.to_string()).expect("a policy");
    Role { arn: arn.to_owned(), trust_policy, max_session_seconds: 3600 }
}

/// A token with this header and payload, whatever they are, and a valid signature of [`KEY`].
pub fn signed(header: &[u8], payload: &[u8]) -> String {
    let (header, payload) = (BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(payload));
    let message = format!("{header}.{payload}");
    let signature = KEY.sign(message.as_bytes()).expect("a signature");
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// What our own check says to a token.
pub fn verify(token: &str, keys: &VerificationKeys) -> Result<VerifiedToken, VerifyError> {
    jws::verify(token, keys, &Expected { issuer: ISSUER, audience: AUDIENCE, now: now(), leeway_seconds: 60 })
}

/// The call that brings a token, and nothing else of interest.
pub fn request<'a>(token: &'a str, role_arn: &'a str) -> WebIdentityRequest<'a> {
    WebIdentityRequest {
        token,
        role_arn,
        role_session_name: "fuzz",
        duration_seconds: None,
        policy: None,
        provider_id: None,
    }
}

/// What STS says to a call about [`ROLE`] with a token of [`ISSUER`] and this key set. The report is held to its promises, and to be the
/// same twice.
pub fn verdict(request: &WebIdentityRequest<'_>, jwks: &[u8], discovery: Option<&[u8]>) -> Report {
    let discovery = discovery.map(Fetched::Document);
    let (provider, role) = (Some(&*PROVIDER), Some(&*ROLE));
    let world = World { provider, discovery, jwks: Fetched::Document(jwks), role, base: &Context::new(), now: now() };
    let report = web_identity::verdict(request, &world);
    assert_eq!(report, web_identity::verdict(request, &world), "the same question, another answer");
    let failed = report.checks.iter().position(|check| !check.passed);
    match report.session() {
        Some(_) => assert_eq!(failed, None, "accepted with a failed check"),
        None => {
            assert_eq!(failed.map(|failed| failed + 1), Some(report.checks.len()), "refused, and not by the last check")
        }
    }
    report
}

/// Whether a report has a check of this name that passed.
pub fn passed(report: &Report, name: &str) -> bool {
    report.checks.iter().any(|check| check.check == name && check.passed)
}
