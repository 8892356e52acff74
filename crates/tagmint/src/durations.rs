//! Durations and moments, as people write and read them.

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// Reads `90s`, `5m`, `1h30m`, `30d`. A day has 24 hours. None for anything else, for months and years, and for a sign.
pub fn parse(text: &str) -> Option<SignedDuration> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) || !text.is_ascii() {
        return None;
    }
    let span: Span = text.parse().ok()?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return None;
    }
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    (!duration.is_negative()).then_some(duration)
}

/// The largest units that say a duration: `1 hour 30 minutes`, `30 days`, `100 ms`.
pub fn in_words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    if seconds == 0 {
        return format!("{} ms", duration.as_millis());
    }
    let units = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];
    let mut rest = seconds.abs();
    let mut words = Vec::new();
    for (name, size) in units {
        let count = rest / size;
        rest %= size;
        if count > 0 {
            words.push(format!("{count} {name}{}", if count == 1 { "" } else { "s" }));
        }
    }
    words.join(" ")
}

/// `in 3 days`, `2 hours ago`, `now`: in the largest unit that fits, rounded.
pub fn relative(moment: Timestamp, now: Timestamp) -> String {
    let away = moment.duration_since(now).as_secs();
    let seconds = away.unsigned_abs();
    let (name, size) = match seconds {
        0 => return "now".to_owned(),
        1..90 => ("second", 1),
        90..5_400 => ("minute", 60),
        5_400..129_600 => ("hour", 3_600),
        _ => ("day", 86_400),
    };
    let count = (seconds + size / 2) / size;
    let plural = if count == 1 { "" } else { "s" };
    if away > 0 { format!("in {count} {name}{plural}") } else { format!("{count} {name}{plural} ago") }
}

/// RFC 3339, in whole seconds.
pub fn rfc3339(moment: Timestamp) -> String {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment).to_string()
}

/// RFC 3339, and how far away that is.
pub fn moment(moment: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", rfc3339(moment), relative(moment, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let seconds = |text| parse(text).map(|duration| duration.as_secs());
        for (text, expected) in
            [("90s", 90), ("5m", 300), ("1h30m", 5_400), ("30d", 2_592_000), ("1 hour 5 minutes", 3_900), ("0s", 0)]
        {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in ["", "5", "-5m", "5 parsecs", "1mo", "1y", "5m ago", "99999999999999999999h", "P1D", "٣s"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn moments_are_told_from_now() {
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        let away = |seconds| relative(now + SignedDuration::from_secs(seconds), now);
        assert_eq!(away(0), "now");
        assert_eq!(away(3 * 86_400 + 5), "in 3 days");
        assert_eq!(away(86_400), "in 24 hours");
        assert_eq!(away(90 * 86_400 - 1), "in 90 days");
        assert_eq!(away(1), "in 1 second");
        assert_eq!(away(-7_300), "2 hours ago");
        assert_eq!(in_words(SignedDuration::from_secs(5_430)), "1 hour 30 minutes 30 seconds");
        assert_eq!(in_words(SignedDuration::from_millis(100)), "100 ms");
    }
}
