//! Which part of the code may know which.

use std::path::Path;

use crate::process::{self, Failure, Notes};
use crate::sizes::{read, rust_files};
use crate::workspace::Workspace;

/// Sources that must not use something: where, which paths, why.
const FORBIDDEN_USES: &[(&str, &[&str], &str)] = &[
    ("crates/tagmint-server/src/flows", &["axum", "hyper", "http::"], "flows know no HTTP: handlers translate"),
    ("crates/tagmint-server/src/http", &["sqlx"], "handlers know no SQL: flows call the store"),
];

/// Crates without I/O, and what must not come in even through others.
const PURE_CRATES: &[&str] = &["tagmint-core", "tagmint-iam"];
/// Names, or their beginnings, of crates with I/O.
const IO_CRATES: &[&str] = &["tokio", "axum", "sqlx", "reqwest", "hyper", "aws-sdk", "aws-config", "aws-smithy"];

/// The members that a crate may depend on. A crate that is not named here may use all but the test
/// kit.
const ALLOWED_MEMBERS: &[(&str, &[&str])] = &[
    ("tagmint-core", &[]),
    ("tagmint-iam", &["tagmint-core"]),
    ("tagmint-store", &["tagmint-core"]),
    ("tagmint-server", &["tagmint-core", "tagmint-store"]),
    ("tagmint-aws", &["tagmint-core", "tagmint-iam"]),
    ("tagmint-localaws", &["tagmint-core", "tagmint-iam"]),
    ("tagmint-testkit", &["tagmint-core", "tagmint-store", "tagmint-server"]),
];

/// The one crate with SQL.
const STORE: &str = "tagmint-store";
/// The crate that only tests may use.
const TESTKIT: &str = "tagmint-testkit";
/// Members that are tests or measurements as a whole, so that their libraries are too.
const TEST_MEMBERS: &[&str] = &["tagmint-bench", "tagmint-e2e"];

/// Runs all checks and reports every breach.
pub(crate) fn check(workspace: &Workspace) -> Result<Notes, Failure> {
    let mut problems = Vec::new();
    for (directory, words, reason) in FORBIDDEN_USES {
        problems.extend(forbidden_uses(workspace, directory, words, reason)?);
    }
    for name in PURE_CRATES {
        if workspace.path("crates").join(name).join("Cargo.toml").exists() {
            let tree = ["tree", "--package", name, "--edges", "normal", "--prefix", "none"];
            problems.extend(io_crates(name, &process::capture(workspace.cargo(&tree))?));
        }
    }
    for manifest in manifests(workspace) {
        problems.extend(manifest_problems(&Manifest::parse(&read(&manifest)?)));
    }
    if problems.is_empty() { Ok(Vec::new()) } else { Err(Failure::new(problems.join("\n"))) }
}

/// Lines of code below `directory`, or in the module file of that name, that use one of `words`.
fn forbidden_uses(
    workspace: &Workspace,
    directory: &str,
    words: &[&str],
    reason: &str,
) -> Result<Vec<String>, Failure> {
    let root = workspace.path(directory);
    let mut files = rust_files(&root);
    files.extend(Some(root.with_extension("rs")).filter(|file| file.is_file()));
    let mut problems = Vec::new();
    for file in files {
        for (index, line) in read(&file)?.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| uses(line, word)) {
                let (file, line) = (workspace.relative(&file), index + 1);
                problems.push(format!("{file}:{line}: uses `{word}`: {reason}"));
            }
        }
    }
    Ok(problems)
}

/// Whether a line of code has `word` as a path segment of its own. Comments may have it.
fn uses(line: &str, word: &str) -> bool {
    let code = line.trim_start();
    if code.starts_with("//") {
        return false;
    }
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        let after = code[start + word.len()..].chars().next();
        let open_end = word.ends_with(':');
        !before.is_some_and(part) && (open_end || !after.is_some_and(part))
    })
}

/// Crates with I/O in the output of `cargo tree --prefix none`: a name and a version per line.
fn io_crates(package: &str, tree: &str) -> Vec<String> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let mut found: Vec<_> = names
        .filter(|name| {
            IO_CRATES
                .iter()
                .any(|io| name.strip_prefix(io).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    let problem = |name| format!("{package} has no I/O, but depends on `{name}`");
    found.into_iter().map(problem).collect()
}

/// The manifests of all members.
fn manifests(workspace: &Workspace) -> Vec<std::path::PathBuf> {
    let members = |directory: &str| {
        let entries = std::fs::read_dir(workspace.path(directory)).into_iter().flatten();
        entries.flatten().map(|entry| entry.path().join("Cargo.toml"))
    };
    let own = workspace.path("xtask/Cargo.toml");
    let mut all: Vec<_> = members("crates").chain(members("tests")).chain([own]).collect();
    all.retain(|path| Path::is_file(path));
    all.sort();
    all
}

/// What a manifest says about dependencies.
#[derive(Debug, Default, PartialEq, Eq)]
struct Manifest {
    name: String,
    normal: Vec<String>,
    dev: Vec<String>,
}

impl Manifest {
    /// Reads the subset of TOML that the project's manifests use: sections, and one line per key.
    fn parse(text: &str) -> Self {
        let mut manifest = Self::default();
        let mut section = "";
        for line in text.lines() {
            if let Some(header) = line.strip_prefix('[') {
                section = header.trim_end_matches(']');
                continue;
            }
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let key = key.trim().split('.').next().unwrap_or_default().to_owned();
            if key.starts_with('#') {
                continue;
            }
            if section == "package" && key == "name" {
                value.trim().trim_matches('"').clone_into(&mut manifest.name);
            } else if section.ends_with("dev-dependencies") {
                manifest.dev.push(key);
            } else if section.ends_with("dependencies") {
                manifest.normal.push(key);
            }
        }
        manifest
    }
}

/// Breaches of the rules for dependencies.
fn manifest_problems(manifest: &Manifest) -> Vec<String> {
    let Manifest { name, normal, dev } = manifest;
    let mut problems = Vec::new();
    if name != STORE && normal.iter().chain(dev).any(|dependency| dependency == "sqlx") {
        problems.push(format!("{name} depends on sqlx: SQL is in {STORE} only"));
    }
    let allowed = ALLOWED_MEMBERS.iter().find(|(member, _)| member == name);
    for dependency in normal.iter().filter(|dependency| dependency.starts_with("tagmint")) {
        if dependency == TESTKIT && !TEST_MEMBERS.contains(&name.as_str()) {
            problems.push(format!("{name} depends on {TESTKIT}: only [dev-dependencies] may"));
        } else if allowed.is_some_and(|(_, list)| !list.contains(&dependency.as_str())) {
            problems.push(format!("{name} must not depend on {dependency}"));
        }
    }
    problems
}

#[cfg(test)]
mod tests;
