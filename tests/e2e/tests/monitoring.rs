//! The alert rules that are shipped, by Prometheus's own tool.

use std::{path::Path, process::Command};

type Error = Box<dyn std::error::Error + Send + Sync>;
type TestResult<T = ()> = Result<T, Error>;

fn promtool(arguments: &[&str]) -> TestResult<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/monitoring");
    let output = Command::new("promtool").args(arguments).current_dir(folder).output();
    let output = output.map_err(|error| format!("promtool: {error}; install the package prometheus"))?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(said.into()) }
}

#[test]
fn prometheus_takes_the_rules_and_they_fire_when_they_should() -> TestResult {
    let said = promtool(&["check", "rules", "tagmint.rules.yml"])?;
    assert!(said.contains("18 rules found"), "{said}");
    promtool(&["test", "rules", "tagmint.rules.test.yml"])?;
    promtool(&["check", "config", "prometheus.yml"])?;
    Ok(())
}
