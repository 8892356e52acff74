//! The plan: from settings and rules to provider, roles and bucket.

use serde_json::Value;
use tagmint_core::{
    environment::Environment,
    rules::{RuleMode, RuleOutline, RuleSet},
};
use tagmint_iam::provider::MAX_CLIENT_IDS;

use super::{
    groups, policies,
    settings::{Access, Expiry, Settings},
};

/// The longest trust policy that AWS stores, in characters without white space, until it is asked for more ("IAM and STS quotas", "Role
/// trust policy length").
const TRUST_POLICY_DEFAULT: usize = 2048;
/// The most that it can be asked for.
const TRUST_POLICY_MOST: usize = 4096;
/// The largest bucket policy, in bytes (user guide of S3, "Bucket policies").
const BUCKET_POLICY_MOST: usize = 20 * 1024;

/// The account in names that are written for a [`super::Rendering`]: a character of the private use area, which stands in no name.
pub(super) const PLACEHOLDER: &str = "\u{e000}";

/// Which account names and ARNs are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// The settings' own.
    Literal,
    /// A placeholder, for a rendering.
    Placeholder,
}

/// Everything that AWS is to hold.
#[derive(Debug, Clone, PartialEq)]
pub struct SetUp {
    /// Which world it is for.
    pub environment: Environment,
    /// The region of the bucket.
    pub region: String,
    /// The OIDC provider.
    pub provider: ProviderPlan,
    /// The roles.
    pub roles: Vec<RolePlan>,
    /// The bucket, if there is one.
    pub bucket: Option<BucketPlan>,
    /// What can be set up so, but should be looked at.
    pub warnings: Vec<String>,
}

/// The OIDC provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderPlan {
    /// Its URL, with scheme.
    pub url: String,
    /// Its ARN.
    pub arn: String,
    /// Its client ids.
    pub audiences: Vec<String>,
}

/// A role.
#[derive(Debug, Clone, PartialEq)]
pub struct RolePlan {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The rules whose tokens it takes.
    pub rules: Vec<String>,
    /// Its trust policy.
    pub trust_policy: Value,
    /// Its own policy; none where it has no access to the bucket and assumes no other role.
    pub guard_policy: Option<Value>,
    /// The longest session, in seconds.
    pub max_session_seconds: u32,
    /// What its sessions reach.
    pub access: Vec<Access>,
}

/// The bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct BucketPlan {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its policy.
    pub policy: Value,
    /// Whether old versions are kept.
    pub versioning: bool,
    /// After how many days old versions are removed.
    pub keep_old_versions_days: u32,
    /// After how many days unfinished uploads are removed.
    pub abort_uploads_days: u32,
    /// What is removed by its age.
    pub expire: Vec<Expiry>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Nothing to plan.
    #[error("there is no [[aws.role]]: name the roles that are to be set up")]
    NoRole,
    /// A role that no rule is for.
    #[error("no rule names the role {arn} in its `roles`: no token could use it")]
    Unused {
        /// Its ARN.
        arn: String,
    },
    /// An audience that is an expression.
    #[error("an audience of the rule `{rule}` is an expression: the provider's client ids must be known; write it out")]
    Audience {
        /// The rule.
        rule: String,
    },
    /// A subject that may begin with anything.
    #[error(
        "the subject of the rule `{rule}` begins with an expression: no trust policy can tell its tokens from others; begin it with a fixed text such as `{rule}:`"
    )]
    Subject {
        /// The rule.
        rule: String,
    },
    /// A tag that cannot be a prefix.
    #[error("the tag `{tag}` of the rule `{rule}` is a prefix of the bucket and {why}")]
    Tag {
        /// The rule.
        rule: String,
        /// The tag.
        tag: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A rule that gives none of the tags.
    #[error(
        "the rule `{rule}` is for the role `{role}` and has none of the tags that open the bucket: {}",
        tags.join(", ")
    )]
    Untagged {
        /// The rule.
        rule: String,
        /// The role.
        role: String,
        /// The tags.
        tags: Vec<String>,
    },
    /// Access to a bucket that is not there.
    #[error("the role `{role}` has `access`, and there is no [aws.bucket]")]
    NoBucket {
        /// The role.
        role: String,
    },
    /// Too many audiences.
    #[error("the rules have {count} audiences; a provider takes {MAX_CLIENT_IDS}")]
    Audiences {
        /// How many.
        count: usize,
    },
    /// A policy that AWS would not store.
    #[error(
        "the {what} has {length} characters, and AWS takes {most}: use fewer roles or rules with the same tags and audiences"
    )]
    TooLong {
        /// Which policy.
        what: String,
        /// How long it is.
        length: usize,
        /// How long it may be.
        most: usize,
    },
}

