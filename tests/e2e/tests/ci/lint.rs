//! What people run is clean for shellcheck, and what they read is what is there.

use std::process::Command;

use super::{TestResult, job::repository};

#[test]
fn the_scripts_are_clean_for_shellcheck() -> TestResult {
    let scripts = ["assume_ci_role.sh", "prove_bucket_access.sh", "verify_bucket_access.sh"]
        .map(|name| repository().join("deploy/ci").join(name));
    let mut command = Command::new("shellcheck");
    command.args(["--enable", "quote-safe-variables"]).args(&scripts);
    let output = command.output().map_err(|error| format!("shellcheck, of Debian's package shellcheck: {error}"))?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    for script in scripts {
        assert_eq!(super::job::mode(&script)? & 0o111, 0o111, "{} is executable", script.display());
    }
    Ok(())
}

#[test]
fn every_setting_of_the_script_is_in_its_head() -> TestResult {
    let text = std::fs::read_to_string(repository().join("deploy/ci/assume_ci_role.sh"))?;
    let (head, code) = text.split_once("\nset -euo pipefail\n").ok_or("the script has no beginning")?;
    let mut seen = 0;
    for word in code.split("${").skip(1) {
        let name: String = word.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
        if name.starts_with("TAGMINT_") || name.starts_with("ROLE_") {
            assert!(head.contains(&format!("\n#   {name} ")), "{name} is not described");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} settings were found");
    Ok(())
}
