//! The shell of the stage (stage.sh), in namespaces of its own: what it starts ends with it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use tagmint_e2e::{TagmintProcess, search_path};

use super::TestResult;

/// How long a command may take; the stage itself, too.
const LIMIT: Duration = Duration::from_mins(2);
/// Behind each command's output, with the exit code.
const END: &str = "--- the command ended with";
/// What the guides say, and what the stage has in its place.
const STAND_INS: [(&str, &str); 3] =
    [("111122223333", "000000000000"), ("eu-central-1", "us-east-1"), ("203.0.113.", "52.58.0.")];

/// How a command ended.
pub struct Ended {
    pub code: i32,
    /// Stdout and stderr, in the guides' words.
    pub output: String,
}

pub struct Shell {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    dir: tempfile::TempDir,
}

impl Shell {
    /// The stage of a world (`prod`, `test`): `bare`, with what an issuer needs from others, or `running`, with an issuer and its account.
    pub fn start(world: &str, state: &str) -> TestResult<Self> {
        let dir = tempfile::Builder::new().prefix("tagmint-e2e-").tempdir()?;
        let programs = dir.path().join("programs");
        fs::create_dir(&programs)?;
        symlink(fs::canonicalize(TagmintProcess::command(["help"])?.get_program())?, programs.join("tagmint"))?;
        let path = std::env::join_paths([programs].into_iter().chain(std::env::split_paths(&search_path()?)))?;
        let repository = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))?;
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--propagation",
            "private",
        ]);
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        command.arg("bash").arg(repository.join("tests/e2e/tests/guide_commands/stage.sh")).arg(dir.path());
        command.arg(&repository).args([world, state]).env("PATH", path);
        // An administrator's own settings are not the stage's.
        command.env_remove("TAGMINT_CONFIG").env_remove("AWS_PROFILE").env_remove("CREDENTIALS_DIRECTORY");
        // On it somebody types, whatever runs the test: in a CI job the commands ask for more.
        for name in
            ["CI", "GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD", "JENKINS_URL", "TEAMCITY_VERSION", "CODEBUILD_BUILD_ID"]
        {
            command.env_remove(name);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(fs::File::create(dir.path().join("stderr"))?);
        let mut child = command.spawn().map_err(|error| format!("unshare: {error}; install the package util-linux"))?;
        let (stdin, stdout) = (child.stdin.take().ok_or("no stdin")?, child.stdout.take().ok_or("no stdout")?);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(stdout).split(b'\n').map_while(Result::ok);
            for line in lines.map(|line| String::from_utf8_lossy(&line).into_owned()) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let shell = Self { child, stdin, lines, dir };
        let said = shell.lines.recv_timeout(LIMIT).unwrap_or_default();
        if said == "the stage is set" { Ok(shell) } else { Err(format!("{said}\n{}", shell.logs()).into()) }
    }

    /// Runs a command as the guide has it.
    pub fn run(&mut self, command: &str) -> TestResult<Ended> {
        let command = STAND_INS.iter().fold(command.to_owned(), |text, (guide, stage)| text.replace(guide, stage));
        writeln!(self.stdin, "{{\n{command}\n}} </dev/null 2>&1; printf '\\n{END} %s\\n' $?")?;
        let mut output = vec![];
        loop {
            let line = self
                .lines
                .recv_timeout(LIMIT)
                .map_err(|error| format!("{command}: {error} after\n{}\n{}", output.join("\n"), self.logs()))?;
            if let Some(code) = line.strip_prefix(END) {
                let text = output.join("\n");
                let output = STAND_INS.iter().fold(text, |text, (guide, stage)| replace_words(&text, stage, guide));
                return Ok(Ended { code: code.trim().parse()?, output: output.trim_end().to_owned() });
            }
            output.push(line);
        }
    }

    /// The ends of all that was logged.
    pub fn logs(&self) -> String {
        let files = fs::read_dir(self.dir.path()).into_iter().flatten().flatten().map(|entry| entry.path());
        let logs = files.filter(|path| path.extension().is_some_and(|end| end == "log") || path.ends_with("stderr"));
        let end = |path: PathBuf| {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            format!("--- {}\n{}\n", path.display(), lines[lines.len().saturating_sub(20)..].join("\n"))
        };
        logs.map(end).collect()
    }
}

/// Replaces what begins a word: an account's zeros are in a wallet, too.
fn replace_words(text: &str, old: &str, new: &str) -> String {
    let mut replaced = String::new();
    for (index, part) in text.split(old).enumerate() {
        if index > 0 {
            replaced += if replaced.ends_with(|c: char| c.is_ascii_alphanumeric()) { old } else { new };
        }
        replaced += part;
    }
    replaced
}

impl Drop for Shell {
    fn drop(&mut self) {
        // `unshare` takes the shell along, and with it its namespace's every process.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_account_of_the_stage_is_turned_back_and_nothing_else() {
    let text = "arn:aws:iam::000000000000:role/x 0x7d00000000000000000000000000d";
    assert_eq!(replace_words(text, "000000000000", "A"), "arn:aws:iam::A:role/x 0x7d00000000000000000000000000d");
    assert_eq!(replace_words("0000000000000 1", "000000000000", "A"), "A0 1");
}
