//! What every kind must have, and which of its tokens are refused.

mod cases;

use std::{fs, path::Path};

use serde_json::json;
use tagmint_testkit::ci_claims::{ClaimSet, with};

use self::cases::{contradictions, refused_claims, variants};
use super::*;

/// The `aud` of all samples, or the one element of it.
const AUDIENCE: &str = "https://tagmint.example";

/// The kinds without a claim that identifies what runs jobs, and why.
const WITHOUT_ID: [(&str, &str); 4] = [
    ("oidc", "nothing is known of its claims"),
    ("jenkins", "a job's URL is a name"),
    ("aws", "a role's ARN is a name"),
    ("kubernetes", "a service account's UID changes where it is made anew, and nobody else can take its name"),
];

#[test]
fn every_kind_is_complete() {
    let mut missing: Vec<String> = IssuerKind::ALL.into_iter().flat_map(missing).collect();
    for (at, kind) in IssuerKind::ALL.iter().enumerate() {
        if IssuerKind::ALL[..at].contains(kind) {
            missing.push(format!("{kind}: a name of its own"));
        }
    }
    for (name, reason) in WITHOUT_ID {
        if name.parse::<IssuerKind>().is_err() || reason.is_empty() {
            missing.push(format!("WITHOUT_ID: `{name}` is not a kind, or has no reason"));
        }
    }
    assert!(missing.is_empty(), "missing:\n{}", missing.join("\n"));
}

#[test]
fn an_incomplete_kind_is_found() {
    static INCOMPLETE: Kind = Kind {
        name: "incomplete",
        default_issuer: Some("https://issuer.example"),
        issuers: &[],
        has_nbf: true,
        audience_list: false,
        claims: &[
            Claim::named("a", Scope::Other, Some("b"), "").required(),
            Claim::fixed("a", "Again").derived(),
            Claim::text_id("c", Scope::Other, "An id").glob(),
            Claim::fixed("d", "Never made").derived(),
        ],
        others: OtherClaims::Dropped,
        sample: r#"{"sub": "", "a": "1"}"#,
        ..oidc::KIND
    };
    let missing = missing(IssuerKind(&INCOMPLETE)).join("\n");
    let expected = [
        "the file kind/incomplete.rs",
        "`sample` is not samples/incomplete.json",
        "the section `### incomplete`",
        "`default_issuer` is not among",
        "`a` is listed twice",
        "what `a` holds",
        "`b`, the id of `a`, in the table",
        "`c`: parts of ids mean nothing",
        "a sample or variant with `d`",
        "a claim that identifies what runs jobs",
        "fits no form of `issuers`",
        "fits no form of `subjects`",
        "`aud` is not https://tagmint.example",
        "`exp` in the sample",
        "`nbf` in the sample",
    ];
    for part in expected {
        assert!(missing.contains(part), "{part} is not in:\n{missing}");
    }
}

