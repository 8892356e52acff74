//! Ceph's RADOS Gateway as AWS: provider, role and bucket set up through its IAM and S3 APIs, then used with a token.

use std::process::Command;

use aws_sdk_s3::{
    config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation},
    error::SdkError,
    primitives::ByteStream,
};
use serde_json::{Value, json};
use tagmint_e2e::{CephGuard, CephOptions, python};

use super::{Denied, Issuer, Stage, TestResult};

const BUCKET: &str = "agentkeys-mail-test";
const ROLE: &str = "agentkeys-data-role-test";
const ROLE_ARN: &str = "arn:aws:iam:::role/agentkeys-data-role-test";
const AUDIENCE: &str = "sts.amazonaws.com";
const TAG: &str = "agentkeys_user_wallet";

/// A throw-away cluster that trusts the stage's CA.
pub struct Ceph {
    guard: CephGuard,
    provider: String,
    issuer: String,
}

/// Credentials that STS gave for a token.
pub struct Session(aws_sdk_s3::Client);

impl Ceph {
    /// Starts the cluster. The issuer runs already: STS fetches its documents at every call.
    pub async fn start(stage: &Stage, _issuer: &Issuer) -> TestResult<Self> {
        let options = CephOptions { ca_file: Some(stage.path("ca.pem")), verbose: true };
        let guard = tokio::task::spawn_blocking(move || CephGuard::start(&options)).await??;
        Ok(Self { guard, provider: stage.provider(), issuer: stage.issuer() })
    }

    /// Registers provider and role, and puts a mail below the prefix of each wallet.
    pub async fn set_up(&self, wallets: &[&str]) -> TestResult {
        let iam = aws_sdk_iam::Client::from_conf(
            aws_sdk_iam::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .endpoint_url(self.guard.endpoint())
                .region(Region::new(self.guard.region()))
                .credentials_provider(self.admin())
                .build(),
        );
        iam.create_open_id_connect_provider()
            .url(&self.issuer)
            .client_id_list(AUDIENCE)
            .thumbprint_list("0".repeat(40))
            .send()
            .await
            .map_err(|error| self.explain(&error))?;
        iam.create_role()
            .role_name(ROLE)
            .assume_role_policy_document(self.trust_policy().to_string())
            .send()
            .await
            .map_err(|error| self.explain(&error))?;
        iam.put_role_policy()
            .role_name(ROLE)
            .policy_name("own-prefix")
            .policy_document(role_policy(wallets).to_string())
            .send()
            .await
            .map_err(|error| self.explain(&error))?;
        let s3 = self.s3(self.admin());
        s3.create_bucket().bucket(BUCKET).send().await.map_err(|error| self.explain(&error))?;
        for wallet in wallets {
            let body = ByteStream::from(format!("mail of {wallet}").into_bytes());
            let put = s3.put_object().bucket(BUCKET).key(format!("{wallet}/mail.txt")).body(body);
            put.send().await.map_err(|error| self.explain(&error))?;
        }
        Ok(())
    }

