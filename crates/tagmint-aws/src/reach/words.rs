//! Whom a rule takes, in words.

use serde_json::Value;
use tagmint_core::rules::{MatchOutline, Matched, MatchedBy, RuleFrom, RuleOutline};

/// `github: repository_id 456789, event_name push or schedule`.
pub(super) fn who(outline: &RuleOutline) -> String {
    let from = outline.from.as_str();
    let asked: Vec<String> =
        outline.matches.iter().map(asked).chain(outline.when.as_ref().map(|_| "`when`".to_owned())).collect();
    if !asked.is_empty() {
        return format!("{from}: {}", asked.join(", "));
    }
    match &outline.from {
        RuleFrom::Session => "every session".to_owned(),
        RuleFrom::Bearer => "every bearer token".to_owned(),
        RuleFrom::Anonymous => "everyone, without a credential".to_owned(),
        RuleFrom::TrustedIssuer(name) => format!("every token of {name}"),
    }
}

fn asked(it: &MatchOutline) -> String {
    let claim = &it.claim;
    match &it.test {
        MatchedBy::Present => format!("{claim} present"),
        MatchedBy::Absent => format!("{claim} absent"),
        MatchedBy::OneOf(values) => {
            let values: Vec<String> = values.iter().map(value).collect();
            format!("{claim} {}", values.join(" or "))
        }
    }
}

fn value(matched: &Matched) -> String {
    match matched {
        Matched::Exact(Value::String(text)) if is_plain(text) => text.clone(),
        Matched::Exact(value) => value.to_string(),
        Matched::Glob(glob) => glob.clone(),
    }
}

/// Whether a text is read as one word.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:@+=".contains(&b))
}
