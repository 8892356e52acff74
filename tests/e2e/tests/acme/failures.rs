//! What goes wrong at the server, on the way to it, and on the way back.

use jiff::SignedDuration;
use tagmint_core::clock::Clock as _;
use tagmint_e2e::{AcmeFault, AcmeStep, Pebble, PebbleOptions, UNWANTED_REUSE, free_port};
use tagmint_server::acme::FailureKind;

use super::{
    HOST, TestResult, certificate,
    inside::{DAY, Node, Stage},
};

/// What the last attempt failed with, and how often it has failed.
fn failure(node: &Node) -> TestResult<(FailureKind, u32, String)> {
    let failure = node.manager.health().last_failure.ok_or("nothing has failed")?;
    Ok((failure.kind, failure.consecutive, failure.problem))
}

/// A stage whose certificate is due for renewal.
async fn due() -> TestResult<(Stage, Node, String)> {
    let stage = Stage::new().await?;
    let node = stage.served().await?;
    let serial = node.serial()?;
    stage.pass(DAY * 61);
    stage.pebble.proxy().forget();
    Ok((stage, node, serial))
}

#[tokio::test]
async fn most_nonces_may_be_refused() -> TestResult {
    let stage = Stage::with(PebbleOptions { nonces_refused: 90, ..PebbleOptions::new(free_port()?) }).await?;
    let node = stage.served().await?;
    let (taken, refused) = stage.pebble.proxy().nonces();
    println!("{taken} signed requests were taken, {refused} refused for their nonce");
    assert!(refused > taken, "{taken} taken, {refused} refused: this shows nothing");
    assert_eq!((stage.pebble.proxy().accounts().len(), stage.orders()), (1, 1));
    assert_eq!(node.manager.health().last_failure, None);
    Ok(())
}

#[tokio::test]
async fn a_busy_server_is_left_alone_for_as_long_as_it_says() -> TestResult {
    let (stage, node, serial) = due().await?;
    let proxy = stage.pebble.proxy();
    proxy.inject(AcmeStep::NewOrder, 1, AcmeFault::problem(503, "serverInternal", Some("3600")));
    let moments = stage.watch(&node, 59, AcmeStep::Directory).await;
    assert_eq!(moments, [0], "one attempt, then silence");
    assert_eq!(node.serial()?, serial, "the old one is served on");
    let (kind, consecutive, problem) = failure(&node)?;
    assert_eq!((kind, consecutive), (FailureKind::Unreachable, 1), "{problem}");
    let moments = stage.watch(&node, 3, AcmeStep::NewOrder).await;
    assert!(!moments.is_empty());
    assert_ne!(node.serial()?, serial);
    assert_eq!(node.manager.health().last_failure, None, "forgotten with the next certificate");
    Ok(())
}

#[tokio::test]
async fn a_rate_limit_without_a_time_is_respected_for_an_hour() -> TestResult {
    let (stage, node, serial) = due().await?;
    stage.pebble.proxy().inject(AcmeStep::NewOrder, 1, AcmeFault::problem(429, "rateLimited", None));
    let moments = stage.watch(&node, 59, AcmeStep::Directory).await;
    assert_eq!(moments, [0]);
    assert_eq!(failure(&node)?.0, FailureKind::RateLimited);
    stage.watch(&node, 3, AcmeStep::NewOrder).await;
    assert_ne!(node.serial()?, serial);
    Ok(())
}

