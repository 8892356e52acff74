//! The rules of `AssumeRoleWithWebIdentity`, told one by one.
//!
//! Sources: "recorded" is an answer of the live STS, "model" the service model, "guide" the IAM user guide; "not recorded" marks where the words
//! are put beside a recorded neighbour's.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends here")]

mod case;
mod extensions;
mod properties;
#[path = "../support/signing.rs"]
mod signing;
mod trust;

use case::{Case, provider_arn};
use serde_json::{Value, json};
use tagmint_iam::web_identity::{LEEWAY_SECONDS, unverified_issuer};

const NOT_VALIDATED: &str = "InvalidIdentityToken: The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for \
     requirements.";
const NO_KEY: &str = "InvalidIdentityToken: Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity \
     documentation for requirements";
const NOT_A_JWT: &str = "InvalidIdentityToken: The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)";
const WRONG_AUDIENCE: &str = "InvalidIdentityToken: Incorrect token audience";
const DENIED: &str = "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity";
const STUMBLED: &str = "InternalFailure: Unknown error validating third-party token";
const BAD_TIME: &str = "InvalidIdentityToken: Invalid timestamp in token claims.";
const TAGS: &str = "https://aws.amazon.com/tags";
const SOURCE_IDENTITY: &str = "https://aws.amazon.com/source_identity";

/// Each case with its answer: an empty text is a session.
fn all(cases: impl IntoIterator<Item = (&'static str, Case, String)>) {
    for (name, case, expected) in cases {
        assert_eq!(case.answer(), expected, "{name}");
    }
}

fn refused(text: &str) -> String {
    text.to_owned()
}

fn accepted() -> String {
    String::new()
}

#[test]
fn algorithms() {
    for alg in ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"] {
        assert_eq!(Case::new().alg(alg).answer(), "", "guide: {alg}");
    }
    // Not recorded: no key of a set is for these.
    for alg in ["none", "HS256", "PS256", "EdDSA", "ES256K"] {
        assert_eq!(Case::new().header("alg", json!(alg)).answer(), NO_KEY, "{alg}");
    }
}

#[test]
fn form_and_header() {
    all([
        ("recorded: typ doesn't matter", Case::new().without_header("typ"), accepted()),
        ("recorded: crit", Case::new().header("crit", json!(["x"])), refused(NOT_A_JWT)),
        ("recorded: unknown kid", Case::new().header("kid", json!("x")), refused(NO_KEY)),
        ("recorded: no kid, several keys", Case::new().without_header("kid"), refused(NO_KEY)),
        ("recorded: no kid, one key", Case::new().one_key().without_header("kid"), accepted()),
        ("a signature of another text", Case::new().tampered(), refused(NOT_VALIDATED)),
        ("not three parts", Case::new().token("abcd"), refused(NOT_A_JWT)),
        ("no JSON", Case::new().token("e30.e30x.e30"), refused(NOT_A_JWT)),
        (
            "model: 4 characters",
            Case::new().token("abc"),
            refused(
                "ValidationError: 1 validation error detected: Value '' at 'webIdentityToken' failed to satisfy constraint: Member must have \
             length greater than or equal to 4",
            ),
        ),
    ]);
}

