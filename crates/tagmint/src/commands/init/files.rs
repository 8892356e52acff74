//! The files of a new issuer: all of them or none, and none that is there already.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use tagmint_core::{random::SystemRandom, sealing::MasterKey};

use crate::{
    error::CliError,
    generate::{CONFIG, Generated, KEY, RULES_TESTS},
};

/// The database that the configuration names. It belongs to one issuer for good.
const DATABASE: &str = "tagmint.db";

/// A file of the folder, without `./` before its name.
pub(super) fn below(dir: &Path, name: &str) -> PathBuf {
    if dir == Path::new(".") { PathBuf::from(name) } else { dir.join(name) }
}

/// Refuses a folder in which one of the files is there.
pub(super) fn refuse_existing(dir: &Path) -> Result<(), CliError> {
    for name in [CONFIG, KEY, RULES_TESTS, DATABASE] {
        let file = below(dir, name);
        // A link that leads nowhere is there, too.
        match fs::symlink_metadata(&file) {
            Ok(_) => return Err(exists(&file)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(source) => return Err(CliError::file("look for", &file, source)),
        }
    }
    Ok(())
}

fn exists(file: &Path) -> CliError {
    CliError::Refused(format!(
        "{} is there already, and init overwrites nothing. Move it away, or give another folder",
        file.display()
    ))
}

/// Writes the files, and removes what it has written where one fails.
pub(super) fn write(dir: &Path, generated: &Generated) -> Result<(), CliError> {
    let key = MasterKey::generate_file(&SystemRandom)?;
    let mut made = Made::default();
    // The configuration comes last: where it is, the others are.
    for (name, text, mode) in [
        (KEY, key.as_str(), 0o600),
        (RULES_TESTS, generated.rules_tests.as_str(), 0o644),
        (CONFIG, generated.config.as_str(), 0o644),
    ] {
        let file = below(dir, name);
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            made.folder(folder)?;
        }
        made.file(&file, text, mode)?;
    }
    made.keep();
    Ok(())
}

/// What was made so far. It is removed again unless it is kept.
#[derive(Debug, Default)]
struct Made {
    paths: Vec<PathBuf>,
}

impl Made {
    fn folder(&mut self, folder: &Path) -> Result<(), CliError> {
        let missing: Vec<&Path> =
            folder.ancestors().filter(|it| !it.as_os_str().is_empty()).take_while(|it| !it.exists()).collect();
        for folder in missing.into_iter().rev() {
            DirBuilder::new().create(folder).map_err(|source| CliError::file("make", folder, source))?;
            self.paths.push(folder.to_owned());
        }
        Ok(())
    }

    fn file(&mut self, file: &Path, text: &str, mode: u32) -> Result<(), CliError> {
        let mut out = OpenOptions::new().write(true).create_new(true).mode(mode).open(file).map_err(|source| {
            if source.kind() == io::ErrorKind::AlreadyExists {
                exists(file)
            } else {
                CliError::file("write", file, source)
            }
        })?;
        self.paths.push(file.to_owned());
        out.write_all(text.as_bytes())
            .and_then(|()| out.sync_all())
            .map_err(|source| CliError::file("write", file, source))
    }

    fn keep(mut self) {
        self.paths.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.paths.iter().rev() {
            // A new folder with other files in it stays.
            let _ = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;

    fn generated() -> Generated {
        Generated { config: "config\n".to_owned(), rules_tests: "tests\n".to_owned() }
    }

    #[test]
    fn all_files_are_written_or_none() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempdir().unwrap();
        let dir = folder.path().join("a/b");
        write(&dir, &generated()).unwrap();
        assert_eq!(fs::read_to_string(dir.join(CONFIG)).unwrap(), "config\n");
        assert_eq!(fs::metadata(dir.join(KEY)).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(refuse_existing(&dir).is_err());

        let dir = folder.path().join("c");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(CONFIG), "mine").unwrap();
        assert!(write(&dir, &generated()).unwrap_err().to_string().contains("tagmint.toml is there already"));
        let left: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [CONFIG]);
        assert_eq!(fs::read_to_string(dir.join(CONFIG)).unwrap(), "mine");
    }

    #[test]
    fn each_file_is_looked_for() {
        for name in [CONFIG, KEY, RULES_TESTS, DATABASE] {
            let folder = tempdir().unwrap();
            assert!(refuse_existing(folder.path()).is_ok());
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            // A link that leads nowhere.
            std::os::unix::fs::symlink("nowhere", &file).unwrap();
            let message = refuse_existing(folder.path()).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }
}
