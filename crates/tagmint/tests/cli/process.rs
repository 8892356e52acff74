//! Runs the binary, and ends it when a test is over.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Certificate, Client, Response};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// The binary, unmoved by the environment of whoever runs the tests.
pub(crate) fn tagmint<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagmint"));
    command.args(args).env_remove("TAGMINT_CONFIG").env_remove("CREDENTIALS_DIRECTORY").env("NO_COLOR", "1");
    command.stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn run<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Output {
    tagmint(args).output().expect("the binary starts")
}

/// Runs a command that must succeed, and reads its JSON.
pub(crate) fn json<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Value {
    let output = tagmint(args).args(["--format", "json"]).output().expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("stdout is JSON")
}

/// Runs a command that must fail with `code`, and reads its error.
pub(crate) fn failure<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>, code: i32) -> Value {
    let output = tagmint(args).args(["--format", "json"]).output().expect("the binary starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(output.stdout.is_empty(), "data of a failed command: {}", String::from_utf8_lossy(&output.stdout));
    let last = stderr.lines().last().unwrap_or_default();
    let told: Value = serde_json::from_str(last).unwrap_or_else(|_| panic_with(&stderr));
    told["error"].clone()
}

fn panic_with(stderr: &str) -> Value {
    assert!(stderr.is_empty(), "stderr does not end in JSON: {stderr}");
    Value::Null
}

/// A command that goes on running.
pub(crate) struct Running {
    child: Child,
    /// The line that it printed when it was ready.
    pub(crate) ready: Value,
    stderr: PathBuf,
}

impl Running {
    /// Starts it with `--format json` and waits for its ready line. Its stderr goes to a file in `folder`.
    pub(crate) fn start<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>, folder: &Path) -> Self {
        let stderr = folder.join("stderr");
        let file = File::options().create(true).append(true).open(&stderr).expect("a file for stderr");
        let mut command = tagmint(args);
        let given: Vec<_> = command.get_args().collect();
        tagmint_testkit::ports::reserve_for_dev(&given).expect("ports");
        command.args(["--format", "json"]).stdout(Stdio::piped()).stderr(file);
        let mut child = command.spawn().expect("the binary starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        // A process that never gets ready ends the test by the harness's own limit; one that ends closes the pipe.
        BufReader::new(stdout).read_line(&mut line).expect("stdout can be read");
        let ready = serde_json::from_str(&line).unwrap_or_default();
        let running = Self { child, ready, stderr };
        assert!(running.ready.is_object(), "no ready line: `{line}`\n{}", running.stderr());
        running
    }

    /// A text of the ready line.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap_or_default()
    }

    /// What it has written to stderr.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the process is there");
    }

    /// Waits for its end and returns the exit code; none after a signal.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let mut status = None;
        wait_for("the end of the process", || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }

    /// A client that trusts the CA of the ready line alone.
    pub(crate) fn client(&self) -> Client {
        client(Path::new(self.field("ca_file")))
    }

    /// Posts JSON with a credential.
    pub(crate) async fn post(&self, path: &str, credential: &str, body: Value) -> Response {
        let request = self.client().post(format!("{}{path}", self.field("issuer"))).bearer_auth(credential);
        request.json(&body).send().await.expect("an answer")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that trusts one CA alone.
pub(crate) fn client(ca_file: &Path) -> Client {
    tagmint_server::tls::install_provider();
    let pem = fs::read(ca_file).expect("the CA's file");
    let roots = Certificate::from_pem_bundle(&pem).expect("certificates");
    let builder = Client::builder().tls_certs_only(roots).no_proxy().timeout(PATIENCE);
    builder.resolve("localhost", SocketAddr::from(([127, 0, 0, 1], 0))).build().expect("a client")
}

/// Polls until `done`, and fails when it takes too long.
#[expect(clippy::disallowed_methods, reason = "another process is waited for, there is no clock to move")]
pub(crate) fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}
