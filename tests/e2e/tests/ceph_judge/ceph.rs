//! The judge's side: roles, buckets and policies at RGW, and its answers.

use std::time::Duration;

use aws_sdk_s3::{
    config::{
        BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        timeout::TimeoutConfig,
    },
    error::SdkError,
    primitives::ByteStream,
};
use serde_json::Value;
use tagmint_e2e::{CephGuard, CephOptions};

use super::{ACCOUNT, AUDIENCE, SESSION, TestResult, issuer::Issuer, rows::Ask};

type Failure<E> = SdkError<E, aws_sdk_s3::config::http::HttpResponse>;

/// A throw-away cluster with one tenant, which is the account of the rows.
pub struct Ceph {
    guard: CephGuard,
    iam: aws_sdk_iam::Client,
    sts: aws_sdk_sts::Client,
    s3: aws_sdk_s3::Client,
    _dir: tempfile::TempDir,
}

/// A session's client of S3.
pub struct Session(aws_sdk_s3::Client);

impl Ceph {
    /// Starts it and registers the issuer.
    pub async fn start(issuer: &Issuer) -> TestResult<Self> {
        let dir = tempfile::tempdir()?;
        let ca_file = dir.path().join("ca.pem");
        std::fs::write(&ca_file, issuer.ca())?;
        let options = CephOptions { ca_file: Some(ca_file), verbose: true };
        let (guard, admin) = tokio::task::spawn_blocking(move || {
            let guard = CephGuard::start(&options)?;
            let admin = guard.create_tenant(ACCOUNT)?;
            Ok::<_, tagmint_e2e::GuardError>((guard, admin))
        })
        .await??;
        let admin = Credentials::new(admin.access_key_id, admin.secret_access_key, None, None, "tenant");
        let region = Region::new(guard.region());
        let iam = aws_sdk_iam::Client::from_conf(
            aws_sdk_iam::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .endpoint_url(guard.endpoint())
                .region(region.clone())
                .credentials_provider(admin.clone())
                .timeout_config(patience())
                .build(),
        );
        let sts = aws_sdk_sts::Client::from_conf(
            aws_sdk_sts::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .endpoint_url(guard.endpoint())
                .region(region)
                .timeout_config(patience())
                .build(),
        );
        iam.create_open_id_connect_provider()
            .url(format!("https://{}", issuer.host()))
            .client_id_list(AUDIENCE)
            .thumbprint_list("0".repeat(40))
            .send()
            .await?;
        let s3 = s3(&guard, admin);
        Ok(Self { guard, iam, sts, s3, _dir: dir })
    }

    /// Makes a role with this trust policy. False where the policy is malformed, here and below.
    pub async fn role(&self, role: &str, policy: &Value) -> TestResult<bool> {
        let call = self.iam.create_role().role_name(role).assume_role_policy_document(policy.to_string());
        match call.send().await {
            Ok(_) => Ok(true),
            Err(error) => self.malformed(&error),
        }
    }

    /// Gives the role its policy.
    pub async fn role_policy(&self, role: &str, policy: &Value) -> TestResult<bool> {
        let call = self.iam.put_role_policy().role_name(role).policy_name("own").policy_document(policy.to_string());
        match call.send().await {
            Ok(_) => Ok(true),
            Err(error) => self.malformed(&error),
        }
    }

    /// Makes a bucket with these objects.
    pub async fn bucket(&self, bucket: &str, keys: impl IntoIterator<Item = &str>) -> TestResult {
        self.s3.create_bucket().bucket(bucket).send().await?;
        for key in keys {
            self.s3.put_object().bucket(bucket).key(key).body(ByteStream::from_static(b"x")).send().await?;
        }
        Ok(())
    }

    /// Gives the bucket its policy.
    pub async fn bucket_policy(&self, bucket: &str, policy: &Value) -> TestResult<bool> {
        match self.s3.put_bucket_policy().bucket(bucket).policy(policy.to_string()).send().await {
            Ok(_) => Ok(true),
            Err(error) => self.malformed(&error),
        }
    }

    /// A session for the token; none where it is refused.
    pub async fn assume(&self, role_arn: &str, token: &str, policy: Option<&str>) -> TestResult<Option<Session>> {
        let call = self
            .sts
            .assume_role_with_web_identity()
            .role_arn(role_arn)
            .role_session_name(SESSION)
            .web_identity_token(token)
            .set_policy(policy.map(str::to_owned));
        match call.send().await {
            Ok(answer) => {
                let keys = answer.credentials().ok_or("STS answered without credentials")?;
                let token = Some(keys.session_token().to_owned());
                let credentials = Credentials::new(keys.access_key_id(), keys.secret_access_key(), token, None, "sts");
                Ok(Some(Session(s3(&self.guard, credentials))))
            }
            Err(error) => match status(&error) {
                Some(400..=403) => Ok(None),
                _ => Err(self.failed(&error)),
            },
        }
    }

    /// `allowed` or `denied`.
    pub async fn ask(&self, session: &Session, bucket: &str, ask: &Ask) -> TestResult<String> {
        let s3 = &session.0;
        let answer = match ask {
            Ask::Get(key) => self.access(s3.get_object().bucket(bucket).key(key).send().await.err()),
            Ask::Put(key) => {
                let body = ByteStream::from_static(b"x");
                self.access(s3.put_object().bucket(bucket).key(key).body(body).send().await.err())
            }
            Ask::Delete(key) => self.access(s3.delete_object().bucket(bucket).key(key).send().await.err()),
            Ask::List(prefix) => self.access(s3.list_objects_v2().bucket(bucket).prefix(prefix).send().await.err()),
            Ask::ListWith { prefix, delimiter, max_keys } => {
                let call = s3.list_objects_v2().bucket(bucket).set_prefix(prefix.clone());
                let call = call.set_delimiter(delimiter.clone()).set_max_keys(*max_keys);
                self.access(call.send().await.err())
            }
        };
        answer.map(str::to_owned)
    }

    fn access<E: std::fmt::Debug>(&self, error: Option<Failure<E>>) -> TestResult<&'static str> {
        match error {
            None => Ok("allowed"),
            Some(error) if status(&error) == Some(403) => Ok("denied"),
            Some(error) => Err(self.failed(&error)),
        }
    }

    fn malformed<E: std::fmt::Debug>(&self, error: &Failure<E>) -> TestResult<bool> {
        if status(error) == Some(400) { Ok(false) } else { Err(self.failed(error)) }
    }

    fn failed<E: std::fmt::Debug>(&self, error: &Failure<E>) -> super::Error {
        format!("{error:?}\nradosgw says:\n{}", self.guard.log()).into()
    }
}

fn status<E>(error: &Failure<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// RGW now and then leaves a request without an answer: it is sent again.
fn patience() -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(30)).build()
}

fn s3(guard: &CephGuard, credentials: Credentials) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(
        aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(guard.endpoint())
            .region(Region::new(guard.region()))
            .credentials_provider(credentials)
            .timeout_config(patience())
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build(),
    )
}
