use futures::FutureExt;

use super::*;

fn open(limits: Limits) -> Arc<OpenConnections> {
    let figures = ConnectionFigures {
        open: Gauge::noop(),
        refused: Counter::noop(),
        evicted: Counter::noop(),
        failed_handshakes: Counter::noop(),
        failed_accepts: Counter::noop(),
    };
    Arc::new(OpenConnections::new(&limits, &"10.0.0.0/30".parse().unwrap(), figures))
}

fn limits(connections: usize, connections_per_address: usize) -> Limits {
    Limits { connections, connections_per_address, ..Limits::default() }
}

fn peer(address: &str) -> Peer {
    Peer::Tcp((address.parse::<IpAddr>().unwrap(), 1).into())
}

/// A connection with a request that is being answered.
fn busy(connections: &Arc<OpenConnections>, address: &str) -> (Arc<Place>, Arc<Asked>) {
    let place = connections.admit(peer(address), false).unwrap();
    let request = place.asked(false);
    request.is_whole();
    (place, request)
}

fn gives_way(place: &Place) -> bool {
    place.given_way().now_or_never().is_some()
}

#[test]
fn places_are_limited_by_address_and_given_back() {
    let connections = open(limits(10, 2));
    let first = connections.admit(peer("192.0.2.1"), false).unwrap();
    let _second = connections.admit(peer("192.0.2.1"), false).unwrap();
    assert!(connections.admit(peer("192.0.2.1"), false).is_none());
    let _other = connections.admit(peer("192.0.2.2"), false).unwrap();
    drop(first);
    assert!(connections.admit(peer("192.0.2.1"), false).is_some());
}

#[test]
fn ipv6_connections_are_counted_by_network() {
    let connections = open(limits(10, 2));
    let _places = ["2001:db8::1", "2001:db8::2"].map(|address| connections.admit(peer(address), false).unwrap());
    assert!(connections.admit(peer("2001:db8::ffff:3"), false).is_none(), "another address of the same /64");
    assert!(connections.admit(peer("2001:db8:0:1::1"), false).is_some());
    let _mapped = ["::ffff:192.0.2.1", "192.0.2.1"].map(|address| connections.admit(peer(address), false).unwrap());
    assert!(connections.admit(peer("192.0.2.1"), false).is_none());
    assert!(connections.admit(peer("192.0.2.2"), false).is_some(), "IPv4 addresses are counted one by one");
}

