//! A command: the notice on its stdin. No shell is between.

use std::{ffi::OsString, process::Stdio, time::Duration};

use futures::future::{BoxFuture, join};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use super::{AlarmSink, SinkError};

/// How much of what the command says is read and shown.
const SHOWN: u64 = 500;

/// A command that takes notices.
#[derive(Debug)]
pub struct CommandSink {
    name: String,
    program: OsString,
    arguments: Vec<OsString>,
    timeout: Duration,
    environment: Vec<(OsString, OsString)>,
}

impl CommandSink {
    /// The variables that a command may see. Others of the issuer's may hold secrets.
    pub const VARIABLES: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

    /// A command with its arguments, ended when it takes longer than `timeout`. Of `environment` it sees [`VARIABLES`](Self::VARIABLES).
    pub fn new(
        name: String,
        program: OsString,
        arguments: Vec<OsString>,
        timeout: Duration,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let environment = environment.into_iter().filter(|(key, _)| Self::VARIABLES.iter().any(|known| key == known));
        Self { name, program, arguments, timeout, environment: environment.collect() }
    }

    async fn run(&self, body: &Value) -> Result<(), SinkError> {
        let program = self.program.to_string_lossy();
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| SinkError::Unreachable(format!("`{program}` does not start: {error}")))?;
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let write = async {
            if let Some(mut stdin) = stdin {
                // A command that does not read it may still do its work.
                let _ = stdin.write_all(format!("{body}\n").as_bytes()).await;
            }
        };
        let read = async {
            let mut said = Vec::new();
            if let Some(mut stderr) = stderr {
                let _ = (&mut stderr).take(SHOWN).read_to_end(&mut said).await;
                // What is more than that is thrown away, so that the command does not wait for a reader.
                let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
            }
            said
        };
        let work = async { (join(write, read).await.1, child.wait().await) };
        // Whoever took the command's stderr over may hold it open: then what counts is that it took too long.
        let (said, ended) =
            tokio::time::timeout(self.timeout, work).await.map_err(|_| SinkError::Late(self.timeout))?;
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                let said = String::from_utf8_lossy(&said).trim().replace(['\r', '\n'], " ");
                Err(SinkError::Refused(format!("`{program}` ended with {status}: {said}")))
            }
            Err(error) => Err(SinkError::Unreachable(format!("`{program}`: {error}"))),
        }
    }
}

impl AlarmSink for CommandSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a self, body: &'a Value) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.run(body))
    }
}
