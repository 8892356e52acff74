//! `deploy/install.sh` where no service manager runs: what it refuses, what it writes, and what it leaves alone.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use super::{TestResult, machine::Machine, package, repository};

const ASKED: &str =
    "sh /root/install.sh --host broker.example.org --environment prod --email ops@example.org --deb /root/tagmint.deb";

#[test]
fn scripts_are_clean_for_shellcheck() -> TestResult {
    let mut command = Command::new("shellcheck");
    for script in ["install.sh", "debian/postinst", "debian/prerm", "debian/postrm"] {
        command.arg(repository().join("deploy").join(script));
    }
    let output = command.output().map_err(|error| format!("shellcheck, of Debian's package shellcheck: {error}"))?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let mode = fs::metadata(repository().join("deploy/install.sh"))?.permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    Ok(())
}

#[test]
fn it_is_tried_done_and_then_there_is_nothing_to_do() -> TestResult {
    let machine = Machine::new()?;
    let before = machine.files()?;
    let said = machine.enter(&format!("{ASKED} --no-start --dry-run"))?.well()?;
    for planned in [
        "install /root/tagmint.deb (version 1.0.0)",
        "make the key file",
        "write /etc/tagmint/prod.toml",
        "enable tagmint-http@prod.socket",
    ] {
        assert!(said.contains(planned), "{planned}:\n{said}");
    }
    assert_eq!(machine.files()?, before, "a dry run changes nothing");
    let said = machine.enter(&format!("{ASKED} --no-start"))?.badly(1)?;
    assert!(said.contains("say --yes"), "{said}");
    assert_eq!(machine.files()?, before, "nothing is done unasked");

    machine.enter(&format!("{ASKED} --no-start --yes"))?.well()?;
    let key = machine.path("etc/tagmint/prod/tagmint-key");
    assert_eq!(fs::metadata(&key)?.permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(machine.path("etc/tagmint/prod"))?.permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_to_string(&key)?.trim_end().len(), 44, "32 bytes in base64");
    for link in [
        "multi-user.target.wants/tagmint@prod.service",
        "sockets.target.wants/tagmint-http@prod.socket",
        "timers.target.wants/tagmint-check@prod.timer",
    ] {
        assert!(machine.path("etc/systemd/system").join(link).is_symlink(), "{link}");
    }
    let config = fs::read_to_string(machine.path("etc/tagmint/prod.toml"))?;
    for line in [
        "mode = \"acme\"",
        "contact = [\"mailto:ops@example.org\"]",
        "directory = \"https://acme-v02.api.letsencrypt.org/directory\"",
    ] {
        assert!(config.contains(line), "{line}:\n{config}");
    }
    // The program takes what is written for the other world.
    let other = "sh /root/install.sh --host test-broker.example.org --environment test --proxy 8081 --no-start --yes";
    machine.enter(other)?.well()?;
    let check = "mkdir -p /var/lib/tagmint/test && CREDENTIALS_DIRECTORY=/etc/tagmint/test tagmint --config /etc/tagmint/test.toml check && rm -r /var/lib/tagmint";
    let check = machine.enter(check)?.well()?;
    assert!(
        check.contains("https://test-broker.example.org") && check.contains("127.0.0.1:8081 (tls: proxy)"),
        "{check}"
    );

    let done = machine.files()?;
    for deb in ["", " --dry-run", " --yes"] {
        let said = machine.enter(&format!("{ASKED} --no-start{deb}"))?.well()?;
        assert!(said.starts_with("nothing to do:"), "{said}");
    }
    assert_eq!(machine.files()?, done, "a second run changes nothing");

    // What an operator has written stays, and is shown beside what the script would write.
    let config = machine.path("etc/tagmint/prod.toml");
    fs::write(&config, fs::read_to_string(&config)?.replace("strict = true ", "strict = false "))?;
    let changed = machine.files()?;
    let said = machine.enter(&format!("{ASKED} --no-start --yes"))?.well()?;
    assert!(
        said.contains("kept as it is") && said.contains("-strict = false") && said.contains("+strict = true"),
        "{said}"
    );
    assert_eq!(machine.files()?, changed);

    // Another version is an upgrade, and never a step back.
    machine.put("root/tagmint.deb", &package::second()?)?;
    let said = machine.enter(&format!("{ASKED} --no-start --yes"))?.well()?;
    assert!(said.contains("upgrade Tagmint from 1.0.0 to 1.0.1"), "{said}");
    assert_eq!(machine.files()?.get("etc/tagmint/prod.toml"), changed.get("etc/tagmint/prod.toml"));
    machine.put("root/tagmint.deb", &package::first()?)?;
    let said = machine.enter(&format!("{ASKED} --no-start --yes"))?.badly(1)?;
    assert!(said.contains("1.0.1 is installed"), "{said}");
    Ok(())
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_changed() -> TestResult {
    let machine = Machine::new()?;
    let before = machine.files()?;
    let usage = [
        ("", "--host is missing"),
        ("--host https://broker.example.org", "no host name"),
        ("--host Broker.example.org", "no host name"),
        ("--host 'broker.example.org\nx'", "no host name"),
        ("--host broker.example.org", "--environment is missing"),
        ("--host broker.example.org --environment staging", "neither prod nor test"),
        ("--host broker.example.org --environment prod", "--email is missing"),
        ("--host broker.example.org --environment prod --email 'a\"b@example.org'", "no mail address"),
        ("--host broker.example.org --environment prod --email a@example.org --directory http://ca", "no https:// URL"),
        (
            "--host broker.example.org --environment prod --email a@example.org --staging --directory https://ca",
            "take one",
        ),
        ("--host broker.example.org --environment prod --proxy 99999", "no port"),
        ("--host broker.example.org --environment prod --proxy 8080 --staging", "orders no certificate"),
        ("--host", "--host wants a value"),
        ("--hots broker.example.org", "there is no argument `--hots`"),
    ];
    for (arguments, expected) in usage {
        let said = machine.enter(&format!("sh /root/install.sh {arguments}"))?.badly(2)?;
        assert!(said.contains(expected) && said.contains("usage: install.sh"), "{arguments}:\n{said}");
    }
    let asked = "sh /root/install.sh --yes --host broker.example.org --environment prod --email ops@example.org";
    let wrong = [
        (format!("{asked} --no-start"), "name its Debian package with --deb FILE"),
        (format!("{asked} --no-start --deb /root/none.deb"), "/root/none.deb does not exist"),
        (format!("{asked} --no-start --deb /etc/passwd"), "/etc/passwd is no Debian package"),
        (format!("{asked} --deb /root/tagmint.deb"), "systemd does not run here: with --no-start"),
        (
            format!("{asked} --no-start --deb /root/tagmint.deb --ca-file /root/none.pem"),
            "/root/none.pem cannot be read",
        ),
        (format!("setpriv --reuid=65534 --clear-groups {asked} --no-start --deb /root/tagmint.deb"), "run it as root"),
    ];
    for (command, expected) in &wrong {
        // Readable for the one that is not root.
        let said = machine
            .enter(&format!("cd / && {}", command.replace("/root/install.sh", "/dev/stdin </root/install.sh")))?
            .badly(1)?;
        assert!(said.contains(expected), "{command}:\n{said}");
    }
    assert_eq!(machine.files()?, before);

    let release = machine.path("usr/lib/os-release");
    let debian = fs::read(&release)?;
    fs::write(&release, "ID=fedora\nVERSION_ID=40\n")?;
    let said = machine.enter(&format!("{ASKED} --no-start --yes"))?.badly(1)?;
    assert!(said.contains("this host is `fedora 40`"), "{said}");
    fs::write(&release, debian)?;

    // A database whose key file is lost: a new key would not open it.
    fs::create_dir_all(machine.path("var/lib/private/tagmint/prod"))?;
    fs::write(machine.path("var/lib/private/tagmint/prod/tagmint.db"), "")?;
    let said = machine.enter(&format!("{ASKED} --no-start --yes"))?.badly(1)?;
    assert!(said.contains("put the key file back from the backup"), "{said}");
    fs::remove_dir_all(machine.path("var/lib/private/tagmint"))?;

    // A key file that others may have read.
    fs::create_dir_all(machine.path("etc/tagmint/prod"))?;
    let key = machine.path("etc/tagmint/prod/tagmint-key");
    fs::write(&key, "a key\n")?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644))?;
    let said = machine.enter(&format!("{ASKED} --no-start --yes"))?.badly(1)?;
    assert!(said.contains("others may read /etc/tagmint/prod/tagmint-key"), "{said}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;

    // A disk that takes nothing.
    let read_only = format!("mount --bind /etc /etc && mount -o remount,ro,bind /etc && {ASKED} --no-start --yes");
    let said = machine.enter(&read_only)?.badly(1)?;
    assert!(said.contains("the package could not be installed") || said.contains("cannot be written to"), "{said}");
    assert_eq!(fs::read_to_string(&key)?, "a key\n", "a key file is never written over");
    Ok(())
}
