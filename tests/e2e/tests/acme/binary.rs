//! The built binary from its first start on.

use std::time::Duration;

use tagmint_e2e::{AcmeStep, UNWANTED_REUSE, wait_until};

use super::{
    HOST, TestResult,
    issuer::{ISSUED, Ports, Site},
    visit::Visit,
};

#[test]
fn the_first_certificate_is_fetched_served_and_renewed_while_connections_stay_open() -> TestResult {
    let ports = Ports::free()?;
    let site = Site::new(ports)?;
    let node = site.start(ports)?;
    let mut first = site.wait_for_certificate(&node)?;
    assert_eq!(first.get("/.well-known/openid-configuration")?, 200);
    assert!(wait_until(ISSUED, || node.certificate_check().is_ok_and(|(ok, _)| ok)), "{:?}", node.certificate_check());
    assert_eq!(node.admin("/readyz")?.0, 200);

    let (status, head) = node.port_80("/.well-known/openid-configuration?a=b")?;
    let location = format!("location: https://{HOST}/.well-known/openid-configuration?a=b\r");
    assert!(status == 308 && head.contains(&location), "{status} {head}");
    assert_eq!(node.port_80("/.well-known/acme-challenge/unknown")?.0, 404);

    let list = node.certificates(&["list"])?.to_string();
    assert!(list.contains(&first.serial()?), "{list}");
    node.certificates(&["renew"])?;
    let mut second = Err("nothing was tried".into());
    let renewed = wait_until(ISSUED, || {
        second = Visit::open(node.https, site.root());
        second.as_ref().is_ok_and(|visit| visit.serial().ok() != first.serial().ok())
    });
    let mut second = second?;
    assert!(renewed, "{}", node.process.stderr());
    assert_ne!(second.public_key()?, first.public_key()?, "with a key of its own");
    assert_eq!(first.get("/.well-known/jwks.json")?, 200, "the connection with the old certificate still works");
    assert_eq!(second.get("/.well-known/jwks.json")?, 200);
    let list = node.certificates(&["list"])?.to_string();
    assert!(list.contains(&first.serial()?) && list.contains(&second.serial()?), "{list}");
    let proxy = site.pebble.proxy();
    assert_eq!((proxy.accounts().len(), proxy.accepted(AcmeStep::NewOrder).len()), (1, 2));
    assert!(node.process.stop()?.success());
    Ok(())
}

#[test]
fn without_a_certificate_it_runs_and_says_why() -> TestResult {
    let ports = Ports::free()?;
    let site = Site::new(ports)?;
    site.pebble.break_dns(HOST)?;
    let node = site.start(ports)?;
    let told = || node.certificate_check().is_ok_and(|(ok, detail)| !ok && detail.contains("DNS"));
    assert!(wait_until(ISSUED, told), "{:?}\n{}", node.certificate_check(), node.process.stderr());
    assert_eq!(node.admin("/readyz")?.0, 503);
    assert!(Visit::open(node.https, site.root()).is_err(), "handshakes fail");
    assert_eq!(node.port_80("/")?.0, 308, "port 80 is served");
    site.pebble.mend_dns(HOST)?;
    // The pause after a failure ends when an operator has done something about it.
    node.certificates(&["renew"])?;
    site.wait_for_certificate(&node)?.get("/livez")?;
    assert!(node.process.stop()?.success());
    Ok(())
}

#[test]
fn a_renewal_that_fails_leaves_the_old_certificate_and_is_told() -> TestResult {
    let ports = Ports::free()?;
    let site = Site::new(ports)?;
    let node = site.start(ports)?;
    let mut serial = site.wait_for_certificate(&node)?.serial()?;
    site.pebble.break_dns(HOST)?;
    let told = || node.certificate_check().is_ok_and(|(ok, detail)| ok && detail.contains("DNS"));
    for _ in 0..UNWANTED_REUSE {
        node.certificates(&["renew"])?;
        let served = || Visit::open(node.https, site.root()).and_then(|visit| visit.serial());
        assert!(wait_until(ISSUED, || told() || served().is_ok_and(|now| now != serial)), "{}", node.process.stderr());
        if told() {
            break;
        }
        serial = served()?;
    }
    assert!(told(), "{:?}\n{}", node.certificate_check(), node.process.stderr());
    assert_eq!(node.admin("/readyz")?.0, 200, "it serves as well as before");
    assert_eq!(Visit::open(node.https, site.root())?.serial()?, serial);
    let list = node.certificates(&["list"])?.to_string();
    assert!(list.contains("validation"), "{list}");
    assert!(node.process.stop()?.success());
    Ok(())
}

#[test]
fn two_nodes_on_one_database_order_once_and_either_answers_for_the_other() -> TestResult {
    let (ports, validated) = (Ports::free()?, Ports::free()?);
    let site = Site::new(validated)?;
    let nodes = [site.start(ports)?, site.start(validated)?];
    let serials = [site.wait_for_certificate(&nodes[0])?.serial()?, site.wait_for_certificate(&nodes[1])?.serial()?];
    assert_eq!(serials[0], serials[1]);
    nodes[0].certificates(&["renew"])?;
    for node in &nodes {
        let renewed = wait_until(ISSUED, || {
            let serial = Visit::open(node.https, site.root()).and_then(|visit| visit.serial());
            serial.is_ok_and(|serial| serial != serials[0])
        });
        assert!(renewed, "{}", node.process.stderr());
    }
    // Time for an order too many.
    std::thread::park_timeout(Duration::from_secs(3));
    let proxy = site.pebble.proxy();
    assert_eq!((proxy.accounts().len(), proxy.accepted(AcmeStep::NewOrder).len()), (1, 2));
    Ok(())
}