impl SetUp {
    /// Plans. All that is wrong is told at once.
    pub fn new(settings: &Settings, rules: &RuleSet, names: Names) -> Result<Self, Vec<PlanError>> {
        let account = match names {
            Names::Literal => settings.account.as_str(),
            Names::Placeholder => PLACEHOLDER,
        };
        // A shadow rule grants nothing, so that nothing need be open for it.
        let outlines: Vec<RuleOutline> = rules.outlines().filter(|rule| rule.mode == RuleMode::Enforce).collect();
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        if settings.roles.is_empty() {
            return Err(vec![PlanError::NoRole]);
        }
        let url = &settings.issuer;
        let host = url.trim_start_matches("https://");
        let mut provider = ProviderPlan {
            url: url.clone(),
            arn: format!("arn:{}:iam::{account}:oidc-provider/{host}", settings.partition),
            audiences: Vec::new(),
        };
        let bucket_name = settings.bucket.as_ref().map(|bucket| bucket.name_in(account));
        let bucket_arn = bucket_name.as_ref().map(|name| format!("arn:{}:s3:::{name}", settings.partition));
        let mut planned = Vec::new();
        for role in &settings.roles {
            let literal = settings.role_arn(&role.name, &settings.account);
            let mine: Vec<RuleOutline> = outlines.iter().filter(|rule| is_for(rule, &literal)).cloned().collect();
            if mine.is_empty() {
                problems.push(PlanError::Unused { arn: literal });
                continue;
            }
            if !role.access.is_empty() && bucket_arn.is_none() {
                problems.push(PlanError::NoBucket { role: role.name.clone() });
            }
            let groups = groups::of(role, &mine, &mut problems);
            for audience in groups.iter().flat_map(|group| &group.audiences) {
                if !provider.audiences.contains(audience) {
                    provider.audiences.push(audience.clone());
                }
            }
            let trust_policy = policies::trust(&provider, host, &groups, settings);
            let length = without_space(&trust_policy, &settings.account);
            if length > TRUST_POLICY_MOST {
                let what = format!("trust policy of {}", role.name);
                problems.push(PlanError::TooLong { what, length, most: TRUST_POLICY_MOST });
            } else if length > TRUST_POLICY_DEFAULT {
                warnings.push(format!(
                    "the trust policy of {} has {length} characters; AWS takes {TRUST_POLICY_DEFAULT} until the account's quota \"Role trust policy length\" is raised",
                    role.name
                ));
            }
            let mut next: Vec<String> = mine.iter().filter_map(|rule| rule.session.assume_then.clone()).collect();
            next.sort_unstable();
            next.dedup();
            let arn = settings.role_arn(&role.name, account);
            warnings.extend(next.iter().map(|next| {
                format!(
                    "sessions of {} assume {next} at once: its trust policy must allow {literal} the actions sts:AssumeRole, sts:TagSession and \
                     sts:SetSourceIdentity; it is not set up here",
                    role.name
                )
            }));
            planned.push(RolePlan {
                arn,
                rules: mine.iter().map(|rule| rule.name.to_string()).collect(),
                trust_policy,
                guard_policy: policies::own(bucket_arn.as_deref(), &role.access, &next),
                max_session_seconds: role.max_session_seconds,
                access: role.access.clone(),
                name: role.name.clone(),
            });
        }
        warnings.extend(strangers(&outlines, settings));
        if provider.audiences.len() > MAX_CLIENT_IDS {
            problems.push(PlanError::Audiences { count: provider.audiences.len() });
        }
        let bucket =
            settings.bucket.as_ref().zip(bucket_name).zip(bucket_arn).map(|((bucket, name), arn)| BucketPlan {
                policy: policies::bucket(&arn, &planned),
                name,
                arn,
                versioning: bucket.versioning,
                keep_old_versions_days: bucket.keep_old_versions_days,
                abort_uploads_days: bucket.abort_uploads_days,
                expire: bucket.expire.clone(),
            });
        if let Some(bucket) = &bucket {
            let length = without_space(&bucket.policy, &settings.account);
            if length > BUCKET_POLICY_MOST {
                let what = "bucket policy".to_owned();
                problems.push(PlanError::TooLong { what, length, most: BUCKET_POLICY_MOST });
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let (environment, region) = (settings.environment, settings.region.clone());
        Ok(Self { environment, region, provider, roles: planned, bucket, warnings })
    }
}

/// Whether a rule's tokens are for a role.
fn is_for(rule: &RuleOutline, arn: &str) -> bool {
    rule.roles.iter().any(|role| role.literal() == Some(arn))
}

/// Rules that name roles which are not planned.
fn strangers(rules: &[RuleOutline], settings: &Settings) -> Vec<String> {
    let planned: Vec<String> =
        settings.roles.iter().map(|role| settings.role_arn(&role.name, &settings.account)).collect();
    let mut warnings = Vec::new();
    for rule in rules {
        for role in &rule.roles {
            match role.literal() {
                Some(arn) if planned.iter().any(|planned| planned == arn) => {}
                Some(arn) => warnings.push(format!(
                    "the rule `{}` is for the role {arn}, which no [[aws.role]] names: it is not set up here",
                    rule.name
                )),
                None => warnings.push(format!(
                    "a role of the rule `{}` is an expression: which one it is cannot be told, and it is not set up here",
                    rule.name
                )),
            }
        }
    }
    warnings
}

/// How AWS counts: without white space.
fn without_space(policy: &Value, account: &str) -> usize {
    policy.to_string().replace(PLACEHOLDER, account).chars().filter(|character| !character.is_whitespace()).count()
}
