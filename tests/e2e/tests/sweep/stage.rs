//! A test bucket of `tagmint localaws` whose clock can be moved, and `tagmint sweep` under the same clock.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    primitives::ByteStream,
    types::{BucketVersioningStatus, VersioningConfiguration},
};
use serde_json::Value;
use tagmint_core::{
    environment::{Environment, Stamp},
    issuer::IssuerUrl,
    json,
    ledger::Outcome,
};
use tagmint_e2e::{TagmintProcess, search_path};
use tagmint_store::{DatabaseUrl, Store, StoreOptions};
use tagmint_testkit::{keys::master_key, ledger::mint};

pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type TestResult<T = ()> = Result<T, Error>;

pub const ACCOUNT: &str = "000000000000";
pub const BUCKET: &str = "agentkeys-mail-test-000000000000";
/// Of somebody else's configuration.
pub const FOREIGN: &str = "agentkeys-mail-test-elsewhere";
const REGION: &str = "us-east-1";

pub struct Stage {
    pub aws: TagmintProcess,
    pub dir: tempfile::TempDir,
    pub s3: Client,
}

impl Stage {
    /// With the bucket of deploy/test/tagmint.toml, that keeps versions, and a foreign one.
    pub async fn new() -> TestResult<Self> {
        let dir = tempfile::tempdir()?;
        fs::write(dir.path().join("clock"), "+0")?;
        let mut aws =
            TagmintProcess::command(["localaws", "--secure-transport", "--explain", "--format", "json", "--data"])?;
        aws.arg(dir.path().join("data"));
        under_the_clock(&mut aws, dir.path());
        let aws = TagmintProcess::start_command(aws)?;
        let keys = Credentials::new(aws.field("access_key_id")?, aws.field("secret_access_key")?, None, None, "admin");
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(aws.field("endpoint")?)
            .region(Region::new(REGION))
            .credentials_provider(keys)
            .force_path_style(true);
        let s3 = Client::from_conf(config.build());
        for bucket in [BUCKET, FOREIGN] {
            s3.create_bucket().bucket(bucket).send().await?;
        }
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        s3.put_bucket_versioning().bucket(BUCKET).versioning_configuration(enabled).send().await?;
        let stage = Self { aws, dir, s3 };
        for world in ["test", "prod"] {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(world).join("tagmint.toml");
            let text = fs::read_to_string(file)?.replace("eu-central-1", REGION);
            let database = format!("/var/lib/tagmint/{world}/tagmint.db");
            assert!(text.contains(&database), "{world}");
            fs::write(stage.config(world), text.replace(&database, "tagmint.db"))?;
        }
        Ok(stage)
    }

    /// As deploy/test sets its bucket up. What was never versioned keeps one version, which is called `null`.
    pub async fn without_versions(&self) -> TestResult {
        let off = VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
        self.s3.put_bucket_versioning().bucket(BUCKET).versioning_configuration(off).send().await?;
        Ok(())
    }

    pub fn config(&self, world: &str) -> PathBuf {
        self.dir.path().join(format!("{world}.toml"))
    }

    /// Moves the clock of localaws and of the commands to come: `+10d`. This process's own requests are refused from then on.
    pub fn travel(&self, offset: &str) -> TestResult {
        Ok(fs::write(self.dir.path().join("clock"), offset)?)
    }

    pub async fn put(&self, bucket: &str, key: &str, body: &str) -> TestResult {
        let body = ByteStream::from(body.as_bytes().to_vec());
        self.s3.put_object().bucket(bucket).key(key).body(body).send().await?;
        Ok(())
    }

    /// So many objects below a prefix.
    pub async fn fill(&self, prefix: &str, count: usize) -> TestResult {
        let mut all = Vec::new();
        for worker in 0..8 {
            let (s3, prefix) = (self.s3.clone(), prefix.to_owned());
            all.push(tokio::spawn(async move {
                for number in (worker..count).step_by(8) {
                    let put = s3.put_object().bucket(BUCKET).key(format!("{prefix}{number:06}"));
                    put.body(ByteStream::from_static(b"x")).send().await?;
                }
                Ok::<(), Error>(())
            }));
        }
        for one in all {
            one.await??;
        }
        Ok(())
    }

    /// Writes an object at the clock's time.
    pub fn put_now(&self, key: &str) -> TestResult {
        let body = self.dir.path().join("body");
        fs::write(&body, "young")?;
        let mut command = Command::new("aws");
        command.args(["s3api", "put-object", "--bucket", BUCKET, "--key", key, "--body"]).arg(&body);
        let output = self.run(command)?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
    }

    /// `tagmint sweep --format json` of the test issuer: exit code and report.
    pub fn sweep(&self, arguments: &[&str]) -> TestResult<(i32, Value)> {
        let output = self.run(self.command(arguments)?)?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {told}"))?;
        Ok((output.status.code().unwrap_or(-1), report))
    }

