//! `tagmint ledger archive`: the oldest rows go into a file, and then out of the database.
//!
//! The order is what makes it safe to be killed at any point: the ledger is verified; the file is written under another name, made durable,
//! and gets its name; it is read back and checked; the database notes, sealed, that its rows are archived; the rows are removed. The same
//! command continues from wherever it was interrupted.

mod checking;

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufWriter, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};
use serde_json::{Value, json};
use tagmint_core::{
    clock::{Clock, SystemClock},
    environment::Stamp,
    ledger::{
        LedgerEntry, LedgerHead, LedgerRow, Outcome,
        archive::{ArchiveFacts, ArchiveRecord, ArchiveWriter},
    },
    sealing::MasterKey,
};
use tagmint_store::{LedgerQuery, Store};

use self::checking::read;
pub(super) use self::checking::{Archives, cut_in_words, verify};
use super::PAGE;
use crate::{cli::ArchiveArgs, compose, config::Config, durations::in_words, error::CliError, output::Output};

/// How old a row must be: a role session, at most 12 hours long, may have been opened until a token ended, 15 minutes and the grace of STS
/// after it was minted; and who looks into an incident looks at the last day first.
const LEAST_AGE: SignedDuration = SignedDuration::from_hours(24);
/// The longest role session that AWS gives.
const LONGEST_SESSION: SignedDuration = SignedDuration::from_hours(12);

/// Archives the oldest rows of the ledger.
pub async fn run(args: &ArchiveArgs, config: &Config, store: &Store, output: Output) -> Result<(), CliError> {
    let now = SystemClock.now();
    let job = Job {
        store,
        stamp: &config.settings.stamp,
        key: &*compose::master_key(config)?,
        before: before(args, now)?,
        now,
        keep: i64::from(args.keep),
        out: &args.out,
    };
    let done = job.run(&mut |_| Ok(())).await?;
    output.data(&done.as_json(&args.out), || done.as_text(&args.out))?;
    if done.facts.is_some() {
        output.talk(&format!(
            "Keep {} with the backups: `tagmint ledger verify --archive FILE` checks the whole ledger with it",
            args.out.display()
        ));
    }
    Ok(())
}

fn before(args: &ArchiveArgs, now: Timestamp) -> Result<Timestamp, CliError> {
    if args.out == Path::new("-") {
        return Err(CliError::Usage(
            "`--out -`: an archive must be a file, because it is checked before rows are removed; name one".to_owned(),
        ));
    }
    let before = args.before.moment(now);
    let age = now.duration_since(before);
    if age < LEAST_AGE {
        return Err(CliError::Refused(format!(
            "`--before` is {}: rows of the last 24 hours stay, because role sessions that were opened with their tokens may still live; \
             use `--before 24h` or more",
            if age.is_negative() { "in the future".to_owned() } else { format!("{} ago", in_words(age)) }
        )));
    }
    Ok(before)
}

/// How far an archive has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The ledger in the database has been verified.
    Verified,
    /// Rows of an earlier archive that was interrupted have been removed.
    Resumed,
    /// The file is complete and durable, under another name.
    Written,
    /// The file has its name.
    Named,
    /// The file has been read back and checked.
    Checked,
    /// The database knows that the rows are archived.
    Recorded,
}

/// An archive to be made.
struct Job<'a> {
    store: &'a Store,
    stamp: &'a Stamp,
    key: &'a MasterKey,
    before: Timestamp,
    now: Timestamp,
    /// How many of the latest rows stay whatever their age.
    keep: i64,
    out: &'a Path,
}

