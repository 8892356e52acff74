//! An explanation for people: the verdict, what differs, the fix, then every check.

use jiff::Timestamp;
use tagmint_core::sanitize::is_invisible;
use tagmint_iam::{
    advice::{Comparison, Explanation, Side},
    web_identity::Check,
};

/// The check that is missing where there is no key set.
const SIGNATURE: &str = "token-signature";

/// The whole text.
pub(super) fn render(explanation: &Explanation) -> String {
    let mut parts = vec![verdict(explanation)];
    if let Some(comparison) = &explanation.comparison {
        parts.push(side_by_side(comparison));
    }
    parts.extend(fixes(explanation));
    parts.push(checks(explanation));
    if !explanation.warnings.is_empty() {
        let lines =
            explanation.warnings.iter().map(|warning| format!("  ! {}: {}", warning.id, printable(&warning.text)));
        parts.push(format!("Warnings\n{}", lines.collect::<Vec<_>>().join("\n")));
    }
    parts.join("\n\n")
}

/// The fixes of the first failed check, and of each further false condition: the decision that comes of them repeats their fixes.
fn fixes(explanation: &Explanation) -> Option<String> {
    let failed: Vec<&Check> = explanation.checks.iter().filter(|check| !check.passed).collect();
    let mut fixes: Vec<&str> = Vec::new();
    for (index, check) in failed.iter().enumerate() {
        let counts = index == 0 || check.check == "trust-condition";
        if let Some(fix) = check.fix.as_deref().filter(|fix| counts && !fixes.contains(fix)) {
            fixes.push(fix);
        }
    }
    let lines: Vec<String> = fixes.iter().map(|fix| format!("Fix: {}.", printable(fix))).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn verdict(explanation: &Explanation) -> String {
    if let Some(error) = &explanation.error {
        return format!("✗ Refused. {}: {}", error.code, printable(&error.message));
    }
    let unchecked = explanation.warnings.iter().filter_map(|warning| match warning.id {
        "signature-not-checked" => Some("the signature"),
        "audience-not-checked" => Some("the audience"),
        "role-not-checked" => Some("the role"),
        "request-key-unknown" => Some("keys of the request"),
        _ => None,
    });
    match unchecked.collect::<Vec<_>>().as_slice() {
        [] => "✓ Accepted.".to_owned(),
        parts => format!("✓ Accepted, apart from what was not checked: {}.", parts.join(", ")),
    }
}

/// Both texts below each other, with a caret below each character that differs.
fn side_by_side(comparison: &Comparison) -> String {
    let width = comparison.sides.iter().map(|side| side.name.len()).max().unwrap_or_default();
    let sides = comparison.sides.iter().flat_map(|side| lines(side, width));
    format!("{}\n{}", printable(&comparison.what), sides.collect::<Vec<_>>().join("\n"))
}

fn lines(side: &Side, width: usize) -> Vec<String> {
    let text = side.text.as_deref().unwrap_or("(nothing)");
    let mut lines = vec![format!("  {:width$}  {}", side.name, printable(text))];
    if side.differs.contains(&true) {
        let carets: String = side.differs.iter().map(|differs| if *differs { '^' } else { ' ' }).collect();
        lines.push(format!("  {:width$}  {}", "", carets.trim_end()));
    }
    lines
}

/// One line for a check that passed, what was wanted and what was found for one that didn't.
fn checks(explanation: &Explanation) -> String {
    let unsigned = explanation.warnings.iter().any(|warning| warning.id == "signature-not-checked");
    let names = explanation.checks.iter().map(|check| check.check).chain(unsigned.then_some(SIGNATURE));
    let width = names.map(str::len).max().unwrap_or_default();
    let mut lines = vec!["Checks".to_owned()];
    for check in &explanation.checks {
        let (name, found) = (check.check, found(check));
        if check.passed {
            let asked = name.starts_with("trust-") || name == "access";
            lines.push(format!("  ✓ {name:width$}  {}", if asked { printable(&check.expected) } else { found }));
        } else {
            lines.push(format!("  ✗ {name:width$}  wanted: {}", printable(&check.expected)));
            lines.push(format!("    {:width$}  found:  {found}", ""));
        }
    }
    if unsigned {
        lines.push(format!("  – {SIGNATURE:width$}  not checked: give --jwks FILE or --fetch"));
    }
    lines.join("\n")
}

/// What was found; times as people read them.
fn found(check: &Check) -> String {
    let is_time = ["claim-exp", "claim-nbf", "claim-iat"].contains(&check.check);
    let time = check.actual.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.filter(|_| is_time).map_or_else(|| printable(&check.actual), |time| format!("{time} ({})", check.actual))
}

/// What a token or a policy says must not move the terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|character| if is_invisible(character) { '\u{fffd}' } else { character }).collect()
}
