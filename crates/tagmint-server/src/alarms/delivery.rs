//! Bringing notices to a sink, in order, until they have arrived or a day has passed.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tagmint_store::{NewNotice, StoreError};
use tokio::{sync::mpsc, time::timeout};

use super::sinks::{AlarmSink, SinkError};
use crate::app::App;

/// How often stored notices are looked for: another node may have made them, or the time to try again has come.
const POLL: Duration = Duration::from_secs(15);
/// How long a node that has taken a notice keeps it from the others; longer than a sink may take.
const LEASE: SignedDuration = SignedDuration::from_mins(5);
/// How long a sink may take, whatever it does by itself.
const MOST: Duration = Duration::from_mins(2);
/// How long a notice is tried. The reminder of a standing alarm comes after as long.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(24);

/// How long to wait after so many failures: 30 s, 1 min, 2 min, … an hour.
fn pause(attempts: u32) -> SignedDuration {
    SignedDuration::from_secs(30 << attempts.min(7)).min(SignedDuration::from_hours(1))
}

/// The delivery to one sink.
#[derive(Debug)]
pub(super) struct Delivery {
    app: Arc<App>,
    sink: Arc<dyn AlarmSink>,
    woken: mpsc::UnboundedReceiver<Option<NewNotice>>,
    /// Notices that the database did not take, with how often they were tried and when they are due.
    loose: VecDeque<(NewNotice, u32, Timestamp)>,
}

impl Delivery {
    pub(super) const fn new(
        app: Arc<App>,
        sink: Arc<dyn AlarmSink>,
        woken: mpsc::UnboundedReceiver<Option<NewNotice>>,
    ) -> Self {
        Self { app, sink, woken, loose: VecDeque::new() }
    }

    /// Delivers for as long as it is polled.
    pub(super) async fn keep(mut self) {
        loop {
            match timeout(POLL, self.woken.recv()).await {
                Ok(Some(notice)) => self.note(notice),
                Err(_) => {}
                // Nobody looks any more.
                Ok(None) => return,
            }
            self.pass().await;
        }
    }

    /// Delivers what is due.
    pub(super) async fn pass(&mut self) {
        while let Ok(notice) = self.woken.try_recv() {
            self.note(notice);
        }
        self.deliver_loose().await;
        if let Err(error) = self.deliver_stored().await {
            tracing::warn!(sink = self.sink.name(), %error, "the notices that are due cannot be read");
        }
    }

    fn note(&mut self, notice: Option<NewNotice>) {
        self.loose.extend(notice.map(|notice| {
            let due = notice.made_at;
            (notice, 0, due)
        }));
    }

    async fn deliver_loose(&mut self) {
        while let Some((notice, attempts, due)) = self.loose.pop_front() {
            let now = self.app.clock.now();
            if now.duration_since(notice.made_at) > GIVE_UP {
                self.count("given_up", 1);
                continue;
            }
            // The moment of a clock that was ahead is no reason to wait.
            let waits = due > now && due.duration_since(now) <= pause(attempts);
            if waits || !self.send(&notice.body, &notice.id).await {
                let next = if waits { (attempts, due) } else { (attempts + 1, now + pause(attempts)) };
                self.loose.push_front((notice, next.0, next.1));
                return;
            }
        }
    }

    async fn deliver_stored(&self) -> Result<(), StoreError> {
        let alarms = self.app.store.alarms();
        while let Some(notice) = alarms.take(self.sink.name(), self.app.clock.now(), LEASE).await? {
            let now = self.app.clock.now();
            if now.duration_since(notice.made_at) > GIVE_UP {
                self.count("given_up", alarms.give_up(now - GIVE_UP).await?);
            } else if self.send(&notice.body, &notice.id).await {
                alarms.arrived(&notice.id).await?;
            } else {
                return alarms.put_off(&notice.id, now + pause(notice.attempts)).await;
            }
        }
        Ok(())
    }

    /// Whether it has arrived.
    async fn send(&self, body: &str, id: &str) -> bool {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let sent = timeout(MOST, self.sink.deliver(&body)).await.unwrap_or(Err(SinkError::Late(MOST)));
        match &sent {
            Ok(()) => {
                tracing::info!(sink = self.sink.name(), notice = id, "notice delivered");
                self.count("delivered", 1);
            }
            Err(error) => {
                tracing::warn!(sink = self.sink.name(), notice = id, %error, "a notice did not arrive; it is tried again");
                self.count("failed", 1);
            }
        }
        sent.is_ok()
    }

    fn count(&self, result: &'static str, count: u64) {
        self.app.figures.alarm_notice(self.sink.name(), result, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour() {
        let seconds: Vec<i64> = (0..10).map(|attempts| pause(attempts).as_secs()).collect();
        assert_eq!(seconds, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
        assert_eq!(pause(u32::MAX).as_secs(), 3600);
        assert!(SignedDuration::try_from(MOST).unwrap() < LEASE);
    }
}
