use std::path::PathBuf;

use super::*;

/// Long enough for a shell to start on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

fn runs(pid: u32) -> bool {
    PathBuf::from(format!("/proc/{pid}")).exists()
}

#[test]
fn dropping_ends_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::spawn("sleeper", &mut shell("exec sleep 600"), "dash", &dir.path().join("log")).unwrap();
    let pid = daemon.pid();
    assert!(runs(pid));
    drop(daemon);
    assert!(!runs(pid));
}

#[test]
fn a_missing_program_names_its_package() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("tagmint-no-such-program");
    let error = Daemon::spawn("x", &mut command, "radosgw", &dir.path().join("log")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the program `tagmint-no-such-program` is not installed: install it with \
         `apt-get install --no-install-recommends radosgw`"
    );
}

#[test]
fn an_early_end_shows_status_and_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = shell("echo no space left >&2; exit 3");
    let mut daemon = Daemon::spawn("filler", &mut command, "dash", &dir.path().join("log")).unwrap();
    let error = daemon.wait_ready("never", LIMIT, || false).unwrap_err().to_string();
    assert!(error.starts_with("filler ended early (exit status: 3)"), "{error}");
    assert!(error.contains("no space left"), "{error}");
}

#[test]
fn waiting_has_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = shell("exec sleep 600");
    let mut daemon = Daemon::spawn("s", &mut command, "dash", &dir.path().join("log")).unwrap();
    let limit = Duration::from_millis(50);
    let error = daemon.wait_ready("readiness", limit, || false).unwrap_err();
    assert!(error.to_string().starts_with("readiness did not happen within 0.05 s"), "{error}");
}

#[test]
fn terminate_asks_before_it_kills() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut polite = shell("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done");
    let mut daemon = Daemon::spawn("polite", &mut polite, "dash", &log).unwrap();
    daemon.wait_ready("the trap", LIMIT, || tail(&log).contains("up")).unwrap();
    assert_eq!(daemon.terminate(LIMIT).unwrap().code(), Some(7));
    assert!(daemon.log().contains("bye"));

    let mut deaf = shell("trap '' TERM; echo up; while :; do sleep 0.05; done");
    let mut daemon = Daemon::spawn("deaf", &mut deaf, "dash", &log).unwrap();
    daemon.wait_ready("the trap", LIMIT, || tail(&log).contains("up")).unwrap();
    assert_eq!(daemon.terminate(Duration::from_millis(100)).unwrap().code(), None);
}

#[test]
fn the_leash_kills_when_its_owner_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut sleeper = Daemon::spawn("s", &mut shell("exec sleep 600"), "dash", &dir.path().join("log")).unwrap();
    let mut leash = Leash::new().unwrap();
    leash.hold(sleeper.pid()).unwrap();
    leash.close_as_the_kernel_does();
    assert!(wait_until(LIMIT, || sleeper.check_alive().is_err()));
}