#[test]
fn loopback_proxies_and_unix_peers_are_limited_in_all_alone() {
    for exempt in [peer("127.0.0.1"), peer("::1"), peer("::ffff:127.0.0.1"), peer("10.0.0.1"), Peer::Unix] {
        let connections = open(limits(3, 1));
        let places: Vec<_> = (0..3).map_while(|_| connections.admit(exempt, false)).collect();
        assert_eq!(places.len(), 3, "{exempt}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_has_been_waiting_longest_makes_room() {
    let connections = open(limits(3, 10));
    let (first, request) = busy(&connections, "192.0.2.1");
    let second = connections.admit(peer("192.0.2.2"), false).unwrap();
    let third = connections.admit(peer("192.0.2.3"), true).unwrap();
    let fourth = connections.admit(peer("192.0.2.4"), false).unwrap();
    assert!(gives_way(&second) && !gives_way(&first) && !gives_way(&third));
    drop(second);
    // Its answer is out: from now on it waits, for less time than the others.
    drop(request);
    let fifth = connections.admit(peer("192.0.2.5"), false).unwrap();
    assert!(gives_way(&third), "a handshake is no excuse");
    drop(third);
    let _sixth = connections.admit(peer("192.0.2.6"), false).unwrap();
    assert!(gives_way(&fourth) && !gives_way(&first) && !gives_way(&fifth));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_has_not_come_is_no_excuse() {
    let connections = open(limits(1, 10));
    let slow = connections.admit(peer("192.0.2.1"), false).unwrap();
    let request = slow.asked(true);
    let _new = connections.admit(peer("192.0.2.2"), false).unwrap();
    assert!(gives_way(&slow));
    drop((request, slow));
    assert_eq!(connections.counts().total, 1);
}

#[test]
fn with_a_request_under_way_on_every_connection_new_ones_are_refused() {
    let connections = open(limits(2, 10));
    let held = [busy(&connections, "192.0.2.1"), busy(&connections, "192.0.2.2")];
    assert!(connections.admit(peer("192.0.2.3"), false).is_none());
    drop(held);
    assert!(connections.admit(peer("192.0.2.3"), false).is_some());
}

#[test]
fn connections_that_do_not_leave_are_not_replaced_for_ever() {
    let connections = open(limits(100, 1_000));
    let held: Vec<_> = (0..1_000).map_while(|_| connections.admit(peer("127.0.0.1"), false)).collect();
    assert_eq!(held.len(), 100 + LEAVING);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_of_too_many_handshakes_gives_way() {
    let connections = open(Limits { handshakes: 2, ..limits(100, 100) });
    let done = connections.admit(peer("192.0.2.1"), true).unwrap();
    done.shook_hands();
    let first = connections.admit(peer("192.0.2.2"), true).unwrap();
    let second = connections.admit(peer("192.0.2.3"), true).unwrap();
    let _third = connections.admit(peer("192.0.2.4"), true).unwrap();
    assert!(gives_way(&first) && !gives_way(&second) && !gives_way(&done));
}

#[tokio::test(start_paused = true)]
async fn a_burst_does_not_carry_off_who_is_in_the_middle_of_something() {
    let connections = open(limits(2, 10));
    let honest = connections.admit(peer("192.0.2.1"), true).unwrap();
    honest.read(200);
    let burst: Vec<_> = (2..5).map(|last| connections.admit(peer(&format!("192.0.2.{last}")), true).unwrap()).collect();
    assert!(!gives_way(&honest) && gives_way(&burst[0]) && gives_way(&burst[1]) && !gives_way(&burst[2]));
    // Who has stalled goes before who has just come.
    tokio::time::advance(STEP).await;
    let _new = connections.admit(peer("192.0.2.9"), true).unwrap();
    assert!(gives_way(&honest));
}

#[test]
fn nothing_is_kept_of_a_connection_that_is_gone() {
    let connections = open(limits(3, 1));
    let place = connections.admit(peer("192.0.2.1"), true).unwrap();
    place.shook_hands();
    let request = place.asked(false);
    request.is_whole();
    drop(place);
    drop(request);
    let counts = connections.counts();
    assert!(counts.by_address.is_empty() && counts.waiting.is_empty());
    assert!(counts.handshakes.is_empty() && counts.silent.is_empty());
    assert_eq!(counts.total, 0);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_a_connection_has_a_while_to_say_something_and_a_request_has_its_time() {
    let connections = open(limits(3, 1));
    let most = Duration::from_secs(5);
    let place = connections.admit(peer("192.0.2.1"), false).unwrap();
    let began = Instant::now();
    place.idle_at_the_end(most).await;
    assert_eq!(began.elapsed().as_secs(), SILENCE.as_secs(), "silent");

    let began = Instant::now();
    let drip = async {
        loop {
            place.touch();
            tokio::time::sleep(SILENCE / 4).await;
        }
    };
    tokio::select! {
        () = drip => {}
        () = place.idle_at_the_end(most) => {}
    }
    assert_eq!(began.elapsed().as_secs(), most.as_secs(), "bytes, but no request");

    let began = Instant::now();
    let request = place.asked(false);
    let answered = async {
        tokio::time::sleep(most * 2).await;
        drop(request);
    };
    tokio::join!(answered, place.idle_at_the_end(most));
    assert!(began.elapsed() >= most * 2, "a request");
}
