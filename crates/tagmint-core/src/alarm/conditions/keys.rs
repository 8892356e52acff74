//! The signing keys: whether one signs, whether the next is in time, whether they are read.

use jiff::{SignedDuration, Timestamp};

use super::{KeysView, about};
use crate::{
    alarm::{Alarm, AlarmKind, Severity},
    key_schedule::{KeyPhase, KeyRing},
};

pub(super) fn alarms(keys: &KeysView, now: Timestamp) -> Vec<Alarm> {
    let alarm =
        |kind, severity, text: String, fix: &str| Alarm { kind, subject: None, severity, text, fix: fix.to_owned() };
    let mut alarms = Vec::new();
    // From then on nothing is signed by keys that were read so long ago.
    if keys.read_ago.abs() > keys.policy.propagation {
        alarms.push(alarm(
            AlarmKind::SigningKeysUnread,
            Severity::Critical,
            format!(
                "the signing keys were last read from the database {} ago: nothing is minted",
                about(keys.read_ago)
            ),
            "see the log and the database's disk",
        ));
    }
    if !keys.can_sign {
        let from = keys.signs_from.map(|at| format!("; one may from {at:.0}")).unwrap_or_default();
        alarms.push(alarm(
            AlarmKind::SigningKeyMissing,
            Severity::Critical,
            format!("no key can sign, and nothing is minted{from}"),
            "`tagmint keys list` shows why: a withdrawn key's successor waits, or the key file is another one",
        ));
    }
    alarms.extend(lateness(keys, now).map(|(kind, text)| {
        let fix = "see the log for why the schedule is not followed, then `tagmint keys rotate`";
        alarm(kind, Severity::Warning, text, fix)
    }));
    alarms
}

/// What the schedule should have done by now. A key is published `publish_ahead` before it signs; the alarm comes when a tenth of that, or an
/// hour, has passed without.
fn lateness(keys: &KeysView, now: Timestamp) -> Option<(AlarmKind, String)> {
    let policy = &keys.policy;
    let signing = KeyRing(&keys.states).signing(now)?;
    let planned = signing.schedule.active_at + policy.rotate_every;
    let slack = (policy.publish_ahead / 10).max(SignedDuration::from_hours(1));
    // A next key has its moment, or a deadline where it waits for its witness, and begins to sign then.
    let has_next = keys.states.iter().any(|key| key.schedule.phase(now) == KeyPhase::Next);
    if now > planned + slack && !has_next {
        let age = about(now.duration_since(signing.schedule.active_at));
        let every = about(policy.rotate_every);
        let text = format!("the key `{}` has signed for {age}; a new one should follow every {every}", signing.kid);
        return Some((AlarmKind::SigningKeyOverdue, text));
    }
    (!has_next && now > planned - policy.publish_ahead + slack).then(|| {
        let text = format!("the signing key's turn ends at {planned:.0}, and no next key is published yet");
        (AlarmKind::SigningKeyNoSuccessor, text)
    })
}
