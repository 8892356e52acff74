//! When certificates are renewed, and what the server is asked for then.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tagmint_core::clock::Clock as _;
use tagmint_e2e::{AcmeFault, AcmeStep, PebbleOptions, RenewalWindow, free_port};
use x509_parser::prelude::{FromDer as _, ParsedExtension, X509Certificate};

use super::{
    TestResult,
    inside::{DAY, NodeOptions, Stage},
};

/// A window that begins and ends so many days after `from`.
fn window(from: Timestamp, start: i64, end: i64, retry_after: Option<&str>) -> RenewalWindow {
    let day = |days: i64| (from + SignedDuration::from_hours(24 * days)).to_string();
    RenewalWindow { start: day(start), end: day(end), retry_after: retry_after.map(str::to_owned), explanation: None }
}

/// A certificate's name in renewal information (RFC 9773 §4.1).
fn name_of(leaf: &[u8]) -> TestResult<String> {
    let (_, certificate) = X509Certificate::from_der(leaf)?;
    let authority = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(found) => found.key_identifier.as_ref().map(|key| key.0),
        _ => None,
    });
    let parts = [authority.ok_or("no authority key identifier")?, certificate.raw_serial()];
    Ok(parts.map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join("."))
}

#[tokio::test]
async fn it_is_renewed_when_a_third_of_its_life_is_left_and_half_of_a_short_one() -> TestResult {
    for (life, last_day_before, renewed_on) in [(90, 59, 61), (6, 2, 4)] {
        let lifetime = Duration::from_hours(24 * life);
        let stage = Stage::with(PebbleOptions { lifetime, ..PebbleOptions::new(free_port()?) }).await?;
        let node = stage.served().await?;
        let (first, key) = (node.serial()?, node.leaf()?);
        let start = stage.clock.now();
        stage.clock.set(start + DAY * last_day_before);
        node.manager.step().await;
        assert_eq!((stage.orders(), node.serial()?), (1, first.clone()), "{life} days");
        stage.clock.set(start + DAY * renewed_on);
        node.manager.step().await;
        assert_eq!(stage.orders(), 2, "{life} days");
        assert_ne!(node.serial()?, first, "{life} days");
        let public = |leaf: &[u8]| X509Certificate::from_der(leaf).map(|(_, read)| read.public_key().raw.to_vec());
        assert_ne!(public(&node.leaf()?)?, public(&key)?, "each certificate has a key of its own");
        assert_eq!(stage.pebble.proxy().accounts().len(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn the_server_says_when_and_the_order_names_what_it_replaces() -> TestResult {
    let stage = Stage::new().await?;
    let start = stage.clock.now();
    stage.pebble.proxy().set_renewal_window(Some(window(start, 10, 11, Some("21600"))));
    let node = stage.served().await?;
    let (first, name) = (node.serial()?, name_of(&node.leaf()?)?);
    let asked = stage.pebble.proxy().accepted(AcmeStep::RenewalInfo);
    assert_eq!(asked.last().ok_or("it was not asked")?.path, format!("/renewal-info/{name}"));
    let planned = node.renewal()?;
    assert!(planned >= start + DAY * 10 && planned < start + DAY * 11, "{planned}");
    stage.clock.set(planned - SignedDuration::from_mins(1));
    node.manager.step().await;
    assert_eq!(node.serial()?, first);
    stage.clock.set(planned);
    node.manager.step().await;
    assert_ne!(node.serial()?, first);
    let orders = stage.pebble.proxy().accepted(AcmeStep::NewOrder);
    let replaces: Vec<&Value> = orders.iter().map(|order| &order.payload["replaces"]).collect();
    assert_eq!(replaces, [&Value::Null, &json!(name)]);
    Ok(())
}

#[tokio::test]
async fn a_window_that_has_passed_means_now_as_soon_as_it_is_looked_up() -> TestResult {
    let stage = Stage::new().await?;
    let start = stage.clock.now();
    stage.pebble.proxy().set_renewal_window(Some(window(start, 50, 52, Some("7200"))));
    let node = stage.served().await?;
    let first = node.serial()?;
    // Let's Encrypt is about to revoke it, say.
    stage.pebble.proxy().set_renewal_window(Some(window(start, -3, -2, Some("7200"))));
    let moments = stage.watch(&node, 180, AcmeStep::NewOrder).await;
    assert!(matches!(moments.as_slice(), [115..=125, ..]), "at the end of the two hours: {moments:?}");
    assert_ne!(node.serial()?, first);
    Ok(())
}

#[tokio::test]
async fn renewal_information_without_retry_after_is_looked_up_every_six_hours() -> TestResult {
    let stage = Stage::new().await?;
    let start = stage.clock.now();
    stage.pebble.proxy().set_renewal_window(Some(window(start, 50, 52, None)));
    let node = stage.served().await?;
    let planned = node.renewal()?;
    assert!(planned >= start + DAY * 50 && planned < start + DAY * 52, "{planned}");
    let moments = stage.watch(&node, 13 * 60, AcmeStep::RenewalInfo).await;
    assert!(matches!(moments.as_slice(), [355..=365, 715..=725]), "{moments:?}");
    assert_eq!(stage.orders(), 1);
    Ok(())
}

#[tokio::test]
async fn a_server_that_refuses_to_replace_is_asked_without() -> TestResult {
    let stage = Stage::new().await?;
    let start = stage.clock.now();
    stage.pebble.proxy().set_renewal_window(Some(window(start, 1, 2, Some("3600"))));
    let node = stage.served().await?;
    let first = node.serial()?;
    stage.pebble.proxy().inject(AcmeStep::NewOrder, 1, AcmeFault::problem(409, "alreadyReplaced", None));
    stage.pass(DAY * 2);
    node.manager.step().await;
    assert_ne!(node.serial()?, first, "{:?}", node.manager.health());
    let orders = stage.pebble.proxy().accepted(AcmeStep::NewOrder);
    assert!(orders.iter().all(|order| order.payload["replaces"].is_null()) && orders.len() == 2, "{orders:?}");
    Ok(())
}

#[tokio::test]
async fn a_slow_validation_is_waited_for_with_the_same_order() -> TestResult {
    let stage = Stage::new().await?;
    let patience = Some(Duration::from_secs(1));
    let node = stage.node_with(NodeOptions { patience, ..NodeOptions::default() }).await?;
    stage.listen(&node);
    stage.answer_late(Duration::from_secs(3));
    node.manager.step().await;
    assert!(node.served.current().is_none());
    assert_eq!(node.manager.health().last_failure, None, "it is no failure to wait");
    tokio::time::sleep(Duration::from_secs(3)).await;
    stage.pass(SignedDuration::from_mins(1));
    node.manager.step().await;
    node.facts()?;
    assert_eq!(stage.orders(), 1);
    Ok(())
}

#[tokio::test]
async fn the_profile_is_asked_for_where_it_is_offered() -> TestResult {
    let stage = Stage::new().await?;
    let node = stage.node_with(NodeOptions { profile: Some("shortlived"), ..NodeOptions::default() }).await?;
    stage.listen(&node);
    stage.pebble.proxy().set_profiles(&["classic", "tlsserver"]);
    node.manager.step().await;
    let failure = node.manager.health().last_failure.ok_or("it should have failed")?;
    assert!(failure.problem.contains("shortlived") && failure.problem.contains("tlsserver"), "{failure:?}");
    assert_eq!(stage.orders(), 0, "nothing was ordered with another profile");
    stage.pebble.proxy().set_profiles(&["classic", "shortlived"]);
    stage.pass(SignedDuration::from_mins(2));
    node.manager.step().await;
    node.facts()?;
    let orders = stage.pebble.proxy().accepted(AcmeStep::NewOrder);
    assert_eq!((orders.len(), &orders[0].payload["profile"]), (1, &json!("shortlived")));
    Ok(())
}
