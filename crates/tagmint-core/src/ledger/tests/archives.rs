//! Archives: what is written reads back, and every change to a file or a record is found.

use super::{super::archive::*, *};
use crate::sealing::MasterKey;

fn key(byte: u8) -> MasterKey {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    MasterKey::parse(&BASE64_STANDARD.encode([byte; 32])).unwrap()
}

/// The lines of an archive of rows `first` to `last`.
fn archive(first: usize, last: usize) -> (ArchiveFacts, Vec<String>) {
    let (rows, _) = chain(i64::try_from(last).unwrap());
    let stamp = stamp();
    let after = match first {
        1 => LedgerHead::genesis(&stamp),
        _ => LedgerHead { seq: rows[first - 2].seq, hash: rows[first - 2].hash.clone() },
    };
    let (mut writer, line) = ArchiveWriter::begin(&stamp, after);
    let mut lines = vec![line];
    lines.extend(rows[first - 1..].iter().map(|row| writer.row(row).unwrap()));
    let (facts, line) = writer.finish(&key(1));
    lines.push(line);
    (facts, lines)
}

fn read(lines: &[String], key: &MasterKey) -> Result<(ArchiveFacts, Vec<i64>), ArchiveFault> {
    let stamp = stamp();
    let mut reader = ArchiveReader::new(&stamp, key);
    let mut seqs = vec![];
    for line in lines {
        seqs.extend(reader.line(line)?.map(|row| row.seq));
    }
    Ok((reader.finish()?, seqs))
}

#[test]
fn what_is_written_reads_back() {
    let (facts, lines) = archive(3, 6);
    assert_eq!(read(&lines, &key(1)), Ok((facts.clone(), vec![3, 4, 5, 6])));
    assert_eq!((facts.first_seq(), facts.rows(), facts.last.seq), (3, 4, 6));
    assert!(lines[0].starts_with("{\"archive\":\"tagmint ledger archive v1\",\"issuer\":\"https://broker.example\""));
    // The digest is that of `head -n -1 FILE | sha256sum`.
    let bytes = lines[..lines.len() - 1].concat();
    assert_eq!(facts.sha256, hex(digest::digest(&digest::SHA256, bytes.as_bytes()).as_ref()));
    let (_, lines) = archive(1, 1);
    assert_eq!(read(&lines, &key(1)).unwrap().1, [1]);
}

#[test]
fn no_archive_is_made_of_altered_rows() {
    let (mut rows, _) = chain(3);
    rows[1].body = rows[1].body.replace("no rule", "a rule");
    let stamp = stamp();
    let (mut writer, _) = ArchiveWriter::begin(&stamp, LedgerHead::genesis(&stamp));
    writer.row(&rows[0]).unwrap();
    assert_eq!(writer.row(&rows[1]), Err(LedgerFault::Altered { seq: 2 }));
}