/// The outcome.
#[derive(Debug)]
struct Done {
    /// The facts about the file; none: no row is due.
    facts: Option<ArchiveFacts>,
    /// Rows that were removed from the database.
    removed: u64,
    /// The ledger's head, which has not moved.
    head: LedgerHead,
    /// The oldest row that stays although it is not the due date that keeps it, and why.
    held: Option<(i64, &'static str)>,
}

impl Job<'_> {
    /// Does it. `reached` is told after each step, and may end it there.
    async fn run(&self, reached: &mut (dyn FnMut(Step) -> Result<(), CliError> + Send)) -> Result<Done, CliError> {
        let ledger = self.store.ledger();
        let report = ledger.verify(self.key).await?;
        reached(Step::Verified)?;
        let mut removed = ledger.prune().await?;
        reached(Step::Resumed)?;
        let after = report.archived.unwrap_or_else(|| LedgerHead::genesis(self.stamp));
        let mut done = Done { facts: None, removed, head: report.head, held: None };
        if self.out.try_exists().map_err(failed("the archive"))? {
            done.facts = Some(self.existing(&after)?);
        } else {
            let (facts, held) = self.write(after.clone(), done.head.seq, reached).await?;
            (done.facts, done.held) = (facts, held);
        }
        let Some(facts) = done.facts.as_ref() else { return Ok(done) };
        if facts.last == after {
            // An earlier run has recorded it.
            return Ok(done);
        }
        reached(Step::Named)?;
        let checked = read(self.out, self.stamp, self.key, |_| {})?;
        if checked != *facts || checked.after != after {
            return Err(CliError::Refused(format!(
                "{} does not read back as it was written; nothing was removed. Check the disk, and name another file",
                self.out.display()
            )));
        }
        reached(Step::Checked)?;
        let record = ArchiveRecord::new(&checked, self.now.as_millisecond(), self.stamp, self.key);
        ledger.record_archive(&record).await?;
        reached(Step::Recorded)?;
        removed += ledger.prune().await?;
        done.removed = removed;
        Ok(done)
    }

    /// A file that an earlier run has completed.
    fn existing(&self, after: &LedgerHead) -> Result<ArchiveFacts, CliError> {
        let exists =
            |why: String| CliError::Refused(format!("{} exists, and {why}; name another file", self.out.display()));
        let facts = match read(self.out, self.stamp, self.key, |_| {}) {
            Ok(facts) => facts,
            Err(CliError::Archive { fault, .. }) => return Err(exists(fault.to_string())),
            Err(error) => return Err(error),
        };
        if facts.after == *after || facts.last == *after {
            return Ok(facts);
        }
        Err(exists(format!("holds rows {} to {}", facts.first_seq(), facts.last.seq)))
    }

    /// Writes the rows that are due, and makes them durable. None are due: there is no file.
    async fn write(
        &self,
        after: LedgerHead,
        end: i64,
        reached: &mut (dyn FnMut(Step) -> Result<(), CliError> + Send),
    ) -> Result<(Option<ArchiveFacts>, Option<(i64, &'static str)>), CliError> {
        let ledger = self.store.ledger();
        let mut page = ledger.page(&after_row(after.seq), PAGE).await?;
        if page.first().is_none_or(|row| self.stays(row, end).is_some()) {
            return Ok((None, page.first().and_then(|row| self.held(row, end))));
        }
        let partial = Partial::create(self.out)?;
        let mut file = BufWriter::new(&partial.file);
        let mut write = |line: &str| file.write_all(line.as_bytes()).map_err(failed("the archive"));
        let (mut writer, line) = ArchiveWriter::begin(self.stamp, after);
        write(&line)?;
        let mut held = None;
        'rows: while !page.is_empty() {
            for row in &page {
                if self.stays(row, end).is_some() {
                    held = self.held(row, end);
                    break 'rows;
                }
                let line = writer
                    .row(row)
                    .map_err(|fault| CliError::Archive { file: self.out.to_owned(), fault: fault.into() })?;
                write(&line)?;
            }
            page = ledger.page(&after_row(writer.last().seq), PAGE).await?;
        }
        let (facts, line) = writer.finish(self.key);
        write(&line)?;
        file.flush().map_err(failed("the archive"))?;
        drop(file);
        partial.file.sync_all().map_err(failed("the archive"))?;
        reached(Step::Written)?;
        partial.name(self.out)?;
        Ok((Some(facts), held))
    }

