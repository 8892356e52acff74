//! kill -9 at every step of the way to the first certificate: what follows goes on with the same account.

use std::time::Duration;

use tagmint_e2e::{AcmeStep, Moment, Pebble, PebbleOptions, wait_until};

use super::{
    TestResult,
    issuer::{ISSUED, Ports, Site},
};

/// More than the lease of a node that was killed.
const PAST_THE_LEASE: Duration = Duration::from_mins(1);
/// The steps of an order, in their order.
const STEPS: [AcmeStep; 9] = [
    AcmeStep::Directory,
    AcmeStep::NewNonce,
    AcmeStep::NewAccount,
    AcmeStep::NewOrder,
    AcmeStep::Authorization,
    AcmeStep::Challenge,
    AcmeStep::Order,
    AcmeStep::Finalize,
    AcmeStep::Certificate,
];

#[test]
fn killed_before_the_server_hears_of_a_step() -> TestResult {
    killed_at_every_step(Moment::Before)
}

#[test]
fn killed_after_the_server_has_done_a_step() -> TestResult {
    killed_at_every_step(Moment::After)
}

fn killed_at_every_step(moment: Moment) -> TestResult {
    let ports = Ports::free()?;
    let pebble = Pebble::start(&PebbleOptions { nonces_refused: 0, ..PebbleOptions::new(ports.http) })?;
    let mut site = Site::with(pebble)?;
    for step in STEPS {
        site = site.anew()?;
        let proxy = site.pebble.proxy();
        // Nothing is to happen before the action knows whom to kill.
        let (tell, told) = std::sync::mpsc::channel::<Box<dyn FnOnce() + Send>>();
        proxy.interrupt(step, moment, move || {
            if let Ok(kill) = told.recv_timeout(ISSUED) {
                kill();
            }
        });
        let node = site.start(ports)?;
        tell.send(Box::new(node.process.killer())).map_err(|_| "nobody waits for it")?;
        assert!(wait_until(ISSUED, || !proxy.is_armed()), "{step:?} was never reached\n{}", node.process.stderr());
        assert!(!node.process.stop()?.success(), "{step:?} {moment:?}: it was killed");

        let node = site.start_later(ports, PAST_THE_LEASE)?;
        site.wait_for_certificate(&node).map_err(|error| format!("{step:?} {moment:?}: {error}"))?;
        let proxy = site.pebble.proxy();
        assert_eq!(proxy.accounts().len(), 1, "{step:?} {moment:?}: {:?}", proxy.accounts());
        let orders = proxy.accepted(AcmeStep::NewOrder).len();
        let most = match (step, moment) {
            // The order's URL died with the process; or the server may have found nobody on port 80, which fails the order.
            (AcmeStep::NewOrder | AcmeStep::Challenge, Moment::After) => 2,
            _ => 1,
        };
        assert!((1..=most).contains(&orders), "{step:?} {moment:?}: {orders} orders");
        let issued = proxy.accepted(AcmeStep::Finalize).len();
        assert_eq!(issued, 1, "{step:?} {moment:?}: a certificate was issued for nothing");
        assert!(node.process.stop()?.success());
    }
    Ok(())
}
