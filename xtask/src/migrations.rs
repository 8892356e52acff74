//! Released migrations never change: databases out there have run them.
//!
//! `migrations/SHA256SUMS` lists each with its checksum, in the format of `sha256sum`, so that
//! `cd migrations && sha256sum --check SHA256SUMS` says the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::process::{self, Failure, Notes};
use crate::workspace::Workspace;

/// The directory of all migrations.
const DIRECTORY: &str = "migrations";
/// Its list of checksums.
const LIST: &str = "SHA256SUMS";
/// The databases, each with a directory of its own. Where both exist, the file names are the same.
const ENGINES: [&str; 2] = ["sqlite", "postgres"];

/// Checksums by path relative to [`DIRECTORY`].
type Sums = BTreeMap<String, String>;

/// Checks that every migration is listed and unchanged.
pub(crate) fn check(workspace: &Workspace) -> Result<Notes, Failure> {
    let listed = listed(workspace)?;
    let actual = actual(workspace)?;
    let mut problems = broken(&listed, &actual);
    problems.extend(unpaired(workspace, &actual));
    for path in actual.keys().filter(|path| !listed.contains_key(*path)) {
        problems.push(format!("{path} is not listed: run `cargo xtask migrations --accept`"));
    }
    finish(problems, Vec::new())
}

/// Adds new migrations to the list. Refuses as long as a listed one has changed.
pub(crate) fn accept(workspace: &Workspace) -> Result<Notes, Failure> {
    let mut listed = listed(workspace)?;
    let actual = actual(workspace)?;
    finish(broken(&listed, &actual), Vec::new())?;
    let mut notes = Vec::new();
    for (path, sum) in actual {
        if listed.insert(path.clone(), sum).is_none() {
            notes.push(format!("listed {path}"));
        }
    }
    let text: String = listed.iter().fold(String::new(), |text, (path, sum)| text + &format!("{sum}  {path}\n"));
    let list = workspace.path(DIRECTORY).join(LIST);
    fs::write(&list, text).map_err(|e| Failure::new(format!("could not write {}: {e}", list.display())))?;
    Ok(notes)
}

/// Listed migrations that are no longer what they were.
fn broken(listed: &Sums, actual: &Sums) -> Vec<String> {
    let problem = |(path, sum): (&String, &String)| match actual.get(path) {
        None => Some(format!("{path} is listed in {LIST}, but is not there: bring it back")),
        Some(found) if found != sum => {
            Some(format!("{path} has changed since it was listed: undo that, and add a new migration"))
        }
        Some(_) => None,
    };
    listed.iter().filter_map(problem).collect()
}

/// Migrations that only one of two engines has.
fn unpaired(workspace: &Workspace, actual: &Sums) -> Vec<String> {
    let directory = workspace.path(DIRECTORY);
    if !ENGINES.iter().all(|engine| directory.join(engine).is_dir()) {
        return Vec::new();
    }
    let names = |engine: &str| -> BTreeSet<String> {
        let own = actual.keys().filter_map(|path| path.strip_prefix(engine)?.strip_prefix('/'));
        own.map(str::to_owned).collect()
    };
    let (sqlite, postgres) = (names(ENGINES[0]), names(ENGINES[1]));
    let missing = |name: &String, engine| format!("{name} is missing in {DIRECTORY}/{engine}");
    let mut problems: Vec<_> = sqlite.difference(&postgres).map(|name| missing(name, ENGINES[1])).collect();
    problems.extend(postgres.difference(&sqlite).map(|name| missing(name, ENGINES[0])));
    problems
}

/// The list; empty when there is none.
fn listed(workspace: &Workspace) -> Result<Sums, Failure> {
    let path = workspace.path(DIRECTORY).join(LIST);
    if path.exists() { parse(&crate::sizes::read(&path)?) } else { Ok(Sums::new()) }
}

