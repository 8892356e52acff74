//! The proof as people read it, row by row.

use std::fmt::{Arguments, Write};

use anstyle::{AnsiColor, Style};
use tagmint_aws::prove::{NO_COMPARISON, NO_SESSION, Outcome, Plan, Report, Row};
use tagmint_core::sanitize::is_invisible;

use crate::{
    error::CliError,
    output::{Output, write_line},
};

/// The table, written while the proof runs. Programs get the report at the end instead.
pub(super) struct Table<'a> {
    plan: &'a Plan,
    output: Output,
    widths: (usize, usize),
}

impl<'a> Table<'a> {
    pub(super) fn new(plan: &'a Plan, output: Output) -> Self {
        Self { plan, output, widths: plan.widths() }
    }

    /// What is proved, and where.
    pub(super) fn head(&self, sts: &str, s3: &str) -> Result<(), CliError> {
        let Plan { role_arn, bucket, own, tag, .. } = self.plan;
        let tag = tag.as_ref().map_or_else(String::new, |key| format!(" (tag {key})"));
        self.line(&format!("{role_arn}\n{sts}\nbucket {bucket}, {s3}\nown prefix {}{tag}", own.listed()))?;
        self.line("")
    }

    /// One check.
    ///
    /// Those that were not made because no session was opened follow from one failure, which is shown: the conclusion counts them.
    pub(super) fn row(&self, row: &Row) -> Result<(), CliError> {
        if row.outcome == Outcome::NotChecked && follows_from_no_session(row) {
            return Ok(());
        }
        self.line(&line(row, self.widths))
    }

    fn line(&self, text: &str) -> Result<(), CliError> {
        if self.output.is_json() { Ok(()) } else { write_line(text) }
    }
}

fn line(row: &Row, (names, proofs): (usize, usize)) -> String {
    let (mark, style) = match row.outcome {
        Outcome::Passed => ('✓', AnsiColor::Green.on_default()),
        Outcome::Failed => ('✗', AnsiColor::Red.on_default().bold()),
        Outcome::NotChecked => ('–', Style::new().dimmed()),
    };
    let Row { name, proves, expected, explanation, .. } = row;
    let observed = match row.outcome {
        Outcome::Passed => printable(&row.observed),
        Outcome::Failed => format!("{}, wanted {expected}", printable(&row.observed)),
        Outcome::NotChecked => format!("not checked: {}", printable(&row.observed)),
    };
    let mut text = format!("{style}{mark}{style:#} {name:names$}  {proves:proofs$}  {observed}");
    if let Some(explanation) = explanation {
        text.push_str("\n    ");
        text.push_str(&printable(explanation));
    }
    text
}

fn follows_from_no_session(row: &Row) -> bool {
    [NO_SESSION, NO_COMPARISON].contains(&row.observed.as_str())
}

/// What was proved, what was not, what is left.
pub(super) fn conclusion(report: &Report) -> String {
    let (failed, passed) = (report.count(Outcome::Failed), report.count(Outcome::Passed));
    let mut text = match (failed, passed) {
        (0, 0) => "\nNothing was checked.".to_owned(),
        (0, passed) => format!("\n✓ Proved: all {passed} checks that were made hold."),
        (failed, passed) => format!("\n✗ Not proved: {} failed, {passed} hold.", checks(failed)),
    };
    let skipped = report.rows.iter().filter(|row| row.outcome == Outcome::NotChecked && follows_from_no_session(row));
    let skipped = skipped.count();
    if skipped > 0 {
        add(&mut text, format_args!("\n– {} not made: {NO_SESSION}.", were(skipped)));
    }
    let open = report.count(Outcome::NotChecked) - skipped;
    if open > 0 {
        add(&mut text, format_args!("\n– {open} were not checked; --require-all makes these failures."));
    }
    for left in &report.left {
        let version = left.version.as_ref().map_or_else(String::new, |version| format!(" (version {version})"));
        add(&mut text, format_args!("\n! Left behind, remove it: {}{version}: {}", left.key, printable(&left.why)));
    }
    text
}

fn add(text: &mut String, more: Arguments<'_>) {
    text.write_fmt(more).expect("a string takes any text");
}

fn were(count: usize) -> String {
    if count == 1 { "1 check was".to_owned() } else { format!("{count} checks were") }
}

/// So many checks.
pub(super) fn checks(count: usize) -> String {
    if count == 1 { "1 check".to_owned() } else { format!("{count} checks") }
}

/// What a service or a policy says must not move the terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|character| if is_invisible(character) { '\u{fffd}' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use tagmint_aws::prove::Left;

    use super::*;

    fn row(name: &str, outcome: Outcome, explanation: Option<&str>) -> Row {
        Row {
            name: name.to_owned(),
            proves: format!("{name} holds"),
            expected: "403 AccessDenied".to_owned(),
            observed: "seen\u{1b}[31m".to_owned(),
            outcome,
            explanation: explanation.map(str::to_owned),
        }
    }

    #[test]
    fn rows_are_columns_with_the_explanation_below() {
        let rows = [
            row("a", Outcome::Passed, None),
            row("longer", Outcome::NotChecked, None),
            row("b", Outcome::Failed, Some("because\nof this")),
        ];
        let text: Vec<String> = rows.iter().map(|row| line(row, (6, 12))).collect();
        let text = anstream::adapter::strip_str(&text.join("\n")).to_string();
        let expected = "✓ a       a holds       seen\u{fffd}[31m\n\
                        – longer  longer holds  not checked: seen\u{fffd}[31m\n\
                        ✗ b       b holds       seen\u{fffd}[31m, wanted 403 AccessDenied\n    because\u{fffd}of this";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_conclusion_tells_what_is_open_and_left() {
        let rows = vec![row("a", Outcome::Passed, None), row("b", Outcome::NotChecked, None)];
        let left = vec![Left { key: "k".to_owned(), version: Some("v1".to_owned()), why: "refused".to_owned() }];
        let expected = "\n✓ Proved: all 1 checks that were made hold.\n\
                        – 1 were not checked; --require-all makes these failures.\n\
                        ! Left behind, remove it: k (version v1): refused";
        assert_eq!(conclusion(&Report { rows, left }), expected);
        let failed = Report { rows: vec![row("b", Outcome::Failed, None)], left: Vec::new() };
        assert_eq!(conclusion(&failed), "\n✗ Not proved: 1 check failed, 0 hold.");
    }
}
