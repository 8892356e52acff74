//! A bare Debian: a copy of the one that `cargo xtask test root` makes.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tagmint_e2e::{Daemon, debian_root, wait_until};

use super::{TestResult, package, repository};

/// For the boot, and for the end of what runs inside.
const LIMIT: Duration = Duration::from_mins(1);

/// What a command ended with.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Stdout and stderr, one after the other.
    pub text: String,
}

impl Said {
    /// The text of a success.
    pub fn well(self) -> TestResult<String> {
        if self.code == Some(0) {
            Ok(self.text)
        } else {
            Err(format!("exit code {:?}:\n{}", self.code, self.text).into())
        }
    }

    /// The text of a failure with this exit code.
    pub fn badly(self, code: i32) -> TestResult<String> {
        if self.code == Some(code) {
            Ok(self.text)
        } else {
            Err(format!("exit code {:?}:\n{}", self.code, self.text).into())
        }
    }

    fn of(mut command: Command) -> TestResult<Self> {
        let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        Ok(Self { code: output.status.code(), text })
    }
}

/// A Debian in a folder, with the package in `/root/tagmint.deb` and the script in `/root/install.sh`.
pub struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    /// A fresh one.
    pub fn new() -> TestResult<Self> {
        let dir = tempfile::Builder::new().prefix("tagmint-e2e-").tempdir()?;
        let machine = Self { dir };
        let mut copy = Command::new("cp");
        copy.args(["--archive", "--reflink=auto"]).arg(debian_root()?).arg(machine.root());
        Said::of(copy)?.well()?;
        // The list of manual pages would be made anew at each step.
        let _ = fs::remove_file(machine.path("var/lib/man-db/auto-update"));
        machine.put("root/tagmint.deb", &package::first()?)?;
        machine.put("root/install.sh", &repository().join("deploy/install.sh"))?;
        Ok(machine)
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// A path in it.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    /// Copies a file into it.
    pub fn put(&self, to: &str, from: &Path) -> TestResult {
        fs::copy(from, self.path(to)).map_err(|error| format!("copy {}: {error}", from.display()))?;
        Ok(())
    }

    /// Runs a script of the shell inside, where no service manager runs. What it mounts and starts ends with it.
    pub fn enter(&self, script: &str) -> TestResult<Said> {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc"]);
        command.args(["sh", "-c", r#"mount -t proc proc "$1/proc" && exec chroot "$1" sh -c "$2""#, "sh"]);
        command.arg(self.root()).arg(script).env_clear().envs(ENVIRONMENT);
        Said::of(command)
    }

    /// Every file and folder with its kind, mode, owner and content's size and time, but for what a package manager notes and keeps.
    pub fn files(&self) -> TestResult<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                let name = path.strip_prefix(self.root())?.to_string_lossy().into_owned();
                if KEPT_BY_DPKG.iter().any(|kept| name.starts_with(kept)) {
                    continue;
                }
                let file = fs::symlink_metadata(&path)?;
                let (mode, owner) = (file.permissions().mode(), file.uid());
                if file.is_dir() {
                    folders.push(path);
                    found.insert(name, format!("{mode:o} {owner}"));
                } else {
                    found.insert(
                        name,
                        format!("{mode:o} {owner} {} {}.{}", file.len(), file.mtime(), file.mtime_nsec()),
                    );
                }
            }
        }
        Ok(found)
    }

    /// Boots it: systemd as on a host, with a network of its own that has loopback alone.
    pub fn boot(self) -> TestResult<Booted> {
        let one = BOOTED.lock().unwrap_or_else(PoisonError::into_inner);
        let mut command = Command::new("systemd-nspawn");
        command.args(["--quiet", "--register=no", "--keep-unit", "--private-network", "--boot", "--directory"]);
        command.arg(self.root());
        let log = self.dir.path().join("console");
        let daemon = Daemon::spawn("systemd-nspawn", &mut command, "systemd-container", &log)?;
        let mut booted = Booted { daemon, machine: self, init: 0, _one: one };
        let children = format!("/proc/{0}/task/{0}/children", booted.daemon.pid());
        booted.daemon.wait_ready("the start of systemd", LIMIT, || {
            let pids = fs::read_to_string(&children).unwrap_or_default();
            booted.init =
                pids.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid| is_first(*pid)).unwrap_or(0);
            booted.init != 0
        })?;
        let running = wait_until(LIMIT, || {
            let state = booted.run("systemctl is-system-running");
            state.is_ok_and(|state| ["running\n", "degraded\n"].contains(&state.text.as_str()))
        });
        if running { Ok(booted) } else { Err(format!("systemd did not come up:\n{}", booted.daemon.log()).into()) }
    }
}

/// Held while one is booted: they would share their control groups.
static BOOTED: Mutex<()> = Mutex::new(());

/// Whether the process is the first one of a namespace of its own. systemd-nspawn has helpers before.
fn is_first(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    ids.split_whitespace().nth(1) == Some("1")
}

const ENVIRONMENT: [(&str, &str); 4] = [
    ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "/root"),
    ("LC_ALL", "C.UTF-8"),
    ("DEBIAN_FRONTEND", "noninteractive"),
];

/// Where package managers keep books, and what they make anew of all that is installed.
const KEPT_BY_DPKG: [&str; 9] =
    ["var/lib/dpkg", "var/lib/apt", "var/cache", "var/log", "var/tmp", "etc/ld.so.cache", "proc", "dev", "run"];

/// A booted one; it is shut down when this goes.
pub struct Booted {
    daemon: Daemon,
    machine: Machine,
    /// Its process 1, as the host numbers it.
    init: u32,
    _one: MutexGuard<'static, ()>,
}

impl Booted {
    /// Runs a script of the shell inside.
    pub fn run(&self, script: &str) -> TestResult<Said> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.init)).args(["--all", "--wdns=/root", "sh", "-c", script]);
        command.env_clear().envs(ENVIRONMENT);
        Said::of(command)
    }

    /// The folder that it runs in.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        let _ = self.daemon.terminate(LIMIT);
    }
}
