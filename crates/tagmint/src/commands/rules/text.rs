//! Tests and explanations as people read them.

use tagmint_core::{dry_run::UnprovenIdentity, sanitize};

use super::{
    explain::Told,
    test::{Report, TestOutcome},
};
use crate::output::pairs;

/// The results of tests.
pub(super) fn report(report: &Report) -> String {
    let mut lines = Vec::new();
    for result in &report.results {
        let mark = if result.ok { "ok    " } else { "FAILED" };
        lines.push(format!("{mark}  {}: {}", one_line(&result.file), one_line(&result.name)));
        if !result.ok {
            lines.extend(failure(result).iter().map(|line| format!("          {line}")));
        }
    }
    let passed = report.tests - report.failed;
    let tests = if report.tests == 1 { "test" } else { "tests" };
    lines.push(format!("\n{} {tests}: {passed} ok, {} failed", report.tests, report.failed));
    lines.join("\n")
}

/// Why a test failed, in lines.
pub(super) fn failure(result: &TestOutcome) -> Vec<String> {
    let shown = |text: &Option<String>| {
        text.as_deref().map_or_else(|| "none".to_owned(), |text| format!("`{}`", one_line(text)))
    };
    let mut lines: Vec<String> = result.error.iter().map(|error| one_line(error)).collect();
    for it in &result.differences {
        lines.push(format!("{}: expected {}, got {}", one_line(&it.field), shown(&it.expected), shown(&it.actual)));
    }
    lines.extend(result.reason.iter().map(|reason| one_line(reason)));
    lines
}

/// Rules without a test.
pub(super) fn untested(rules: &[String]) -> String {
    let names: Vec<String> = rules.iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [only] => format!("note: no test is about the rule {only}"),
        _ => format!("note: no test is about the rules {}", names.join(", ")),
    }
}

/// What each rule says, and what comes of it.
pub(super) fn explanation(told: &Told, identity: &UnprovenIdentity) -> String {
    let mut identity_rows =
        vec![("from".to_owned(), identity.from().to_owned()), ("sub".to_owned(), one_line(identity.subject()))];
    identity_rows
        .extend(identity.attributes().iter().map(|(name, value)| (name.clone(), one_line(&value.to_string()))));
    let mut parts: Vec<String> = told.notes.iter().map(|note| format!("! {}", one_line(note))).collect();
    parts.push(pairs(identity_rows));
    let width = told.lines.iter().map(|[rule, _]| rule.chars().count()).max().unwrap_or_default();
    let rules: Vec<String> =
        told.lines.iter().map(|[rule, says]| format!("{rule:width$}  {}", one_line(says))).collect();
    parts.push(if rules.is_empty() { "there are no rules".to_owned() } else { rules.join("\n") });
    match (&told.grant, &told.refused) {
        (Some(grant), _) => {
            let mut rows = vec![
                ("granted by".to_owned(), grant.rule.clone()),
                ("subject".to_owned(), grant.subject.clone()),
                ("audience".to_owned(), grant.audience.clone()),
            ];
            rows.extend(grant.roles.iter().map(|role| ("role".to_owned(), role.clone())));
            rows.push(("lifetime".to_owned(), format!("{} s", grant.lifetime_seconds)));
            rows.extend(grant.tags.iter().map(|(key, value)| (format!("tag {key}"), value.clone())));
            if !grant.transitive.is_empty() {
                rows.push(("transitive".to_owned(), grant.transitive.join(", ")));
            }
            if let Some(terms) = &grant.session {
                rows.extend(terms.policy.iter().map(|policy| ("session policy".to_owned(), policy.clone())));
                rows.extend(terms.policy_arns.iter().map(|arn| ("session policy".to_owned(), arn.clone())));
                rows.extend(terms.assume_then.iter().map(|role| ("assumes then".to_owned(), role.clone())));
            }
            parts.push(pairs(rows));
        }
        (None, Some(refused)) => parts.push(format!("refused: {}", one_line(&refused.message))),
        (None, None) => {}
    }
    parts.join("\n\n")
}

fn one_line(text: &str) -> String {
    sanitize::text(text).into_owned()
}
