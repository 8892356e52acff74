//! Alarms of a running issuer: every minute it looks at itself, and tells who should know.
//!
//! Which alarms stand and which notices are due `tagmint_core::alarm` says. What is known is kept in the database, so that it outlives a
//! restart and several nodes tell once. While the database is away (an alarm in itself) the node goes by what it knows, and tells by itself.

mod certificate;
mod delivery;
mod look;
pub mod sinks;

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures::future::{join, join_all};
use jiff::Timestamp;
use tagmint_core::alarm::{
    Alarm, AlarmKind, Severity,
    book::{self, AlarmRecord, Changes, NoticePolicy},
    conditions,
};
use tagmint_store::{AlarmChanges, NewNotice};
use tokio::sync::mpsc;

pub use self::certificate::{CertificateSource, StoredView};
use self::{delivery::Delivery, look::Lookout, sinks::AlarmSink};
use crate::app::App;

/// How often the issuer looks at itself.
pub const LOOK_EVERY: Duration = Duration::from_mins(1);
/// When it looks a second time after its start: what was still being tried at the first look has worked or failed by then.
const SECOND_LOOK: Duration = Duration::from_secs(15);

/// What looking for alarms needs beside the issuer itself.
#[derive(Debug)]
pub struct AlarmParts {
    /// When notices are due.
    pub policy: NoticePolicy,
    /// Who is told.
    pub sinks: Vec<Arc<dyn AlarmSink>>,
    /// What is known of the stored certificate; none where TLS ends at a proxy.
    pub certificate: Option<Arc<dyn CertificateSource>>,
    /// The folder of the database.
    pub folder: PathBuf,
}

/// Looks for alarms.
#[derive(Debug)]
pub struct Alarms {
    app: Arc<App>,
    policy: NoticePolicy,
    lookout: Lookout,
    deliveries: Vec<Delivery>,
    posts: Vec<Post>,
    looking_since: Timestamp,
    /// What the database said last.
    known: Vec<AlarmRecord>,
    /// What was noted while the database was away.
    noted: Vec<AlarmRecord>,
}

/// The way to a sink's delivery, for notices that the database does not take.
#[derive(Debug)]
struct Post {
    sink: String,
    wake: mpsc::UnboundedSender<Option<NewNotice>>,
}

impl Alarms {
    /// Nothing is looked at yet.
    pub fn new(app: Arc<App>, parts: AlarmParts) -> Self {
        let AlarmParts { policy, sinks, certificate, folder } = parts;
        for sink in &sinks {
            app.figures.alarm_sink(sink.name());
        }
        let (deliveries, posts) = sinks
            .into_iter()
            .map(|sink| {
                let (wake, woken) = mpsc::unbounded_channel();
                let post = Post { sink: sink.name().to_owned(), wake };
                (Delivery::new(Arc::clone(&app), sink, woken), post)
            })
            .unzip();
        let lookout = Lookout::new(Arc::clone(&app), certificate, folder);
        let looking_since = app.clock.now();
        Self { app, policy, lookout, deliveries, posts, looking_since, known: vec![], noted: vec![] }
    }

    /// Looks every minute, for as long as it is polled, and delivers what is due. A sink that hangs holds up neither the looks nor the others.
    pub async fn keep(mut self) {
        let deliveries = std::mem::take(&mut self.deliveries);
        let looking = async {
            self.look().await;
            tokio::time::sleep(SECOND_LOOK).await;
            loop {
                self.look().await;
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        join(looking, join_all(deliveries.into_iter().map(Delivery::keep))).await;
    }

    /// Delivers what is due, once: for who looks by hand.
    pub async fn deliver(&mut self) {
        join_all(self.deliveries.iter_mut().map(Delivery::pass)).await;
    }

    /// Looks once. Returns the alarms that stand.
    pub async fn look(&mut self) -> Vec<Alarm> {
        let seen = self.lookout.look().await;
        let alarms = conditions::standing(&seen);
        self.show(&alarms, seen.now);
        let plan = |known: &[AlarmRecord]| self.plan(known, &alarms, seen.now);
        let store = self.app.store.clone();
        match store.alarms().change(plan).await {
            Ok(changes) => {
                self.noted.clear();
                // For when the database is away.
                self.known = match store.alarms().list().await {
                    Ok(known) => known,
                    Err(_) => book::merged(changes.records, &self.known),
                };
                for post in &self.posts {
                    let _ = post.wake.send(None);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "alarms cannot be kept in the database; this node tells of them by itself");
                let AlarmChanges { records, notices } = self.plan(&self.known, &alarms, seen.now);
                self.noted = book::merged(records, &self.noted);
                for notice in notices {
                    if let Some(post) = self.posts.iter().find(|post| post.sink == notice.sink) {
                        let _ = post.wake.send(Some(notice));
                    }
                }
            }
        }
        alarms
    }

    /// What is to be written, by what is known and seen.
    fn plan(&self, known: &[AlarmRecord], alarms: &[Alarm], now: Timestamp) -> AlarmChanges {
        let known = book::merged(known.to_vec(), &self.noted);
        let Changes { mut records, notices } = book::advance(&known, alarms, now, self.looking_since, &self.policy);
        let caught_up = self.noted.iter().filter(|noted| known.contains(noted));
        let caught_up = caught_up.filter(|noted| !records.iter().any(|record| record.name() == noted.name()));
        let caught_up: Vec<_> = caught_up.cloned().collect();
        records.extend(caught_up);
        let mut stored = Vec::new();
        for (place, notice) in (0..).zip(&notices) {
            let body = notice.body(&self.app.settings.stamp);
            let (alarm, event, subject) = (notice.alarm(), notice.event, notice.subject.as_deref().unwrap_or_default());
            stored.extend(self.posts.iter().map(|Post { sink, .. }| NewNotice {
                id: format!("{}:{alarm}:{subject}:{event}:{sink}", now.as_millisecond()),
                sink: sink.clone(),
                made_at: now,
                place,
                body: body.to_string(),
            }));
        }
        AlarmChanges { records, notices: stored }
    }

    /// Puts the alarms where people and programs look: the log, `readyz`, the metrics.
    fn show(&self, alarms: &[Alarm], now: Timestamp) {
        let before = self.app.alarms.swap(Arc::new(alarms.to_vec()));
        let same = |alarm: &Alarm, other: &Alarm| {
            (alarm.kind, &alarm.subject, alarm.severity) == (other.kind, &other.subject, other.severity)
        };
        for Alarm { kind, severity, text, fix, .. } in
            alarms.iter().filter(|alarm| !before.iter().any(|other| same(alarm, other)))
        {
            tracing::warn!(alarm = %kind, %severity, %text, %fix, "alarm");
        }
        for kind in AlarmKind::ALL {
            for severity in [Severity::Warning, Severity::Critical] {
                let standing = alarms.iter().filter(|alarm| (alarm.kind, alarm.severity) == (kind, severity)).count();
                let standing = u32::try_from(standing).unwrap_or(u32::MAX);
                self.app.figures.alarms_firing(kind.as_str(), severity.as_str(), standing);
            }
        }
        self.app.figures.set("tagmint_alarms_looked_at_seconds", now.as_duration().as_secs_f64());
    }
}
