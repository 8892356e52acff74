//! What libFuzzer says, in its output.

use std::fmt;
use std::path::Path;

use crate::workspace::Workspace;

/// How a search went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Statistics {
    /// How often the target ran.
    pub(super) runs: u64,
    /// How often in a second.
    per_second: u64,
    /// Edges of the program that were reached.
    edges: u64,
    /// Inputs that reach something of their own.
    inputs: u64,
}

impl fmt::Display for Statistics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, per_second, edges, inputs } = self;
        write!(formatter, "{runs} runs, {per_second} a second, {edges} edges, {inputs} inputs")
    }
}

/// The numbers of the last line of progress and of the statistics at the end.
pub(super) fn statistics(log: &str) -> Statistics {
    let after = |text: &str, label: &str| -> Option<u64> {
        let rest = text.rsplit_once(label)?.1.trim_start();
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse().ok()
    };
    Statistics {
        runs: after(log, "stat::number_of_executed_units:").unwrap_or_default(),
        per_second: after(log, "stat::average_exec_per_sec:").unwrap_or_default(),
        edges: after(log, " cov: ").unwrap_or_default(),
        inputs: after(log, " corp: ").unwrap_or_default(),
    }
}

/// A target that failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    target: String,
    /// The input, when the output names one.
    input: Option<String>,
    /// The panic, or what libFuzzer says.
    reason: String,
}

impl Finding {
    /// Reads it from the output: libFuzzer names an input that it wrote, or the committed one that it was at.
    pub(super) fn read(target: &str, log: &str) -> Self {
        let last = |label: &str| log.lines().filter_map(|line| Some(line.split_once(label)?.1.trim())).next_back();
        let input = last("Test unit written to ").or_else(|| last("Running: ")).map(str::to_owned);
        let lines = log.lines().skip_while(|line| !line.contains("panicked at"));
        let end = |line: &str| ["note: ", "stack backtrace:", "=="].iter().any(|start| line.starts_with(start));
        let panic: Vec<&str> = lines.take_while(|line| !end(line)).take(12).collect();
        let said = || log.lines().rfind(|line| line.contains("ERROR: libFuzzer")).unwrap_or_default();
        let reason = if panic.is_empty() { said().to_owned() } else { panic.join("\n    ").trim_end().to_owned() };
        Self { target: target.to_owned(), input, reason }
    }

    /// The same with the input's path as people write it.
    pub(super) fn at(mut self, workspace: &Workspace) -> Self {
        self.input = self.input.map(|input| workspace.relative(Path::new(&input)));
        self
    }

    /// The whole story: what, with which input, how to see it again.
    pub(super) fn told(&self, status: &str, log: &str) -> String {
        let Self { target, input, reason } = self;
        let mut lines = vec![format!("fuzz target `{target}` failed ({status})")];
        if !reason.is_empty() {
            lines.push(format!("    {reason}"));
        }
        match input {
            Some(input) => {
                lines.push(format!("  input:      {input}"));
                lines.push(format!("  once more:  cargo xtask fuzz --input {input} {target}"));
                lines.push(format!("  when fixed: keep the input in fuzz/regressions/{target}/"));
            }
            None => lines.push(
                "  input:      not written; a stack overflow ends the process at once. See the log's end".to_owned(),
            ),
        }
        lines.push(format!("  log:        {log}"));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEARCH: &str = "\
#2\tINITED cov: 11 ft: 12 corp: 1/1b exec/s: 0 rss: 30Mb
#9\tNEW    cov: 1234 ft: 12 corp: 87/1b lim: 4 exec/s: 0 rss: 30Mb L: 4/4
Done 45678 runs in 5 second(s)
stat::number_of_executed_units: 45678
stat::average_exec_per_sec:     9135
stat::new_units_added:          1
";

    const CRASH: &str = "\
thread '<unnamed>' panicked at fuzz_targets/json.rs:7:5:
boo
stack backtrace:
   0: main
==12755== ERROR: libFuzzer: deadly signal
artifact_prefix='/w/target/fuzz/artifacts/json/'; Test unit written to /w/target/fuzz/artifacts/json/crash-34
Base64: QUJD
";

    #[test]
    fn statistics_are_those_of_the_end() {
        let found = statistics(SEARCH);
        assert_eq!(found, Statistics { runs: 45678, per_second: 9135, edges: 1234, inputs: 87 });
        assert_eq!(found.to_string(), "45678 runs, 9135 a second, 1234 edges, 87 inputs");
        assert_eq!(statistics("").runs, 0);
    }

    #[test]
    fn a_finding_says_how_to_see_it_again() {
        let finding = Finding::read("json", CRASH).at(&Workspace::at(Path::new("/w")));
        let expected = "\
fuzz target `json` failed (signal: 6)
    thread '<unnamed>' panicked at fuzz_targets/json.rs:7:5:
    boo
  input:      target/fuzz/artifacts/json/crash-34
  once more:  cargo xtask fuzz --input target/fuzz/artifacts/json/crash-34 json
  when fixed: keep the input in fuzz/regressions/json/
  log:        json.log";
        assert_eq!(finding.told("signal: 6", "json.log"), expected);
    }

    #[test]
    fn a_replayed_input_and_a_sudden_end_are_told_too() {
        let finding = Finding::read(
            "json",
            "Running: a\nExecuted a in 0 ms\nRunning: b\n==1== ERROR: libFuzzer: timeout after 10 s\n",
        );
        assert_eq!(finding.input.as_deref(), Some("b"));
        assert!(finding.reason.ends_with("timeout after 10 s"), "{finding:?}");
        let story = Finding::read("json", "#2 INITED\n").told("signal: 11", "json.log");
        assert!(story.contains("not written"), "{story}");
    }
}
