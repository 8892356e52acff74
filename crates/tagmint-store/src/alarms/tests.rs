//! Of several nodes one makes a notice and one delivers it; what was stored outlives the process.

use jiff::SignedDuration;
use tagmint_core::alarm::{AlarmKind, Severity};

use super::*;
use crate::test_support::{TestDatabase, at, engine_tests};

const LEASE: SignedDuration = SignedDuration::from_secs(60);

fn record(state: AlarmState, subject: Option<&str>) -> AlarmRecord {
    AlarmRecord {
        alarm: Alarm {
            kind: AlarmKind::ProviderKeysStale,
            subject: subject.map(str::to_owned),
            severity: Severity::Critical,
            text: "gone".to_owned(),
            fix: "look".to_owned(),
        },
        state,
        since: at(0),
        seen_at: at(60),
    }
}

fn notice(id: &str, made: i64, place: u32) -> NewNotice {
    NewNotice {
        id: id.to_owned(),
        sink: "slack".to_owned(),
        made_at: at(made),
        place,
        body: format!("{{\"id\":\"{id}\"}}"),
    }
}

async fn put(store: &Store, notices: Vec<NewNotice>) {
    store.alarms().change(|_| AlarmChanges { records: vec![], notices: notices.clone() }).await.unwrap();
}

async fn take(store: &Store, second: i64) -> Option<String> {
    store.alarms().take("slack", at(second), LEASE).await.unwrap().map(|notice| notice.id)
}

engine_tests! {
    async fn records_are_kept_as_they_were_written(database: TestDatabase) {
        let records = vec![
            record(AlarmState::Pending, None),
            record(AlarmState::Firing { notified_at: at(60) }, Some("github")),
            record(AlarmState::Over { ended_at: at(90) }, Some("gitlab")),
        ];
        let store = database.open().await;
        store.alarms().change(|_| AlarmChanges { records: records.clone(), notices: vec![] }).await.unwrap();
        store.close().await;
        let store = database.open().await;
        assert_eq!(store.alarms().list().await.unwrap(), records);
        let over = vec![record(AlarmState::Over { ended_at: at(120) }, None)];
        store.alarms().change(|_| AlarmChanges { records: over.clone(), notices: vec![] }).await.unwrap();
        assert_eq!(store.alarms().list().await.unwrap()[0], over[0]);
        // What a newer version writes is no obstacle.
        database.tamper("INSERT INTO alarms VALUES ('of-the-future', '', 'firing', 'warning', 'x', 'y', 1, 2, 3)").await;
        assert_eq!(store.alarms().list().await.unwrap().len(), 3);
    }

    async fn of_many_nodes_one_makes_the_notice(database: TestDatabase) {
        let (here, there) = (database.open().await, database.open().await);
        let tell = |number: usize, store: Store| async move {
            let plan = move |known: &[AlarmRecord]| {
                if known.iter().any(AlarmRecord::is_firing) {
                    return AlarmChanges::default();
                }
                let firing = record(AlarmState::Firing { notified_at: at(60) }, None);
                AlarmChanges { records: vec![firing], notices: vec![notice(&number.to_string(), 60, 0)] }
            };
            store.alarms().change(plan).await.unwrap().notices.len()
        };
        let tasks: Vec<_> = (0..20)
            .map(|number| tokio::spawn(tell(number, if number % 2 == 0 { here.clone() } else { there.clone() })))
            .collect();
        let mut made = 0;
        for task in tasks {
            made += task.await.unwrap();
        }
        assert_eq!(made, 1);
        assert_eq!(there.alarms().waiting("slack").await.unwrap(), 1);
    }

    async fn notices_are_taken_in_order_and_by_one_node(database: TestDatabase) {
        let (here, there) = (database.open().await, database.open().await);
        put(&here, vec![notice("b", 1, 1), notice("a", 1, 0), notice("c", 2, 0)]).await;
        assert_eq!(take(&here, 2).await.as_deref(), Some("a"));
        assert_eq!(take(&there, 2).await, None, "it is taken, and those behind it wait");
        here.alarms().put_off("a", at(30)).await.unwrap();
        assert_eq!(take(&there, 29).await, None);
        let again = there.alarms().take("slack", at(30), LEASE).await.unwrap().unwrap();
        assert_eq!((again.id.as_str(), again.attempts, again.made_at), ("a", 1, at(1)));
        // The node that has taken it dies.
        assert_eq!(take(&here, 89).await, None);
        assert_eq!(take(&here, 90).await.as_deref(), Some("a"));
        here.alarms().arrived("a").await.unwrap();
        there.alarms().arrived("a").await.unwrap();
        assert_eq!(take(&here, 90).await.as_deref(), Some("b"));
        assert_eq!(here.alarms().take("pager", at(90), LEASE).await.unwrap(), None);
    }

    async fn what_is_put_off_for_too_long_is_of_another_clock(database: TestDatabase) {
        let store = database.open().await;
        put(&store, vec![notice("a", 1, 0)]).await;
        store.alarms().put_off("a", at(86_400)).await.unwrap();
        assert_eq!(take(&store, 10).await.as_deref(), Some("a"));
        assert_eq!(store.alarms().give_up(at(1)).await.unwrap(), 0);
        assert_eq!(store.alarms().give_up(at(2)).await.unwrap(), 1);
        assert_eq!(take(&store, 100_000).await, None);
    }
}
