//! Archives, read back: after they were written, and together with the ledger that they belong to.

use std::{
    cmp::Ordering,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tagmint_core::{
    environment::Stamp,
    ledger::{
        LedgerHead, LedgerRow,
        archive::{ArchiveFacts, ArchiveFault, ArchiveReader, ArchiveRecord},
    },
    sealing::MasterKey,
};
use tagmint_store::VerifyReport;

use crate::error::CliError;

/// Reads and checks an archive; each of its rows is shown to `each`.
pub(crate) fn read(
    file: &Path,
    stamp: &Stamp,
    key: &MasterKey,
    mut each: impl FnMut(&LedgerRow),
) -> Result<ArchiveFacts, CliError> {
    let fault = |fault: ArchiveFault| CliError::Archive { file: file.to_owned(), fault };
    let opened =
        File::open(file).map_err(|error| CliError::NotFound(format!("the archive {}: {error}", file.display())))?;
    let mut lines = BufReader::new(opened);
    let failed = |source| CliError::Io { what: "the archive", source };
    let mut reader = ArchiveReader::new(stamp, key);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        let text = std::str::from_utf8(&line).map_err(|_| fault(ArchiveFault::NoArchive))?;
        if let Some(row) = reader.line(text).map_err(fault)? {
            each(&row);
        }
        line.clear();
    }
    reader.finish().map_err(fault)
}

/// Archives that were checked together with the ledger.
#[derive(Debug, Default)]
pub(crate) struct Archives {
    files: Vec<(PathBuf, ArchiveFacts)>,
    /// The hash of the row that was noted, where it is archived and known.
    pub(crate) expected: Option<String>,
}

/// Checks that the files hold all archived rows, and looks for a noted one among them.
pub(crate) fn verify(
    files: &[PathBuf],
    report: &VerifyReport,
    records: &[ArchiveRecord],
    stamp: &Stamp,
    key: &MasterKey,
    noted: Option<&LedgerHead>,
) -> Result<Archives, CliError> {
    let noted = noted.map(|head| head.seq);
    let recorded = records.iter().find(|record| Some(record.last.seq) == noted);
    let mut expected = recorded.map(|record| record.last.hash.clone());
    let mut found = Vec::new();
    for file in files {
        let facts = read(file, stamp, key, |row| {
            if Some(row.seq) == noted {
                expected = Some(row.hash.clone());
            }
        })?;
        found.push((file.clone(), facts));
    }
    found.sort_by_key(|(_, facts)| facts.after.seq);
    if found.is_empty() {
        return Ok(Archives { files: found, expected });
    }
    let cut = report.archived.clone().unwrap_or_else(|| LedgerHead::genesis(stamp));
    let mut last = LedgerHead::genesis(stamp);
    for (file, facts) in &found {
        if facts.after.seq > last.seq {
            return Err(CliError::Refused(missing(last.seq + 1, facts.after.seq)));
        }
        if facts.after != last {
            return Err(CliError::Refused(format!(
                "the archive {} does not follow from the one before: it begins after row {} ({}), and that one ends with row {} ({})",
                file.display(),
                facts.after.seq,
                facts.after.hash,
                last.seq,
                last.hash
            )));
        }
        last = facts.last.clone();
    }
    if last == cut {
        return Ok(Archives { files: found, expected });
    }
    Err(CliError::Refused(match last.seq.cmp(&cut.seq) {
        Ordering::Less => missing(last.seq + 1, cut.seq),
        Ordering::Greater => format!(
            "the archives end with row {}, and in the database rows from {} on have not been archived: `tagmint ledger archive` was \
             interrupted; run it again with the same `--out`",
            last.seq,
            cut.seq + 1
        ),
        Ordering::Equal => format!(
            "the archives end with another row {} ({}) than the database has recorded ({})",
            cut.seq, last.hash, cut.hash
        ),
    }))
}

fn missing(from: i64, to: i64) -> String {
    format!("rows {from} to {to} are in none of the archives that were given; give them all")
}

impl Archives {
    pub(crate) fn as_json(&self) -> Vec<Value> {
        let archive = |(file, facts): &(PathBuf, ArchiveFacts)| json!({"file": file, "first_seq": facts.first_seq(), "last": facts.last, "rows": facts.rows()});
        self.files.iter().map(archive).collect()
    }

    pub(crate) fn as_text(&self, report: &VerifyReport) -> String {
        match (&report.archived, self.files.len()) {
            (None, _) => String::new(),
            (Some(cut), 0) => format!(
                "{}; the first row builds on the last of them, by its sealed record (`--archive FILE` checks them too)\n",
                cut_in_words(cut)
            ),
            (Some(cut), files) => format!(
                "rows 1 to {} in {files} {} are, too, and the first row builds on the last of them\n",
                cut.seq,
                if files == 1 { "archive" } else { "archives" }
            ),
        }
    }
}

/// Where the ledger in the database begins, for who reads it.
pub(crate) fn cut_in_words(cut: &LedgerHead) -> String {
    format!("rows 1 to {} are archived, and not in the database", cut.seq)
}
