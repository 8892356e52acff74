//! What AWS holds, from files or read with the credentials of the environment.

use tagmint_aws::{
    connection::{Connection, Options},
    policies::{self, Problem, Unread},
    token::Token,
};
use tagmint_iam::{
    arn::Arn,
    policy::{Kind, Policy, Principals},
    provider::OidcProvider,
};

use super::{ExplainArgs, read_policy, read_provider};
use crate::{error::CliError, output::Output, surroundings};

/// IAM is the same in all regions.
const ANY_REGION: &str = "us-east-1";

/// What is known of the role and what belongs to it.
pub(super) struct Known {
    pub(super) trust_policy: Option<Policy>,
    pub(super) role_policies: Vec<Policy>,
    pub(super) bucket_policy: Option<Policy>,
    /// The ARN of the role that the trust policy was found in.
    pub(super) role_arn: Option<String>,
    pub(super) provider_url: Option<String>,
    pub(super) client_ids: Vec<String>,
    /// Whether IAM says that the role's account has no such provider.
    pub(super) provider_missing: bool,
    /// Keys of the action.
    pub(super) context: Vec<(String, String)>,
    /// Keys of the call to STS: those that were given, and the role's tags.
    pub(super) call: Vec<(String, String)>,
    /// Whether it was read from something that is not AWS.
    pub(super) local: bool,
}

impl Known {
    /// What the arguments name.
    pub(super) fn from_files(args: &ExplainArgs) -> Result<Self, CliError> {
        let wanted = args.role_arn.as_deref();
        let read = |kind, what, file| read_policy(kind, what, file, wanted);
        let trust = args.trust_policy.as_ref().map(|file| read(Kind::Trust, "the trust policy", file)).transpose()?;
        let role = args.role_policies.iter().map(|file| read(Kind::Identity, "the role policy", file));
        let bucket = args.bucket_policy.as_ref().map(|file| read(Kind::Resource, "the bucket policy", file));
        let provider = args.provider.as_ref().map(|file| read_provider(file)).transpose()?;
        let mut known = Self {
            trust_policy: None,
            role_policies: role.map(|found| Ok(found?.policy)).collect::<Result<_, CliError>>()?,
            bucket_policy: bucket.transpose()?.map(|found| found.policy),
            role_arn: None,
            provider_url: args.provider_url.clone(),
            client_ids: args.client_ids.clone(),
            provider_missing: false,
            context: args.context.clone(),
            call: args.context.clone(),
            local: false,
        };
        if let Some(provider) = provider {
            known.provider_url = Some(provider.url);
            known.client_ids = provider.client_ids;
        }
        if let Some(found) = trust {
            known.add_role_tags(&found.role_tags);
            known.role_arn = found.role_arn.filter(|arn| policies::role_name(arn).is_some());
            known.trust_policy = Some(found.policy);
        }
        Ok(known)
    }

    /// The role's tags are keys of the call to STS; what was given stays.
    fn add_role_tags(&mut self, tags: &[(String, String)]) {
        for (key, value) in tags {
            for name in ["aws:ResourceTag", "iam:ResourceTag"].map(|prefix| format!("{prefix}/{key}")) {
                if !self.call.iter().any(|(given, _)| given.eq_ignore_ascii_case(&name)) {
                    self.call.push((name, value.clone()));
                }
            }
        }
    }

    /// Reads from AWS what no argument names. What decides must be readable; without the provider its client ids are not checked.
    pub(super) async fn complete(
        &mut self,
        args: &ExplainArgs,
        role_arn: &str,
        token: &str,
        output: Output,
    ) -> Result<(), CliError> {
        if policies::role_name(role_arn).is_none() {
            return Err(CliError::Usage(format!("--role {role_arn} is not the ARN of a role")));
        }
        let options = Options {
            endpoint_url: args.endpoint_url.clone(),
            region: None,
            fallback_region: Some(ANY_REGION.to_owned()),
            ca_bundle: surroundings::aws_ca_bundle(),
        };
        let connection = Connection::from_environment(&options).await?;
        self.local = !connection.is_aws();
        let role = policies::role(&connection, role_arn).await;
        let role = role.map_err(|unread| without(unread, "--trust-policy FILE instead of --role"))?;
        let token = Token::parse(token).ok();
        self.read_provider(&connection, role_arn, &role.trust_policy, token.as_ref(), output).await;
        self.add_role_tags(&role.tags);
        if args.action.is_some() {
            if self.role_policies.is_empty() {
                let (read, unread) = policies::role_policies(&connection, role_arn).await;
                if let Some(unread) = unread.into_iter().next() {
                    return Err(without(unread, "--role-policy FILE"));
                }
                self.role_policies = read.into_iter().map(|read| read.policy).collect();
            }
            if let Some(bucket) = args.resource.as_deref().and_then(bucket).filter(|_| self.bucket_policy.is_none()) {
                let read = policies::bucket_policy(&connection, bucket).await;
                self.bucket_policy = read.map_err(|unread| without(unread, "--bucket-policy FILE"))?;
            }
            if let Some(arn) = &role.boundary {
                output.warn(&format!(
                    "the role has a permissions boundary, {arn}, which can refuse more: it is not evaluated"
                ));
            }
            // A session tag of the same key, or a key that was given, stands before the role's own tag.
            for (key, value) in &role.tags {
                let name = format!("aws:PrincipalTag/{key}");
                let told = self.context.iter().any(|(given, _)| given.eq_ignore_ascii_case(&name));
                if !told && token.as_ref().is_none_or(|token| token.tag(key).is_none()) {
                    self.context.push((name, value.clone()));
                }
            }
        }
        self.trust_policy = Some(role.trust_policy);
        Ok(())
    }

