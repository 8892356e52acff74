//! Which alarms are known, and which notices are due: one when an alarm begins, one when it becomes critical, a reminder now and then, one
//! when it is over.
//!
//! The nodes of one issuer share the book. Each writes down what it sees; an alarm is over when no node has seen it for a while, so that
//! what one node alone sees does not come and go with the others' looks.

use jiff::{SignedDuration, Timestamp};

use super::{Alarm, AlarmKind, Notice, NoticeEvent, Severity};

/// How long an alarm must not have been seen to be over, at least: three looks, one a minute.
const LEAST_QUIET: SignedDuration = SignedDuration::from_mins(3);

/// When notices are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoticePolicy {
    /// How long an alarm must have stood before it is told. What comes and goes within that is not.
    pub after: SignedDuration,
    /// How long until a standing alarm is told again.
    pub remind_every: SignedDuration,
}

impl Default for NoticePolicy {
    /// After two minutes, and again every day.
    fn default() -> Self {
        Self { after: SignedDuration::from_mins(2), remind_every: SignedDuration::from_hours(24) }
    }
}

impl NoticePolicy {
    /// How long an alarm must not have been seen by any node to be over.
    pub fn quiet(&self) -> SignedDuration {
        self.after.max(LEAST_QUIET)
    }
}

/// Where an alarm stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmState {
    /// Seen, and not told yet.
    Pending,
    /// Told.
    Firing {
        /// When it was told last.
        notified_at: Timestamp,
    },
    /// Not seen any more.
    Over {
        /// When that was found out.
        ended_at: Timestamp,
    },
}

impl AlarmState {
    /// The name, in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing { .. } => "firing",
            Self::Over { .. } => "over",
        }
    }
}

/// What is known of an alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmRecord {
    /// The alarm, as it was seen last. Its severity is the worst that was told while it stood.
    pub alarm: Alarm,
    /// Where it stands.
    pub state: AlarmState,
    /// Since when it has been seen without a break.
    pub since: Timestamp,
    /// When any node saw it last.
    pub seen_at: Timestamp,
}

/// The name of a record: no two have the same.
pub type AlarmName<'a> = (AlarmKind, Option<&'a str>);

impl AlarmRecord {
    /// Its name.
    pub fn name(&self) -> AlarmName<'_> {
        name(&self.alarm)
    }

    /// Whether it stands and was told.
    pub const fn is_firing(&self) -> bool {
        matches!(self.state, AlarmState::Firing { .. })
    }

    /// When it was last written.
    pub fn changed_at(&self) -> Timestamp {
        match self.state {
            AlarmState::Pending => self.seen_at,
            AlarmState::Firing { notified_at: at } | AlarmState::Over { ended_at: at } => at.max(self.seen_at),
        }
    }

    fn notice(&self, event: NoticeEvent, at: Timestamp) -> Notice {
        let Alarm { kind, subject, severity, text, fix } = self.alarm.clone();
        Notice { event, kind: Some(kind), subject, severity, since: self.since, at, text, fix }
    }

    /// It was seen at `now`.
    fn seen(mut self, alarm: Alarm, now: Timestamp, policy: &NoticePolicy) -> (Self, Option<NoticeEvent>) {
        // A clock that was set back must not make it wait.
        let waited = |moment: Timestamp, span: SignedDuration| now < moment || now.duration_since(moment) >= span;
        let severity = alarm.severity;
        let (state, event) = match self.state {
            AlarmState::Over { .. } => {
                self.since = now;
                (AlarmState::Pending, None)
            }
            state => (state, None::<NoticeEvent>),
        };
        let (state, event) = match state {
            AlarmState::Pending if waited(self.since, policy.after) => {
                (AlarmState::Firing { notified_at: now }, Some(NoticeEvent::Began))
            }
            AlarmState::Firing { .. } if severity > self.alarm.severity => {
                (AlarmState::Firing { notified_at: now }, Some(NoticeEvent::Worsened))
            }
            AlarmState::Firing { notified_at } if waited(notified_at, policy.remind_every) => {
                (AlarmState::Firing { notified_at: now }, Some(NoticeEvent::Reminder))
            }
            state => (state, event),
        };
        let told = matches!(state, AlarmState::Firing { .. }) && event != Some(NoticeEvent::Began);
        let severity = if told { severity.max(self.alarm.severity) } else { severity };
        (Self { alarm: Alarm { severity, ..alarm }, state, seen_at: now, since: self.since }, event)
    }

    /// It was not seen at `now`, for long enough.
    fn ended(self, now: Timestamp) -> (Self, Option<NoticeEvent>) {
        let event = self.is_firing().then_some(NoticeEvent::Ended);
        (Self { state: AlarmState::Over { ended_at: now }, ..self }, event)
    }
}

/// What a look at the issuer changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// The records that are new or changed.
    pub records: Vec<AlarmRecord>,
    /// What is to be told, to every sink.
    pub notices: Vec<Notice>,
}

/// What follows when a node sees these alarms at `now`. `looking_since`: when the node began to look; what it has not had time to see
/// it does not call over.
pub fn advance(
    known: &[AlarmRecord],
    seen: &[Alarm],
    now: Timestamp,
    looking_since: Timestamp,
    policy: &NoticePolicy,
) -> Changes {
    let mut changes = Changes::default();
    let mut note = |(record, event): (AlarmRecord, Option<NoticeEvent>)| {
        changes.notices.extend(event.map(|event| record.notice(event, now)));
        changes.records.push(record);
    };
    for alarm in seen {
        let before = known.iter().find(|record| record.name() == name(alarm)).cloned();
        let before = before.unwrap_or_else(|| AlarmRecord {
            alarm: alarm.clone(),
            state: AlarmState::Pending,
            since: now,
            seen_at: now,
        });
        note(before.seen(alarm.clone(), now, policy));
    }
    let quiet_since = |record: &AlarmRecord| record.seen_at.max(looking_since);
    for record in known {
        let standing = !matches!(record.state, AlarmState::Over { .. });
        let unseen = !seen.iter().any(|alarm| name(alarm) == record.name());
        // A record of the future is one from before the clock was set back.
        if standing && unseen && now.duration_since(quiet_since(record)).abs() >= policy.quiet() {
            note(record.clone().ended(now));
        }
    }
    changes
}

/// The newer of two books' records. What one node noted while the database was away is not forgotten when it is back.
pub fn merged(stored: Vec<AlarmRecord>, noted: &[AlarmRecord]) -> Vec<AlarmRecord> {
    let mut merged = stored;
    for record in noted {
        match merged.iter_mut().find(|stored| stored.name() == record.name()) {
            Some(stored) if stored.changed_at() < record.changed_at() => *stored = record.clone(),
            Some(_) => {}
            None => merged.push(record.clone()),
        }
    }
    merged
}

/// The worst of the alarms.
pub fn worst<'a>(alarms: impl IntoIterator<Item = &'a Alarm>) -> Option<Severity> {
    alarms.into_iter().map(|alarm| alarm.severity).max()
}

fn name(alarm: &Alarm) -> AlarmName<'_> {
    (alarm.kind, alarm.subject.as_deref())
}

#[cfg(test)]
mod tests;
