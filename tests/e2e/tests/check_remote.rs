//! `tagmint check --remote` against a running issuer, and `tagmint alarms` against sinks.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};
use tagmint_e2e::{TagmintProcess, wait_until};

type Error = Box<dyn std::error::Error + Send + Sync>;
type TestResult<T = ()> = Result<T, Error>;

/// The exit code, what came on stdout, and what on stderr.
fn run(arguments: &[&str]) -> TestResult<(Option<i32>, Value, String)> {
    let output = TagmintProcess::command(arguments)?.args(["--format", "json"]).output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr).into_owned());
    let value = if out.trim().is_empty() { Value::Null } else { serde_json::from_str(&out)? };
    Ok((output.status.code(), value, err))
}

/// The rows that are not ok, and the level of one.
fn level<'a>(report: &'a Value, check: &str) -> &'a str {
    let rows = report["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = rows.iter().find(|row| row["check"] == check);
    row.and_then(|row| row["level"].as_str()).unwrap_or("absent")
}

fn dev(dir: &Path) -> TestResult<TagmintProcess> {
    let dir = dir.to_string_lossy();
    Ok(TagmintProcess::start(["dev", "--dir", &dir, "--listen", "127.0.0.1:0", "--format", "json"])?)
}

#[test]
fn a_running_issuer_passes_from_outside_and_from_inside() -> TestResult {
    let dir = tempfile::tempdir()?;
    let issuer = dev(dir.path())?;
    let (url, ca, config) = (issuer.field("issuer")?, issuer.field("ca_file")?, issuer.field("config")?);
    let (code, outside, err) = run(&["check", "--remote", url, "--ca-file", ca])?;
    assert_eq!((code, &outside["ok"], &outside["url"]), (Some(0), &json!(true), &json!(url)), "{outside:#} {err}");
    for check in
        ["certificate_chain", "tls_1_2", "tls_1_3", "discovery_issuer", "jwks_keys", "jwks_caching", "latency", "clock"]
    {
        assert_eq!(level(&outside, check), "ok", "{check}: {outside:#}");
    }
    assert_eq!((level(&outside, "dns"), level(&outside, "served_keys")), ("warning", "absent"));
    let (code, inside, err) = run(&["check", "--remote", "--ca-file", ca, "--config", config])?;
    assert_eq!(code, Some(0), "{inside:#} {err}");
    for check in ["stored_certificate", "served_keys", "key_ages"] {
        assert_eq!(level(&inside, check), "ok", "{check}: {inside:#}");
    }
    // For people: a line each, and what to do about the rest.
    let text = TagmintProcess::command(["check", "--remote", url, "--ca-file", ca])?.output()?;
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("✓  discovery_issuer") && text.contains("! dns: ") && text.contains("what to do: "),
        "{text}"
    );
    // Nobody here trusts its certificate authority.
    let (code, untrusted, _) = run(&["check", "--remote", url])?;
    assert_eq!((code, level(&untrusted, "certificate_chain")), (Some(1), "failure"), "{untrusted:#}");
    Ok(())
}

#[test]
fn each_kind_of_failure_has_its_exit_code() -> TestResult {
    let (code, report, err) = run(&["check", "--remote", "https://localhost:1", "--timeout", "1s"])?;
    assert_eq!((code, &report["ok"]), (Some(4), &json!(false)), "{err}");
    assert!(err.contains("\"unreachable\""), "{err}");
    let (code, _, err) = run(&["check", "--remote", "https://localhost:1/"])?;
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("ends in `/`"), "{err}");
    let (code, _, err) = run(&["check", "--remote", "--config", "/no/such/file"])?;
    assert_eq!(code, Some(3), "{err}");
    let (code, _, err) = run(&["check", "--ca-file", "/etc/ssl/certs/ca-certificates.crt"])?;
    assert_eq!(code, Some(2), "--ca-file is for --remote: {err}");
    Ok(())
}

#[test]
fn a_configured_issuer_tells_its_sinks_and_survives_those_that_fail() -> TestResult {
    let dir = tempfile::tempdir()?;
    let config = {
        let issuer = dev(dir.path())?;
        issuer.field("config")?.to_owned()
    };
    let heard = dir.path().join("heard");
    let script = format!("cat >> {}", heard.display());
    let sinks = format!(
        "\n[alarms]\nafter = \"0s\"\n\n[[alarm_sink]]\nname = \"file\"\nkind = \"command\"\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\n\n\
         [[alarm_sink]]\nname = \"gone\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:1/x\"\n"
    );
    let text = fs::read_to_string(&config)?;
    fs::write(&config, format!("{text}{sinks}"))?;
    let (code, told, err) = run(&["alarms", "test", "--config", &config])?;
    assert_eq!((code, &told[0]["ok"], &told[1]["ok"]), (Some(1), &json!(true), &json!(false)), "{told} {err}");
    let notice: Value = serde_json::from_str(&fs::read_to_string(&heard)?)?;
    assert_eq!((&notice["event"], &notice["alarm"]), (&json!("test"), &json!("test")));
    let (code, _, err) = run(&["alarms", "test", "--sink", "file", "--config", &config])?;
    assert_eq!(code, Some(0), "{err}");
    fs::remove_file(&heard)?;
    // The backend of the last start is gone: that is an alarm of the first look.
    let issuer = TagmintProcess::start(["serve", "--config", &config, "--format", "json"])?;
    let arrived = wait_until(Duration::from_secs(30), || {
        fs::read_to_string(&heard).is_ok_and(|text| text.contains("\"session-backend-down\""))
    });
    assert!(arrived, "{}", issuer.stderr());
    let (code, known, err) = run(&["alarms", "list", "--config", &config])?;
    assert_eq!(code, Some(0), "{err}");
    let down = known.as_array().and_then(|known| known.iter().find(|alarm| alarm["alarm"] == "session-backend-down"));
    assert!(down.is_some_and(|alarm| alarm["state"] == "firing"), "{known:#}");
    assert_eq!(issuer.stop()?.code(), Some(0));
    Ok(())
}
