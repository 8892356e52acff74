//! The guides for operators: every command in them is run on a stage, as it stands, and prints what stands below it, or a comment says why it
//! can't be run. How the guides are written for that: CONTRIBUTING.md.

#[path = "guide_commands/page.rs"]
mod page;
#[path = "guide_commands/shell.rs"]
mod shell;

use page::{Page, fits};
use shell::Shell;

type Error = Box<dyn std::error::Error + Send + Sync>;
type TestResult<T = ()> = Result<T, Error>;

const PAGES: [&str; 4] = ["cloud-setup.md", "runbook.md", "test-environment.md", "troubleshooting.md"];

/// Runs a page from top to bottom, and tells of each command that does something else than the page says.
fn play(name: &str, world: &str, state: &str) -> TestResult {
    let page = Page::read(name)?;
    let mut shell = Shell::start(world, state)?;
    let mut wrong = vec![];
    for block in page.blocks.iter().filter(|block| block.not_run.is_none()) {
        for command in &block.stage {
            let ended = shell.run(command)?;
            if ended.code != 0 {
                return Err(format!("{name}:{}: {command}: {}\n{}", block.line, ended.output, shell.logs()).into());
            }
        }
        for step in &block.steps {
            let ended = shell.run(&step.command)?;
            let printed: Vec<&str> = ended.output.lines().collect();
            if ended.code != step.exit_code || !fits(&step.output, &printed) {
                wrong.push(format!(
                    "{name}:{}: {}\n{}\n(exit code {})",
                    step.line, step.command, ended.output, ended.code
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} commands do something else than the page says:\n\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    Ok(())
}

#[test]
fn the_runbook_is_what_happens() -> TestResult {
    play("runbook.md", "test,prod", "running")
}

#[test]
fn an_account_and_a_host_become_an_issuer() -> TestResult {
    play("cloud-setup.md", "prod", "bare")
}

#[test]
fn the_test_environment_stands_beside_prod() -> TestResult {
    play("test-environment.md", "test", "bare")
}

#[test]
fn troubleshooting_finds_what_it_says() -> TestResult {
    play("troubleshooting.md", "test", "running")
}

#[test]
fn every_command_is_run_or_says_why_not() -> TestResult {
    for name in PAGES {
        let page = Page::read(name)?;
        let (mut run, mut not_run) = (0, vec![]);
        for block in &page.blocks {
            let at = format!("{name}:{}", block.line);
            match (block.language.as_str(), &block.not_run) {
                ("console", _) if block.steps.is_empty() => return Err(format!("{at}: no command (`$ `)").into()),
                ("console" | "sh" | "bash", Some(reason)) => {
                    assert!(reason.split(' ').count() > 3, "{at}: `{reason}` is no reason");
                    not_run.push(format!("{at}: {reason}"));
                }
                ("console", None) => run += block.steps.len(),
                ("sh" | "bash" | "shell" | "", None) => {
                    return Err(format!("{at}: commands that nobody runs: make it ```console, or say why not").into());
                }
                _ => {}
            }
        }
        println!("{name}: {run} commands are run, {} blocks are not:\n  {}", not_run.len(), not_run.join("\n  "));
        assert!(run > 3 * not_run.len(), "{name}: {run} commands are run, and {} blocks are not", not_run.len());
    }
    Ok(())
}
