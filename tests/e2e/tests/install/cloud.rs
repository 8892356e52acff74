//! The user data for a cloud host.

use std::{fs, process::Command};

use super::{TestResult, repository};

/// What EC2 takes, before base64.
const EC2_LIMIT: u64 = 16 * 1024;

/// Prints the script that the user data writes.
const SCRIPT: &str = "
import sys, yaml
files = yaml.safe_load(open(sys.argv[1]))['write_files']
print([file['content'] for file in files if file['path'] == '/usr/local/sbin/tagmint-setup'][0], end='')
";

#[test]
fn cloud_init_takes_the_user_data() -> TestResult {
    let file = repository().join("deploy/cloud-init/user-data.yaml");
    assert!(fs::metadata(&file)?.len() < EC2_LIMIT);
    let mut command = Command::new("cloud-init");
    command.args(["schema", "--config-file"]).arg(&file);
    let output = command.output().map_err(|error| format!("cloud-init, of Debian's package cloud-init: {error}"))?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("Valid"), "{said}");
    // It would have told.
    let wrong = tempfile::NamedTempFile::new()?;
    fs::write(wrong.path(), fs::read_to_string(&file)?.replace("runcmd:", "runcmd: 7\nother:"))?;
    let output = Command::new("cloud-init").args(["schema", "--config-file"]).arg(wrong.path()).output()?;
    assert!(!output.status.success());

    let script = Command::new("/usr/bin/python3").args(["-c", SCRIPT]).arg(&file).output()?;
    assert!(script.status.success(), "{}", String::from_utf8_lossy(&script.stderr));
    let extracted = tempfile::NamedTempFile::new()?;
    fs::write(extracted.path(), script.stdout)?;
    let output = Command::new("shellcheck").arg(extracted.path()).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}