/// What a kind lacks.
fn missing(kind: IssuerKind) -> Vec<String> {
    let table = kind.table();
    let mut missing = Vec::new();
    let mut need = |there: bool, what: &str| {
        if !there {
            missing.push(format!("{kind}: {what}"));
        }
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("src/trusted_issuer/kind");
    let docs = fs::read_to_string(root.join("../../docs/trusted-issuers.md")).unwrap_or_default();
    let stored = fs::read_to_string(folder.join(format!("samples/{kind}.json")));
    need(folder.join(format!("{kind}.rs")).is_file(), &format!("the file kind/{kind}.rs"));
    need(stored.is_ok_and(|text| text == table.sample), &format!("`sample` is not samples/{kind}.json"));
    let heading = format!("### {kind}");
    need(docs.lines().any(|line| line == heading), &format!("the section `{heading}` of docs/trusted-issuers.md"));
    need(!table.algorithms.is_empty(), "an algorithm");
    let default_is_known = table.default_issuer.is_none_or(|issuer| table.issuers.contains(&issuer));
    need(default_is_known, "`default_issuer` is not among `issuers`");

    for (at, claim) in table.claims.iter().enumerate() {
        let name = claim.name;
        need(table.claims[..at].iter().all(|other| other.name != name), &format!("`{name}` is listed twice"));
        need(!claim.about.is_empty(), &format!("what `{name}` holds"));
        if let Meaning::Name { id: Some(id), .. } = claim.meaning {
            need(kind.claim(id).is_some(), &format!("`{id}`, the id of `{name}`, in the table"));
        }
        let is_id = matches!(claim.meaning, Meaning::Id(_));
        need(!(claim.glob && is_id), &format!("`{name}`: parts of ids mean nothing, so `glob` has no use"));
    }
    let has_id = table.claims.iter().any(|claim| claim.meaning == Meaning::Id(Scope::Repository));
    let excused = WITHOUT_ID.iter().any(|(name, _)| *name == table.name);
    need(has_id != excused, "a claim that identifies what runs jobs, or a line in WITHOUT_ID; not both");

    let sample: ClaimSet = serde_json::from_str(table.sample).unwrap_or_default();
    let text = |name: &str| sample.get(name).and_then(Value::as_str).unwrap_or_default();
    let (issuer, subject, audience) = (text("iss"), text("sub"), sample.get("aud"));
    need(table.issuers.iter().any(|form| is_of_form(form, issuer)), "`iss` of the sample fits no form of `issuers`");
    need(table.subjects.iter().any(|form| is_of_form(form, subject)), "`sub` of the sample fits no form of `subjects`");
    let is_ours = [json!(AUDIENCE), json!([AUDIENCE])].iter().any(|ours| audience == Some(ours));
    need(is_ours, &format!("`aud` is not {AUDIENCE}"));
    for (time, every) in [("iat", true), ("exp", true), ("nbf", table.has_nbf)] {
        need(!every || sample.contains_key(time), &format!("`{time}` in the sample"));
    }
    match kind.attributes(&sample, subject, None) {
        Err(error) => need(false, &format!("the sample is refused: {error}")),
        Ok(attributes) => {
            for claim in table.claims.iter().filter(|claim| claim.required) {
                let name = claim.name;
                need(attributes.contains_key(name), &format!("`{name}` in the attributes of the sample"));
            }
            for name in attributes.keys() {
                let is_other = match table.others {
                    OtherClaims::Dropped => false,
                    OtherClaims::Prefixed(prefix) => name.starts_with(prefix),
                    OtherClaims::Kept => true,
                };
                need(is_other || kind.claim(name).is_some(), &format!("`{name}` in the table"));
            }
            let variants = variants();
            for name in kind.derived_names() {
                let varied = variants.iter().any(|variant| (variant.0, variant.2) == (table.name, name));
                need(varied || attributes.contains_key(name), &format!("a sample or variant with `{name}`"));
            }
        }
    }
    missing
}

/// The attributes of a kind's sample with other claims; null removes one.
fn attributes(kind: &str, changes: Value) -> Result<ClaimSet, TokenError> {
    let kind: IssuerKind = kind.parse().unwrap();
    let claims = with(serde_json::from_str(kind.table().sample).unwrap(), changes);
    kind.attributes(&claims, claims["sub"].as_str().unwrap(), None)
}

#[test]
fn variants_of_a_sample_have_their_attribute() {
    for (kind, changes, attribute, value) in variants() {
        let attributes = attributes(kind, changes.clone()).unwrap_or_else(|error| panic!("{kind} {changes}: {error}"));
        assert_eq!(attributes.get(attribute), Some(&value), "{kind} {changes}: {attribute}");
    }
}

#[test]
fn contradictions_are_refused() {
    let mut untested = IssuerKind::ALL.to_vec();
    untested.retain(|kind| *kind != IssuerKind::OIDC);
    for (kind, changes, first, second) in contradictions() {
        let error = attributes(kind, changes.clone()).unwrap_err();
        assert_eq!(error, TokenError::Contradiction { first, second }, "{kind} {changes}");
        untested.retain(|untested| untested.as_str() != kind);
    }
    assert_eq!(untested, [], "kinds without a contradiction");
}

#[test]
fn claims_of_another_form_are_refused() {
    for (kind, changes, name) in refused_claims() {
        match attributes(kind, changes.clone()) {
            Err(TokenError::Claim { claim, .. }) => assert_eq!(claim, name, "{kind} {changes}"),
            other => panic!("{kind} {changes}: {other:?}"),
        }
    }
}
