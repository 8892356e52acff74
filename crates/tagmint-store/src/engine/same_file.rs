//! Whether a path still names the files that are open.
//!
//! SQLite goes on with the files that it has opened, wherever their names have gone: put another file in place and the rows that it writes
//! are in no database that anybody will read.

use std::{
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// A file whatever its name. No other file has the same one while this one is open anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

/// The file that a path names now, if any.
fn file_at(path: &Path) -> io::Result<Option<FileId>> {
    match std::fs::metadata(path) {
        Ok(file) => Ok(Some(FileId { device: file.dev(), inode: file.ino() })),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The database's file and its log, as they were opened. A connection must stay open for as long as this is asked: it keeps the log from
/// being deleted in order, and its id from being given to another file.
#[derive(Debug)]
pub(super) struct OpenFiles {
    database: (PathBuf, Option<FileId>),
    log: (PathBuf, Option<FileId>),
}

impl OpenFiles {
    /// Remembers the files of an open database.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        // SQLite's log lies beside the file itself, not beside a link to it.
        let mut log = std::fs::canonicalize(path)?.into_os_string();
        log.push("-wal");
        let log = PathBuf::from(log);
        Ok(Self { database: (path.to_owned(), file_at(path)?), log: (log.clone(), file_at(&log)?) })
    }

    /// Whether their names lead to the same files still: two look-ups in the file system.
    pub(super) fn in_place(&self) -> io::Result<bool> {
        for (path, opened) in [&self.database, &self.log] {
            if opened.is_none() || file_at(path)? != *opened {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
