//! A prod and a test issuer in folders of their own, behind a proxy.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tagmint_core::{random::SystemRandom, sealing::MasterKey};
use tempfile::TempDir;

/// The host of the test issuer, as its configuration has it.
pub(crate) const TEST_HOST: &str = "test-broker.example.org";

/// Two worlds that share nothing.
pub(crate) struct Worlds {
    folder: TempDir,
}

fn config(environment: &str, host: &str, backend: &str, suffix: &str) -> String {
    format!(
        r#"environment = "{environment}"
issuer = "https://{host}"
[listen]
public = "127.0.0.1:0"
admin = "127.0.0.1:0"
[tls]
mode = "proxy"
[database]
path = "tagmint.db"
[keys]
key_file = "master.key"
refresh = "1s"
[session_backend]
url = "{backend}"
[aws]
region = "eu-central-1"
account = "{account}"
[aws.bucket]
name = "agentkeys-mail{suffix}-${{aws.account}}"
[[aws.role]]
name = "agentkeys-data-role{suffix}"
access = [{{ tag = "wallet", mode = "read" }}]
[[trusted_issuer]]
name = "github"
kind = "github"
audiences = ["https://{host}"]
[[rule]]
name = "wallet"
from = "session"
subject = "wallet:${{sub}}"
role = "arn:aws:iam::${{aws.account}}:role/agentkeys-data-role{suffix}"
tags = {{ wallet = "${{sub}}" }}
[[rule]]
name = "bearer"
from = "bearer"
subject = "wallet:${{sub}}"
role = "agentkeys-data-role{suffix}"
tags = {{ wallet = "${{sub}}" }}
"#,
        account = if environment == "prod" { "111122223333" } else { "444455556666" },
    )
}

impl Worlds {
    /// Writes both configurations and their key files.
    pub(crate) fn new() -> Self {
        let worlds = Self { folder: tempfile::tempdir().expect("a folder") };
        for (world, text) in [
            ("prod", config("prod", "broker.example.org", "https://backend.example.org", "")),
            ("test", config("test", TEST_HOST, "http://127.0.0.1:9500", "-test")),
        ] {
            let folder = worlds.folder(world);
            fs::create_dir(&folder).expect("a folder");
            fs::write(folder.join("tagmint.toml"), text).expect("a configuration");
            let key = folder.join("master.key");
            fs::write(&key, MasterKey::generate_file(&SystemRandom).expect("a key").as_bytes()).expect("a key file");
            fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("its mode");
        }
        worlds
    }

    /// The folder of a world.
    pub(crate) fn folder(&self, world: &str) -> PathBuf {
        self.folder.path().join(world)
    }

    /// The configuration file of a world.
    pub(crate) fn config(&self, world: &str) -> String {
        self.folder(world).join("tagmint.toml").display().to_string()
    }

    /// Replaces the first such part of a world's configuration.
    pub(crate) fn change(&self, world: &str, old: &str, new: &str) {
        let file = self.config(world);
        let text = fs::read_to_string(&file).expect("the configuration");
        assert!(text.contains(old), "{old}");
        fs::write(file, text.replacen(old, new, 1)).expect("the configuration");
    }

    /// Tells a world's issuer of the other one.
    pub(crate) fn guard(&self, world: &str, other: &str) {
        let against = Path::new("..").join(other).join("tagmint.toml");
        self.change(world, "[database]", &format!("[isolation]\nagainst = \"{}\"\n[database]", against.display()));
    }
}
