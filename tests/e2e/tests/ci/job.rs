//! A CI job: the variables that its platform gives it, and what its programs do with them.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tagmint_e2e::search_path;

use super::{
    TestResult,
    stage::{Stage, role},
};

/// The repository's root.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// What becomes of a program.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// The outcome of a program that did its work.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that it failed with this exit code, and that it said all of these on stderr.
    #[track_caller]
    pub fn failed(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in:\n{}", self.stderr);
        }
    }

    /// What it told the runner to hide.
    pub fn masked(&self) -> Vec<&str> {
        self.stdout.lines().filter_map(|line| line.strip_prefix("::add-mask::")).collect()
    }

    /// All that people see of it: what a runner does not take for itself.
    pub fn log(&self) -> String {
        let seen = self.stdout.lines().filter(|line| !line.starts_with("::add-mask::"));
        seen.chain(self.stderr.lines()).collect::<Vec<_>>().join("\n")
    }
}

/// A job's variables and files, in a directory of its own.
#[derive(Debug, Clone)]
pub struct Job {
    pub variables: BTreeMap<String, String>,
    pub dir: PathBuf,
}

impl Job {
    /// What every job here has: where AWS is, a home and a temporary directory of its own, nothing of this machine's settings.
    fn new(stage: &Stage, name: &str) -> TestResult<Self> {
        let dir = stage.path(name);
        for part in ["home", "tmp", "project"] {
            fs::create_dir_all(dir.join(part))?;
        }
        let mut job = Self { variables: BTreeMap::new(), dir };
        job.set("PATH", search_path()?.to_string_lossy());
        job.set("HOME", job.path("home").to_string_lossy());
        job.set("TMPDIR", job.path("tmp").to_string_lossy());
        job.set("CI", "true");
        job.set("AWS_ENDPOINT_URL", stage.endpoint()?);
        job.set("AWS_EC2_METADATA_DISABLED", "true");
        job.set("TAGMINT_CA_FILE", stage.path("ca.pem").to_string_lossy());
        job.set("TAGMINT_RETRY_SECONDS", "0");
        Ok(job)
    }

    /// A job of GitHub's with `id-token: write`, for the broker. GitHub's own authority is known to the runner.
    pub fn github(stage: &Stage) -> TestResult<Self> {
        let mut job = Self::new(stage, "github-job")?;
        job.set("GITHUB_ACTIONS", "true");
        for name in ["GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STATE"] {
            let file = job.path(&name.to_lowercase());
            fs::write(&file, "")?;
            job.set(name, file.to_string_lossy());
        }
        job.set("RUNNER_TEMP", job.path("tmp").to_string_lossy());
        job.set("GITHUB_RUN_ID", "9876543210");
        job.set("GITHUB_RUN_ATTEMPT", "2");
        job.set("ACTIONS_ID_TOKEN_REQUEST_URL", stage.github.request_url());
        job.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", stage.github.request_token());
        job.set("CURL_CA_BUNDLE", stage.path("github.pem").to_string_lossy());
        job.set("TAGMINT_URL", stage.url()?);
        Ok(job)
    }

    /// A job of GitLab's with `id_tokens`, for the broker.
    pub fn gitlab(stage: &Stage) -> TestResult<Self> {
        let mut job = Self::new(stage, "gitlab-job")?;
        job.set("GITLAB_CI", "true");
        job.set("CI_PROJECT_ID", "20");
        job.set("CI_PIPELINE_ID", "574");
        job.set("CI_JOB_ID", "302");
        job.set("TAGMINT_URL", stage.url()?);
        job.set("TAGMINT_ID_TOKEN", stage.gitlab_token(stage.url()?));
        Ok(job)
    }

    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables.insert(name.to_owned(), value.into());
    }

    pub fn unset(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// A file of the job's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A program with the job's variables and nothing else, in its project.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.variables).current_dir(self.path("project"));
        command
    }

    pub fn run<A: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = A>) -> TestResult<Outcome> {
        let output = self.command(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
        Ok(Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// `assume_ci_role.sh` for this role.
    pub fn assume(&self, role_name: &str) -> TestResult<Outcome> {
        let script = repository().join("deploy/ci/assume_ci_role.sh");
        self.run("bash", [script.as_os_str(), role(role_name).as_ref(), "e2e-session".as_ref()])
    }

    /// The job's later steps: with what GITHUB_ENV and GITHUB_PATH say.
    pub fn next_step(&self) -> TestResult<Self> {
        let mut next = self.clone();
        // The runner passes over empty lines.
        for line in fs::read_to_string(self.path("github_env"))?.lines().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once('=').ok_or_else(|| format!("`{line}` is no variable"))?;
            next.set(name, value);
        }
        let file = self.path("github_path");
        for folder in fs::read_to_string(&file)?.lines() {
            next.set("PATH", format!("{folder}:{}", next.variables["PATH"]));
        }
        fs::write(file, "")?;
        Ok(next)
    }

    /// Who the `aws` command is with the job's credentials.
    pub fn identity(&self) -> TestResult<String> {
        let outcome =
            self.run("aws", ["sts", "get-caller-identity", "--output", "text", "--query", "Arn"])?.succeeded();
        Ok(outcome.stdout.trim().to_owned())
    }

    /// `verify_bucket_access.sh` with these arguments.
    pub fn verify(&self, arguments: &[&str]) -> TestResult<Outcome> {
        let script = repository().join("deploy/ci/verify_bucket_access.sh").to_string_lossy().into_owned();
        self.run("bash", std::iter::once(script.as_str()).chain(arguments.iter().copied()))
    }
}

/// The permission bits of a file.
pub fn mode(path: &Path) -> TestResult<u32> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::metadata(path)?.permissions().mode() & 0o777)
}
