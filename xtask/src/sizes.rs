//! Source files stay short enough to be read at once.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{Failure, Notes};
use crate::workspace::Workspace;

/// Where Rust sources are.
const ROOTS: &[&str] = &["crates", "tests", "xtask", "fuzz"];
/// More lines than this want a reason: they are listed.
const NOTED: usize = 400;
/// More lines than this fail.
const LIMIT: usize = 600;

/// Checks every Rust file of the checkout.
pub(crate) fn check(workspace: &Workspace) -> Result<Notes, Failure> {
    let mut notes = Vec::new();
    let mut failures = Vec::new();
    for root in ROOTS {
        for file in rust_files(&workspace.path(root)) {
            let lines = read(&file)?.lines().count();
            let text = format!("{} has {lines} lines", workspace.relative(&file));
            if lines > LIMIT {
                failures.push(text);
            } else if lines > NOTED {
                notes.push(text);
            }
        }
    }
    if failures.is_empty() {
        return Ok(notes);
    }
    let count = failures.len();
    let list = failures.join("\n");
    Err(Failure::new(format!("{count} source files over {LIMIT} lines: split them\n{list}")))
}

/// All `.rs` files below `directory`, sorted; none when it does not exist.
pub(crate) fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(directory) else {
        return files;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                files.extend(rust_files(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The text of a file.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|e| Failure::new(format!("could not read {}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_are_noted_and_too_long_ones_fail() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Workspace::at(dir.path());
        let source = dir.path().join("crates/a/src");
        fs::create_dir_all(&source).unwrap();
        fs::write(source.join("short.rs"), "//\n".repeat(NOTED)).unwrap();
        assert_eq!(check(&workspace), Ok(Vec::new()));
        fs::write(source.join("long.rs"), "//\n".repeat(LIMIT)).unwrap();
        assert_eq!(check(&workspace), Ok(vec!["crates/a/src/long.rs has 600 lines".to_owned()]));
        fs::write(source.join("long.rs"), "//\n".repeat(LIMIT + 1)).unwrap();
        let failure = check(&workspace).unwrap_err().to_string();
        assert!(failure.ends_with("crates/a/src/long.rs has 601 lines"), "{failure}");
    }
}
