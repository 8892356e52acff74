//! The demo's steps: each holds or does not, and says why.

use serde::Serialize;

use crate::output::Output;

/// One step.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) passed: bool,
    pub(super) detail: String,
}

/// The steps so far. In text they are shown as they happen.
#[derive(Debug)]
pub(super) struct Steps {
    pub(super) steps: Vec<Step>,
    output: Output,
}

/// A step did not hold, and those that build on it cannot be tried.
#[derive(Debug)]
pub(super) struct Stop;

impl Steps {
    pub(super) const fn new(output: Output) -> Self {
        Self { steps: Vec::new(), output }
    }

    /// Notes a step whose failure leaves the others possible.
    pub(super) fn note(&mut self, name: &str, result: Result<String, String>) {
        let passed = result.is_ok();
        let detail = result.unwrap_or_else(|wrong| wrong);
        if !self.output.is_json() {
            let (mark, colour) =
                if passed { ("✓", anstyle::AnsiColor::Green) } else { ("✗", anstyle::AnsiColor::Red) };
            let (style, dim) = (colour.on_default().bold(), anstyle::Style::new().dimmed());
            // A reader that has gone is no reason to stop.
            let _ = crate::output::write_line(&format!("{style}{mark}{style:#} {name}\n    {dim}{detail}{dim:#}"));
        }
        self.steps.push(Step { name: name.to_owned(), passed, detail });
    }

    /// Notes a step that others build on, and hands on what it gave.
    pub(super) fn need<T>(&mut self, name: &str, result: Result<(T, String), String>) -> Result<T, Stop> {
        match result {
            Ok((given, detail)) => {
                self.note(name, Ok(detail));
                Ok(given)
            }
            Err(wrong) => {
                self.note(name, Err(wrong));
                Err(Stop)
            }
        }
    }

    pub(super) fn all_passed(&self) -> bool {
        self.steps.iter().all(|step| step.passed)
    }
}
