//! The configurations of deploy/prod and deploy/test on a host that runs, as docs/cloud-setup.md and docs/test-environment.md bring them there.

use std::time::Duration;

use tagmint_e2e::wait_until;

use super::{
    TestResult,
    machine::{Booted, Machine},
    repository,
};

/// Time for five starts that fail, and for systemd to give up.
const GIVEN_UP: Duration = Duration::from_mins(1);
/// Time for a first attempt to fetch and to order without a network, and for two looks.
const ALARMS: Duration = Duration::from_mins(2);

/// Fills in the account and the ids of repositories, as the guides say: those of the examples fail the check.
const FILL_IN: &str = r#"sed -i 's/111122223333/700022223333/; s/"456789"/"700456789"/g; s/"123456"/"700123456"/g; s/project_id = "20"/project_id = "70020"/; s/namespace_id = "72"/namespace_id = "70072"/'"#;

/// The steps of the guides on the host of a world, whose configuration lies in /root.
fn set_up(host: &Booted, world: &str, more_units: &str) -> TestResult {
    host.machine().put(&format!("root/{world}.toml"), &repository().join("deploy").join(world).join("tagmint.toml"))?;
    let script = format!(
        "set -e
        install -d -m 0700 /etc/tagmint/{world}
        head -c 32 /dev/urandom | base64 | install -m 0600 /dev/stdin /etc/tagmint/{world}/tagmint-key
        install -m 0644 /root/{world}.toml /etc/tagmint/{world}.toml
        {FILL_IN} /etc/tagmint/{world}.toml
        systemctl start tagmint-check@{world}.service || {{ journalctl -o cat -u tagmint-check@{world} >&2; exit 1; }}
        journalctl -o cat -u tagmint-check@{world} | grep -E '^(issuer|ok|WRONG) '
        systemctl enable --now {more_units} tagmint-http@{world}.socket tagmint@{world}.socket tagmint@{world}.service \
            tagmint-check@{world}.timer
        systemctl is-active tagmint@{world}.service"
    );
    let said = host.run(&script)?.well()?;
    assert!(
        said.contains("ok  key file  credential:tagmint-key") && said.contains("is made at the first start"),
        "{said}"
    );
    Ok(())
}

/// There is no network: so no certificate, and no backend for prod. The issuers start, and say so.
#[test]
fn the_shipped_configurations_start_under_the_shipped_units() -> TestResult {
    let host = Machine::new()?.boot()?;
    host.run("dpkg --install /root/tagmint.deb")?.well()?;
    set_up(&host, "prod", "")?;
    host.run("curl --silent --fail http://127.0.0.1:9464/livez")?.well()?;
    let alarms = "CREDENTIALS_DIRECTORY=/etc/tagmint/prod tagmint --config /etc/tagmint/prod.toml alarms list";
    // What was still being tried at the first look has failed by the second.
    let told = || -> TestResult<String> { host.run(alarms)?.well() };
    let both = |told: &str| told.contains("certificate-unservable") && told.contains("provider-keys-stale (github)");
    assert!(wait_until(ALARMS, || told().is_ok_and(|told| both(&told))), "{}", told()?);

    // What docs/runbook.md says of a wrong configuration: connections start it again until systemd has enough, and then it is put right.
    let units = "tagmint-http@prod.socket tagmint@prod.socket tagmint@prod.service";
    let mistake =
        "sed -i 's/^strict = true/strict = maybe/' /etc/tagmint/prod.toml; systemctl restart tagmint@prod.service";
    host.run(mistake)?.badly(1)?;
    let given_up = "systemctl is-failed tagmint@prod.socket tagmint@prod.service";
    let asked = || host.run("curl --silent --max-time 1 https://127.0.0.1/").is_ok();
    assert!(
        wait_until(GIVEN_UP, || asked() && host.run(given_up).is_ok_and(|said| said.code == Some(0))),
        "{:?}",
        host.run(given_up)?
    );
    let why = host.run("journalctl -o cat -u tagmint@prod -n 50 | grep -m 1 'problem in'")?.well()?;
    assert!(why.contains("1 problem in /etc/tagmint/prod.toml"), "{why}");
    let mended = "sed -i 's/^strict = maybe/strict = true/' /etc/tagmint/prod.toml";
    host.run(&format!("{mended}; systemctl start tagmint@prod.service"))?.badly(1)?;
    host.run(&format!("systemctl reset-failed {units} && systemctl start {units}"))?.well()?;
    assert_eq!(host.run("systemctl is-active tagmint@prod.service")?.well()?, "active\n");

    // Both want port 443. The timer must not start prod again through its socket.
    host.run("systemctl disable --now tagmint-http@prod.socket tagmint@prod.socket tagmint@prod.service")?.well()?;
    let secret = "umask 077; mkdir -p /etc/tagmint/test; echo TAGMINT_MOCK_AUTH_TOKEN=of-this-test >/etc/tagmint/test/mock-backend.env";
    host.run(secret)?.well()?;
    set_up(&host, "test", "tagmint-mock-backend@test.service")?;
    host.run("curl --silent --fail http://127.0.0.1:9465/livez")?.well()?;
    host.run("systemctl is-active tagmint-mock-backend@test.service")?.well()?;
    let apart = "CREDENTIALS_DIRECTORY=/etc/tagmint/test tagmint --config /etc/tagmint/test.toml check --against /etc/tagmint/prod.toml \
                 --against-credentials /etc/tagmint/prod";
    let apart = host.run(apart)?.well()?;
    assert!(apart.contains("✓  key file") && apart.contains("✓  database") && !apart.contains('✗'), "{apart}");

    host.run("dpkg --purge tagmint")?.well()?;
    let left = host.run("systemctl list-units --no-legend --plain --state=active 'tagmint*'; find /etc/systemd/system -name 'tagmint*' -type l")?;
    assert_eq!(left.well()?, "");
    Ok(())
}