    /// The provider that the trust policy names for the token's issuer, in the role's account: STS knows no other.
    async fn read_provider(
        &mut self,
        connection: &Connection,
        role_arn: &str,
        trust: &Policy,
        token: Option<&Token>,
        output: Output,
    ) {
        if self.provider_url.is_some() && !self.client_ids.is_empty() {
            return;
        }
        let issuer = token.and_then(Token::issuer).unwrap_or_default().trim_start_matches("https://");
        let named = policies::providers(trust);
        let fits = |arn: &&&str| arn.ends_with(&format!(":oidc-provider/{issuer}"));
        let fitting = named.iter().find(fits);
        // A provider that is built into AWS is not registered.
        if fitting.is_none() && OidcProvider::built_in(issuer).is_some() && names_by_host(trust, issuer) {
            return;
        }
        let Some(arn) = fitting.or(named.first()) else { return };
        match policies::provider(connection, &in_account_of(role_arn, arn)).await {
            Ok(provider) => {
                self.provider_url.get_or_insert(provider.url);
                if self.client_ids.is_empty() {
                    self.client_ids = provider.client_ids;
                }
            }
            Err(unread) if is_missing(&unread) && self.provider_url.is_none() => self.provider_missing = true,
            Err(unread) => output.warn(&format!("{unread}; --client-id gives what it holds")),
        }
    }
}

/// Whether a trust policy names a provider by its host.
fn names_by_host(trust: &Policy, host: &str) -> bool {
    let mut principals = trust.statements.iter().filter_map(|statement| statement.principal.as_ref());
    principals.any(|element| match &element.principals {
        Principals::Listed { federated, .. } => federated.iter().any(|name| name == host),
        Principals::Everyone => false,
    })
}

/// A provider's ARN with the partition and account of the role. Stores that are not AWS have ARNs without an account: then it stays as it is.
fn in_account_of(role_arn: &str, provider_arn: &str) -> String {
    let of_role = Arn::split(role_arn).filter(Arn::has_account);
    match of_role.zip(Arn::split(provider_arn).filter(Arn::has_account)) {
        Some((role, provider)) => format!("arn:{}:iam::{}:{}", role.partition, role.account, provider.resource),
        None => provider_arn.to_owned(),
    }
}

/// Whether IAM knows no such thing.
fn is_missing(unread: &Unread) -> bool {
    matches!(&unread.problem, Problem::Failure(failure) if failure.code() == Some("NoSuchEntity"))
}

/// An error with the way round it.
fn without(unread: Unread, way: &str) -> CliError {
    match CliError::from(unread) {
        CliError::Refused(message) => CliError::Refused(format!("{message}. Without it, give {way}")),
        other => other,
    }
}

/// The bucket of an S3 resource.
fn bucket(resource: &str) -> Option<&str> {
    let arn = Arn::split(resource).filter(|arn| arn.service == "s3" && arn.account.is_empty())?;
    arn.resource.split('/').next().filter(|bucket| !bucket.is_empty() && !bucket.contains('*'))
}

#[cfg(test)]
mod tests {
    use tagmint_aws::failure::Failure;

    use super::*;

    #[test]
    fn the_provider_is_looked_for_in_the_roles_account() {
        let other = "arn:aws:iam::999900001111:oidc-provider/id.example.com";
        let own = "arn:aws:iam::111122223333:oidc-provider/id.example.com";
        assert_eq!(in_account_of("arn:aws:iam::111122223333:role/x", other), own);
        assert_eq!(
            in_account_of("arn:aws-us-gov:iam::111122223333:role/x", other),
            "arn:aws-us-gov:iam::111122223333:oidc-provider/id.example.com"
        );
        assert_eq!(in_account_of("arn:aws:iam:::role/x", other), other);
    }

    #[test]
    fn a_provider_that_aws_knows_by_itself_is_named_by_host() {
        let trust = |principal: &str| {
            Policy::parse(&format!(
                r#"{{"Statement": {{"Effect": "Allow", "Action": "*", "Principal": {{"Federated": "{principal}"}}}}}}"#
            ))
            .unwrap()
        };
        assert!(names_by_host(&trust("accounts.google.com"), "accounts.google.com"));
        assert!(!names_by_host(&trust("arn:aws:iam::1:oidc-provider/accounts.google.com"), "accounts.google.com"));
    }

    #[test]
    fn only_no_such_entity_means_missing() {
        let unread = |code: &str| Unread {
            what: "the provider".to_owned(),
            permission: "iam:GetOpenIDConnectProvider",
            problem: Failure::Refused { status: 404, code: code.to_owned(), message: String::new() }.into(),
        };
        assert!(is_missing(&unread("NoSuchEntity")));
        assert!(!is_missing(&unread("AccessDenied")));
    }

    #[test]
    fn the_bucket_is_the_resources() {
        for (resource, expected) in [
            ("arn:aws:s3:::data/blue/report", Some("data")),
            ("arn:aws:s3:::data", Some("data")),
            ("arn:aws:s3:::*", None),
            ("arn:aws:s3:eu-west-1:111122223333:accesspoint/x", None),
            ("arn:aws:sqs:eu-west-1:111122223333:queue", None),
            ("data", None),
        ] {
            assert_eq!(bucket(resource), expected, "{resource}");
        }
    }
}
