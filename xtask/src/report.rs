//! Runs named steps one after the other, preparations in parallel with them, and sums up.

use std::thread;
use std::time::{Duration, Instant};

use crate::process::{self, Failure, Notes};
use crate::workspace::Workspace;

/// One named check of `cargo xtask test`.
pub(crate) struct Step {
    /// A short name, also usable as an argument.
    pub(crate) name: &'static str,
    /// Whether `--fast` leaves it out.
    pub(crate) full_only: bool,
    /// When it runs.
    pub(crate) when: When,
    /// The check.
    pub(crate) run: fn(&Workspace, Mode) -> Result<Notes, Failure>,
}

/// When a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// After the step before it.
    InOrder,
    /// From the start, in parallel with the others: it waits for the network most of the time.
    Beside,
    /// After the step before it and all that run in parallel.
    Prepared,
}

/// Where steps that run in parallel with others write, below the checkout.
const BESIDE_LOG: &str = "target/xtask/preparations.log";

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

/// Runs all steps, also after a failure, so that one run shows every problem. The output of each goes to the terminal as it comes, that of
/// steps in parallel with others into a file; the summary repeats what failed.
pub(crate) fn run_steps(workspace: &Workspace, mode: Mode, steps: &[&Step]) -> Result<(), Failure> {
    let start = Instant::now();
    let beside: Vec<&Step> = steps.iter().copied().filter(|step| step.when == When::Beside).collect();
    let rows = thread::scope(|scope| {
        let prepare = || {
            process::log_to(workspace.path(BESIDE_LOG), || {
                beside.iter().map(|step| run(workspace, mode, step)).collect::<Vec<_>>()
            })
        };
        let mut preparations = (!beside.is_empty()).then(|| {
            let names: Vec<_> = beside.iter().map(|step| step.name).collect();
            println!("==> beside what follows: {} ({BESIDE_LOG})", names.join(", "));
            scope.spawn(prepare)
        });
        let mut rows = Vec::new();
        for step in steps.iter().filter(|step| step.when != When::Beside) {
            if step.when == When::Prepared {
                rows.extend(preparations.take().into_iter().flat_map(join));
            }
            println!("==> {}", step.name);
            let row = run(workspace, mode, step);
            tell(&row);
            rows.push(row);
        }
        rows.extend(preparations.take().into_iter().flat_map(join));
        rows
    });
    print!("{}", summary(&rows, start.elapsed()));
    match rows.iter().filter(|row| row.result.is_err()).count() {
        0 => Ok(()),
        failed => Err(Failure::new(format!("{failed} of {} steps failed", rows.len()))),
    }
}

/// Waits for the steps in parallel with the others, and reports what they did.
fn join(preparations: thread::ScopedJoinHandle<'_, Vec<Row>>) -> Vec<Row> {
    let rows = preparations.join().expect("steps return their failures");
    rows.iter().for_each(tell);
    rows
}

fn run(workspace: &Workspace, mode: Mode, step: &Step) -> Row {
    let start = Instant::now();
    let result = (step.run)(workspace, mode);
    Row { name: step.name, took: start.elapsed(), result }
}

fn tell(row: &Row) {
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
}

/// Prints the notes of a chore that runs by itself.
pub(crate) fn print_notes(notes: Notes) {
    for note in notes {
        println!("{note}");
    }
}

/// One line per step, with its notes or the first line of its failure. `total` is the time by the clock on the wall.
fn summary(rows: &[Row], total: Duration) -> String {
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
        assert_eq!(summary(&rows, took * 2), expected);
    }

    #[test]
    fn all_steps_run_and_one_failure_fails_the_run() {
        let good = Step { name: "good", full_only: false, when: When::InOrder, run: |_, _| Ok(Vec::new()) };
        let bad = Step { name: "bad", full_only: false, when: When::Prepared, run: |_, _| Err(Failure::new("no")) };
        let beside = Step { name: "beside", full_only: false, when: When::Beside, run: |_, _| Ok(Vec::new()) };
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace::at(folder.path());
        assert_eq!(run_steps(&workspace, Mode::Fast, &[&good]), Ok(()));
        assert_eq!(
            run_steps(&workspace, Mode::Fast, &[&good, &beside, &bad]),
            Err(Failure::new("1 of 3 steps failed"))
        );
        assert!(workspace.path(BESIDE_LOG).is_file());
    }
}
