//! Ends a daemon even when the test process dies without running its destructors.

use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::error::GuardError;

/// Reads process ids until the other end of the pipe closes, then kills what it has read. It ignores
/// the terminal's signals, which the whole process group gets.
const SCRIPT: &str = r#"trap '' INT HUP TERM
pids=
while read -r pid; do pids="$pids $pid"; done
[ -z "$pids" ] || kill -KILL $pids 2>/dev/null"#;

/// A shell that waits for this process to die: the kernel then closes the pipe, whatever the reason.
///
/// Preferred over `PR_SET_PDEATHSIG`, which fires when the *thread* that started the child ends.
#[derive(Debug)]
pub(crate) struct Leash {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Leash {
    /// Starts the shell.
    pub(crate) fn new() -> Result<Self, GuardError> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| GuardError::io("start /bin/sh", e))?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }

    /// Puts a process on the leash.
    pub(crate) fn hold(&mut self, pid: u32) -> Result<(), GuardError> {
        let pipe = self.pipe.as_mut().expect("open until the end");
        writeln!(pipe, "{pid}").map_err(|e| GuardError::io("hand a process id to /bin/sh", e))
    }
}

#[cfg(test)]
impl Leash {
    /// What happens when the process that owns the leash dies: the pipe closes, nothing else runs.
    pub(crate) fn close_as_the_kernel_does(&mut self) {
        self.pipe = None;
    }
}

impl Drop for Leash {
    /// Lets go. The shell dies before the pipe closes, so it kills nothing: by now the ids that it
    /// holds may belong to other processes.
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
