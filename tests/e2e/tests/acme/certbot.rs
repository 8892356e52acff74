//! Somebody else's client on the same set-up: what it cannot do there, ours need not do either.

use std::{fs, process::Command};

use tagmint_e2e::{AcmeStep, Pebble, PebbleOptions, RenewalWindow, free_port};

use super::{HOST, TestResult, certificate};

#[test]
fn certbot_gets_a_certificate_through_the_proxy() -> TestResult {
    let port = free_port()?;
    // It asks again once and no more when a nonce is refused.
    let pebble = Pebble::start(&PebbleOptions { nonces_refused: 0, ..PebbleOptions::new(port) })?;
    // What the proxy adds to the directory disturbs nobody.
    pebble.proxy().set_profiles(&["classic", "shortlived"]);
    pebble.proxy().set_renewal_window(Some(RenewalWindow::default()));
    let dir = tempfile::tempdir()?;
    let mut command = Command::new("certbot");
    command.args(["certonly", "--standalone", "--non-interactive", "--agree-tos", "--register-unsafely-without-email"]);
    command.args(["--http-01-address", "127.0.0.1", "--http-01-port", &port.to_string(), "--domain", HOST]);
    command.args(["--server", &pebble.proxy().directory_url()]);
    for (option, name) in [("--config-dir", "config"), ("--work-dir", "work"), ("--logs-dir", "logs")] {
        command.arg(option).arg(dir.path().join(name));
    }
    command.env("REQUESTS_CA_BUNDLE", pebble.ca_file()).env("NO_PROXY", "*");
    let output = command.output().map_err(|error| format!("certbot, of the Debian package certbot: {error}"))?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}\n{}", pebble.log());

    let chain = fs::read_to_string(dir.path().join("config/live").join(HOST).join("fullchain.pem"))?;
    certificate::verify(&chain, pebble.root(), HOST)?;
    let refused = certificate::verify(&chain, pebble.root(), "elsewhere.acme.test");
    assert!(refused.is_err(), "the certificate is for one name");
    for step in [AcmeStep::NewAccount, AcmeStep::NewOrder, AcmeStep::Finalize, AcmeStep::Certificate] {
        assert_eq!(pebble.proxy().accepted(step).len(), 1, "{step:?}: {:?}", pebble.proxy().seen());
    }
    assert_eq!(pebble.proxy().accounts().len(), 1);
    assert!(!pebble.proxy().accepted(AcmeStep::Challenge).is_empty());
    let other: Vec<_> = pebble.proxy().seen().into_iter().filter(|request| request.step == AcmeStep::Other).collect();
    assert!(other.is_empty(), "paths that the proxy does not know: {other:?}");
    Ok(())
}
