//! `tagmint rules explain`.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tagmint_aws::token::Token;
use tagmint_core::{
    dry_run::{
        Granted, UnprovenIdentity,
        fixture::{Claims, Expectation, Fixture, why},
    },
    json as strict_json,
    rules::{Explanation, MintRequest, Miss, RuleMode, RuleVerdict, Verdict},
    trusted_issuer::TrustedIssuer,
};

use super::text;
use crate::{cli::RulesExplainArgs, commands::input, config::Config, error::CliError, output::Output};

/// What is told.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    pub(super) granted: bool,
    pub(super) identity: Value,
    pub(super) grant: Option<Granted>,
    pub(super) refused: Option<Refused>,
    pub(super) nearest: Option<String>,
    pub(super) rules: Vec<Value>,
    pub(super) notes: Vec<String>,
    /// Each rule's verdict as a person reads it.
    #[serde(skip)]
    pub(super) lines: Vec<[String; 2]>,
}

/// A refusal.
#[derive(Debug, Serialize)]
pub(super) struct Refused {
    code: &'static str,
    rule: Option<String>,
    pub(super) message: String,
}

/// Explains. The exit code is the decision.
pub(super) fn run(args: &RulesExplainArgs, config: &Config, output: Output) -> Result<(), CliError> {
    let request = match &args.request {
        Some(file)
            if [&args.claims, &args.token].into_iter().flatten().any(|other| other == file && is_stdin(file)) =>
        {
            return Err(CliError::Usage("--request: stdin is read for the claims already; give a file".to_owned()));
        }
        Some(file) => read_json("--request", file)?,
        None => MintRequest::default(),
    };
    let claims = claims(args)?;
    let issuers = config.trusted_issuers();
    let mut notes = Vec::new();
    if args.token.is_some() {
        notes.push("the token was decoded, not verified: neither its signature nor its times".to_owned());
    }
    let from = match &args.from {
        Some(from) => from.clone(),
        None => find_issuer(&claims, &issuers)?.name.to_string(),
    };
    let identity = identity(&from, claims.clone(), &issuers, &mut notes)?;
    let explanation = identity.explain(&config.rules, &request);
    let told = tell(&identity, &explanation, notes);
    output.data(&told, || text::explanation(&told, &identity))?;
    match told.refused {
        None => Ok(()),
        Some(refused) => {
            Err(CliError::Denied { code: refused.code, message: why(&explanation).unwrap_or(refused.message) })
        }
    }
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

fn read_json<T: serde::de::DeserializeOwned>(flag: &'static str, file: &Path) -> Result<T, CliError> {
    let bytes = input::file(flag, file)?;
    let wrong = |error| CliError::Usage(format!("{flag} {}: {error}", file.display()));
    strict_json::parse_as(&bytes).map_err(wrong)
}

fn claims(args: &RulesExplainArgs) -> Result<Map<String, Value>, CliError> {
    if let Some(file) = &args.claims {
        return read_json("--claims", file);
    }
    let Some(file) = &args.token else { return Ok(Map::new()) };
    let text = input::token_as_saved("--token", file)?;
    let token = Token::parse(&text).map_err(|error| CliError::Usage(format!("--token: {error}")))?;
    token.claims().as_object().cloned().ok_or_else(|| CliError::Usage("--token: its claims are no object".to_owned()))
}

/// The trusted issuer that a token with these claims would be of.
fn find_issuer<'i>(claims: &Map<String, Value>, issuers: &[&'i TrustedIssuer]) -> Result<&'i TrustedIssuer, CliError> {
    let Some(iss) = claims.get("iss").and_then(Value::as_str) else {
        return Err(CliError::Usage(
            "the claims have no `iss`: say with --from where the identity comes from".to_owned(),
        ));
    };
    let of_issuer: Vec<&TrustedIssuer> =
        issuers.iter().copied().filter(|issuer| issuer.issuer.as_str() == iss).collect();
    match of_issuer[..] {
        [] => {
            let known: Vec<String> =
                issuers.iter().map(|issuer| format!("{} ({})", issuer.name, issuer.issuer)).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Err(CliError::Usage(format!(
                "no trusted issuer has the `iss` {iss:?}; there are: {known}. Say with --from which one to take"
            )))
        }
        [only] => Ok(only),
        ref several => {
            let fits = |issuer: &&&TrustedIssuer| {
                audiences(claims).iter().any(|audience| issuer.audiences.iter().any(|it| it == audience))
            };
            if let Some(issuer) = several.iter().find(fits) {
                return Ok(issuer);
            }
            let names: Vec<&str> = several.iter().map(|issuer| issuer.name.as_str()).collect();
            Err(CliError::Usage(format!(
                "several trusted issuers have the `iss` {iss:?}, and the claims have the `aud` of none of them: choose with --from: {}",
                names.join(", ")
            )))
        }
    }
}

