//! A replay as people read it.

use jiff::Timestamp;
use tagmint_core::{
    dry_run::replay::{Change, Example, Group},
    sanitize,
};

use super::Done;
use crate::durations;

/// How wide a reason may be, in characters.
const LONGEST_REASON: usize = 400;

/// The report. Of each kind at most `most` groups.
pub(super) fn render(done: &Done<'_>, most: usize) -> String {
    let tally = done.tally;
    let mut parts = vec![counts(done)];
    let groups = tally.groups();
    for (change, title) in
        [(Change::NewlyRefused, "NEWLY REFUSED"), (Change::NewlyAllowed, "NEWLY ALLOWED"), (Change::Changed, "CHANGED")]
    {
        let of_kind: Vec<&&Group> = groups.iter().filter(|group| group.change == change).collect();
        if of_kind.is_empty() {
            continue;
        }
        let mut lines = vec![title.to_owned()];
        for group in of_kind.iter().take(most) {
            lines.extend(self::group(group));
        }
        if let Some(further) = of_kind.len().checked_sub(most).filter(|further| *further > 0) {
            let rows: u64 = of_kind.iter().skip(most).map(|group| group.rows).sum();
            lines.push(format!("  and {} more groups with {} rows: --show N", count_of(further), count(rows)));
        }
        parts.push(lines.join("\n"));
    }
    if tally.rows_beyond > 0 {
        parts.push(format!("{} more rows change, of further rules and repositories", count(tally.rows_beyond)));
    }
    if !tally.undecided.is_empty() {
        let mut lines = vec!["NOT DECIDED AGAIN".to_owned()];
        for it in tally.undecided.values() {
            lines.push(format!("  {}  {}", rows(it.rows), example(&it.first)));
        }
        parts.push(lines.join("\n"));
    }
    parts.extend(done.notes.iter().map(|note| format!("! {}", sanitize::text(note))));
    parts.join("\n\n")
}

fn counts(done: &Done<'_>) -> String {
    let tally = done.tally;
    let against = match done.against {
        "trust_policy" => "the trust policy",
        "bucket_policy" => "the bucket policy",
        _ => "the rules",
    };
    let mut lines = vec![format!(
        "{} from {} to {} against {against}, {:.1} s ({} a second)",
        rows(tally.rows()),
        durations::rfc3339(done.since),
        durations::rfc3339(done.until),
        done.seconds,
        rows_text(done.rows_per_second()),
    )];
    let apart: Vec<String> =
        tally.not_affected.iter().map(|(code, rows)| format!("{} `{}`", count(*rows), sanitize::text(code))).collect();
    let figures = [
        ("unchanged", tally.unchanged, String::new()),
        ("newly refused", tally.count(Change::NewlyRefused), String::new()),
        ("newly allowed", tally.count(Change::NewlyAllowed), String::new()),
        ("changed", tally.count(Change::Changed), String::new()),
        ("not decided again", tally.undecided_rows(), String::new()),
        ("not affected", tally.not_affected.values().sum(), apart.join(", ")),
        ("refusals without a row", tally.omitted, String::new()),
    ];
    let width = figures.iter().map(|(_, rows, _)| count(*rows).len()).max().unwrap_or_default();
    for (name, rows, further) in figures {
        let optional = matches!(name, "not affected" | "refusals without a row" | "not decided again");
        if rows > 0 || !optional {
            lines.push(format!("  {name:<22}  {:>width$}  {further}", count(rows)).trim_end().to_owned());
        }
    }
    lines.join("\n")
}

fn group(group: &Group) -> Vec<String> {
    let rule = if group.rule.is_empty() { "no rule".to_owned() } else { format!("`{}`", sanitize::text(&group.rule)) };
    let mut first = format!("  {}  rule {rule}, {}", rows(group.rows), sanitize::text(&group.repository));
    if !group.fields.is_empty() {
        let fields: Vec<String> = group
            .fields
            .iter()
            .map(|(name, times)| {
                let name = sanitize::text(name);
                if *times == group.rows { name.into_owned() } else { format!("{name} ({})", count(*times)) }
            })
            .collect();
        first = format!("{first}: {}", fields.join(", "));
    }
    vec![first, format!("      {}", example(&group.first))]
}

/// A row, when it was, and why.
fn example(example: &Example) -> String {
    let at = Timestamp::from_millisecond(example.at_ms).map(durations::rfc3339).unwrap_or_default();
    format!("{} ({at}): {}", sanitize::text(&example.id), sanitize::shortened(&example.reason, LONGEST_REASON))
}

fn rows(number: u64) -> String {
    if number == 1 { "1 row".to_owned() } else { format!("{} rows", count(number)) }
}

fn rows_text(rate: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates are positive and far below 2^52"
    )]
    let whole = rate.round() as u64;
    count(whole)
}

fn count_of(number: usize) -> String {
    count(u64::try_from(number).unwrap_or(u64::MAX))
}

/// A whole number with commas between thousands.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
