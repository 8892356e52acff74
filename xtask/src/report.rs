//! Runs named steps one after the other, and sums up.

use std::time::{Duration, Instant};

use crate::process::{Failure, Notes};
use crate::workspace::Workspace;

/// One named check of `cargo xtask test`.
pub(crate) struct Step {
    /// A short name, also usable as an argument.
    pub(crate) name: &'static str,
    /// Whether `--fast` leaves it out.
    pub(crate) full_only: bool,
    /// The check.
    pub(crate) run: fn(&Workspace, Mode) -> Result<Notes, Failure>,
}

/// How much is to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Without system packages and slow tools.
    Fast,
    /// Everything.
    Full,
}

/// What became of a step.
struct Row {
    name: &'static str,
    took: Duration,
    result: Result<Notes, Failure>,
}

/// Runs all steps, also after a failure, so that one run shows every problem. The output of each
/// goes to the terminal as it comes; the summary repeats what failed.
pub(crate) fn run_steps<'a>(
    workspace: &Workspace,
    mode: Mode,
    steps: impl Iterator<Item = &'a Step>,
) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for step in steps {
        println!("==> {}", step.name);
        let start = Instant::now();
        let result = (step.run)(workspace, mode);
        let row = Row { name: step.name, took: start.elapsed(), result };
        match &row.result {
            Ok(notes) => {
                for note in notes {
                    println!("    {note}");
                }
                println!("<== {}: ok, {}", row.name, seconds(row.took));
            }
            Err(failure) => {
                println!("{failure}");
                println!("<== {}: FAILED, {}", row.name, seconds(row.took));
            }
        }
        rows.push(row);
    }
    print!("{}", summary(&rows));
    match rows.iter().filter(|row| row.result.is_err()).count() {
        0 => Ok(()),
        failed => Err(Failure::new(format!("{failed} of {} steps failed", rows.len()))),
    }
}

/// Prints the notes of a chore that runs by itself.
pub(crate) fn print_notes(notes: Notes) {
    for note in notes {
        println!("{note}");
    }
}

/// One line per step, with its notes or the first line of its failure.
fn summary(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    let mut lines = vec![String::new(), "summary".to_owned()];
    for row in rows {
        let (word, details) = match &row.result {
            Ok(notes) => ("ok    ", notes.clone()),
            Err(failure) => {
                let first = failure.to_string().lines().next().unwrap_or_default().to_owned();
                ("FAILED", vec![first])
            }
        };
        lines.push(format!("  {word} {:width$} {:>9}", row.name, seconds(row.took)));
        lines.extend(details.iter().map(|detail| format!("         {detail}")));
    }
    let total = rows.iter().map(|row| row.took).sum();
    lines.push(format!("  total  {:width$} {:>9}\n", "", seconds(total)));
    lines.join("\n")
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_shows_notes_and_the_first_line_of_a_failure() {
        let took = Duration::from_millis(1_250);
        let rows = [
            Row { name: "a", took, result: Ok(vec!["a note".to_owned()]) },
            Row { name: "bcd", took, result: Err(Failure::new("broken\nthe details")) },
        ];
        let expected = "
summary
  ok     a       1.2 s
         a note
  FAILED bcd     1.2 s
         broken
  total          2.5 s
";
        assert_eq!(summary(&rows), expected);
    }

    #[test]
    fn all_steps_run_and_one_failure_fails_the_run() {
        let good = Step { name: "good", full_only: false, run: |_, _| Ok(Vec::new()) };
        let bad = Step { name: "bad", full_only: false, run: |_, _| Err(Failure::new("no")) };
        let workspace = Workspace::find();
        assert_eq!(run_steps(&workspace, Mode::Fast, [&good].into_iter()), Ok(()));
        assert_eq!(
            run_steps(&workspace, Mode::Fast, [&bad, &good].into_iter()),
            Err(Failure::new("1 of 2 steps failed"))
        );
    }
}
