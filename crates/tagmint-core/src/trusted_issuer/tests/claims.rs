//! Issuer, audience, times and the id of a token.

use super::*;

/// The verdict on the good claims after one was set, or removed with None.
fn with_raw(
    claims: Map<String, Value>,
    trusted: &TrustedIssuer,
    name: &str,
    json: Option<&str>,
) -> Result<VerifiedToken, TokenError> {
    let mut claims = claims;
    claims.shift_remove(name);
    let payload = Value::from(claims).to_string();
    let payload = match json {
        None => payload,
        Some(json) => payload.replacen('{', &format!("{{\"{name}\":{json},"), 1),
    };
    verify(&forge(&RSA, &header(&RSA).to_string(), &payload), trusted)
}

fn claim_refused(verdict: &Result<VerifiedToken, TokenError>, name: &str) -> bool {
    matches!(verdict, Err(TokenError::Claim { claim, .. }) if claim == name)
}

#[test]
fn times_are_whole_numbers() {
    for name in ["exp", "iat", "nbf"] {
        for json in [
            "\"1790000100\"",
            "1790000100.0",
            "1790000100.5",
            "1.7900001e9",
            "null",
            "-1",
            "[1790000100]",
            "{}",
            "true",
            "18446744073709551615",
        ] {
            let verdict = with_raw(ci_claims::github_push(), &github(), name, Some(json));
            assert!(claim_refused(&verdict, name), "{name} = {json}: {verdict:?}");
        }
        let verdict = with_raw(ci_claims::github_push(), &github(), name, None);
        assert!(claim_refused(&verdict, name), "{name} missing: {verdict:?}");
        let verdict = with_raw(ci_claims::github_push(), &github(), name, Some("1e400"));
        assert!(matches!(verdict, Err(TokenError::Malformed(_))), "{name} = 1e400: {verdict:?}");
    }
    let verdict = with_raw(ci_claims::github_push(), &github(), "exp", Some("9223372036854775807"));
    assert!(claim_refused(&verdict, "exp"), "{verdict:?}");
    // Other issuers may leave out `nbf` alone.
    assert!(verify(&token(&oidc_claims()), &oidc()).is_ok());
    for name in ["exp", "iat"] {
        assert!(claim_refused(&with_raw(oidc_claims(), &oidc(), name, None), name));
    }
    for json in ["\"1\"", "null", "1.5", "-1"] {
        assert!(claim_refused(&with_raw(oidc_claims(), &oidc(), "nbf", Some(json)), "nbf"), "{json}");
    }
}

#[test]
fn times_are_held_to_the_clock_with_the_leeway() {
    let text = token(&ci_claims::github_push());
    let (issued, expires) = (ci_claims::ISSUED_AT, ci_claims::ISSUED_AT + 300);
    for leeway in [0, 60, 300] {
        let trusted = TrustedIssuer { leeway: jiff::SignedDuration::from_secs(leeway), ..github() };
        assert!(verify_at(&text, &trusted, expires + leeway - 1).is_ok());
        assert_eq!(verify_at(&text, &trusted, expires + leeway), Err(TokenError::Expired(expires)));
        assert!(verify_at(&text, &trusted, issued - leeway).is_ok());
        let early = verify_at(&text, &trusted, issued - leeway - 1);
        assert_eq!(early, Err(TokenError::Future { claim: "iat", at: issued }));
        assert!(
            verify_at(&text, &trusted, expires + leeway - 1).unwrap().remember_until().as_second() >= expires + leeway
        );
    }
    // More than the greatest leeway cannot be had.
    let trusted = TrustedIssuer { leeway: jiff::SignedDuration::from_hours(5), ..github() };
    assert_eq!(verify_at(&text, &trusted, expires + 300), Err(TokenError::Expired(expires)));
    let later = ci_claims::with(ci_claims::github_push(), json!({"nbf": NOW + 61}));
    assert_eq!(verify(&token(&later), &github()), Err(TokenError::Future { claim: "nbf", at: NOW + 61 }));
}

#[test]
fn an_old_token_is_refused_though_it_has_not_expired() {
    let claims = ci_claims::issued(ci_claims::gitlab_branch(), "id", NOW, 86_400);
    let hour = TrustedIssuer { max_age: Some(jiff::SignedDuration::from_hours(1)), ..trusted(IssuerKind::GITLAB) };
    assert!(verify_at(&token(&claims), &hour, NOW + 3_659).is_ok());
    assert_eq!(verify_at(&token(&claims), &hour, NOW + 3_660), Err(TokenError::TooOld(NOW)));
    let any = TrustedIssuer { max_age: None, ..hour };
    assert!(verify_at(&token(&claims), &any, NOW + 86_400).is_ok());
}