    /// The same where there is to be no report: exit code and what it says.
    pub fn refused(&self, arguments: &[&str]) -> TestResult<(i32, String)> {
        let output = self.run(self.command(arguments)?)?;
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
        Ok((output.status.code().unwrap_or(-1), String::from_utf8(output.stderr)?))
    }

    pub fn command(&self, arguments: &[&str]) -> TestResult<Command> {
        let mut command = TagmintProcess::command(["sweep", "--format", "json", "--account", ACCOUNT])?;
        command.args(arguments);
        if !arguments.contains(&"--config") {
            command.arg("--config").arg(self.config("test"));
        }
        self.surround(&mut command)?;
        Ok(command)
    }

    /// Runs a client with the stand-in's endpoint, keys and clock, and nothing of the machine's own AWS settings.
    pub fn run(&self, mut command: Command) -> TestResult<Output> {
        self.surround(&mut command)?;
        Ok(command.output()?)
    }

    fn surround(&self, command: &mut Command) -> TestResult {
        under_the_clock(command, self.dir.path());
        command
            .env("PATH", search_path()?)
            .env("AWS_ENDPOINT_URL", self.aws.field("endpoint")?)
            .env("AWS_ACCESS_KEY_ID", self.aws.field("access_key_id")?)
            .env("AWS_SECRET_ACCESS_KEY", self.aws.field("secret_access_key")?)
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_CONFIG_FILE", self.dir.path().join("no-config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.dir.path().join("no-credentials"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env_remove("TAGMINT_CONFIG");
        Ok(())
    }

    /// The keys of all versions and markers that localaws keeps of a bucket, with how many there are of each.
    pub fn kept(&self, bucket: &str) -> TestResult<BTreeMap<String, usize>> {
        let mut all = BTreeMap::new();
        for (name, text) in self.files(bucket)? {
            let version: Value = serde_json::from_slice(&text).map_err(|error| format!("{name}: {error}"))?;
            *all.entry(version["key"].as_str().unwrap_or_default().to_owned()).or_insert(0) += 1;
        }
        Ok(all)
    }

    /// What localaws keeps of a bucket, byte by byte.
    pub fn files(&self, bucket: &str) -> TestResult<BTreeMap<String, Vec<u8>>> {
        let folder = self.dir.path().join("data/s3/buckets").join(bucket).join("versions");
        let mut all = BTreeMap::new();
        for file in fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
            let file = file?;
            // One that goes away meanwhile is gone.
            if let Ok(text) = fs::read(file.path()) {
                all.insert(file.file_name().to_string_lossy().into_owned(), text);
            }
        }
        Ok(all)
    }

    /// How many versions and markers localaws keeps of a bucket.
    pub fn count(&self, bucket: &str) -> TestResult<usize> {
        let folder = self.dir.path().join("data/s3/buckets").join(bucket).join("versions");
        Ok(fs::read_dir(folder)?.count())
    }

    /// A ledger with a mint for each of these values of the tag `prefix`, at this moment.
    pub async fn ledger(&self, mints: &[(&str, jiff::Timestamp)]) -> TestResult {
        let stamp =
            Stamp { issuer: IssuerUrl::parse("https://test-broker.litentry.org")?, environment: Environment::Test };
        let file = self.dir.path().join("tagmint.db");
        let store = Store::open(&StoreOptions::new(DatabaseUrl::from(file.as_path()), stamp)).await?;
        let writer = store.ledger_writer(master_key(1)).await?;
        for (number, (prefix, at)) in (1..).zip(mints) {
            let mut entry = mint(number);
            entry.at_ms = at.as_millisecond();
            if let Outcome::Minted(minted) = &mut entry.outcome {
                let tags = format!(r#"{{"principal_tags":{{"prefix":["{prefix}"],"repository":["456789"]}}}}"#);
                minted.tags = json::parse(tags.as_bytes())?;
            }
            writer.append(entry, std::time::Duration::from_secs(20)).await?;
        }
        store.close().await;
        Ok(())
    }
}

/// Preloaded, not through the `faketime` command: that would stand between the guard's signals and the process. The loader fills in `$LIB`.
fn under_the_clock(command: &mut Command, dir: &Path) {
    command
        .env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1")
        .env("FAKETIME_TIMESTAMP_FILE", dir.join("clock"))
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}

/// The lines of a report: prefix and what became of it.
pub fn lines(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let lines = report["prefixes"].as_array().map(Vec::as_slice).unwrap_or_default();
    lines.iter().map(|line| (text(&line["prefix"]), text(&line["outcome"]))).collect()
}

/// The same, for what is expected.
pub fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(prefix, outcome)| ((*prefix).to_owned(), (*outcome).to_owned())).collect()
}
