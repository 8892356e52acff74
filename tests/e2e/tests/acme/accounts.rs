//! The account at the server: one, tied to a customer where the server wants it, with a key that can be changed.

use jiff::SignedDuration;
use tagmint_core::clock::Clock as _;
use tagmint_e2e::{AcmeStep, ExternalAccount, Moment, PebbleOptions, free_port};
use tagmint_server::acme;

use super::{
    TestResult,
    inside::{DAY, NodeOptions, Stage},
};

/// 32 bytes, base64url.
const HMAC_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wE";

#[tokio::test]
async fn an_account_is_tied_to_a_customer_where_the_server_wants_it() -> TestResult {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    let external = ExternalAccount { kid: "customer-1".to_owned(), hmac_key: HMAC_KEY.to_owned() };
    let options = PebbleOptions { external_account: Some(external), ..PebbleOptions::new(free_port()?) };
    let stage = Stage::with(options).await?;
    let without = stage.node().await?;
    stage.listen(&without);
    without.manager.step().await;
    let failure = without.manager.health().last_failure.ok_or("it should have failed")?;
    assert!(failure.problem.contains("tls.acme.eab"), "{failure:?}");
    drop(without);

    stage.pass(SignedDuration::from_mins(2));
    let binding = |key: &[u8]| acme::ExternalAccount {
        kid: "customer-1".to_owned(),
        hmac_key: zeroize::Zeroizing::new(key.to_vec()),
    };
    let wrong = NodeOptions { external_account: Some(binding(b"not the customer's key")), ..NodeOptions::default() };
    let wrong = stage.node_with(wrong).await?;
    wrong.manager.step().await;
    assert!(wrong.manager.health().last_failure.is_some_and(|failure| failure.consecutive == 2));
    assert!(stage.pebble.proxy().accounts().is_empty());
    drop(wrong);

    stage.pass(SignedDuration::from_mins(5));
    let key = BASE64_URL_SAFE_NO_PAD.decode(HMAC_KEY)?;
    let with = NodeOptions { external_account: Some(binding(&key)), ..NodeOptions::default() };
    let with = stage.node_with(with).await?;
    with.manager.step().await;
    // The database is the one whose challenges are answered, by the first node's listener.
    with.facts()?;
    assert_eq!(stage.pebble.proxy().accounts().len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_accounts_key_changes_and_the_account_stays() -> TestResult {
    let stage = Stage::new().await?;
    let node = stage.served().await?;
    node.store.acme().request_rollover(stage.clock.now()).await?;
    node.manager.step().await;
    assert_eq!(stage.pebble.proxy().accepted(AcmeStep::KeyChange).len(), 1);
    stage.pass(DAY * 61);
    node.manager.step().await;
    assert_eq!(stage.orders(), 2, "orders are signed with the new key");
    assert_eq!(stage.pebble.proxy().accounts().len(), 1);
    Ok(())
}

/// The rollover is broken off before the server hears of it, and after. What comes next must find out which key the server knows.
#[tokio::test]
async fn a_change_of_the_accounts_key_that_is_broken_off_is_settled() -> TestResult {
    for moment in [Moment::Before, Moment::After] {
        let stage = Stage::with(PebbleOptions { nonces_refused: 0, ..PebbleOptions::new(free_port()?) }).await?;
        let node = stage.served().await?;
        node.store.acme().request_rollover(stage.clock.now()).await?;
        stage.break_off(node, AcmeStep::KeyChange, moment).await?;
        let node = stage.node().await?;
        stage.listen(&node);
        stage.pass(DAY * 61);
        node.manager.step().await;
        assert_eq!(stage.orders(), 2, "{moment:?}: {:?}", node.manager.health());
        assert_eq!(stage.pebble.proxy().accounts().len(), 1, "{moment:?}");
        let account = node.store.acme();
        let directory = stage.pebble.proxy().directory_url();
        let key = tagmint_core::sealing::MasterKey::parse(super::MASTER_KEY)?;
        let account = account.account(&directory, &key).await?.ok_or("no account")?;
        assert!(account.pending_key.is_none(), "{moment:?}: it is settled");
    }
    Ok(())
}
