//! The package and the script on a host that runs: systemd is booted with the units as they are shipped.

use std::{fs, time::Duration};

use tagmint_e2e::wait_until;

use super::{
    TestResult,
    machine::{Booted, Machine},
    package, repository,
};

const BEHIND_A_PROXY: &str =
    "/root/install.sh --yes --host broker.example.org --environment prod --proxy 8080 --deb /root/tagmint.deb";
const DISCOVERY: &str = "http://127.0.0.1:8080/.well-known/openid-configuration";

/// The process of the issuer.
fn process(host: &Booted) -> TestResult<String> {
    Ok(host.run("systemctl show --property=MainPID --value tagmint@prod.service")?.well()?.trim().to_owned())
}

/// An S3 on the host itself, with a bucket and an object in it; the keys go to the units as an operator writes them.
const S3: &str = r#"
    set -e
    systemd-run --quiet --unit=s3 --property=StandardOutput=truncate:/root/s3.json tagmint localaws --listen 127.0.0.1:4566 --format json
    for try in $(seq 100); do grep -qs secret_access_key /root/s3.json && break; sleep 0.1; done
    field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" /root/s3.json; }
    bucket=agentkeys-mail-test-000000000000
    ask() { curl --silent --show-error --fail --header "x-amz-content-sha256: UNSIGNED-PAYLOAD" --aws-sigv4 aws:amz:us-east-1:s3 --user "$(field access_key_id):$(field secret_access_key)" "$@"; }
    ask --request PUT "http://127.0.0.1:4566/$bucket"
    for key in pr-1/run-1/x fixtures/x; do ask --request PUT --data x "http://127.0.0.1:4566/$bucket/$key"; done
    umask 077
    printf 'AWS_ENDPOINT_URL=http://127.0.0.1:4566\nAWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\nSWEEP_OPTIONS=--older-than 1s\n' \
        "$(field access_key_id)" "$(field secret_access_key)" >/etc/tagmint/test/sweep.env
    sleep 2
"#;
const BUCKET: &str = r#"
[aws]
account = "000000000000"
region = "us-east-1"

[aws.bucket]
name = "agentkeys-mail-test-000000000000"
"#;

/// What stands in for node_exporter: it reads the file as a user without rights.
const NODE_EXPORTER: &str = "[Unit]
StartLimitIntervalSec=0
[Service]
Type=oneshot
User=daemon
ExecStart=cat /var/lib/prometheus/node-exporter/tagmint-sweep-test.prom
StandardOutput=truncate:/run/figures
";

/// The commands of docs/sweep.md that show node_exporter the figures, for root.
fn shown_to_node_exporter() -> TestResult<String> {
    let page = fs::read_to_string(repository().join("docs/sweep.md"))?;
    let mut blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let block = blocks.find(|block| block.contains("prometheus-node-exporter.service.d"));
    Ok(format!("set -e\n{}", block.ok_or("docs/sweep.md has no such commands")?.replace("sudo ", "")))
}

#[test]
fn the_bucket_of_a_test_issuer_is_swept_every_night_and_no_other() -> TestResult {
    let host = Machine::new()?.boot()?;
    let install =
        "/root/install.sh --yes --host test-broker.example.org --environment test --proxy 8081 --deb /root/tagmint.deb";
    let said = host.run(install)?.well()?;
    assert!(said.contains("names no [aws.bucket] yet"), "{said}");
    let config = host.machine().path("etc/tagmint/test.toml");
    fs::write(&config, fs::read_to_string(&config)? + BUCKET)?;
    let said = host.run(install)?.well()?;
    assert!(
        said.contains("enable tagmint-sweep@test.timer") && said.contains("start tagmint-sweep@test.timer"),
        "{said}"
    );
    let next = host.run("systemctl list-timers --no-legend tagmint-sweep@test.timer")?.well()?;
    assert!(next.contains("tagmint-sweep@test.service"), "{next}");

    // Without credentials it says so, and the figures do, to a node_exporter that was shown them.
    host.run("mkdir --parents /var/lib/prometheus/node-exporter")?.well()?;
    fs::write(host.machine().path("etc/systemd/system/prometheus-node-exporter.service"), NODE_EXPORTER)?;
    let journal = "journalctl --unit=tagmint-sweep@test --output=cat";
    let figures = "systemctl start prometheus-node-exporter.service && cat /run/figures";
    let no_host = "printf 'AWS_EC2_METADATA_DISABLED=true\\n' >/etc/tagmint/test/sweep.env; systemctl start tagmint-sweep@test.service";
    host.run(no_host)?.badly(1)?;
    let said = host.run(journal)?.well()?;
    assert!(said.contains("credentials"), "{said}");
    host.run(&shown_to_node_exporter()?)?.well()?;
    let text = host.run(figures)?.well()?;
    assert!(text.contains("tagmint_sweep_ok{bucket=\"agentkeys-mail-test-000000000000\"} 0\n"), "{text}");

    host.run(S3)?.well()?;
    let done = host.run("systemctl start tagmint-sweep@test.service")?;
    let said = host.run(journal)?.well()?;
    assert!(done.code == Some(0) && said.contains("1 of 1 prefixes gone"), "{done:?}{said}");
    let text = host.run(figures)?.well()?;
    for figure in ["ok", "removed_objects"] {
        let line = format!("tagmint_sweep_{figure}{{bucket=\"agentkeys-mail-test-000000000000\"}} 1\n");
        assert!(text.contains(&line), "{line}{text}");
    }
    let listed = host.run(
        "ls -A /var/cache/private/tagmint-metrics/test; stat --format=%a /var/cache/private/tagmint-metrics/test/*",
    )?;
    assert_eq!(listed.well()?, "tagmint-sweep-test.prom\n644\n");

    // For prod the command itself refuses.
    let prod = "sed 's/^environment = .*/environment = \"prod\"/; s/test-//g; s/-test//g; s|/test/|/prod/|' /etc/tagmint/test.toml >/etc/tagmint/prod.toml
        cp -a /etc/tagmint/test /etc/tagmint/prod; systemctl start tagmint-sweep@prod.service";
    host.run(prod)?.badly(1)?;
    let said = host.run("journalctl --unit=tagmint-sweep@prod --output=cat")?.well()?;
    assert!(said.contains("only a test issuer's bucket is ever swept"), "{said}");

    // What the sweep's user puts in the place of its figures is read by node_exporter's user, whose rights end before /etc/shadow; root reads
    // nothing, so that no pipe holds the unit up.
    host.run("sed --in-place 's/^strict/strikt/' /etc/tagmint/test.toml")?.well()?;
    for planted in ["ln --symbolic /etc/shadow", "mkfifo"] {
        let figures = "/var/cache/private/tagmint-metrics/test/tagmint-sweep-test.prom";
        let script = format!(
            "rm {figures}; {planted} {figures} || exit 9; timeout 30 systemctl start tagmint-sweep@test.service"
        );
        host.run(&script)?.badly(1)?;
        let kinds = "stat --format='%F' /var/lib/prometheus/node-exporter/*; stat --format='%F %a' /etc/shadow";
        assert_eq!(host.run(kinds)?.well()?, "symbolic link\nregular file 640\n", "{planted}");
        if planted != "mkfifo" {
            host.run("systemctl start prometheus-node-exporter.service")?.badly(1)?;
            let said = host.run("cat /run/figures")?.well()?;
            assert!(said.ends_with("Permission denied\n") && said.lines().count() == 1, "{said}");
        }
    }
    Ok(())
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
