//! The reference pages of the documentation, made from the code: configuration and its schema, claims, command line, metrics, problems.

mod claims_page;
mod config_page;
mod schema_page;

use std::{
    fmt::{Arguments, Write},
    path::Path,
};

use clap::{Command, CommandFactory};
use tagmint_server::{http::problem, metrics};

use crate::{cli::Cli, error::CliError, output::Output};

/// How wide help is in the pages, in characters.
const HELP_WIDTH: usize = 110;
/// Says on every page where it comes from.
const NOTICE: &str = "<!-- Made by `cargo xtask docs`. Change the code, not this file. -->";

/// The pages: file name and content.
pub fn pages() -> Vec<(&'static str, String)> {
    vec![
        ("config.md", config_page::render()),
        ("config.schema.json", schema_page::render()),
        ("claims.md", claims_page::render()),
        ("cli.md", command_line()),
        ("metrics.md", metrics_page()),
        ("errors.md", errors_page()),
    ]
}

/// Writes the pages into a folder.
pub fn write(folder: &Path, output: Output) -> Result<(), CliError> {
    let failed = |source| CliError::Io { what: "the reference pages", source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    for (name, page) in pages() {
        std::fs::write(folder.join(name), page).map_err(failed)?;
    }
    output.talk(&format!("the reference pages are in {}", folder.display()));
    Ok(())
}

/// The command whose help does not depend on the terminal or on what was set in the environment.
pub fn plain_command() -> Command {
    Cli::command().term_width(HELP_WIDTH).mut_args(|arg| arg.hide_env_values(true)).color(clap::ColorChoice::Never)
}

fn command_line() -> String {
    let mut page = format!(
        "{NOTICE}\n\n# Command line\n\n\
         Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 wrong configuration, 4 something could not be reached.\n\
         Data goes to stdout, everything else to stderr. `NO_COLOR` is honoured.\n"
    );
    let mut root = plain_command();
    root.build();
    section(&mut page, &mut root, "");
    page
}

fn section(page: &mut String, command: &mut Command, above: &str) {
    let name = format!("{above}{}", command.get_name());
    let help = command.render_long_help().to_string();
    // clap leaves white space at the ends of empty lines.
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    add(page, format_args!("\n## `{name}`\n\n```text\n{}\n```\n", lines.join("\n")));
    let shown = command.get_subcommands_mut().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help");
    for inner in shown {
        section(page, inner, &format!("{name} "));
    }
}

fn metrics_page() -> String {
    let mut page = format!(
        "{NOTICE}\n\n# Metrics\n\n\
         `GET /metrics` on the admin listener (`listen.admin`), as Prometheus text. Counters and histograms begin at 0 with the first scrape.\n\
         Gauges of a moment or an age are absent until it is known.\n\n\
         | metric | kind | meaning |\n|---|---|---|\n"
    );
    for (name, kind, meaning) in metrics::CATALOGUE {
        add(&mut page, format_args!("| `{name}` | {kind} | {} |\n", cell(meaning)));
    }
    page
}

fn errors_page() -> String {
    let mut page = format!(
        "{NOTICE}\n\n# Problems\n\n\
         What the issuer answers when it does not do what was asked: `application/problem+json` (RFC 9457) with `type`\n\
         `urn:tagmint:problem:CODE`, `title`, `status`, a `detail` that says what to do, and the request's id. The routes below\n\
         `/oauth2/` answer the OAuth error of the last column instead (RFC 6749 §5.2), and `GET /v1/aws/credentials` answers\n\
         `{{\"code\", \"message\"}}`, as the AWS SDKs read it; both have the `type` too. Codes are stable.\n\n\
         | code | status | title | meaning | OAuth error |\n|---|---|---|---|---|\n"
    );
    for kind in problem::CATALOGUE {
        let (code, status, title, meaning) = (kind.code, kind.status, cell(kind.title), cell(kind.meaning));
        add(&mut page, format_args!("| `{code}` | {status} | {title} | {meaning} | `{}` |\n", kind.oauth));
    }
    page
}

/// Adds text to a page.
fn add(page: &mut String, text: Arguments<'_>) {
    page.write_fmt(text).expect("a string takes any text");
}

/// Text for a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_pages_are_fresh() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference"));
        for (name, page) in pages() {
            let committed = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
            assert!(committed == page, "docs/reference/{name} is stale; run `cargo xtask docs`");
        }
    }

    #[test]
    fn every_key_and_command_has_its_meaning() {
        let page = config_page::render();
        for key in [
            "`listen.public`",
            "`keys.publish_ahead`",
            "`limits.per_credential.burst`",
            "`rule.tags`",
            "`rule.audiences`",
        ] {
            assert!(page.contains(key), "{key}");
        }
        assert!(!page.contains("| |\n"), "a key has no meaning");
        let page = command_line();
        for command in ["`tagmint ledger verify`", "`tagmint bearer create`", "`tagmint dev`"] {
            assert!(page.contains(command), "{command}");
        }
        assert!(!page.contains("tagmint docs"));
    }
}
