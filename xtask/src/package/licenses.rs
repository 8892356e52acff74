//! The notices of the libraries in the program, which their licences want to go with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::on;
use crate::process::{self, Failure};
use crate::workspace::Workspace;

/// How a notice's file name begins, in capitals.
const NAMES: &[&str] = &["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

/// One text: every library with its licence, then each notice once, with the libraries that bring it.
pub(super) fn notices(workspace: &Workspace) -> Result<String, Failure> {
    let libraries = libraries(workspace)?;
    let sources = sources(workspace)?;
    let mut page = vec!["Libraries in the program `tagmint`, with their licences.\n".to_owned()];
    let mut by_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Library { name, version, license } in &libraries {
        page.push(format!("{name} {version}: {license}"));
        let folder = format!("{name}-{version}");
        let folder = sources.iter().map(|source| source.join(&folder)).find(|path| path.is_dir());
        let folder = folder.ok_or_else(|| {
            Failure::new(format!("the source of {name} {version} is not in cargo's registry: run `cargo fetch`"))
        })?;
        for text in texts(&folder)? {
            by_text.entry(text).or_default().push(format!("{name} {version}"));
        }
    }
    let rule = "=".repeat(80);
    page.extend(
        by_text
            .iter()
            .map(|(text, libraries)| format!("\n{rule}\n{}\n{rule}\n\n{}", libraries.join(", "), text.trim_end())),
    );
    Ok(page.join("\n") + "\n")
}

/// A library of others in the program.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Library {
    name: String,
    version: String,
    /// An SPDX expression.
    license: String,
}

/// What the program is linked with, but for the project's own crates.
fn libraries(workspace: &Workspace) -> Result<BTreeSet<Library>, Failure> {
    let tree = ["tree", "--package", "tagmint", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format"];
    let tree = process::capture(workspace.cargo(&[&tree[..], &["{p}|{l}"]].concat()))?;
    tree.lines().filter(|line| !line.contains(" (/")).map(library).collect()
}

/// Reads `NAME vVERSION|LICENSE`, which ends with `(*)` where cargo has shown it before.
fn library(line: &str) -> Result<Library, Failure> {
    let read = || {
        let (package, license) = line.trim_end_matches("(*)").split_once('|')?;
        let (name, version) = package.trim().split_once(" v")?;
        Some(Library { name: name.into(), version: version.into(), license: license.trim().into() })
    };
    read().ok_or_else(|| Failure::new(format!("`cargo tree` prints `{line}`")))
}

/// Where cargo keeps the sources of libraries.
fn sources(workspace: &Workspace) -> Result<Vec<PathBuf>, Failure> {
    let home = match (std::env::var_os("CARGO_HOME"), std::env::var_os("HOME")) {
        (Some(home), _) => workspace.path("").join(home),
        (None, Some(home)) => Path::new(&home).join(".cargo"),
        (None, None) => return Err(Failure::new("neither CARGO_HOME nor HOME is set")),
    };
    let registry = home.join("registry/src");
    let entries = fs::read_dir(&registry).map_err(|error| on("read", &registry, &error))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

/// The notices in a library's folder.
fn texts(folder: &Path) -> Result<Vec<String>, Failure> {
    let entries = fs::read_dir(folder).map_err(|error| on("read", folder, &error))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| is_notice(path)).collect();
    files.sort();
    let read = |file: &PathBuf| fs::read(file).map_err(|error| on("read", file, &error));
    files.iter().map(|file| Ok(String::from_utf8_lossy(&read(file)?).into_owned())).collect()
}

fn is_notice(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
    path.is_file() && NAMES.iter().any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_lines_are_read() {
        let line = "aho-corasick v1.1.5|Unlicense OR MIT (*)";
        let found = library(line).unwrap();
        assert_eq!((&*found.name, &*found.version, &*found.license), ("aho-corasick", "1.1.5", "Unlicense OR MIT"));
        assert!(library("something else").unwrap_err().to_string().contains("something else"));
    }

    #[test]
    fn the_notices_have_every_library_and_none_of_ours() {
        let page = notices(&Workspace::find()).unwrap();
        for library in ["\nrustls ", "\nserde ", "\naws-lc-sys "] {
            assert!(page.contains(library), "{library}");
        }
        assert!(page.contains("Permission is hereby granted") && !page.contains("\ntagmint-core "));
    }
}