#[test]
fn every_change_to_a_file_is_found() {
    let (_, lines) = archive(1, 4);
    let changed = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        read(&lines, &key(1)).unwrap_err()
    };
    assert_eq!(changed(&|lines| lines.truncate(4)), ArchiveFault::Incomplete);
    assert_eq!(changed(&|lines| lines.clear()), ArchiveFault::NoArchive);
    assert_eq!(changed(&|lines| drop(lines.remove(0))), ArchiveFault::NoArchive);
    assert_eq!(
        changed(&|lines| drop(lines.remove(2))),
        ArchiveFault::Row(LedgerFault::Dropped { expected: 2, found: 3 })
    );
    // A row cut off at the end, and the last line kept.
    assert_eq!(changed(&|lines| drop(lines.remove(4))), ArchiveFault::Digest);
    assert_eq!(
        changed(&|lines| lines[2] = lines[2].replace("no rule", "a rule")),
        ArchiveFault::Row(LedgerFault::Altered { seq: 2 })
    );
    // White space alone: the rows are the same, the bytes are not.
    assert_eq!(changed(&|lines| lines[2] = lines[2].replace('\n', " \n")), ArchiveFault::Digest);
    assert_eq!(changed(&|lines| lines[2] = lines[2].trim_end().to_owned()), ArchiveFault::Line(3));
    assert_eq!(changed(&|lines| lines[2] = "{}\n".to_owned()), ArchiveFault::Line(3));
    assert_eq!(changed(&|lines| lines[2] = "\n".to_owned()), ArchiveFault::Line(3));
    assert_eq!(changed(&|lines| lines.push("\n".to_owned())), ArchiveFault::Continued);
    assert_eq!(changed(&|lines| lines.push(lines[1].clone())), ArchiveFault::Continued);
    assert_eq!(changed(&|lines| lines[5] = lines[5][..20].to_owned()), ArchiveFault::Incomplete);
    assert_eq!(changed(&|lines| lines[5] = lines[5].replace("\"rows\":4", "\"rows\":5")), ArchiveFault::Digest);
    let seal = lines[5].split("\"seal\":\"").nth(1).unwrap()[..64].to_owned();
    assert_eq!(changed(&|lines| lines[5] = lines[5].replace(&seal, &"0".repeat(64))), ArchiveFault::Seal);
    assert_eq!(read(&lines, &key(2)).unwrap_err(), ArchiveFault::Seal);
    let foreign = changed(&|lines| lines[0] = lines[0].replace("broker.example", "other.example"));
    assert!(matches!(foreign, ArchiveFault::Foreign { .. }), "{foreign}");
    let world = changed(&|lines| lines[0] = lines[0].replace("\"test\"", "\"prod\""));
    assert!(matches!(world, ArchiveFault::Foreign { .. }), "{world}");
}

#[test]
fn records_follow_each_other_and_are_sealed() {
    let (first, second) = (archive(1, 3).0, archive(4, 6).0);
    let record = |facts: &ArchiveFacts, at| ArchiveRecord::new(facts, at, &stamp(), &key(1));
    let records = [record(&first, 10), record(&second, 20)];
    let check = |records: &[ArchiveRecord]| check_records(records, &stamp(), &key(1));
    assert_eq!(check(&[]), Ok(None));
    assert_eq!(check(&records), Ok(Some(second.last.clone())));
    assert_eq!(check(&records[1..]), Err(LedgerFault::ArchiveMissing { expected: 1, found: 4 }));
    assert_eq!(check_records(&records, &stamp(), &key(2)), Err(LedgerFault::ArchiveRecord { seq: 3 }));
    let changes: [fn(&mut ArchiveRecord); 5] = [
        |record| record.first_seq = 5,
        |record| record.last.seq = 7,
        |record| record.last.hash = "00".to_owned(),
        |record| record.archived_at_ms = 0,
        |record| record.sha256 = "00".to_owned(),
    ];
    for change in changes {
        let mut records = records.clone();
        change(&mut records[1]);
        assert!(matches!(check(&records), Err(LedgerFault::ArchiveRecord { .. })), "{:?}", records[1]);
    }
}

#[test]
fn a_summary_of_omitted_refusals_survives_the_round_trip() {
    let mut row = entry(2);
    assert!(!row.to_body().contains("omitted"), "a row of its own says nothing about omitted ones");
    let Outcome::Refused(refused) = &mut row.outcome else { panic!() };
    let count = |name: &str, count| (name.to_owned(), count);
    refused.omitted = Some(Omitted {
        count: 12,
        since_ms: 1,
        until_ms: 2,
        limits: BTreeMap::from([count("limits.refusal_rows", 12)]),
        networks: BTreeMap::from([count("2001:db8::/48", 12)]),
    });
    let body = row.to_body();
    assert_eq!(json::parse_as::<LedgerEntry>(body.as_bytes()).unwrap(), row, "{body}");
}
