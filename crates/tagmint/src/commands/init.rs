//! `tagmint init`.

mod files;
mod questions;

use std::path::Path;

use serde_json::json;

use self::questions::Questions;
use crate::{
    cli::InitArgs,
    commands::check::unfinished,
    config::Config,
    error::CliError,
    generate::{self, CONFIG, KEY, RULES_TESTS, answers::Answers},
    output::Output,
};

/// Asks what is not given, and writes the files.
pub fn run(args: InitArgs, output: Output) -> Result<(), CliError> {
    let (dir, yes) = (args.dir.clone(), args.yes);
    files::refuse_existing(&dir)?;
    let mut questions = Questions::new(output);
    let answers = questions.answers(args)?;
    let generated = generate::issuer(&answers);
    refuse_bad(&generated.config, &dir)?;
    if !yes {
        Questions::confirm(&dir)?;
    }
    files::write(&dir, &generated)?;
    report(&dir, &answers, output)
}

/// Nothing is written that `tagmint check` would refuse or warn of.
fn refuse_bad(text: &str, dir: &Path) -> Result<(), CliError> {
    let config = Config::parse(text, &dir.join(CONFIG))?;
    let problems: Vec<String> = config.warnings.into_iter().chain(unfinished::placeholders(text)).collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(CliError::Usage(format!("`tagmint check` would refuse this configuration: {}", problems.join("; "))))
}

fn report(dir: &Path, answers: &Answers, output: Output) -> Result<(), CliError> {
    let path = |name: &str| files::below(dir, name).display().to_string();
    let written = [
        (path(CONFIG), "the configuration"),
        (path(KEY), "the key file: secret, never commit it, keep a copy"),
        (path(RULES_TESTS), "tests of the rules, for `tagmint rules test`"),
    ];
    let (config, aws) = (quoted(&path(CONFIG)), quoted(&path("aws")));
    let next = [
        format!("tagmint check --config {config}"),
        format!("tagmint aws render --config {config} --format cloudformation --out {aws}"),
        format!("tagmint serve --config {config}"),
    ];
    let data = json!({
        "files": written.iter().map(|(path, what)| json!({"path": path, "what": what})).collect::<Vec<_>>(),
        "config": path(CONFIG),
        "issuer": answers.url(),
        "environment": answers.environment,
        "role": generate::role_name(answers.environment),
        "next": next,
    });
    output.data(&data, || {
        let files = written.iter().map(|(path, what)| format!("wrote {path}: {what}"));
        let lines = files.chain([String::new(), "Next:".to_owned(), String::new()]);
        lines.chain(next.iter().map(|command| format!("  {command}"))).collect::<Vec<_>>().join("\n")
    })
}

/// A word of a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