    /// Trusts our provider, for one audience, wallets as subjects, and sessions that carry the tag. Ceph ignores the value of `Null`, so the
    /// tag is demanded with `StringLike`.
    fn trust_policy(&self) -> Value {
        let key = |name: &str| format!("{}:{name}", self.provider);
        json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": {"Federated": [format!("arn:aws:iam:::oidc-provider/{}", self.provider)]},
                "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
                "Condition": {
                    "StringEquals": {key("aud"): AUDIENCE},
                    "StringLike": {key("sub"): "wallet:*", format!("aws:RequestTag/{TAG}"): "?*"},
                },
            }],
        })
    }

    /// Exchanges a token for a session.
    pub async fn assume(&self, token: &str) -> TestResult<Session> {
        let sts = aws_sdk_sts::Client::from_conf(
            aws_sdk_sts::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .endpoint_url(self.guard.endpoint())
                .region(Region::new(self.guard.region()))
                .build(),
        );
        let call =
            sts.assume_role_with_web_identity().role_arn(ROLE_ARN).role_session_name("e2e").web_identity_token(token);
        let answer = call.send().await.map_err(|error| denied(&error))?;
        let keys = answer.credentials().ok_or("STS answered without credentials")?;
        let credentials = Credentials::new(
            keys.access_key_id(),
            keys.secret_access_key(),
            Some(keys.session_token().to_owned()),
            None,
            "sts",
        );
        Ok(Session(self.s3(credentials)))
    }

    /// The same path with boto3: the own mail's text, and the code with which the foreign one is refused.
    pub fn prove_with_boto3(&self, token: &str, own: &str, foreign: &str) -> TestResult<Value> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/prove.py");
        let mut command = Command::new(python()?);
        command
            .arg(script)
            .args([self.guard.endpoint(), self.guard.region(), ROLE_ARN, BUCKET, own, foreign])
            .env("TOKEN", token);
        let output = command.output()?;
        if !output.status.success() {
            return Err(format!("boto3: {}\n{}", String::from_utf8_lossy(&output.stderr), self.guard.log()).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn admin(&self) -> Credentials {
        let keys = self.guard.admin();
        Credentials::new(keys.access_key_id.as_str(), keys.secret_access_key.as_str(), None, None, "ceph admin")
    }

    fn s3(&self, credentials: Credentials) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::from_conf(
            aws_sdk_s3::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .endpoint_url(self.guard.endpoint())
                .region(Region::new(self.guard.region()))
                .credentials_provider(credentials)
                .force_path_style(true)
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
                .build(),
        )
    }

    fn explain(&self, error: &(dyn std::fmt::Debug + 'static)) -> String {
        format!("{error:?}\nradosgw says:\n{}", self.guard.log())
    }
}

/// Each wallet's objects for sessions with its tag; listing for the prefix that is the tag. (In Ceph 16 a variable works as a whole condition
/// value alone, so the objects are named one wallet at a time.)
fn role_policy(wallets: &[&str]) -> Value {
    let bucket = format!("arn:aws:s3:::{BUCKET}");
    let mut statements = vec![];
    for wallet in wallets {
        statements.push(json!({
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": [bucket],
            "Condition": {"StringEquals": {"s3:prefix": format!("{wallet}/"), format!("aws:PrincipalTag/{TAG}"): wallet}},
        }));
        statements.push(json!({
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": [format!("{bucket}/{wallet}/*")],
            "Condition": {"StringEquals": {format!("aws:PrincipalTag/{TAG}"): wallet}},
        }));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

impl Session {
    /// The keys below a prefix.
    pub async fn list(&self, prefix: &str) -> TestResult<Vec<String>> {
        let answer =
            self.0.list_objects_v2().bucket(BUCKET).prefix(prefix).send().await.map_err(|error| denied(&error))?;
        Ok(answer.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect())
    }

    /// An object's text.
    pub async fn get(&self, key: &str) -> TestResult<String> {
        let answer = self.0.get_object().bucket(BUCKET).key(key).send().await.map_err(|error| denied(&error))?;
        Ok(String::from_utf8(answer.body.collect().await?.to_vec())?)
    }
}

/// The status and the code in the body. Ceph answers STS refusals in a form that the SDK does not recognise, so the raw answer is read.
fn denied<E: std::error::Error + Send + Sync + 'static>(
    error: &SdkError<E, aws_sdk_s3::config::http::HttpResponse>,
) -> super::Error {
    let Some(response) = error.raw_response() else { return format!("no answer: {error:?}").into() };
    let body = String::from_utf8_lossy(response.body().bytes().unwrap_or_default()).into_owned();
    let code =
        body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code.to_owned());
    Denied { status: response.status().as_u16(), code: code.unwrap_or(body) }.into()
}
