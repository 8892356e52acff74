//! The package and the script on a host that runs: systemd is booted with the units as they are shipped.

use std::{fs, time::Duration};

use tagmint_e2e::wait_until;

use super::{
    TestResult,
    machine::{Booted, Machine},
    package,
};

const BEHIND_A_PROXY: &str =
    "/root/install.sh --yes --host broker.example.org --environment prod --proxy 8080 --deb /root/tagmint.deb";
const DISCOVERY: &str = "http://127.0.0.1:8080/.well-known/openid-configuration";

/// The process of the issuer.
fn process(host: &Booted) -> TestResult<String> {
    Ok(host.run("systemctl show --property=MainPID --value tagmint@prod.service")?.well()?.trim().to_owned())
}

#[test]
fn an_issuer_behind_a_proxy_is_set_up_upgraded_and_removed() -> TestResult {
    let host = Machine::new()?.boot()?;
    let said = host.run(BEHIND_A_PROXY)?.well()?;
    assert!(said.contains("done: the issuer answers on 127.0.0.1:8080"), "{said}");
    let again = host.run(BEHIND_A_PROXY)?.well()?;
    assert!(again.contains("nothing to do: the prod issuer https://broker.example.org is set up"), "{again}");
    let first = process(&host)?;
    let user = host.run(&format!("stat --format=%u /proc/{first}"))?.well()?;
    assert_ne!(user.trim(), "0", "it is a user of its own");
    host.run("systemctl is-active tagmint@prod.socket tagmint@prod.service tagmint-check@prod.timer")?.well()?;

    // The hourly check says whether a restart would do, and leaves the issuer alone.
    host.run("systemctl start tagmint-check@prod.service")?.well()?;
    let config = host.machine().path("etc/tagmint/prod.toml");
    let good = fs::read_to_string(&config)?;
    fs::write(&config, good.replace("strict = true", "strikt = true"))?;
    host.run("systemctl start tagmint-check@prod.service")?.badly(1)?;
    let failed = host
        .run("systemctl --failed --no-legend --plain; journalctl --unit=tagmint-check@prod --output=cat")?
        .well()?;
    assert!(failed.contains("tagmint-check@prod.service") && failed.contains("strikt"), "{failed}");

    // A new program that does not take the configuration does not take over.
    host.machine().put("root/tagmint.deb", &package::second()?)?;
    let said = host.run("dpkg --install /root/tagmint.deb")?.well()?;
    assert!(said.contains("tagmint@prod.service goes on with the old program") && said.contains("strikt"), "{said}");
    assert_eq!(process(&host)?, first);
    host.run(&format!("curl --silent --fail {DISCOVERY}"))?.well()?;

    // Otherwise it does, and its port is open all the while.
    fs::write(&config, good)?;
    host.machine().put("root/tagmint.deb", &package::first()?)?;
    let upgrade = format!(
        "(while [ ! -e /tmp/over ]; do curl --silent --output /dev/null {DISCOVERY} || echo $? >>/tmp/failed; done) &
        dpkg --install --force-downgrade /root/tagmint.deb; code=$?; sleep 1; touch /tmp/over; wait; exit $code"
    );
    host.run(&upgrade)?.well()?;
    assert_ne!(process(&host)?, first);
    let refused = host.run("grep -cx 7 /tmp/failed || true")?.well()?;
    assert!(["0\n", "grep: /tmp/failed: No such file or directory\n"].contains(&refused.as_str()), "{refused}");

    host.run("dpkg --remove tagmint")?.well()?;
    let running = host.run("systemctl list-units --no-legend --plain --state=active 'tagmint*'")?.well()?;
    assert_eq!(running, "");
    host.run(&format!("curl --silent {DISCOVERY}"))?.badly(7)?;
    let said = host.run("dpkg --purge tagmint")?.well()?;
    assert!(
        said.contains("tagmint: /etc/tagmint stays") && said.contains("tagmint: /var/lib/private/tagmint stays"),
        "{said}"
    );
    for left in ["etc/tagmint/prod.toml", "etc/tagmint/prod/tagmint-key", "var/lib/private/tagmint/prod/tagmint.db"] {
        assert!(host.machine().path(left).exists(), "{left}");
    }
    assert_eq!(host.run("find /etc/systemd/system -name 'tagmint*' -type l")?.well()?, "");
    Ok(())
}

#[test]
fn what_stands_in_the_way_is_named() -> TestResult {
    let host = Machine::new()?.boot()?;
    let asked = "/root/install.sh --yes --host broker.example.org --environment prod --email ops@example.org --deb /root/tagmint.deb";
    for port in [443, 80] {
        host.run(&format!("systemd-run --quiet --unit=other systemd-socket-activate --listen={port} true"))?.well()?;
        let listens = wait_until(Duration::from_secs(20), || {
            host.run(&format!("ss --no-header -lnt 'sport = :{port}'")).is_ok_and(|said| !said.text.is_empty())
        });
        assert!(listens);
        let said = host.run(asked)?.badly(1)?;
        assert!(said.contains(&format!("port {port} is taken")) && said.contains("systemd-socket"), "{said}");
        host.run("systemctl stop other.service")?.well()?;
    }
    assert!(!host.machine().path("etc/tagmint").exists());

    // A configuration that is there already, and wrong.
    let machine = host.machine();
    fs::create_dir(machine.path("etc/tagmint"))?;
    fs::write(machine.path("etc/tagmint/prod.toml"), "environment = \"prod\"\n")?;
    let said = host.run(BEHIND_A_PROXY)?.badly(1)?;
    assert!(said.contains("the issuer did not start") && said.contains("issuer"), "{said}");
    assert!(said.contains("kept as it is"), "{said}");
    assert_eq!(fs::read_to_string(machine.path("etc/tagmint/prod.toml"))?, "environment = \"prod\"\n");
    Ok(())
}
