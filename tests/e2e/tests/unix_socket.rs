//! The issuer on a unix socket, for a proxy on the same machine: opened by itself, and passed as systemd does.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tagmint_e2e::{Daemon, TagmintProcess, wait_until};

type Error = Box<dyn std::error::Error + Send + Sync>;
type TestResult<T = ()> = Result<T, Error>;

const LIMIT: Duration = Duration::from_mins(1);

/// A configuration that listens on this socket.
fn configuration(dir: &Path, socket: &Path) -> TestResult<PathBuf> {
    fs::create_dir(dir.join("credentials"))?;
    fs::write(dir.join("credentials/tagmint-key"), "c2l4dGVlbiBieXRlcyB0aW1lcyB0d28gaXMgMzIuLi4=\n")?;
    fs::set_permissions(dir.join("credentials/tagmint-key"), fs::Permissions::from_mode(0o600))?;
    let text = format!(
        r#"
environment = "test"
issuer = "https://issuer.test"

[listen]
public = "unix:{}"
socket_mode = "0600"
admin = "127.0.0.1:0"

[tls]
mode = "proxy"

[database]
path = "tagmint.db"

[keys]
key_file = "credential:tagmint-key"

[log]
level = "debug"
"#,
        socket.display()
    );
    let file = dir.join("tagmint.toml");
    fs::write(&file, text)?;
    Ok(file)
}

fn serve(dir: &Path, config: &Path) -> TestResult<Command> {
    let mut command = TagmintProcess::command(["serve", "--format", "json", "--config"])?;
    command.arg(config).env("CREDENTIALS_DIRECTORY", dir.join("credentials"));
    Ok(command)
}

fn curl(socket: &Path, path: &str) -> TestResult<String> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--header", "x-forwarded-for: 198.51.100.7", "--unix-socket"]);
    let output = command.arg(socket).arg(format!("http://issuer.test{path}")).output()?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
}

#[test]
fn a_killed_issuers_socket_is_taken_over_and_a_living_ones_is_not() -> TestResult {
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("test.sock");
    let config = configuration(dir.path(), &socket)?;
    let first = TagmintProcess::start_command(serve(dir.path(), &config)?)?;
    assert_eq!(fs::metadata(&socket)?.permissions().mode() & 0o777, 0o600);
    assert!(curl(&socket, "/.well-known/openid-configuration")?.contains("https://issuer.test"));
    let logged = wait_until(LIMIT, || first.stderr().contains(r#""remote":"198.51.100.7""#));
    assert!(logged, "who comes over the socket says for whom: {}", first.stderr());

    let second = serve(dir.path(), &config)?.output()?;
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && said.contains("another process listens there"), "{said}");
    assert!(curl(&socket, "/livez").is_ok());

    let killed = Command::new("kill").args(["-9", &first.pid().to_string()]).status()?;
    assert!(killed.success());
    assert!(wait_until(LIMIT, || curl(&socket, "/livez").is_err()));
    assert!(socket.exists(), "it left its socket behind");
    let third = TagmintProcess::start_command(serve(dir.path(), &config)?)?;
    assert!(curl(&socket, "/livez").is_ok());
    assert!(third.stop()?.success());
    Ok(())
}

#[test]
fn a_unix_socket_that_the_service_manager_passes_is_taken() -> TestResult {
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("passed.sock");
    let config = configuration(dir.path(), &dir.path().join("not-used.sock"))?;
    let serve = serve(dir.path(), &config)?;
    let mut command = Command::new("systemd-socket-activate");
    command.arg(format!("--listen={}", socket.display())).arg("--fdname=public");
    command.arg(format!("--setenv=CREDENTIALS_DIRECTORY={}", dir.path().join("credentials").display()));
    command.arg(serve.get_program()).args(serve.get_args());
    let mut activated =
        Daemon::spawn("systemd-socket-activate", &mut command, "systemd", &dir.path().join("activation.log"))?;
    assert!(wait_until(LIMIT, || socket.exists()), "{}", activated.log());
    assert!(curl(&socket, "/.well-known/jwks.json")?.contains("\"keys\""));
    assert!(activated.log().contains("passed by the service manager"), "{}", activated.log());
    assert!(!dir.path().join("not-used.sock").exists());
    activated.terminate(Duration::from_secs(10))?;
    Ok(())
}