/// The migrations that are there, with their checksums.
fn actual(workspace: &Workspace) -> Result<Sums, Failure> {
    let directory = workspace.path(DIRECTORY);
    let mut files = Vec::new();
    for engine in ENGINES {
        let Ok(entries) = fs::read_dir(directory.join(engine)) else {
            continue;
        };
        let names = entries.flatten().map(|entry| entry.file_name());
        files.extend(names.map(|name| format!("{engine}/{}", name.to_string_lossy())));
    }
    if files.is_empty() {
        return Ok(Sums::new());
    }
    let mut command = workspace.command("sha256sum");
    command.current_dir(directory).arg("--").args(files);
    parse(&process::capture(command)?)
}

/// Reads the output of `sha256sum`: a checksum, two spaces, a path.
fn parse(text: &str) -> Result<Sums, Failure> {
    let entry = |line: &str| {
        let (sum, path) = line.split_once("  ")?;
        (sum.len() == 64).then(|| (path.to_owned(), sum.to_owned()))
    };
    text.lines()
        .map(|line| {
            entry(line).ok_or_else(|| Failure::new(format!("{LIST}: `{line}` is not a SHA-256, two spaces and a path")))
        })
        .collect()
}

fn finish(problems: Vec<String>, notes: Notes) -> Result<Notes, Failure> {
    if problems.is_empty() { Ok(notes) } else { Err(Failure::new(problems.join("\n"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A checkout with one listed migration.
    fn checkout() -> (tempfile::TempDir, Workspace) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("migrations/sqlite")).unwrap();
        fs::write(dir.path().join("migrations/sqlite/0001_a.sql"), "one").unwrap();
        let workspace = Workspace::at(dir.path());
        assert_eq!(accept(&workspace), Ok(vec!["listed sqlite/0001_a.sql".to_owned()]));
        assert_eq!(check(&workspace), Ok(Vec::new()));
        (dir, workspace)
    }

    #[test]
    fn a_changed_migration_fails_and_can_not_be_accepted() {
        let (dir, workspace) = checkout();
        fs::write(dir.path().join("migrations/sqlite/0001_a.sql"), "two").unwrap();
        let failure = check(&workspace).unwrap_err();
        assert!(failure.to_string().starts_with("sqlite/0001_a.sql has changed"), "{failure}");
        assert_eq!(accept(&workspace), Err(failure));
    }

    #[test]
    fn a_removed_migration_fails() {
        let (dir, workspace) = checkout();
        fs::remove_file(dir.path().join("migrations/sqlite/0001_a.sql")).unwrap();
        let failure = check(&workspace).unwrap_err().to_string();
        assert!(failure.contains("0001_a.sql is listed in SHA256SUMS, but"), "{failure}");
        assert!(accept(&workspace).is_err());
    }

    #[test]
    fn a_new_migration_must_be_accepted() {
        let (dir, workspace) = checkout();
        fs::write(dir.path().join("migrations/sqlite/0002_b.sql"), "two").unwrap();
        let failure = check(&workspace).unwrap_err().to_string();
        assert!(failure.starts_with("sqlite/0002_b.sql is not listed"), "{failure}");
        assert_eq!(accept(&workspace), Ok(vec!["listed sqlite/0002_b.sql".to_owned()]));
        assert_eq!(check(&workspace), Ok(Vec::new()));
    }

    #[test]
    fn two_engines_have_the_same_files() {
        let (dir, workspace) = checkout();
        fs::create_dir_all(dir.path().join("migrations/postgres")).unwrap();
        let failure = check(&workspace).unwrap_err().to_string();
        assert_eq!(failure, "0001_a.sql is missing in migrations/postgres");
        fs::write(dir.path().join("migrations/postgres/0001_a.sql"), "other").unwrap();
        accept(&workspace).unwrap();
        assert_eq!(check(&workspace), Ok(Vec::new()));
    }

    #[test]
    fn a_damaged_list_is_named() {
        let failure = parse("abc  x.sql\n").unwrap_err().to_string();
        assert!(failure.contains("`abc  x.sql` is not a SHA-256"), "{failure}");
    }
}
