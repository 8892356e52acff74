//! Which rows go, which stay, and that an end between any two steps loses nothing.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tagmint_core::{environment::Environment, issuer::IssuerUrl, ledger::archive::ArchiveFault};
use tagmint_store::{DatabaseUrl, StoreOptions};
use tagmint_testkit::{
    keys::master_key,
    ledger::{FIRST_ENTRY_AT_MS, mint, refusal},
};

use super::*;

/// A ledger, and a folder for its archives.
struct Stage {
    folder: tempfile::TempDir,
    store: Store,
    key: Arc<MasterKey>,
    stamp: Stamp,
}

impl Stage {
    async fn with_entries(entries: impl IntoIterator<Item = LedgerEntry>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let issuer = IssuerUrl::parse("https://broker.example").unwrap();
        let stamp = Stamp { issuer, environment: Environment::Test };
        let stage = Self { store: open(folder.path(), &stamp).await, folder, key: master_key(1), stamp };
        stage.append(entries).await;
        stage
    }

    /// Rows 1 to `count`, the even ones refusals.
    async fn with_rows(count: i64) -> Self {
        Self::with_entries((1..=count).map(|number| if number % 2 == 0 { refusal(number) } else { mint(number) })).await
    }

    async fn append(&self, entries: impl IntoIterator<Item = LedgerEntry>) {
        let writer = self.store.ledger_writer(Arc::clone(&self.key)).await.unwrap();
        for entry in entries {
            writer.append(entry, Duration::from_secs(20)).await.unwrap();
        }
        writer.close().await;
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An archive of the rows before the `before`th, of which the latest `keep` stay.
    async fn archive_to(
        &self,
        store: &Store,
        (before, keep): (i64, i64),
        out: &Path,
        stop_after: Option<Step>,
    ) -> Result<Done, CliError> {
        let job = Job {
            store,
            stamp: &self.stamp,
            key: &self.key,
            before: Timestamp::from_millisecond(FIRST_ENTRY_AT_MS + before).unwrap(),
            now: Timestamp::from_millisecond(FIRST_ENTRY_AT_MS).unwrap() + SignedDuration::from_hours(48),
            keep,
            out,
        };
        let mut stop = |step| if Some(step) == stop_after { Err(killed()) } else { Ok(()) };
        job.run(&mut stop).await
    }

    async fn archive(&self, before: i64, keep: i64, out: &str) -> Result<Done, CliError> {
        self.archive_to(&self.store, (before, keep), &self.file(out), None).await
    }

    fn read(&self, out: &str) -> Result<(ArchiveFacts, Vec<i64>), CliError> {
        let mut seqs = vec![];
        let facts = read(&self.file(out), &self.stamp, &self.key, |row| seqs.push(row.seq))?;
        Ok((facts, seqs))
    }
}

async fn open(folder: &Path, stamp: &Stamp) -> Store {
    let database = DatabaseUrl::Sqlite(folder.join("tagmint.db"));
    Store::open(&StoreOptions::new(database, stamp.clone())).await.unwrap()
}

fn killed() -> CliError {
    CliError::Refused("killed".to_owned())
}

async fn stored(store: &Store) -> Vec<i64> {
    let rows = store.ledger().page(&LedgerQuery::default(), 10_000).await.unwrap();
    rows.iter().map(|row| row.seq).collect()
}

#[tokio::test]
async fn the_oldest_rows_go_and_the_whole_is_verified_with_the_files() {
    let stage = Stage::with_rows(12).await;
    let report = |store: Store| async move { store.ledger().verify(&master_key(1)).await.unwrap() };
    let before = report(stage.store.clone()).await;
    let done = stage.archive(6, 1, "a.jsonl").await.unwrap();
    assert_eq!((done.removed, done.facts.as_ref().unwrap().rows(), done.head.clone()), (5, 5, before.head.clone()));
    assert_eq!(stored(&stage.store).await, [6, 7, 8, 9, 10, 11, 12]);
    let (facts, seqs) = stage.read("a.jsonl").unwrap();
    assert_eq!((facts.first_seq(), seqs), (1, vec![1, 2, 3, 4, 5]));
    assert_eq!(fs::metadata(stage.file("a.jsonl")).unwrap().mode() & 0o777, 0o600);
    assert!(!stage.file("a.jsonl.partial").exists());
    let again = stage.archive(6, 1, "b.jsonl").await.unwrap();
    assert_eq!((again.facts, again.removed), (None, 0), "nothing is due, and there is no file");
    assert!(!stage.file("b.jsonl").exists() && !stage.file("b.jsonl.partial").exists());
    stage.archive(10, 1, "b.jsonl").await.unwrap();
    assert_eq!(stage.read("b.jsonl").unwrap().1, [6, 7, 8, 9]);

    let now = report(stage.store.clone()).await;
    assert_eq!((now.rows, &now.head, now.archived.as_ref().unwrap().seq), (3, &before.head, 9));
    let records = stage.store.ledger().archives(&stage.key).await.unwrap();
    let check = |files: &[&str], noted: Option<i64>| {
        let files: Vec<PathBuf> = files.iter().map(|file| stage.file(file)).collect();
        let noted = noted.map(|seq| LedgerHead { seq, hash: String::new() });
        verify(&files, &now, &records, &stage.stamp, &stage.key, noted.as_ref())
    };
    // In whatever order they are named.
    let whole = check(&["b.jsonl", "a.jsonl"], Some(3)).unwrap();
    assert_eq!(whole.as_json().len(), 2);
    assert!(whole.expected.is_some() && check(&[], Some(3)).unwrap().expected.is_none());
    assert!(check(&[], Some(5)).unwrap().expected.is_some(), "the ends of archives are recorded");
    for (files, says) in [
        (&["b.jsonl"][..], "rows 1 to 5 are in none of the archives"),
        (&["a.jsonl"], "rows 6 to 9 are in none of the archives"),
        (&["a.jsonl", "a.jsonl", "b.jsonl"], "does not follow from the one before"),
        (&["a.jsonl", "c.jsonl"], "No such file"),
    ] {
        let error = check(files, None).unwrap_err().to_string();
        assert!(error.contains(says), "{files:?}: {error}");
    }
}

#[tokio::test]
async fn what_is_young_recent_or_may_live_stays() {
    let stage = Stage::with_rows(6).await;
    let done = stage.archive(1_000, 4, "a").await.unwrap();
    assert_eq!((done.facts.unwrap().last.seq, done.held.unwrap().0), (2, 3), "`--keep`");
    assert!(done.held.unwrap().1.contains("--keep"));
    let done = stage.archive(5, 1, "b").await.unwrap();
    assert_eq!((done.facts.unwrap().last.seq, done.held), (4, None), "younger rows are no surprise");

    // A token that was minted by a clock that was ahead lives longer than its row is old.
    let ahead = |number: i64, hours: i64| {
        let mut entry = mint(number);
        if let Outcome::Minted(minted) = &mut entry.outcome {
            minted.expires_at += hours * 3_600;
        }
        entry
    };
    let stage = Stage::with_entries([mint(1), ahead(2, 47), mint(3), mint(4)]).await;
    let done = stage.archive(1_000, 1, "a").await.unwrap();
    assert_eq!((done.facts.as_ref().unwrap().last.seq, done.held.unwrap().0), (1, 2));
    assert!(done.as_text_held().contains("may still live"));

    let future = LedgerEntry { at_ms: FIRST_ENTRY_AT_MS + 1_000 * 3_600 * 1_000, ..refusal(2) };
    let stage = Stage::with_entries([mint(1), future, mint(3), mint(4)]).await;
    let done = stage.archive(1_000, 1, "a").await.unwrap();
    assert!(done.as_text_held().contains("its time is in the future"));
}

impl Done {
    fn as_text_held(&self) -> String {
        self.as_text(Path::new("a"))
    }
}

#[tokio::test]
async fn an_end_between_any_two_steps_loses_nothing_and_the_same_command_goes_on() {
    use Step::{Checked, Named, Recorded, Resumed, Verified, Written};
    for step in [Verified, Resumed, Written, Named, Checked, Recorded] {
        let stage = Stage::with_rows(9).await;
        let all: BTreeSet<i64> = (1..=9).collect();
        let out = stage.file("a");
        let error = stage.archive_to(&stage.store, (7, 1), &out, Some(step)).await.unwrap_err();
        assert_eq!(error.to_string(), killed().to_string(), "{step:?}");
        // What a process finds that starts now.
        let folder = tempfile::tempdir().unwrap();
        for name in ["tagmint.db", "tagmint.db-wal"] {
            fs::copy(stage.file(name), folder.path().join(name)).unwrap();
        }
        let store = open(folder.path(), &stage.stamp).await;
        let report = store.ledger().verify(&stage.key).await.unwrap();
        let kept: BTreeSet<i64> = stored(&store).await.into_iter().collect();
        assert_eq!(kept, all, "{step:?}: no row leaves before the archive is recorded");
        assert_eq!(report.unpruned, if step == Recorded { 6 } else { 0 });
        // Another issuer's process writes on meanwhile.
        let writer = store.ledger_writer(Arc::clone(&stage.key)).await.unwrap();
        writer.append(mint(100), Duration::from_secs(20)).await.unwrap();
        writer.close().await;

        let done =
            stage.archive_to(&store, (7, 1), &out, None).await.unwrap_or_else(|error| panic!("{step:?}: {error}"));
        assert_eq!((done.removed, done.facts.unwrap().last.seq), (6, 6), "{step:?}");
        assert_eq!(stage.read("a").unwrap().1, [1, 2, 3, 4, 5, 6], "{step:?}");
        assert_eq!(stored(&store).await, [7, 8, 9, 10], "{step:?}");
        let report = store.ledger().verify(&stage.key).await.unwrap();
        let records = store.ledger().archives(&stage.key).await.unwrap();
        assert_eq!((report.unpruned, records.len()), (0, 1), "{step:?}");
        verify(std::slice::from_ref(&out), &report, &records, &stage.stamp, &stage.key, None).unwrap();
        let again = stage.archive_to(&store, (7, 1), &out, None).await.unwrap();
        assert_eq!((again.removed, again.facts.unwrap().last.seq), (0, 6), "{step:?}: once more changes nothing");
    }
}

#[tokio::test]
async fn a_file_that_is_cut_short_or_another_is_not_relied_on() {
    let stage = Stage::with_rows(9).await;
    for content in ["", "something else\n", "{\"archive\":\"tagmint ledger archive v1\"}\n"] {
        fs::write(stage.file("a"), content).unwrap();
        let error = stage.archive(7, 1, "a").await.unwrap_err().to_string();
        assert!(
            error.contains("exists, and it is not an archive of a ledger") && error.contains("name another file"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(stage.file("a")).unwrap(), content);
    }
    stage.archive(4, 1, "b").await.unwrap();
    stage.archive(7, 1, "c").await.unwrap();
    let error = stage.archive(8, 1, "b").await.unwrap_err().to_string();
    assert!(error.contains("exists, and holds rows 1 to 3; name another file"), "{error}");
    let whole = fs::read(stage.file("b")).unwrap();
    fs::write(stage.file("d"), &whole[..whole.len() - 10]).unwrap();
    let error = stage.read("d").unwrap_err();
    assert!(matches!(error, CliError::Archive { fault: ArchiveFault::Incomplete, .. }), "{error}");
    fs::write(stage.file("d"), [whole.as_slice(), b"\xff\n"].concat()).unwrap();
    assert!(stage.read("d").is_err());
    assert_eq!(stored(&stage.store).await, [7, 8, 9]);
}

#[tokio::test]
async fn a_file_that_does_not_read_back_removes_nothing() {
    let stage = Stage::with_rows(9).await;
    let out = stage.file("a");
    let job = Job {
        store: &stage.store,
        stamp: &stage.stamp,
        key: &stage.key,
        before: Timestamp::from_millisecond(FIRST_ENTRY_AT_MS + 7).unwrap(),
        now: Timestamp::from_millisecond(FIRST_ENTRY_AT_MS).unwrap() + SignedDuration::from_hours(48),
        keep: 1,
        out: &out,
    };
    // A disk that loses a byte.
    let mut damage = |step| {
        if step == Step::Named {
            let text = fs::read_to_string(&out).unwrap();
            fs::write(&out, text.replacen("no rule", "no role", 1)).unwrap();
        }
        Ok(())
    };
    let error = job.run(&mut damage).await.unwrap_err();
    assert!(matches!(&error, CliError::Archive { .. }), "{error}");
    assert_eq!(stored(&stage.store).await.len(), 9);
    assert_eq!(stage.store.ledger().archived_until().await.unwrap(), None);
}

#[tokio::test]
async fn two_at_once_do_not_write_one_file() {
    let stage = Stage::with_rows(9).await;
    let first = Partial::create(&stage.file("a")).unwrap();
    let error = stage.archive(7, 1, "a").await.unwrap_err().to_string();
    assert!(error.contains("another `tagmint ledger archive` writes"), "{error}");
    drop(first);
    // What a killed one has left is written over.
    fs::write(stage.file("a.partial"), "left over").unwrap();
    stage.archive(7, 1, "a").await.unwrap();
    assert_eq!(stage.read("a").unwrap().1.len(), 6);
    // Nor does the slower of two take the faster one's name.
    fs::write(stage.file("b"), "there").unwrap();
    let error = Partial::create(&stage.file("b")).unwrap().name(&stage.file("b")).unwrap_err().to_string();
    assert!(error.contains("exists; name another file"), "{error}");
    assert_eq!(fs::read_to_string(stage.file("b")).unwrap(), "there");
}

#[test]
fn the_last_day_stays() {
    let now = Timestamp::from_second(1_790_000_000).unwrap();
    let args = |before: &str, out: &str| ArchiveArgs { before: before.parse().unwrap(), out: out.into(), keep: 1 };
    assert!(before(&args("24h", "a"), now).is_ok() && before(&args("90d", "a"), now).is_ok());
    for (young, says) in [("23h", "is 23 hours ago"), ("2999-01-01T00:00:00Z", "is in the future"), ("0s", "ago")] {
        let error = before(&args(young, "a"), now).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("--before 24h"), "{error}");
    }
    let error = before(&args("90d", "-"), now).unwrap_err();
    assert_eq!((error.status(), error.code()), (2, "usage"));
}
