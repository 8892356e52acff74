//! From a bare host to an issuer whose certificate its clients verify, with Pebble as the certificate authority.

use std::{fs, path::Path, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tagmint_e2e::wait_until;

use super::{
    TestResult,
    machine::{Booted, Machine},
};

const HOST: &str = "broker.tagmint.test";
const PEBBLE: &str = r#"{"pebble": {
    "listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
    "certificate": "/root/api.pem", "privateKey": "/root/api.key", "httpPort": 80, "tlsPort": 1, "ocspResponderURL": ""
}}"#;

/// A host that runs Pebble, which validates over port 80 as a public authority does, and trusts its root.
fn host() -> TestResult<Booted> {
    let machine = Machine::new()?;
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    ca.distinguished_name.push(DnType::CommonName, "API of the ACME server under test");
    // The issuer sees nothing of /root.
    fs::write(machine.path("etc/ssl/api-ca.pem"), ca.self_signed(&ca_key)?.pem())?;
    let key = KeyPair::generate()?;
    let api = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &Issuer::new(ca, ca_key))?;
    fs::write(machine.path("root/api.pem"), api.pem())?;
    fs::write(machine.path("root/api.key"), key.serialize_pem())?;
    fs::write(machine.path("root/pebble.json"), PEBBLE)?;
    fs::write(machine.path("etc/hosts"), format!("127.0.0.1 localhost {HOST}\n"))?;
    machine.put("usr/local/bin/pebble", Path::new("/usr/bin/pebble"))?;
    let host = machine.boot()?;
    let start = "systemd-run --quiet --unit=pebble --setenv=PEBBLE_VA_NOSLEEP=1 /usr/local/bin/pebble -config /root/pebble.json";
    host.run(start)?.well()?;
    let trust = "curl --silent --fail --cacert /etc/ssl/api-ca.pem --output /usr/local/share/ca-certificates/pebble.crt \
         https://localhost:15000/roots/0 && update-ca-certificates";
    let trusted = wait_until(Duration::from_secs(30), || host.run(trust).is_ok_and(|said| said.code == Some(0)));
    if trusted { Ok(host) } else { Err(host.run("journalctl --unit=pebble")?.text.into()) }
}

#[test]
fn a_bare_host_becomes_an_issuer_that_is_verified() -> TestResult {
    let host = host()?;
    let install = format!(
        "/root/install.sh --yes --host {HOST} --environment prod --email ops@tagmint.test --deb /root/tagmint.deb \
         --directory https://localhost:14000/dir --ca-file /etc/ssl/api-ca.pem --wait 120"
    );
    let said = host.run(&install)?.well()?;
    let done = format!(
        "done: https://{HOST}/.well-known/openid-configuration answers, with a certificate that this host verified"
    );
    assert!(said.contains(&done), "{said}");
    let again = host.run(&install)?.well()?;
    assert!(again.contains("nothing to do"), "{again}");
    // Set up, and out of reach by its name: a further run says so.
    let hosts = host.machine().path("etc/hosts");
    fs::write(&hosts, format!("127.0.0.1 localhost\n192.0.2.1 {HOST}\n"))?;
    let unreached = host.run(&format!("{install} --wait 3"))?.badly(1)?;
    assert!(unreached.contains("which is no address of this host's own"), "{unreached}");
    assert!(unreached.contains("cannot be reached by its public address"), "{unreached}");
    fs::write(&hosts, format!("127.0.0.1 localhost {HOST}\n"))?;
    let redirect =
        host.run(&format!("curl --silent --write-out '%{{http_code}} %{{redirect_url}}' http://{HOST}/x"))?.well()?;
    assert!(redirect.ends_with(&format!("308 https://{HOST}/x")), "{redirect}");
    // The certificate is kept: with Pebble gone, a restart serves it.
    host.run("systemctl stop pebble && systemctl restart tagmint@prod")?.well()?;
    host.run(&format!("curl --silent --show-error --fail https://{HOST}/.well-known/jwks.json"))?.well()?;
    Ok(())
}
