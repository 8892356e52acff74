//! A sweep as people read it.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write},
    time::Duration,
};

use jiff::SignedDuration;
use tagmint_aws::sweep::{Ended, Line, Outcome, Progress, Report};

use crate::{
    durations,
    output::{Output, table},
};

/// Cells of the bar.
const WIDTH: u64 = 24;

/// A line on stderr that says how far it is; nothing where stderr is no terminal, and with `--format json`.
pub(super) struct Bar {
    what: &'static str,
    shown: bool,
    is_on: bool,
}

impl Bar {
    pub(super) fn new(what: &'static str, output: Output) -> Self {
        // It moves the cursor: where colours are unwanted (NO_COLOR, TERM=dumb), so are such sequences.
        let plain = anstream::AutoStream::choice(&std::io::stderr()) == anstream::ColorChoice::Never;
        Self { what, shown: false, is_on: !output.is_json() && !plain && std::io::stderr().is_terminal() }
    }

    pub(super) fn show(&mut self, progress: Progress) {
        if self.is_on {
            self.shown = true;
            write(&format!("\r\x1b[K{}", line(self.what, progress)));
        }
    }

    pub(super) fn end(&mut self) {
        if self.shown {
            write("\r\x1b[K");
        }
    }
}

/// A closed stderr must not end a sweep.
fn write(text: &str) {
    let mut stderr = std::io::stderr();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

fn line(what: &str, Progress { done, total }: Progress) -> String {
    let Some(total) = total.filter(|total| *total > 0) else { return format!("{what} {done}") };
    let filled = done.min(total).saturating_mul(WIDTH) / total;
    let cells: String = (0..WIDTH).map(|cell| if cell < filled { '#' } else { '.' }).collect();
    format!("{what} [{cells}] {done} of {total}")
}

/// `1 object`, `3 objects`, where an object is a version, a marker or an upload.
pub(super) fn things(count: u64) -> String {
    if count == 1 { "1 object".to_owned() } else { format!("{count} objects") }
}

/// The table, and what it comes to.
pub(super) fn report(report: &Report) -> String {
    let mut parts = Vec::new();
    if !report.prefixes.is_empty() {
        let header = ["prefix", "objects", "size", "uploads", "unused for", "why", "what"];
        parts.push(table(header, report.prefixes.iter().map(row)));
    }
    for failure in &report.failures {
        let version = failure.version.as_ref().map_or_else(String::new, |version| format!(" ({version})"));
        parts.push(format!("not removed: {}{version}: {} {}", failure.key, failure.code, failure.message));
    }
    parts.push(conclusion(report));
    parts.join("\n")
}

fn row(line: &Line) -> [String; 7] {
    let why = match line.closed_at {
        Some(at) => format!("pull request closed {}", durations::rfc3339(at)),
        None => line.why.to_owned(),
    };
    let what = match line.outcome {
        Outcome::WouldGo => "would go".to_owned(),
        Outcome::WouldBegin => "would go in part: limit".to_owned(),
        Outcome::Gone => "gone".to_owned(),
        Outcome::Begun => format!("{} gone, the rest next time", line.removed),
        Outcome::InUse => "written to meanwhile: stays".to_owned(),
        Outcome::Failed => format!("{} gone, S3 refused others", line.removed),
        Outcome::Left => "left for the next run".to_owned(),
    };
    let age = SignedDuration::from_secs(line.age_seconds);
    [
        line.prefix.to_string(),
        line.objects.to_string(),
        size(line.bytes),
        line.uploads.to_string(),
        rounded(age),
        why,
        what,
    ]
}

fn conclusion(report: &Report) -> String {
    let stays: u64 = report.kept.values().sum();
    let mut text = if report.applied {
        format!(
            "{} of {} prefixes gone: {} ({}), {} unfinished uploads",
            report.count(Outcome::Gone),
            report.prefixes.len(),
            things(report.removed_objects),
            size(report.removed_bytes),
            report.removed_uploads
        )
    } else {
        let objects: u64 = report.prefixes.iter().map(|line| line.objects).sum();
        let bytes: u64 = report.prefixes.iter().map(|line| line.bytes).sum();
        format!("{} prefixes would go: {} ({})", report.prefixes.len(), things(objects), size(bytes))
    };
    let _ = write!(text, "; {stays} stay");
    if report.ended == Ended::Limit {
        let _ = write!(text, "\na limit was reached (--limit, --limit-prefixes): {} prefixes are left", report.left());
    }
    if let Some(pulls) = &report.pulls {
        let _ = write!(
            text,
            "\nprefixes of pull requests, by GitHub: {} closed, {} open, {} unclear, {} not asked for",
            pulls.closed, pulls.open, pulls.unclear, pulls.unasked
        );
    }
    if report.kept.contains_key("future") {
        text.push_str("\nsome were used in the future: a clock was or is wrong; they stay");
    }
    if report.outside > 0 {
        let examples = report.outside_examples.join(", ");
        let _ = write!(text, "\nin no namespace, and kept: {} ({examples})", things(report.outside));
    }
    if !report.applied && !report.prefixes.is_empty() {
        text.push_str("\nnothing was changed: this was a dry run. With --apply they go");
    }
    text
}

fn rounded(age: SignedDuration) -> String {
    let seconds = age.as_secs().unsigned_abs();
    let whole = |unit: u64| Duration::from_secs(seconds / unit * unit);
    let age = if seconds >= 86_400 {
        whole(86_400)
    } else if seconds >= 3_600 {
        whole(3_600)
    } else {
        whole(1)
    };
    durations::in_words(SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX))
}

fn size(bytes: u64) -> String {
    let units = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let Some((unit, scale)) = units.into_iter().find(|(_, scale)| bytes >= *scale) else {
        return format!("{bytes} B");
    };
    let tenths = u128::from(bytes) * 10 / u128::from(scale);
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_shortly() {
        let told = [0, 1_023, 1_024, 1_600, 5 * 1_048_576, u64::MAX].map(size);
        assert_eq!(told, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 MiB", "16777215.9 TiB"]);
        let ages = [59, 3_700, 90_000].map(|seconds| rounded(SignedDuration::from_secs(seconds)));
        assert_eq!(ages, ["59 seconds", "1 hour", "1 day"]);
        assert_eq!(line("removed", Progress { done: 5, total: None }), "removed 5");
        let half = line("removed", Progress { done: 5, total: Some(10) });
        assert_eq!(half, "removed [############............] 5 of 10");
        assert_eq!(line("removed", Progress { done: 9, total: Some(3) }), "removed [########################] 9 of 3");
    }
}
