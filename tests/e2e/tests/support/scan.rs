//! sslyze, a scanner of TLS servers.

use std::{net::SocketAddr, process::Command};

use serde_json::Value;
use tagmint_e2e::python;

use super::TestResult;

/// Runs the scanner. It calls the server `name`.
pub fn scan(address: SocketAddr, name: &str) -> TestResult<Value> {
    let dir = tempfile::tempdir()?;
    let report = dir.path().join("report.json");
    let mut command = Command::new(python()?);
    // Everything that Mozilla's profile judges, and what it does not: resumption, early data, renegotiation.
    command.args(["-m", "sslyze", "--mozilla_config=disable"]);
    for part in ["sslv2", "sslv3", "tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3", "compression", "fallback", "heartbleed"] {
        command.arg(format!("--{part}"));
    }
    for part in ["openssl_ccs", "reneg", "robot", "resum", "early_data", "ems", "elliptic_curves"] {
        command.arg(format!("--{part}"));
    }
    command.args(["--sni", name]).arg(format!("--json_out={}", report.display())).arg(address.to_string());
    let output = command.output()?;
    let text = std::fs::read_to_string(&report)
        .map_err(|error| format!("sslyze wrote no report ({error}): {}", String::from_utf8_lossy(&output.stderr)))?;
    let report: Value = serde_json::from_str(&text)?;
    let scanned = &report["server_scan_results"][0]["scan_result"];
    if scanned.is_null() {
        return Err(format!("the server was not scanned: {report}").into());
    }
    Ok(scanned.clone())
}

/// What a part of the scan found. A part that failed is an error, not a pass.
fn found<'a>(scan: &'a Value, part: &str) -> TestResult<&'a Value> {
    let part_of = &scan[part];
    if part_of["status"] == "COMPLETED" { Ok(&part_of["result"]) } else { Err(format!("{part}: {part_of}").into()) }
}

/// The cipher suites of a protocol version.
fn suites(scan: &Value, part: &str) -> TestResult<Vec<String>> {
    let accepted = found(scan, part)?["accepted_cipher_suites"].as_array().ok_or("no list of cipher suites")?;
    Ok(accepted.iter().filter_map(|suite| suite["cipher_suite"]["name"].as_str().map(str::to_owned)).collect())
}

/// Everything above low: protocols older than 1.2, suites without forward secrecy or authentication, compression, renegotiation by the client,
/// early data, the old attacks. Mozilla's "intermediate" profile, or better.
pub fn is_hardened(scan: &Value) -> TestResult {
    for old in ["ssl_2_0_cipher_suites", "ssl_3_0_cipher_suites", "tls_1_0_cipher_suites", "tls_1_1_cipher_suites"] {
        assert_eq!(suites(scan, old)?, Vec::<String>::new(), "{old}");
    }
    let (tls12, tls13) = (suites(scan, "tls_1_2_cipher_suites")?, suites(scan, "tls_1_3_cipher_suites")?);
    assert!(!tls12.is_empty(), "STS needs TLS 1.2");
    assert!(!tls13.is_empty());
    for suite in &tls12 {
        let good =
            suite.starts_with("TLS_ECDHE_") && (suite.contains("_GCM_") || suite.contains("_CHACHA20_POLY1305_"));
        assert!(good, "{suite}");
    }
    assert_eq!(found(scan, "tls_compression")?["supports_compression"], false);
    assert_eq!(found(scan, "tls_1_3_early_data")?["supports_early_data"], false);
    assert_eq!(found(scan, "heartbleed")?["is_vulnerable_to_heartbleed"], false);
    assert_eq!(found(scan, "openssl_ccs_injection")?["is_vulnerable_to_ccs_injection"], false);
    assert_eq!(found(scan, "tls_extended_master_secret")?["supports_ems_extension"], true);
    assert_eq!(found(scan, "tls_fallback_scsv")?["supports_fallback_scsv"], true);
    let robot = found(scan, "robot")?["robot_result"].as_str().unwrap_or_default();
    assert!(robot.starts_with("NOT_VULNERABLE"), "{robot}");
    let renegotiation = found(scan, "session_renegotiation")?;
    assert_eq!(renegotiation["is_vulnerable_to_client_renegotiation_dos"], false);
    assert_eq!(renegotiation["supports_secure_renegotiation"], true);
    for way in ["session_id_resumption_result", "tls_ticket_resumption_result"] {
        let result = found(scan, "session_resumption")?[way].as_str().unwrap_or_default();
        assert!(["FULLY_SUPPORTED", "NOT_SUPPORTED"].contains(&result), "{way}: {result}");
    }
    let curves = found(scan, "elliptic_curves")?["supported_curves"].as_array().ok_or("no list of curves")?;
    for curve in curves {
        let name = curve["name"].as_str().unwrap_or_default();
        assert!(["X25519", "X448", "prime256v1", "secp256r1", "secp384r1", "secp521r1"].contains(&name), "{name}");
    }
    Ok(())
}
