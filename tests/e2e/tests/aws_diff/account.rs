//! An account that is set up as the configuration says, to be changed behind its back.

use std::path::PathBuf;

use aws_sdk_iam::Client as Iam;
use aws_sdk_s3::Client as S3;
use serde_json::{Value, json};

use crate::stage::{ACCOUNT, Stage, TestResult};

pub const ROLE: &str = "agentkeys-data-role-test";
pub const GUARD: &str = "tagmint-own-prefix-alone";

/// An account that is as the configuration says.
pub struct Account {
    pub stage: Stage,
    pub config: PathBuf,
    pub iam: Iam,
    pub s3: S3,
    pub bucket: String,
    pub trust: Value,
    pub guard: Value,
    pub policy: Value,
}

impl Account {
    pub async fn new() -> TestResult<Self> {
        let stage = Stage::new(None)?;
        let config = stage.config("test", &[])?;
        stage.set_up(&config)?;
        let (iam, s3) = (stage.iam()?, stage.s3()?);
        let bucket = format!("agentkeys-mail-test-{ACCOUNT}");
        let role = iam.get_role().role_name(ROLE).send().await?;
        let trust = role.role().and_then(|role| role.assume_role_policy_document()).unwrap_or_default().to_owned();
        let guard = iam.get_role_policy().role_name(ROLE).policy_name(GUARD).send().await?.policy_document().to_owned();
        let policy = s3.get_bucket_policy().bucket(&bucket).send().await?.policy().unwrap_or_default().to_owned();
        let account = Self {
            trust: document(&trust)?,
            guard: document(&guard)?,
            policy: document(&policy)?,
            stage,
            config,
            iam,
            s3,
            bucket,
        };
        account.expect_same()?;
        Ok(account)
    }

    pub fn expect_same(&self) -> TestResult {
        let (code, found) = self.stage.diff(&self.config)?;
        assert_eq!((code, &found), (0, &json!({"same": true, "drifts": [], "unread": []})));
        Ok(())
    }

    /// What is found, as `id: text`.
    pub fn found(&self) -> TestResult<Vec<String>> {
        let (code, found) = self.stage.diff(&self.config)?;
        assert_eq!((code, &found["same"], &found["unread"]), (1, &json!(false), &json!([])), "{found}");
        let drifts = found["drifts"].as_array().ok_or("no drifts")?;
        let text =
            |drift: &Value| format!("{}: {}", drift["id"].as_str().unwrap_or(""), drift["text"].as_str().unwrap_or(""));
        Ok(drifts.iter().map(text).collect())
    }

    pub async fn set_trust(&self, document: &Value) -> TestResult {
        self.iam.update_assume_role_policy().role_name(ROLE).policy_document(document.to_string()).send().await?;
        Ok(())
    }

    pub async fn set_guard(&self, document: &Value) -> TestResult {
        let call = self.iam.put_role_policy().role_name(ROLE).policy_name(GUARD);
        call.policy_document(document.to_string()).send().await?;
        Ok(())
    }

    pub async fn set_policy(&self, document: &Value) -> TestResult {
        self.s3.put_bucket_policy().bucket(&self.bucket).policy(document.to_string()).send().await?;
        Ok(())
    }
}

pub fn document(text: &str) -> TestResult<Value> {
    // IAM hands documents out percent-encoded.
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8()?;
    serde_json::from_str(&decoded).map_err(|error| format!("{error}: {decoded}").into())
}

pub fn conditions(document: &mut Value, statement: usize) -> &mut Value {
    &mut document["Statement"][statement]["Condition"]
}

pub fn remove(value: &mut Value, key: &str) {
    if let Some(members) = value.as_object_mut() {
        assert!(members.remove(key).is_some(), "{key}");
    }
}
