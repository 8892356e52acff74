//! The steps of a cluster's start, each one program of Ceph.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::AdminKeys;
use super::config::ClusterConfig;
use crate::daemon::{self, Daemon};
use crate::error::GuardError;

/// Time for one step of the start. Two seconds are usual for all of them; a busy machine is slower.
pub(super) const STEP: Duration = Duration::from_secs(90);
/// The list of certificate authorities that libcurl, and with it radosgw, was compiled to read.
const SYSTEM_CAS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Debian's own Python: `python3-rados`, which the `ceph` command needs, lives with it.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";
/// Mounts a bundle over the system's, in a mount namespace of its own, and becomes radosgw.
const TRUSTING_RGW: &str = r#"mount --bind "$1" "$2" && exec radosgw --foreground --conf "$3" --name client.rgw"#;

/// The steps of a start, on the files of one cluster.
pub(super) struct Cluster<'a> {
    dir: &'a Path,
    conf: PathBuf,
}

impl<'a> Cluster<'a> {
    /// A cluster with its files in `dir`, configured by `conf`.
    pub(super) fn new(dir: &'a Path, conf: PathBuf) -> Self {
        Self { dir, conf }
    }

    /// A command of Ceph, pointed at this cluster.
    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        // `CEPH_ARGS` and `CEPH_KEYRING` of a developer's own cluster must not get in.
        command.env_remove("CEPH_ARGS").env_remove("CEPH_KEYRING").env("CEPH_CONF", &self.conf);
        command.arg("--conf").arg(&self.conf).args(args);
        command
    }

    /// The file that takes what the process `name` prints.
    fn output(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.out"))
    }

    /// The log file that the daemon `name` writes by itself.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.log"))
    }

    /// Starts a program of the cluster.
    pub(super) fn spawn(
        &self,
        name: &str,
        program: &str,
        package: &'static str,
        args: &[&str],
    ) -> Result<Daemon, GuardError> {
        Daemon::spawn(name, &mut self.command(program, args), package, &self.output(name))
    }

    /// Runs a program of the cluster to its end.
    fn run(&self, name: &str, program: &str, package: &'static str, args: &[&str]) -> Result<(), GuardError> {
        let mut command = self.command(program, args);
        daemon::run(name, &mut command, package, &self.output(name), STEP)
    }

    /// Begins to write the OSD's store. It needs no monitor, so it runs beside the monitor's start.
    pub(super) fn make_osd(&self, osd_id: &str) -> Result<Daemon, GuardError> {
        let args = ["--mkfs", "--id", "0", "--osd-uuid", osd_id];
        self.spawn("osd-mkfs", "ceph-osd", "ceph-osd", &args)
    }

    /// Makes the monitor's store and starts it.
    pub(super) fn start_mon(&self, config: &ClusterConfig<'_>) -> Result<Daemon, GuardError> {
        let map = self.dir.join("monmap");
        let map = map.to_string_lossy();
        let address = config.mon_address();
        let args = ["--create", "--fsid", &config.fsid, "--addv", "a", &address, &map];
        self.run("monmap", "monmaptool", "ceph-base", &args)?;
        let args = ["--mkfs", "--id", "a", "--monmap", &map];
        self.run("mon-mkfs", "ceph-mon", "ceph-mon", &args)?;
        self.spawn("mon", "ceph-mon", "ceph-mon", &["--foreground", "--id", "a"])
    }

    /// Makes OSD 0 known to the monitor. Waits for the monitor.
    pub(super) fn register_osd(&self, osd_id: &str) -> Result<(), GuardError> {
        let args = ["--connect-timeout", "60", "osd", "new", osd_id];
        self.run("osd-new", "ceph", "ceph-common", &args)
    }

    /// Starts radosgw, which waits for the OSD by itself.
    pub(super) fn spawn_rgw(&self, ca_file: Option<&Path>) -> Result<Daemon, GuardError> {
        let Some(ca_file) = ca_file else {
            let args = ["--foreground", "--name", "client.rgw"];
            return self.spawn("radosgw", "radosgw", "radosgw", &args);
        };
        let bundle = self.write_bundle(ca_file)?;
        let mut command = Command::new("unshare");
        command.env_remove("CEPH_ARGS").env_remove("CEPH_KEYRING");
        // A plain user needs a user namespace to be allowed a mount namespace.
        command.arg(if rustix::process::geteuid().is_root() { "-m" } else { "-rm" });
        command.args(["--propagation", "private", "sh", "-c", TRUSTING_RGW, "radosgw"]);
        command.args([bundle.as_path(), Path::new(SYSTEM_CAS), &self.conf]);
        Daemon::spawn("radosgw", &mut command, "util-linux", &self.output("radosgw"))
    }

    /// The system's certificate authorities and those of `ca_file`, in one file.
    fn write_bundle(&self, ca_file: &Path) -> Result<PathBuf, GuardError> {
        let mut pem = fs::read(SYSTEM_CAS)
            .map_err(|e| GuardError::file("find the package ca-certificates' file: read", SYSTEM_CAS.as_ref(), e))?;
        pem.push(b'\n');
        pem.extend(fs::read(ca_file).map_err(|e| GuardError::file("read", ca_file, e))?);
        let bundle = self.dir.join("ca-bundle.crt");
        fs::write(&bundle, pem).map_err(|e| GuardError::file("write", &bundle, e))?;
        Ok(bundle)
    }

    /// Makes an administrator, of this tenant (Ceph's word for an account) or of none.
    pub(super) fn create_admin(&self, tenant: Option<&str>, keys: &AdminKeys) -> Result<(), GuardError> {
        let uid = tenant.map_or_else(|| "admin".to_owned(), |tenant| format!("{tenant}$admin"));
        let args = [
            ["user", "create"],
            ["--uid", &uid],
            ["--display-name", "admin"],
            ["--access-key", &keys.access_key_id],
            ["--secret-key", &keys.secret_access_key],
            ["--caps", "roles=*;oidc-provider=*;user-policy=*;users=*;buckets=*"],
        ];
        self.run("admin", "radosgw-admin", "ceph-common", args.as_flattened())
    }
}

/// Without its Python binding the `ceph` command fails with a stack trace: say what is missing.
pub(super) fn check_rados() -> Result<(), GuardError> {
    let missing = || GuardError::MissingProgram {
        program: format!("{SYSTEM_PYTHON} with the module rados"),
        package: "python3-rados",
    };
    let output = Command::new(SYSTEM_PYTHON).args(["-c", "import rados"]).output();
    if output.map_err(|_| missing())?.status.success() { Ok(()) } else { Err(missing()) }
}
