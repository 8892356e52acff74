//! What is told about an alarm.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{AlarmKind, Severity};
use crate::{environment::Stamp, sanitize};

/// Why something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeEvent {
    /// The alarm has stood for long enough to be told.
    Began,
    /// It has become critical.
    Worsened,
    /// It still stands.
    Reminder,
    /// It is over.
    Ended,
    /// Nothing is wrong: somebody tries whether notices arrive.
    Test,
}

impl NoticeEvent {
    /// The name, in a notice's `event`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::Worsened => "worsened",
            Self::Reminder => "reminder",
            Self::Ended => "ended",
            Self::Test => "test",
        }
    }

    /// The state that a notice's `state` tells: `firing`, `ok` or `test`.
    pub const fn state(self) -> &'static str {
        match self {
            Self::Began | Self::Worsened | Self::Reminder => "firing",
            Self::Ended => "ok",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for NoticeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is told about an alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Why it is told.
    pub event: NoticeEvent,
    /// What is or was wrong; none in a test.
    pub kind: Option<AlarmKind>,
    /// Of which of several things.
    pub subject: Option<String>,
    /// How bad it is, or was at its worst.
    pub severity: Severity,
    /// Since when it was seen.
    pub since: Timestamp,
    /// When the notice was made.
    pub at: Timestamp,
    /// What was seen.
    pub text: String,
    /// What to do.
    pub fix: String,
}

impl Notice {
    /// A notice that says that nothing is wrong.
    pub fn test(at: Timestamp) -> Self {
        Self {
            event: NoticeEvent::Test,
            kind: None,
            subject: None,
            severity: Severity::Warning,
            since: at,
            at,
            text: "this is a test: nothing is wrong, and alarms arrive here".to_owned(),
            fix: "nothing".to_owned(),
        }
    }

    /// The alarm's id; `test` in a test.
    pub const fn alarm(&self) -> &'static str {
        match self.kind {
            Some(kind) => kind.as_str(),
            None => "test",
        }
    }

    /// One line for people: severity, whose it is, what was seen, what to do.
    pub fn line(&self, stamp: &Stamp) -> String {
        let Self { event, severity, fix, since, .. } = self;
        // The text may quote a stranger: a name in a key set, an answer of a server.
        let text = sanitize::text(&self.text);
        let of = self.subject.as_ref().map(|of| format!(" ({})", sanitize::text(of))).unwrap_or_default();
        let (issuer, environment, alarm) = (&stamp.issuer, stamp.environment, self.alarm());
        let whose = format!("{issuer} ({environment}): {alarm}{of}");
        match event {
            NoticeEvent::Ended => format!("[over] {whose}, seen since {since:.0}. It was: {text}"),
            NoticeEvent::Test => format!("[test] {whose}: {text}"),
            NoticeEvent::Reminder => {
                format!("[{severity}, still] {whose}, since {since:.0}: {text}. What to do: {fix}")
            }
            NoticeEvent::Began | NoticeEvent::Worsened => format!("[{severity}] {whose}: {text}. What to do: {fix}"),
        }
    }

    /// The JSON that sinks get. `text` is the whole line, as Slack's incoming webhooks want it; the other members are for programs.
    pub fn body(&self, stamp: &Stamp) -> Value {
        json!({
            "text": self.line(stamp),
            "alarm": self.alarm(),
            "subject": self.subject.as_deref().map(sanitize::text),
            "event": self.event.as_str(),
            "state": self.event.state(),
            "severity": self.severity,
            "issuer": stamp.issuer,
            "environment": stamp.environment,
            "since": format!("{:.0}", self.since),
            "at": format!("{:.0}", self.at),
            "detail": sanitize::text(&self.text),
            "fix": self.fix,
        })
    }
}