fn audiences(claims: &Map<String, Value>) -> Vec<&str> {
    match claims.get("aud") {
        Some(Value::String(audience)) => vec![audience],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn identity(
    from: &str,
    mut claims: Map<String, Value>,
    issuers: &[&TrustedIssuer],
    notes: &mut Vec<String>,
) -> Result<UnprovenIdentity, CliError> {
    if let Some(issuer) = issuers.iter().find(|issuer| issuer.name.as_str() == from) {
        notes.extend(refused_before_rules(&claims, issuer));
    }
    let sub = match claims.get("sub") {
        Some(Value::String(sub)) => Some(sub.clone()),
        _ => None,
    };
    if !issuers.iter().any(|issuer| issuer.name.as_str() == from) {
        claims.remove("sub");
    }
    let anonymous = from == "anonymous";
    let fixture = Fixture {
        name: String::new(),
        from: from.to_owned(),
        sub: sub.filter(|_| !anonymous),
        only_rule: None,
        scope: std::collections::BTreeMap::new(),
        claims: (!anonymous).then_some(Claims::Table(claims)),
        attributes: None,
        request: MintRequest::default(),
        expect: Expectation::default(),
    };
    fixture
        .identity(issuers)
        .map_err(|error| CliError::Usage(error.to_string().replace("`from`", "--from").replace("`claims`: ", "")))
}

/// What the issuer would refuse a token for before it asks the rules.
fn refused_before_rules(claims: &Map<String, Value>, issuer: &TrustedIssuer) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(iss) = claims.get("iss").and_then(Value::as_str)
        && iss != issuer.issuer.as_str()
    {
        notes.push(format!(
            "the issuer would refuse this token before it asks the rules: `iss` is {iss:?}, and that of `{}` is {:?}",
            issuer.name,
            issuer.issuer.as_str()
        ));
    }
    let found = audiences(claims);
    if claims.contains_key("aud") && !found.iter().any(|audience| issuer.audiences.iter().any(|it| it == audience)) {
        notes.push(format!(
            "the issuer would refuse this token before it asks the rules: `aud` is {}, and `{}` takes {}",
            claims.get("aud").map(ToString::to_string).unwrap_or_default(),
            issuer.name,
            issuer.audiences.join(", ")
        ));
    }
    notes
}

fn tell(identity: &UnprovenIdentity, explanation: &Explanation, notes: Vec<String>) -> Told {
    let result = &explanation.decision.result;
    let refused = result.as_ref().err().map(|denial| Refused {
        code: denial.code(),
        rule: denial.rule.as_ref().map(ToString::to_string),
        message: denial.to_string(),
    });
    Told {
        granted: result.is_ok(),
        identity: json!({"from": identity.from(), "sub": identity.subject(), "attributes": identity.attributes()}),
        grant: result.as_ref().ok().map(Granted::from),
        refused,
        nearest: explanation.nearest.as_ref().map(ToString::to_string),
        rules: explanation.rules.iter().map(as_json).collect(),
        notes,
        lines: explanation.rules.iter().map(|it| line(it, explanation)).collect(),
    }
}

fn as_json(it: &RuleVerdict) -> Value {
    let (verdict, miss) = match &it.verdict {
        Verdict::From { expected, actual } => {
            let miss = Miss { claim: "from".to_owned(), expected: expected.clone(), actual: Some(json!(actual)) };
            ("from", Some(miss))
        }
        Verdict::NotAsked => ("not_asked", None),
        Verdict::Missed(miss) => ("missed", Some(miss.clone())),
        Verdict::WhenFalse => ("when_false", None),
        Verdict::Refused(_) => ("refused", None),
        Verdict::Granted(_) => ("granted", None),
    };
    json!({
        "rule": it.rule,
        "mode": it.mode,
        "verdict": verdict,
        "claim": miss.as_ref().map(|miss| &miss.claim),
        "expected": miss.as_ref().map(|miss| &miss.expected),
        "actual": miss.as_ref().map(|miss| &miss.actual),
        "missed": it.missed,
        "text": it.verdict.to_string(),
    })
}

/// A rule, and what it says.
fn line(it: &RuleVerdict, explanation: &Explanation) -> [String; 2] {
    let decides = explanation.decision.result.as_ref().is_ok_and(|grant| grant.rule == it.rule);
    let shadow = if it.mode == RuleMode::Shadow { " (shadow: recorded, never granted)" } else { "" };
    let mark = match &it.verdict {
        Verdict::Granted(_) if decides => "✓",
        Verdict::Granted(_) if shadow.is_empty() => "–",
        Verdict::Granted(_) | Verdict::Refused(_) => "!",
        _ if explanation.nearest.as_ref() == Some(&it.rule) => "?",
        _ => "✗",
    };
    let further = match &it.verdict {
        Verdict::Granted(_) if !decides && shadow.is_empty() => "; an earlier rule decides".to_owned(),
        Verdict::Missed(_) if it.missed == 2 => ", and one more condition does not hold".to_owned(),
        Verdict::Missed(_) if it.missed > 2 => format!(", and {} more conditions do not hold", it.missed - 1),
        _ => String::new(),
    };
    [format!("{mark} {}", it.rule), format!("{}{further}{shadow}", it.verdict)]
}
