//! AWS.

use std::collections::HashSet;

use jiff::SignedDuration;
use tagmint_aws::render::{Access, BucketSettings, Expiry, Mode, RoleSettings};
use tagmint_core::{environment::Environment, tags::TagKey};
use tagmint_iam::{
    arn::{RoleArn, is_account},
    partition,
};

use super::{Check, DAY, HOUR, backend::check_service_url};
use crate::config::{
    AwsConfig,
    problem::shortened,
    raw::{DurationText, RawAws, RawBucket, RawMode, RawRole},
};

/// The longest name of a region, in characters.
const LONGEST_REGION: usize = 64;
/// What stands for the account in names.
pub(super) const ACCOUNT: &str = "${aws.account}";
/// An account where none is configured, to check a name by.
pub(super) const SOME_ACCOUNT: &str = "111122223333";

impl Check<'_> {
    pub(super) fn aws(&mut self, raw: &RawAws, environment: Environment) -> Option<AwsConfig> {
        let region = &raw.region;
        let fits = (1..=LONGEST_REGION).contains(&region.len())
            && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !region.starts_with('-')
            && !region.ends_with('-');
        if !fits {
            self.problem("aws.region", format!("`{}` is not a region such as `eu-central-1`", shortened(region)));
        }
        if let Some(account) = raw.account.as_ref().filter(|account| !is_account(account)) {
            self.problem("aws.account", format!("`{}` is not an account id: twelve digits", shortened(account)));
        }
        let partition = raw.partition.as_deref().unwrap_or_else(|| partition::of_region(region).name);
        if partition::named(partition).is_none() {
            let names: Vec<&str> = partition::PARTITIONS.iter().map(|partition| partition.name).collect();
            let partition = shortened(partition);
            self.problem("aws.partition", format!("`{partition}` is not one of {}", names.join(", ")));
        }
        let bucket = raw.bucket.as_ref().map(|bucket| self.bucket(bucket, raw.account.as_deref(), environment));
        let roles = self.roles(&raw.role, environment);
        let wrong = raw.sts_endpoint.as_ref().and_then(|url| Some((url, check_service_url(url, environment).err()?)));
        if let Some((url, message)) = wrong {
            // What follows an `@` or `?` may be a secret.
            let shown = if url.contains(['@', '?']) { "the URL".to_owned() } else { format!("`{}`", shortened(url)) };
            self.problem("aws.sts_endpoint", format!("{shown} {message}"));
            return None;
        }
        fits.then(|| AwsConfig {
            region: region.clone(),
            sts_endpoint: raw.sts_endpoint.clone(),
            ca_file: raw.ca_file.as_ref().map(|file| self.path(file)),
            account: raw.account.clone(),
            partition: partition.to_owned(),
            bucket,
            roles,
        })
    }

    fn bucket(&mut self, raw: &RawBucket, account: Option<&str>, environment: Environment) -> BucketSettings {
        let name = &raw.name;
        if account.is_none() && name.contains(ACCOUNT) {
            self.problem("aws.bucket.name", format!("`{ACCOUNT}` is used, and there is no `aws.account`"));
        }
        if !is_bucket_name(&name.replace(ACCOUNT, account.unwrap_or(SOME_ACCOUNT))) {
            self.problem(
                "aws.bucket.name",
                format!(
                    "`{}` is not the name of a bucket: 3 to 63 small letters, digits, `.` and `-`, a letter or digit at both ends",
                    shortened(name)
                ),
            );
        }
        self.own_world("aws.bucket.name", name, environment);
        let mut expire = Vec::new();
        for (index, expiry) in raw.expire.iter().enumerate() {
            let path = format!("aws.bucket.expire[{index}]");
            if expiry.prefix.is_empty() {
                self.problem(&format!("{path}.prefix"), "is empty: that would remove everything in the bucket");
            }
            expire.push(Expiry {
                prefix: expiry.prefix.clone(),
                days: self.days(&format!("{path}.after"), &expiry.after),
            });
        }
        BucketSettings {
            name: name.clone(),
            versioning: raw.versioning,
            keep_old_versions_days: self.days("aws.bucket.keep_old_versions", &raw.keep_old_versions),
            abort_uploads_days: self.days("aws.bucket.abort_uploads", &raw.abort_uploads),
            expire,
        }
    }

    fn roles(&mut self, raw: &[RawRole], environment: Environment) -> Vec<RoleSettings> {
        let mut seen = HashSet::new();
        let mut roles = Vec::new();
        for (index, role) in raw.iter().enumerate() {
            let path = format!("aws.role[{index}]");
            let name = &role.name;
            let arn = format!("arn:aws:iam::{SOME_ACCOUNT}:role/{name}");
            if RoleArn::parse(&arn).is_none_or(|parsed| parsed.name != name.as_str()) {
                let message =
                    format!("`{}` is not the name of a role: 1 to 64 letters, digits and `+=,.@_-`", shortened(name));
                self.problem(&format!("{path}.name"), message);
            }
            if !seen.insert(name.to_lowercase()) {
                self.problem(&format!("{path}.name"), format!("`{}` is there twice", shortened(name)));
            }
            self.own_world(&format!("{path}.name"), name, environment);
            let max_session = self.duration(&format!("{path}.max_session"), &role.max_session, (HOUR, HOUR * 12));
            let mut tags = HashSet::new();
            for (number, access) in role.access.iter().enumerate() {
                let path = format!("{path}.access[{number}].tag");
                if let Err(error) = TagKey::parse(&access.tag) {
                    self.problem(&path, error.to_string());
                } else if access.tag.contains(['$', '{', '}', ' ']) {
                    self.problem(&path, "a key with a space cannot stand in a policy variable");
                }
                if !tags.insert(access.tag.to_lowercase()) {
                    self.problem(&path, format!("`{}` is there twice", shortened(&access.tag)));
                }
            }
            let access = role.access.iter().map(|access| Access {
                tag: access.tag.clone(),
                mode: match access.mode {
                    RawMode::Read => Mode::Read,
                    RawMode::ReadWrite => Mode::ReadWrite,
                },
            });
            roles.push(RoleSettings {
                name: name.clone(),
                max_session_seconds: u32::try_from(max_session.as_secs()).unwrap_or(u32::MAX),
                access: access.collect(),
            });
        }
        roles
    }

    /// A test issuer's role and bucket say so in their names, and a prod issuer's do not: one is not taken for the other.
    fn own_world(&mut self, path: &str, name: &str, environment: Environment) {
        if let Some(message) = of_another_world(name, environment) {
            self.problem(path, format!("`{}` {message}", shortened(name)));
        }
    }

    /// A duration of whole days.
    fn days(&mut self, path: &str, text: &DurationText) -> u32 {
        let duration = self.duration(path, text, (DAY, DAY * 3650));
        if duration.as_secs() % DAY.as_secs() != 0 {
            self.problem(path, format!("`{}` is not a number of whole days, as S3 counts", shortened(&text.0)));
        }
        whole_days(duration)
    }
}

/// What is wrong with a role's or bucket's name in this environment.
pub(crate) fn of_another_world(name: &str, environment: Environment) -> Option<&'static str> {
    let is_test = name.split(|character: char| !character.is_ascii_alphanumeric()).any(|word| word == "test");
    match environment {
        Environment::Test if !is_test => {
            Some("has no word `test` in it, and this is a test issuer: give it a name of its own")
        }
        Environment::Prod if is_test => Some("has the word `test` in it, and this is a prod issuer"),
        _ => None,
    }
}

fn whole_days(duration: SignedDuration) -> u32 {
    u32::try_from(duration.as_secs() / DAY.as_secs()).unwrap_or(u32::MAX)
}

/// Names of buckets (user guide of S3, "General purpose bucket naming rules"), without what is reserved.
pub(crate) fn is_bucket_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| inner(byte) || byte == b'-' || byte == b'.')
        && name.bytes().next().is_some_and(inner)
        && name.bytes().last().is_some_and(inner)
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
        && !["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|reserved| name.starts_with(reserved))
}
