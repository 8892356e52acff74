//! A guide's commands, with what it says that they print.
//!
//! A block in ```` ```console ```` holds commands (`$ `, continued by `> `) and below each its output, where `…` stands for any text in a line
//! and, alone, for any lines. `# exit code N` behind a command says that it fails. Right above the block may stand, as comments that readers
//! don't see, `not run: REASON` or `stage: COMMAND`, which is run before and not shown.

use std::{fs, path::Path};

use super::TestResult;

/// A command and its output.
pub struct Step {
    /// Where it stands in the page.
    pub line: usize,
    pub command: String,
    pub exit_code: i32,
    pub output: Vec<String>,
}

/// A fenced block.
pub struct Block {
    pub line: usize,
    pub language: String,
    /// Why its commands are not run, if so.
    pub not_run: Option<String>,
    /// What is run before it.
    pub stage: Vec<String>,
    pub steps: Vec<Step>,
}

pub struct Page {
    pub blocks: Vec<Block>,
}

impl Page {
    pub fn read(name: &str) -> TestResult<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { blocks: blocks(&text)? })
    }
}

fn blocks(text: &str) -> TestResult<Vec<Block>> {
    let (mut blocks, mut comments) = (vec![], vec![]);
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    while let Some((line, text)) = lines.next() {
        let shown = text.trim_start();
        let indent = text.len() - shown.len();
        if let Some(comment) = shown.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
            comments.push(comment.to_owned());
            continue;
        }
        let Some(language) = shown.strip_prefix("```") else {
            comments.clear();
            continue;
        };
        let body = lines.by_ref().take_while(|(_, line)| line.trim_start() != "```");
        let body: Vec<_> = body.map(|(number, line)| (number, line.get(indent..).unwrap_or_default())).collect();
        let of = |kind: &str| -> Vec<String> {
            comments.iter().filter_map(|comment: &String| comment.strip_prefix(kind)).map(str::to_owned).collect()
        };
        blocks.push(Block {
            line,
            language: language.to_owned(),
            not_run: of("not run: ").pop(),
            stage: of("stage: "),
            steps: if language == "console" { steps(&body)? } else { vec![] },
        });
        comments.clear();
    }
    Ok(blocks)
}

fn steps(body: &[(usize, &str)]) -> TestResult<Vec<Step>> {
    let mut steps: Vec<Step> = vec![];
    for &(line, text) in body {
        if let Some(command) = text.strip_prefix("$ ") {
            steps.push(Step { line, command: command.to_owned(), exit_code: 0, output: vec![] });
            continue;
        }
        let step = steps.last_mut().ok_or_else(|| format!("line {line}: output without a command"))?;
        match text.strip_prefix("> ").filter(|_| step.output.is_empty()) {
            Some(more) => {
                step.command.push('\n');
                step.command.push_str(more);
            }
            None => step.output.push(text.to_owned()),
        }
    }
    for step in &mut steps {
        if let Some((_, code)) = step.command.rsplit_once("# exit code ") {
            step.exit_code = code.trim().parse().map_err(|error| format!("line {}: {error}", step.line))?;
        }
    }
    Ok(steps)
}

/// Whether the output is as the page has it.
pub fn fits(shown: &[String], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if line.trim() == "…" => {
            (0..=printed.len()).any(|skipped| fits(rest, &printed[skipped..]))
        }
        Some((line, rest)) => match printed.split_first() {
            Some((first, others)) => line_fits(&squeezed(line), &squeezed(first)) && fits(rest, others),
            None => false,
        },
    }
}

/// Without the spaces that make columns: how wide these are depends on what stands in them.
fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn line_fits(shown: &str, printed: &str) -> bool {
    match shown.split_once('…') {
        None => shown == printed,
        Some((before, after)) => printed.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| line_fits(after, &rest[at..]))
        }),
    }
}

#[test]
fn ellipses_stand_for_text_and_for_lines() {
    let fit = |shown: &str, printed: &str| {
        let shown: Vec<String> = shown.lines().map(str::to_owned).collect();
        fits(&shown, &printed.lines().collect::<Vec<_>>())
    };
    assert!(fit("a…c\n…\nz", "a b c\nx\ny\nz"));
    assert!(fit("…\nz", "z"));
    assert!(fit("A   B", "A  B"));
    for (shown, printed) in [("a", "b"), ("", "b"), ("a", ""), ("a…c", "a b"), ("…\nz", "z\ny"), ("a", "a\nb")] {
        assert!(!fit(shown, printed), "{shown:?} {printed:?}");
    }
}

#[test]
fn a_page_is_taken_apart() -> TestResult {
    let text = "<!-- stage: touch x -->\n```console\n$ a \\\n>   b\nout\n$ false # exit code 1\n```\n\n<!-- not run: why -->\n```console\n$ c\n```\n";
    let found = blocks(text)?;
    assert_eq!(found[0].stage, ["touch x"]);
    assert_eq!(found[0].steps[0].command, "a \\\n  b");
    assert_eq!(found[0].steps[0].output, ["out"]);
    assert_eq!(found[0].steps[1].exit_code, 1);
    assert_eq!((found[1].line, found[1].not_run.as_deref()), (10, Some("why")));
    Ok(())
}