#[test]
fn the_audience_is_one_and_ours() {
    let with = |trusted: &TrustedIssuer, json: Option<&str>| with_raw(ci_claims::github_push(), trusted, "aud", json);
    assert_eq!(with(&github(), Some("\"second\"")).unwrap().audience(), "second");
    for json in [
        "\"https://Broker.example.org\"",
        "\"https://broker.example.org/\"",
        "\"https://broker.example.or\"",
        "\"https://broker.example.org.attacker.example\"",
        "\" https://broker.example.org\"",
        "\"sts.amazonaws.com\"",
        "\"https://github.com/octo-org\"",
        "\"\"",
    ] {
        assert_eq!(with(&github(), Some(json)), Err(TokenError::Audience(github().name)), "{json}");
    }
    for json in ["null", "1", "{}", "true"] {
        assert!(claim_refused(&with(&github(), Some(json)), "aud"), "{json}");
    }
    assert!(claim_refused(&with(&github(), None), "aud"));
    let lists = TrustedIssuer { audience_list: true, ..github() };
    for (json, len) in
        [("[]", 0), ("[\"second\",\"second\"]", 2), ("[\"second\",\"other\"]", 2), ("[[\"second\"]]", 1), ("[null]", 1)]
    {
        assert_eq!(with(&github(), Some(json)), Err(TokenError::AudienceList(len)), "{json}");
        assert_eq!(with(&lists, Some(json)), Err(TokenError::AudienceList(len)), "{json}");
    }
    // A list of one is a list, unless the kind is known to write it.
    assert_eq!(with(&github(), Some("[\"second\"]")), Err(TokenError::AudienceList(1)));
    assert_eq!(with(&lists, Some("[\"second\"]")).unwrap().audience(), "second");
    assert_eq!(with(&lists, Some("[\"Second\"]")), Err(TokenError::Audience(lists.name.clone())));
}

#[test]
fn the_issuer_is_the_configured_one_byte_for_byte() {
    for issuer in [
        "https://token.actions.githubusercontent.com/",
        "https://Token.actions.githubusercontent.com",
        "http://token.actions.githubusercontent.com",
        "https://token.actions.githubusercontent.com/octo-org",
        "https://gitlab.com",
    ] {
        let claims = ci_claims::at(ci_claims::github_push(), issuer, ci_claims::AUDIENCE);
        assert_eq!(verify(&token(&claims), &github()), Err(TokenError::Issuer(github().name)), "{issuer}");
        if issuer != "https://gitlab.com" && issuer.starts_with("https") {
            let trusted = TrustedIssuer { issuer: TrustedIssuerUrl::parse(issuer).unwrap(), ..github() };
            assert!(verify(&token(&claims), &trusted).is_ok(), "{issuer}");
        }
    }
}

#[test]
fn a_subject_is_there_and_plain() {
    for json in ["null", "\"\"", "1", "[\"a\"]", "\"a\\u0000b\"", "\"a\\nb\""] {
        assert!(claim_refused(&with_raw(oidc_claims(), &oidc(), "sub", Some(json)), "sub"), "{json}");
    }
    assert!(claim_refused(&with_raw(oidc_claims(), &oidc(), "sub", None), "sub"));
    let long = format!("\"{}\"", "x".repeat(1025));
    assert!(claim_refused(&with_raw(oidc_claims(), &oidc(), "sub", Some(&long)), "sub"));
}

#[test]
fn uses_are_counted_by_trusted_issuer_and_token() {
    let id = |claims: &Map<String, Value>, trusted: &TrustedIssuer| {
        verify(&token(claims), trusted).unwrap().use_id().clone()
    };
    let named = |jti: &str| ci_claims::with(oidc_claims(), json!({"jti": jti}));
    let first = id(&named("1"), &oidc());
    assert_eq!(first, id(&ci_claims::with(named("1"), json!({"extra": true})), &oidc()));
    assert_ne!(first, id(&named("2"), &oidc()));
    let other = TrustedIssuer { name: TrustedIssuerName::parse("other").unwrap(), ..oidc() };
    let elsewhere = id(&named("1"), &other);
    assert!(first != elsewhere && first.hash() == elsewhere.hash());
    assert!(elsewhere.to_string().starts_with("other/6b86b273ff34fce1"), "{elsewhere}");
    for json in ["null", "\"\"", "1.5", "[]"] {
        assert!(claim_refused(&with_raw(oidc_claims(), &oidc(), "jti", Some(json)), "jti"), "{json}");
    }
}

/// Two valid ECDSA signatures over the same claims are one token: the signature is no part of what is counted.
#[test]
fn a_token_without_id_is_counted_by_what_was_signed() {
    let es =
        |claims: &Map<String, Value>| forge(&EC, &header(&EC).to_string(), &Value::from(claims.clone()).to_string());
    let (one, two) = (es(&oidc_claims()), es(&oidc_claims()));
    assert_ne!(one, two);
    let id = |text: &str| verify(text, &oidc()).unwrap().use_id().clone();
    assert_eq!(id(&one), id(&two));
    assert_ne!(id(&one), id(&es(&ci_claims::with(oidc_claims(), json!({"sub": "job:8"})))));
}