    /// Why a row stays; none: it is due.
    fn stays(&self, row: &LedgerRow, head: i64) -> Option<&'static str> {
        if row.at_ms >= self.before.as_millisecond() {
            return Some(if row.at_ms > self.now.as_millisecond() { "its time is in the future" } else { "" });
        }
        if row.seq > head - self.keep {
            return Some("it is one of the latest, which `--keep` keeps");
        }
        may_live(row, self.now).then_some("a session that was opened with its token may still live")
    }

    /// The first row that stays, and why, where it is not young.
    fn held(&self, row: &LedgerRow, head: i64) -> Option<(i64, &'static str)> {
        self.stays(row, head).filter(|why| !why.is_empty()).map(|why| (row.seq, why))
    }
}

/// Whether a role session may live that was opened with the row's token, by the end that the token itself has.
fn may_live(row: &LedgerRow, now: Timestamp) -> bool {
    let entry: Option<LedgerEntry> = tagmint_core::json::parse_as(row.body.as_bytes()).ok();
    match entry.map(|entry| entry.outcome) {
        Some(Outcome::Minted(minted)) => minted.expires_at + LONGEST_SESSION.as_secs() + 300 > now.as_second(),
        Some(Outcome::Fetched(fetched)) => fetched.expires_at + 300 > now.as_second(),
        Some(Outcome::Refused(_)) | None => false,
    }
}

fn after_row(seq: i64) -> LedgerQuery {
    LedgerQuery { after_seq: Some(seq), ..LedgerQuery::default() }
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> CliError {
    move |source| CliError::Io { what, source }
}

/// A file on its way: locked, and under another name until it is whole.
struct Partial {
    path: PathBuf,
    file: File,
}

impl Partial {
    fn create(out: &Path) -> Result<Self, CliError> {
        let mut path = OsString::from(out);
        path.push(".partial");
        let path = PathBuf::from(path);
        let failed = failed("the archive");
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(&failed)?;
        let busy =
            || CliError::Refused(format!("another `tagmint ledger archive` writes {}; wait for it", path.display()));
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(busy()),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // The previous holder of the lock may have given the file its name: then it must not be touched.
        let (opened, named) = (file.metadata().map_err(&failed)?, fs::metadata(&path));
        if named.is_ok_and(|named| (named.dev(), named.ino()) == (opened.dev(), opened.ino())) {
            file.set_len(0).map_err(&failed)?;
            Ok(Self { path, file })
        } else {
            Err(busy())
        }
    }

    /// Gives the file its name, durably. A file that has the name is not overwritten.
    fn name(self, out: &Path) -> Result<(), CliError> {
        let taken = || CliError::Refused(format!("{} exists; name another file", out.display()));
        match renameat_with(CWD, &self.path, CWD, out, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(taken()),
            // A file system that cannot promise it.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                if out.try_exists().map_err(failed("the archive"))? {
                    return Err(taken());
                }
                fs::rename(&self.path, out).map_err(failed("the archive"))?;
            }
            Err(error) => return Err(failed("the archive")(error.into())),
        }
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("the folder of the archive"))
    }
}

impl Done {
    fn as_json(&self, out: &Path) -> Value {
        let archive = self.facts.as_ref().map(|facts| {
            json!({
                "file": out,
                "first_seq": facts.first_seq(),
                "last": facts.last,
                "rows": facts.rows(),
                "sha256": facts.sha256,
            })
        });
        json!({"archive": archive, "removed_rows": self.removed, "head": self.head, "held_by_seq": self.held.map(|(seq, _)| seq)})
    }

    fn as_text(&self, out: &Path) -> String {
        let held =
            self.held.map_or_else(String::new, |(seq, why)| format!("\nrow {seq} and those after it stay: {why}"));
        match &self.facts {
            None => format!("no row is due: nothing was archived{held}"),
            Some(facts) => format!(
                "rows {} to {} are in {}, sealed; {} were removed from the database\nhead {}:{}{held}",
                facts.first_seq(),
                facts.last.seq,
                out.display(),
                self.removed,
                self.head.seq,
                self.head.hash
            ),
        }
    }
}

#[cfg(test)]
mod tests;