#[test]
fn keys() {
    let key = |name: &str, value: Value| Case::new().one_key().key(name, value);
    all([
        (
            "recorded: a key without kid is never found",
            Case::new().one_key().without_key("kid").without_header("kid"),
            refused(NO_KEY),
        ),
        ("recorded: use enc", key("use", json!("enc")), refused(NO_KEY)),
        ("no use", Case::new().one_key().without_key("use"), accepted()),
        ("recorded: a wrong alg is ignored", key("alg", json!("ES256")), accepted()),
        ("recorded: key_ops verify", key("key_ops", json!(["verify"])), refused(NOT_VALIDATED)),
        ("other key_ops", key("key_ops", json!(["encrypt"])), refused(NO_KEY)),
        ("recorded: x5c alone", key("x5c", json!("only")), refused(NO_KEY)),
        ("x5c of another key", key("x5c", json!("of another key")), refused(NO_KEY)),
        ("x5c of the same key", key("x5c", json!("of the same key")), accepted()),
        ("recorded: identical twice", key("duplicate_kid", json!("two identical entries")), accepted()),
        ("recorded: the last counts", key("duplicate_kid", json!("first entry has a wrong modulus")), accepted()),
        ("recorded: the last counts", key("duplicate_kid", json!("first entry is right")), refused(NOT_VALIDATED)),
        ("guide: 100 RSA keys", Case::new().jwks(json!({"kty": ["RSA x100", "EC x1"]})), accepted()),
        ("recorded: 101 RSA keys", Case::new().jwks(json!({"kty": ["RSA x101", "EC x1"]})), refused(NO_KEY)),
        ("101 RSA keys, EC token", Case::new().alg("ES256").jwks(json!({"kty": ["RSA x101", "EC x1"]})), accepted()),
        ("guide: 101 EC keys", Case::new().alg("ES256").jwks(json!({"kty": ["RSA x1", "EC x101"]})), refused(NO_KEY)),
        ("an RSA token, an EC key's kid", Case::new().header("kid", json!("ES256")), refused(NO_KEY)),
        ("another curve's kid", Case::new().alg("ES256").header("kid", json!("ES384")), refused(NOT_VALIDATED)),
        ("no key set", Case::new().document(b"<html>"), refused(NO_KEY)),
        ("unreachable", Case::new().unreachable("timed out after 5 s"), refused(NO_KEY)),
        (
            "discovery of another issuer",
            Case::new().discovery(r#"{"issuer":"https://x","jwks_uri":"https://x/j"}"#),
            refused(NO_KEY),
        ),
        (
            "discovery",
            Case::new().discovery(r#"{"issuer":"https://issuer.example.test","jwks_uri":"https://x/j"}"#),
            accepted(),
        ),
    ]);
}

#[test]
fn required_claims() {
    for name in ["iss", "sub", "aud", "exp", "iat"] {
        let expected = format!("InvalidIdentityToken: Missing a required claim: {name}");
        assert_eq!(Case::new().without(name).answer(), expected, "recorded: {name}");
    }
    all([
        ("recorded: sub null", Case::new().claim("sub", json!(null)), refused(STUMBLED)),
        ("aud null, beside sub", Case::new().claim("aud", json!(null)), refused(STUMBLED)),
        ("recorded: iat null", Case::new().claim("iat", json!(null)), refused(BAD_TIME)),
    ]);
    let provider = Case::new().claim("iss", json!("https://issuer.example.test/"));
    let expected =
        "InvalidIdentityToken: No OpenIDConnect provider found in your account for https://issuer.example.test/";
    assert_eq!(provider.answer(), expected, "guide: iss is the registered URL byte for byte");
}

#[test]
fn times() {
    let now = case::NOW;
    let at = |name: &str, offset: i64| Case::new().claim(name, json!(now + offset));
    let expired = |offset: i64| {
        format!(
            "ExpiredTokenException: Token expired: current date/time {} must be before the expiration date/time {}",
            now - LEEWAY_SECONDS,
            now + offset
        )
    };
    let early = format!(
        "InvalidIdentityToken: Token not yet valid: current date/time {} must be after or equal to the not-before date/time {}",
        now + LEEWAY_SECONDS,
        now + 301
    );
    all([
        ("recorded: leeway", at("exp", -299), accepted()),
        ("recorded words: must be before", at("exp", -300), expired(-300)),
        ("recorded", at("exp", -324), expired(-324)),
        ("recorded words: after or equal", at("nbf", 300), accepted()),
        ("recorded", at("nbf", 301), early),
        ("recorded", at("iat", 300), accepted()),
        ("recorded", at("iat", 301), format!("InvalidIdentityToken: Token issued in the future: {}", now + 301)),
        ("integer texts pass", Case::new().claim("exp", json!((now + 60).to_string())), accepted()),
        ("recorded: fractions don't", Case::new().claim("exp", json!(60.5)), refused(BAD_TIME)),
        ("nor as texts", Case::new().claim("nbf", json!("1.5")), refused(BAD_TIME)),
        ("nor other types", Case::new().claim("iat", json!([1])), refused(BAD_TIME)),
        ("nor what no clock shows", Case::new().claim("exp", json!(u64::MAX)), refused(BAD_TIME)),
    ]);
}

#[test]
fn audience() {
    let two =
        "InvalidIdentityToken: Token audience contains more than one audience while authorized party is not present";
    let aud = |value: Value| Case::new().claim("aud", value);
    all([
        ("recorded: one in an array", aud(json!(["client-a"])), accepted()),
        ("recorded: two", aud(json!(["client-a", "client-b"])), refused(two)),
        ("recorded: azp decides", aud(json!(["x", "y"])).claim("azp", json!("client-b")), accepted()),
        ("recorded: azp over aud", aud(json!("x")).claim("azp", json!("client-b")), accepted()),
        ("public reports: azp over aud", Case::new().claim("azp", json!("x")), refused(WRONG_AUDIENCE)),
        ("recorded: azp empty", Case::new().claim("azp", json!("")), refused(NOT_VALIDATED)),
        ("public reports: not registered", aud(json!("x")), refused(WRONG_AUDIENCE)),
        ("public reports: not registered", aud(json!(["x"])), refused(WRONG_AUDIENCE)),
        ("a number that is not registered", aud(json!(1)), refused(WRONG_AUDIENCE)),
        ("letters' case counts", aud(json!("Client-A")), refused(WRONG_AUDIENCE)),
        ("recorded: the last of two members", Case::new().raw(r#""aud":"x""#), refused(NOT_VALIDATED)),
        ("recorded: equal members", Case::new().raw(r#""aud":"client-a""#), accepted()),
    ]);
    let session = aud(json!("x")).claim("azp", json!("client-b")).session();
    assert_eq!(session.audience, "client-b");
}

#[test]
fn empty_claims_are_refused_by_their_names() {
    let empty = |name: &str| format!("InvalidIdentityToken: Claim is not allowed to be empty: {name}");
    all([
        ("recorded", Case::new().claim("aud", json!([])), empty("aud")),
        ("put beside it", Case::new().claim("aud", json!("")), empty("aud")),
        ("put beside it", Case::new().claim("sub", json!("")), empty("sub")),
        ("put beside it", Case::new().claim("sub", json!([])), empty("sub")),
        ("put beside it", Case::new().claim("iss", json!("")), empty("iss")),
        ("put beside it, with azp", Case::new().claim("aud", json!([])).claim("azp", json!("client-a")), empty("aud")),
        (
            "missing comes first",
            Case::new().claim("aud", json!([])).without("exp"),
            refused("InvalidIdentityToken: Missing a required claim: exp"),
        ),
        ("times have words of their own", Case::new().claim("exp", json!("")), refused(BAD_TIME)),
    ]);
}

#[test]
fn subject() {
    for (value, expected) in
        [(json!("a"), "a"), (json!(123), "123"), (json!(true), "true"), (json!(["a", 1]), "[a, 1]")]
    {
        assert_eq!(Case::new().claim("sub", value).session().subject, expected);
    }
}

#[test]
fn parameters() {
    let words = |value: &str, name: &str, constraint: &str| {
        format!(
            "ValidationError: 1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: Member must {constraint}"
        )
    };
    let oauth = "AccessDenied: Unrecognized OAuth provider. Do not include a provider parameter when submitting OpenIDConnect ID tokens";
    all([
        (
            "model",
            Case::new().session_name("x"),
            words("x", "roleSessionName", "have length greater than or equal to 2"),
        ),
        (
            "model",
            Case::new().session_name("a b"),
            words("a b", "roleSessionName", "satisfy regular expression pattern: [\\w+=,.@-]*"),
        ),
        (
            "model",
            Case::new().duration(899),
            words("899", "durationSeconds", "have value greater than or equal to 900"),
        ),
        (
            "model",
            Case::new().duration(43_201),
            words("43201", "durationSeconds", "have value less than or equal to 43200"),
        ),
        ("guide: the role's maximum", Case::new().duration(7200), accepted()),
        (
            "guide: the role's maximum",
            Case::new().duration(7201),
            refused("ValidationError: The requested DurationSeconds exceeds the MaxSessionDuration set for this role."),
        ),
        (
            "no role's ARN",
            Case::new().role_arn("arn:aws:iam::1:role/probe"),
            refused("ValidationError: Request ARN is invalid"),
        ),
        ("no such role", Case::new().role_arn("arn:aws:iam::123456789012:role/none"), refused(DENIED)),
        (
            "model: the session policy",
            Case::new().policy("{}"),
            refused("MalformedPolicyDocument: Syntax errors in policy."),
        ),
        (
            "the session policy",
            Case::new().policy(r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#),
            accepted(),
        ),
        (
            "recorded",
            Case::new().provider_id("www.amazon.com"),
            refused("InvalidIdentityToken: Provided Token is not a Login With Amazon token"),
        ),
        ("recorded", Case::new().provider_id("accounts.google.com"), refused(oauth)),
        ("recorded", Case::new().provider_id("custom.example.test"), refused(oauth)),
    ]);
}

#[test]
fn the_trace_says_what_was_compared() {
    let report = Case::new().trust(&json!({"StringEquals": {"issuer.example.test:sub": "another"}})).report();
    let names: Vec<&str> = report.checks.iter().map(|check| check.check).collect();
    let expected = [
        "request-token",
        "request-role-arn",
        "request-session-name",
        "token-form",
        "claim-presence",
        "claim-issuer",
        "token-algorithm",
        "key-set",
        "token-key",
        "token-signature",
        "claim-exp",
        "claim-iat",
        "claim-audience",
        "claim-subject",
        "role",
        "trust-assume-role",
    ];
    assert_eq!(names, expected);
    let last = serde_json::to_value(report.checks.last().unwrap()).unwrap();
    assert_eq!(
        last,
        json!({
            "check": "trust-assume-role", "passed": false,
            "expected": "the trust policy allows sts:AssumeRoleWithWebIdentity",
            "actual": r#"statement 0: StringEquals issuer.example.test:sub wants "another", the request has "subject""#,
            "fix": format!(
                "allow sts:AssumeRoleWithWebIdentity to {} in the trust policy, with conditions that the token fulfils", provider_arn()
            ),
        })
    );
    let error = report.refusal().unwrap();
    assert_eq!((error.http_status(), error.code.as_str()), (403, "AccessDenied"));
    assert!(report.session().is_none());
}

#[test]
fn the_issuer_of_an_unverified_token() {
    assert_eq!(unverified_issuer(&Case::new().build()).as_deref(), Some("https://issuer.example.test"));
    assert_eq!(unverified_issuer("x.y.z"), None);
}
