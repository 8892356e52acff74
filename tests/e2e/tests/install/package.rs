//! The package: what is in it, and what it does where no service manager runs.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use tagmint_e2e::TagmintProcess;

use super::{TestResult, machine::Machine, repository};

/// The version that machines have at first, and the one they are upgraded to.
const FIRST: &str = "1.0.0";
const SECOND: &str = "1.0.1";

/// Makes the package of the binary under test.
fn make(out: &Path, version: &str, more: &[&str]) -> TestResult<PathBuf> {
    let mut xtask = Command::new(env!("CARGO"));
    xtask.current_dir(repository()).args([
        "run",
        "--quiet",
        "--package",
        "xtask",
        "--",
        "package",
        "--version",
        version,
    ]);
    // Otherwise the time of the last commit, and there may be one between two builds.
    xtask.env("SOURCE_DATE_EPOCH", "1767225600");
    xtask.arg("--binary").arg(TagmintProcess::command([""])?.get_program()).arg("--out").arg(out).args(more);
    let output = xtask.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned().into());
    }
    let mut files = fs::read_dir(out)?.map(|entry| Ok(entry?.path())).collect::<TestResult<Vec<_>>>()?;
    match (files.pop(), files.is_empty()) {
        (Some(package), true) => Ok(package),
        _ => Err("one package was to be made".into()),
    }
}

/// The package of a version, made once for this program: tests in other processes wait for it and share it.
fn made(version: &str, more: &[&str]) -> TestResult<PathBuf> {
    let program = fs::metadata(TagmintProcess::command([""])?.get_program())?;
    let built = program.modified()?.duration_since(std::time::UNIX_EPOCH)?.as_nanos();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages");
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join(format!("{version}.lock")))?;
    lock.lock()?;
    let out = folder.join(format!("{version}-{built}"));
    if let Some(package) = fs::read_dir(&out).ok().and_then(|mut files| files.next()) {
        return Ok(package?.path());
    }
    // Of earlier programs.
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(version)) {
            fs::remove_dir_all(path)?;
        }
    }
    let making = tempfile::tempdir_in(&folder)?;
    make(making.path(), version, more)?;
    fs::rename(making.keep(), &out)?;
    let package = fs::read_dir(&out)?.next().ok_or("no package was made")??;
    Ok(package.path())
}

/// The package of version 1.0.0, which lintian has seen.
pub fn first() -> TestResult<PathBuf> {
    made(FIRST, &[])
}

/// The same program as version 1.0.1.
pub fn second() -> TestResult<PathBuf> {
    made(SECOND, &["--unchecked"])
}

#[test]
fn two_builds_give_the_same_bytes() -> TestResult {
    let first = first()?;
    let again = tempfile::tempdir()?;
    let again = make(again.path(), FIRST, &["--unchecked"]).map(fs::read)??;
    assert!(fs::read(first)? == again, "the packages differ");
    Ok(())
}

#[test]
fn what_is_installed_works_and_purging_leaves_nothing_that_can_be_made_again() -> TestResult {
    let machine = Machine::new()?;
    let before = machine.files()?;
    machine.enter("dpkg --install /root/tagmint.deb")?.well()?;
    assert!(machine.enter("tagmint --version")?.well()?.starts_with("tagmint "));
    assert_eq!(machine.enter("dpkg --verify tagmint")?.well()?, "", "files are as the package brought them");
    for page in ["tagmint", "tagmint-serve", "tagmint-keys-rotate"] {
        machine.enter(&format!("man --path {page}"))?.well()?;
    }
    let units = "tagmint@prod.service tagmint@prod.socket tagmint-http@prod.socket tagmint-check@prod.service tagmint-check@prod.timer tagmint-sweep@test.service tagmint-sweep@test.timer";
    assert_eq!(machine.enter(&format!("systemd-analyze verify --man=no {units}"))?.well()?, "");
    let linked = machine.enter("systemctl list-unit-files --no-legend 'tagmint*'")?.well()?;
    assert!(!linked.contains("enabled  enabled") && linked.contains("tagmint@.service"), "{linked}");
    assert_eq!(machine.enter("dpkg --purge tagmint")?.well()?.matches("stays").count(), 0);
    assert_eq!(machine.files()?, before);

    // With what an operator makes.
    machine.enter("dpkg --install /root/tagmint.deb")?.well()?;
    let set_up = "
        set -e
        sed 's/444455556666/700055556666/' /usr/share/doc/tagmint/examples/prod.toml >/etc/tagmint/prod.toml
        head -c 32 /dev/urandom | base64 | install -m 0600 /dev/stdin /etc/tagmint/master.key
        install -d -m 0700 /var/lib/tagmint
        tagmint --config /etc/tagmint/prod.toml check
        touch /var/lib/tagmint/tagmint.db
        systemctl enable tagmint@prod.socket tagmint@prod.service tagmint-check@prod.timer
    ";
    machine.enter(set_up)?.well()?;
    let config = fs::read(machine.path("etc/tagmint/prod.toml"))?;
    machine.put("root/tagmint.deb", &second()?)?;
    machine.enter("dpkg --install /root/tagmint.deb")?.well()?;
    assert_eq!(machine.enter("dpkg-query --show --showformat='${Version}' tagmint")?.well()?, SECOND);
    assert_eq!(fs::read(machine.path("etc/tagmint/prod.toml"))?, config);
    machine.enter("dpkg --remove tagmint")?.well()?;
    assert_eq!(fs::read(machine.path("etc/tagmint/prod.toml"))?, config);
    let said = machine.enter("dpkg --purge tagmint")?.well()?;
    for folder in ["/etc/tagmint", "/var/lib/tagmint"] {
        assert!(said.contains(&format!("tagmint: {folder} stays")), "{said}");
    }
    let left: Vec<String> = machine.files()?.into_keys().filter(|name| !before.contains_key(name)).collect();
    let expected = [
        "etc/tagmint",
        "etc/tagmint/master.key",
        "etc/tagmint/prod.toml",
        "var/lib/tagmint",
        "var/lib/tagmint/tagmint.db",
    ];
    assert_eq!(left, expected);
    Ok(())
}
