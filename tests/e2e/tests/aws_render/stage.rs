//! An account of `tagmint localaws`, and the shipped configurations for it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use serde_json::Value;
use tagmint_e2e::{TagmintProcess, search_path};

pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type TestResult<T = ()> = Result<T, Error>;

/// The account of `tagmint localaws`.
pub const ACCOUNT: &str = "000000000000";
const REGION: &str = "us-east-1";

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `tagmint localaws`, to which everything seems to come over TLS.
pub struct Stage {
    pub aws: TagmintProcess,
    pub dir: tempfile::TempDir,
}

impl Stage {
    pub fn new(ca_file: Option<&str>) -> TestResult<Self> {
        let mut arguments = vec!["localaws", "--secure-transport", "--explain", "--format", "json"];
        if let Some(ca_file) = ca_file {
            arguments.extend(["--ca-file", ca_file]);
        }
        Ok(Self { aws: TagmintProcess::start(arguments)?, dir: tempfile::tempdir()? })
    }

    /// The configuration of deploy/ENV for the stand-in's region; `changes` replace parts of it.
    pub fn config(&self, environment: &str, changes: &[(&str, &str)]) -> TestResult<PathBuf> {
        let mut text = fs::read_to_string(repository().join("deploy").join(environment).join("tagmint.toml"))?;
        for (old, new) in [("eu-central-1", REGION)].iter().chain(changes) {
            assert!(text.contains(old), "{old}");
            text = text.replace(old, new);
        }
        let file = self.dir.path().join(format!("{environment}.toml"));
        fs::write(&file, text)?;
        Ok(file)
    }

    /// Renders into a folder of the stage.
    pub fn render(&self, config: &Path, format: &str) -> TestResult<PathBuf> {
        let out = self.dir.path().join(format);
        let mut command = TagmintProcess::command(["aws", "render", "--account", ACCOUNT, "--format", format])?;
        command.arg("--config").arg(config).arg("--out").arg(&out);
        self.succeed(command)?;
        Ok(out)
    }

    /// Sets the account up with the rendered script.
    pub fn set_up(&self, config: &Path) -> TestResult<String> {
        let script = self.render(config, "cli")?.join("setup.sh");
        self.succeed(Command::new(script))
    }

    /// `tagmint aws diff`: exit code and what it found.
    pub fn diff(&self, config: &Path) -> TestResult<(i32, Value)> {
        let mut command = TagmintProcess::command(["aws", "diff", "--account", ACCOUNT, "--format", "json"])?;
        command.arg("--config").arg(config);
        let output = self.run(command)?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let found = serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {told}"))?;
        Ok((output.status.code().unwrap_or(-1), found))
    }

    /// Runs a client with the stand-in's endpoint and keys, and nothing of the machine's own AWS settings.
    pub fn run(&self, mut command: Command) -> TestResult<Output> {
        command
            .env("PATH", search_path()?)
            .env("AWS_ENDPOINT_URL", self.aws.field("endpoint")?)
            .env("AWS_ACCESS_KEY_ID", self.aws.field("access_key_id")?)
            .env("AWS_SECRET_ACCESS_KEY", self.aws.field("secret_access_key")?)
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("ACCOUNT", ACCOUNT)
            .env("AWS_CONFIG_FILE", self.dir.path().join("no-config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.dir.path().join("no-credentials"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("TF_IN_AUTOMATION", "1");
        Ok(command.output()?)
    }

    pub fn succeed(&self, command: Command) -> TestResult<String> {
        let shown = format!("{command:?}");
        let output = self.run(command)?;
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout)?);
        }
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Err(format!("{shown}: {}\n{out}\n{err}\nlocalaws says:\n{}", output.status, self.aws.stderr()).into())
    }

    fn admin(&self) -> TestResult<Credentials> {
        let (id, secret) = (self.aws.field("access_key_id")?, self.aws.field("secret_access_key")?);
        Ok(Credentials::new(id, secret, None, None, "admin"))
    }

    pub fn s3(&self) -> TestResult<aws_sdk_s3::Client> {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(self.aws.field("endpoint")?)
            .region(Region::new(REGION))
            .credentials_provider(self.admin()?)
            .force_path_style(true);
        Ok(aws_sdk_s3::Client::from_conf(config.build()))
    }

    pub fn iam(&self) -> TestResult<aws_sdk_iam::Client> {
        let config = aws_sdk_iam::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(self.aws.field("endpoint")?)
            .region(Region::new(REGION))
            .credentials_provider(self.admin()?);
        Ok(aws_sdk_iam::Client::from_conf(config.build()))
    }
}
