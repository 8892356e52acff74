//! A sweep as Prometheus reads it, through node_exporter's textfile collector.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use jiff::Timestamp;
use tagmint_aws::sweep::{Ended, FIGURES, Report};

use crate::error::CliError;

/// The text; without a report, of a run that failed before it removed anything.
pub(super) fn render(bucket: &str, report: Option<&Report>, finished_at: Timestamp) -> String {
    let ok = report.is_some_and(|report| report.failed == 0 && matches!(report.ended, Ended::Complete | Ended::Limit));
    let of = |figure: fn(&Report) -> u64| report.map_or(0, figure);
    let values = [
        finished_at.as_second().unsigned_abs(),
        u64::from(ok),
        of(|report| report.removed_objects + report.removed_uploads),
        of(|report| report.removed_bytes),
        of(|report| report.left() as u64),
        of(|report| report.failed),
        of(|report| report.outside),
    ];
    let mut text = String::new();
    for ((name, meaning), value) in FIGURES.iter().zip(values) {
        // Writing to a text cannot fail; a bucket's name has nothing to escape.
        let _ = writeln!(text, "# HELP {name} {meaning}\n# TYPE {name} gauge\n{name}{{bucket=\"{bucket}\"}} {value}");
    }
    text
}

/// Writes a file whole or not at all, for everybody to read.
pub(super) fn write(file: &Path, text: &str) -> Result<(), CliError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = || -> io::Result<()> {
        // node_exporter reads `*.prom`: the name until then is none.
        let mut fresh = tempfile::Builder::new().prefix(".tagmint-sweep-").tempfile_in(folder)?;
        fresh.write_all(text.as_bytes())?;
        fresh.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        fresh.as_file().sync_all()?;
        fresh.persist(file)?;
        Ok(())
    };
    written().map_err(|source| CliError::Io { what: "the metrics file (--metrics)", source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_failed_says_so() {
        let text = render("b-test", None, Timestamp::from_second(1_790_000_000).unwrap());
        assert!(text.contains("tagmint_sweep_finished_timestamp_seconds{bucket=\"b-test\"} 1790000000\n"), "{text}");
        assert!(text.contains("tagmint_sweep_ok{bucket=\"b-test\"} 0\n"), "{text}");
        assert_eq!(text.matches("# TYPE ").count(), FIGURES.len());
    }

    #[test]
    fn the_file_is_replaced_whole_and_readable() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tagmint.prom");
        for text in ["a 1\n", "a 2\n"] {
            write(&file, text).unwrap();
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        }
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
