//! System packages of the end-to-end tests.

use std::path::Path;

use crate::process::{self, Failure, Notes};
use crate::workspace::Workspace;

/// How one sees that a package is there.
enum Probe {
    /// A program in `PATH`.
    Program(&'static str),
    /// A file.
    File(&'static str),
    /// A module of the system's Python.
    Module(&'static str),
}

use Probe::{File, Module, Program};

/// What is needed: what a package brings, the Debian package, and what for.
const NEEDS: &[(Probe, &str, &str)] = &[
    (Program("ceph-mon"), "ceph-mon", "monitor of the throw-away Ceph cluster"),
    (Program("ceph-osd"), "ceph-osd", "its object store, in memory"),
    (Program("radosgw"), "radosgw", "its S3, STS and IAM"),
    (Program("ceph"), "ceph-common", "its administration, also radosgw-admin"),
    (Module("rados"), "python3-rados", "what the `ceph` command talks through"),
    (Program("unshare"), "util-linux", "shows radosgw alone the test issuer's authority"),
    (File("/etc/ssl/certs/ca-certificates.crt"), "ca-certificates", "the list that it is added to"),
    (Program("faketime"), "faketime", "runs the issuer in the past, for a token that has expired"),
    (Program("node"), "nodejs", "runs the second judge on policy evaluation, and clients in JavaScript"),
    (Program("npm"), "npm", "installs them"),
    (Program("shellcheck"), "shellcheck", "looks through the scripts for pipelines"),
    (Program("curl"), "curl", "what they ask with"),
    (Program("jq"), "jq", "what they read answers with"),
    (Program("promtool"), "prometheus", "tests the alert rules; the server itself is not started"),
    (Program("ip"), "iproute2", "the addresses of the stage on which the guides' commands are run"),
    (Program("openssl"), "openssl", "its certificates, and the guides' key files"),
    (Program("sqlite3"), "sqlite3", "makes the guides' backups"),
    (Program("fuser"), "psmisc", "tells in them who holds a file"),
    (Program("make"), "make", "the build of the example workflow"),
    (File("/usr/sbin/nginx"), "nginx", "stands before the issuer, with the sites that are shipped"),
    (Program("systemd-analyze"), "systemd", "verifies the units, and passes sockets; it is not started"),
    (File("/bin/kill"), "procps", "reloads the issuer in them"),
    (Program("pebble"), "pebble", "an ACME server to fetch certificates from, with a DNS server for its validations"),
    (Program("certbot"), "certbot", "a second client of it, which shows that it is set up as clients expect"),
    (Program("debootstrap"), "debootstrap", "the bare Debian that the package is installed in"),
    (Program("systemd-nspawn"), "systemd-container", "boots it"),
    (Program("dpkg-shlibdeps"), "dpkg-dev", "tells what the package depends on"),
    (Program("lintian"), "lintian", "looks through the package"),
    (Program("cloud-init"), "cloud-init", "looks through the user data for a cloud host"),
    (Module("ensurepip"), "python3-venv", "the virtual environment with boto3 and the AWS CLI"),
];

/// Debian's own Python, not one of a version manager: system modules belong to it.
pub(crate) const SYSTEM_PYTHON: &str = "/usr/bin/python3";

/// How long apt waits for dpkg's lock, in seconds.
const LOCK_TIMEOUT: &str = "DPkg::Lock::Timeout=600";

/// Installs what is missing.
pub(crate) fn install(workspace: &Workspace) -> Result<Notes, Failure> {
    let missing = missing(workspace);
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    for (_, package, purpose) in &missing {
        println!("    {package} is missing: {purpose}");
    }
    let packages: Vec<_> = missing.iter().map(|(_, package, _)| *package).collect();
    let advice = format!("apt-get install --no-install-recommends {}", packages.join(" "));
    let with_advice = |failure: Failure| Failure::new(format!("{failure}: install the packages yourself: {advice}"));
    let prefix = root_prefix(workspace).map_err(with_advice)?;
    apt_get(workspace, prefix, &["update", "--quiet"]).map_err(with_advice)?;
    let install = ["install", "--quiet", "--yes", "--no-install-recommends"];
    apt_get(workspace, prefix, &[&install[..], &packages[..]].concat()).map_err(with_advice)?;
    if let Some((_, package, _)) = self::missing(workspace).first() {
        let text = format!("{package} is installed, but what it should bring is not there");
        return Err(Failure::new(text));
    }
    Ok(vec![format!("installed: {}", packages.join(" "))])
}

fn missing(workspace: &Workspace) -> Vec<&'static (Probe, &'static str, &'static str)> {
    NEEDS.iter().filter(|(probe, ..)| !is_there(workspace, probe)).collect()
}

fn is_there(workspace: &Workspace, probe: &Probe) -> bool {
    match probe {
        Program(name) => std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(name).is_file())),
        File(path) => Path::new(path).is_file(),
        Module(name) => {
            let mut python = workspace.command(SYSTEM_PYTHON);
            python.args(["-c", &format!("import {name}")]);
            process::succeeds(python)
        }
    }
}

/// What to put before a command that only root may run: nothing for root, `sudo -n` (which never
/// asks) for others.
fn root_prefix(workspace: &Workspace) -> Result<&'static [&'static str], Failure> {
    let mut id = workspace.command("id");
    id.arg("-u");
    if process::capture(id)?.trim() == "0" {
        return Ok(&[]);
    }
    let mut sudo = workspace.command("sudo");
    sudo.args(["-n", "true"]);
    if process::succeeds(sudo) {
        Ok(&["sudo", "-n"])
    } else {
        Err(Failure::new("installing packages needs root, and `sudo -n` is refused"))
    }
}

fn apt_get(workspace: &Workspace, prefix: &[&str], args: &[&str]) -> Result<(), Failure> {
    // `env` carries the variable through sudo. Another installation, such as the machine's own nightly one, is waited for.
    let program = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--option", LOCK_TIMEOUT];
    let words = [prefix, &program, args].concat();
    let mut command = workspace.command(words[0]);
    command.args(&words[1..]);
    process::run(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_see_what_is_there_and_what_is_not() {
        let workspace = Workspace::find();
        assert!(is_there(&workspace, &Program("sh")));
        assert!(!is_there(&workspace, &Program("xtask-no-such-program")));
        assert!(is_there(&workspace, &File("/etc/passwd")));
        assert!(!is_there(&workspace, &File("/etc")));
        assert!(!is_there(&workspace, &Module("xtask_no_such_module")));
    }
}