#[tokio::test]
async fn a_page_of_somebody_else_in_between_is_a_failure_and_no_more() -> TestResult {
    let (stage, node, serial) = due().await?;
    stage.pebble.proxy().inject(AcmeStep::NewOrder, 1, AcmeFault::page(400, None));
    node.manager.step().await;
    let (_, consecutive, problem) = failure(&node)?;
    assert_eq!(consecutive, 1);
    assert!(problem.contains("400") && problem.contains("<html>"), "{problem}");
    assert_eq!(node.serial()?, serial);
    let moments = stage.watch(&node, 3, AcmeStep::NewOrder).await;
    assert!(matches!(moments.as_slice(), [1..=2]), "{moments:?}");
    assert_ne!(node.serial()?, serial);
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_down_is_asked_less_and_less() -> TestResult {
    let (stage, node, serial) = due().await?;
    // With a time, so that nothing is repeated within an attempt.
    stage.pebble.proxy().inject(AcmeStep::Directory, 100, AcmeFault::page(503, Some("1")));
    let mut moments = vec![];
    for minute in 0..300_u32 {
        let before = node.manager.health().attempts;
        node.manager.step().await;
        if node.manager.health().attempts > before {
            moments.push(minute);
        }
        stage.pass(SignedDuration::from_mins(1));
    }
    let pauses: Vec<u32> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((6..=10).contains(&moments.len()), "{moments:?}");
    assert!(pauses.last() > pauses.first().map(|first| first * 8).as_ref(), "{moments:?}");
    assert_eq!(node.serial()?, serial);
    stage.pebble.proxy().heal();
    stage.pass(SignedDuration::from_hours(7));
    node.manager.step().await;
    assert_ne!(node.serial()?, serial);
    Ok(())
}

#[tokio::test]
async fn while_dns_fails_the_old_certificate_is_served_and_the_server_seldom_asked() -> TestResult {
    let mut tries = UNWANTED_REUSE;
    let (stage, node, serial, moments) = loop {
        let (stage, node, serial) = due().await?;
        stage.pebble.break_dns(HOST)?;
        let moments = stage.watch(&node, 120, AcmeStep::NewOrder).await;
        tries -= 1;
        if node.serial()? == serial || tries == 0 {
            break (stage, node, serial, moments);
        }
    };
    let (kind, consecutive, problem) = failure(&node)?;
    assert_eq!(kind, FailureKind::Validation, "{problem}");
    assert!(problem.contains(HOST), "{problem}");
    assert_eq!(u32::try_from(moments.len())?, consecutive);
    // Let's Encrypt allows five failed validations of a name in an hour.
    for start in &moments {
        let hour = moments.iter().filter(|at| (*start..start + 60).contains(*at)).count();
        assert!(hour <= 5, "{moments:?}");
    }
    assert!(moments.len() >= 3, "{moments:?}");
    assert_eq!(node.serial()?, serial);
    stage.pebble.mend_dns(HOST)?;
    stage.pass(SignedDuration::from_hours(6));
    node.manager.step().await;
    assert_ne!(node.serial()?, serial);
    Ok(())
}

#[tokio::test]
async fn a_web_server_of_somebody_else_on_port_80_is_told_to_the_operator() -> TestResult {
    let stage = Stage::new().await?;
    let node = stage.node().await?;
    node.manager.step().await;
    let (kind, _, problem) = failure(&node)?;
    assert_eq!(kind, FailureKind::Validation, "{problem}");
    assert!(problem.contains("port 80"), "{problem}");
    assert!(node.served.current().is_none());
    Ok(())
}

#[tokio::test]
async fn connections_that_are_cut_and_answers_that_are_lost_cost_no_second_account() -> TestResult {
    use AcmeStep::{Authorization, Certificate, Challenge, Directory, Finalize, NewAccount, NewNonce, NewOrder, Order};
    for fault in [AcmeFault::Cut, AcmeFault::LoseAnswer] {
        let stage = Stage::with(PebbleOptions { nonces_refused: 0, ..PebbleOptions::new(free_port()?) }).await?;
        let proxy = stage.pebble.proxy();
        for step in [Directory, NewNonce, NewAccount, NewOrder, Authorization, Challenge, Order, Finalize, Certificate]
        {
            proxy.inject(step, 1, fault.clone());
        }
        let node = stage.node().await?;
        stage.listen(&node);
        for _ in 0..30 {
            node.manager.step().await;
            if node.served.current().is_some() {
                break;
            }
            stage.pass(SignedDuration::from_mins(10));
        }
        node.facts().map_err(|error| format!("{fault:?}: {error}"))?;
        assert_eq!(proxy.accounts().len(), 1, "{fault:?}");
        // An order of whose making nobody heard cannot be found again; every other one is continued.
        let expected = if matches!(fault, AcmeFault::LoseAnswer) { 2 } else { 1 };
        assert_eq!(stage.orders(), expected, "{fault:?}");
        assert_eq!(proxy.accepted(Finalize).len(), 1, "{fault:?}: nothing is issued for nothing");
    }
    Ok(())
}

#[tokio::test]
async fn the_chain_is_one_that_clients_accept() -> TestResult {
    let stage = Stage::new().await?;
    let node = stage.served().await?;
    let stored = node.store.acme().certificates().await?;
    certificate::verify(&stored.first().ok_or("nothing is stored")?.chain, stage.pebble.root(), HOST)?;
    let other = Pebble::start(&PebbleOptions::new(free_port()?))?;
    assert!(certificate::verify(&stored[0].chain, other.root(), HOST).is_err(), "another root");
    assert!(node.facts()?.not_after > stage.clock.now() + DAY * 89);
    Ok(())
}
