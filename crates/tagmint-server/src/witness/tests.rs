//! What is bounded, and what survives a database that fails.

use tagmint_core::witness::Networks;

use super::*;

fn at(second: i64) -> Timestamp {
    // The beginning of an hour.
    Timestamp::from_second(1_789_999_200 + second).unwrap()
}

fn kid(number: u32) -> KeyId {
    format!("{number:0>43}").parse().unwrap()
}

fn set(numbers: &[u32]) -> Arc<[KeyId]> {
    numbers.iter().map(|number| kid(*number)).collect()
}

fn fetch(second: i64, remote: &str, agent: &str, shown: Option<Arc<[KeyId]>>) -> Fetch {
    Fetch {
        at: at(second),
        remote: remote.parse().unwrap(),
        agent: UserAgent::new(Some(agent.as_bytes())),
        document: Document::Jwks,
        status: 200,
        took: Duration::from_micros(40),
        shown,
    }
}

#[test]
fn alike_fetches_make_one_sum_and_keys_know_their_last() {
    let mut sums = Sums::default();
    sums.add(fetch(10, "192.0.2.1", "a", Some(set(&[1, 2]))), FetchClass::Sts);
    sums.add(fetch(20, "192.0.2.99", "a", Some(set(&[2]))), FetchClass::Sts);
    sums.add(fetch(30, "198.51.100.1", "b", Some(set(&[1, 2]))), FetchClass::Other);
    sums.add(fetch(40, "198.51.100.1", "b", None), FetchClass::Other);
    let (mut rows, mut keys) = sums.take().records();
    rows.sort_by_key(|row| row.last_at);
    assert_eq!(rows.len(), 2);
    let first = &rows[0];
    assert_eq!((first.fetches, first.total_us, first.last_at, first.hour), (2, 80, at(20), at(0)));
    assert_eq!((first.network.as_str(), first.agent.as_str()), ("192.0.2.0/24", "a"));
    keys.sort_by_key(|key| (key.kid.as_str().to_owned(), key.class.as_str()));
    let told: Vec<_> =
        keys.iter().map(|key| (key.kid.clone(), key.class, key.first_at, key.last_at, key.fetches)).collect();
    let (sts, other) = (FetchClass::Sts, FetchClass::Other);
    assert_eq!(
        told,
        [
            (kid(1), other, at(30), at(30), 1),
            (kid(1), sts, at(10), at(10), 1),
            (kid(2), other, at(30), at(30), 1),
            (kid(2), sts, at(10), at(20), 2)
        ]
    );
    assert!(sums.take().is_empty());
}

#[test]
fn a_stranger_makes_no_more_rows_than_an_hour_may_have_and_hides_nobody() {
    let mut sums = Sums::default();
    for number in 0..5000 {
        sums.add(fetch(number % 3600, "192.0.2.1", &format!("agent {number}"), Some(set(&[1]))), FetchClass::Other);
    }
    sums.add(fetch(3599, "203.0.113.1", "sts", Some(set(&[1]))), FetchClass::Sts);
    let (rows, keys) = sums.take().records();
    assert_eq!(rows.len(), 500 + 1 + 1);
    let others: u64 = rows.iter().filter(|row| row.network == "(others)").map(|row| row.fetches).sum();
    assert_eq!(others, 4500);
    assert!(rows.iter().any(|row| row.class == FetchClass::Sts && row.network == "203.0.113.0/24"));
    assert_eq!(keys.len(), 2);
    // The same hour after a write, and the next one.
    sums.add(fetch(3599, "192.0.2.1", "new", None), FetchClass::Other);
    sums.add(fetch(3600, "192.0.2.1", "new", None), FetchClass::Other);
    let (mut rows, _) = sums.take().records();
    rows.sort_by_key(|row| row.hour);
    assert_eq!(rows.iter().map(|row| row.agent.as_str()).collect::<Vec<_>>(), ["(others)", "new"]);
}

#[test]
fn what_was_not_written_is_added_to_what_came_since_and_stays_bounded() {
    let mut sums = Sums::default();
    sums.add(fetch(10, "192.0.2.1", "a", Some(set(&[1]))), FetchClass::Sts);
    let unwritten = sums.take();
    sums.add(fetch(5, "192.0.2.1", "a", Some(set(&[1]))), FetchClass::Sts);
    sums.put_back(unwritten);
    let (rows, keys) = sums.take().records();
    assert_eq!((rows.len(), rows[0].fetches, rows[0].last_at), (1, 2, at(10)));
    assert_eq!((keys[0].first_at, keys[0].last_at, keys[0].fetches), (at(5), at(10), 2));

    for hour in 0..20 {
        for number in 0..600 {
            sums.add(fetch(hour * 3600, "192.0.2.1", &format!("agent {number}"), None), FetchClass::Other);
        }
    }
    sums.add(fetch(20 * 3600, "203.0.113.1", "sts", Some(set(&[1]))), FetchClass::Sts);
    let (rows, keys) = sums.take().records();
    assert_eq!((rows.len(), keys.len()), (4096, 1), "the witness is kept where the sums are full");
}

#[tokio::test]
async fn a_full_queue_drops_and_counts() {
    let metrics = Metrics::new().unwrap();
    let networks = Some("203.0.113.0/24".parse::<Networks>().unwrap());
    let recorder = Recorder::new(Recognition { networks, ..Recognition::default() }, &metrics);
    for number in 0..QUEUE_LENGTH + 3 {
        let remote = if number % 2 == 0 { "203.0.113.1" } else { "192.0.2.1" };
        recorder.saw(fetch(1, remote, "a", None));
    }
    recorder.drain().await;
    let text = metrics.render();
    assert!(text.contains("tagmint_document_fetches_dropped_total 3"), "{text}");
    let half = QUEUE_LENGTH / 2;
    for class in ["sts", "other"] {
        let line = format!(r#"tagmint_document_fetches_total{{class="{class}",document="jwks"}} {half}"#);
        assert!(text.contains(&line), "{text}");
    }
    recorder.saw(fetch(2, "192.0.2.1", "a", None));
    assert!(metrics.render().contains("tagmint_document_fetches_dropped_total 3"), "there is room again");
}
