//! `tagmint aws reach`.

use tagmint_aws::{
    reach::{Access, Question, Report, UnknownRole, Way, reach},
    render::Names,
};

use super::{plan, settings};
use crate::{
    cli::ReachArgs,
    config::Config,
    error::CliError,
    output::{Output, table},
};

/// Works out who reaches a prefix.
pub(super) fn run(args: &ReachArgs, config: &Config, output: Output) -> Result<(), CliError> {
    let settings = settings(config)?;
    let set_up = plan(config, &settings, Names::Literal, output)?;
    let failed = |error: String| CliError::Check(format!("{}: {error}", config.file.display()));
    if let (Some(named), Some(bucket)) = (&args.prefix.bucket, &set_up.bucket)
        && *named != bucket.name
    {
        return Err(CliError::Usage(format!(
            "`{named}` is not the bucket of {}, which is `{}`: only the policies that `tagmint aws render` writes are known. Name that bucket, or use the \
             configuration of the other one",
            config.file.display(),
            bucket.name
        )));
    }
    let kinds = config.issuers.iter().map(|it| (it.issuer.name.as_str().to_owned(), it.issuer.kind)).collect();
    let question = Question {
        settings: &settings,
        set_up: &set_up,
        rules: &config.rules,
        kinds: &kinds,
        prefix: &args.prefix.prefix,
    };
    let report = reach(question).map_err(|error| failed(error.to_string()))?;
    output.data(&report, || text(&report))
}

fn text(report: &Report) -> String {
    let place = format!("s3://{}/{}", report.bucket, report.prefix);
    let mut lines = Vec::new();
    if report.reach.is_empty() {
        lines.push(format!("No rule reaches {place}"));
    } else {
        lines.push(format!("{place} is reached by"));
        lines.push(String::new());
        let header = ["rule", "who", "read", "write", "by tag", "role"];
        lines.push(table(header, report.reach.iter().map(row)));
        let notes = notes(&report.reach);
        if !notes.is_empty() {
            lines.push(String::new());
            lines.extend(notes);
        }
    }
    if !report.no_reach.is_empty() {
        lines.push(String::new());
        lines.push(format!("Not reached by: {}", report.no_reach.join(", ")));
    }
    if !report.unknown.is_empty() {
        lines.push(String::new());
        lines.extend(report.unknown.iter().map(unknown));
    }
    lines.join("\n")
}

fn row(way: &Way) -> [String; 6] {
    let values: Vec<String> = way.values.iter().map(|value| format!("{} = {value}", way.tag)).collect();
    let part = if way.whole { "" } else { " (a part)" };
    [
        way.rule.clone(),
        way.who.clone(),
        both(way.read, "read", way.list, "list"),
        both(way.write, "put", way.delete, "delete"),
        format!("{}{part}", values.join(", ")),
        way.role.clone(),
    ]
}

/// Two actions that mostly go together: one word where they do.
fn both(first: Access, first_name: &str, second: Access, second_name: &str) -> String {
    match (word(first), word(second)) {
        (first, second) if first == second => first.to_owned(),
        (first, "no") => format!("{first}, {first_name} only"),
        ("no", second) => format!("{second}, {second_name} only"),
        (first, second) => format!("{first_name} {first}, {second_name} {second}"),
    }
}

const fn word(access: Access) -> &'static str {
    match access {
        Access::No => "no",
        Access::May => "may",
        Access::Yes => "yes",
    }
}

/// Why something is not certain, and what a part is.
fn notes(ways: &[Way]) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for way in ways {
        for reason in &way.uncertain {
            let note = format!("may: {}: {reason}, so it cannot be excluded", way.rule);
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    if ways.iter().any(|way| !way.whole) {
        notes.push("a part: each session reaches what is below its own value of the tag".to_owned());
    }
    notes
}

fn unknown(unknown: &UnknownRole) -> String {
    match &unknown.role {
        Some(role) => format!(
            "not known: the rule `{}` is for {role}, whose policies are not in this configuration",
            unknown.rule
        ),
        None => format!("not known: an expression decides the role of the rule `{}`", unknown.rule),
    }
}
