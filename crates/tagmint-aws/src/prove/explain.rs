//! Why a check failed: the engine, over the policies that the operator's credentials may read.

mod words;

use jiff::Timestamp;
use tagmint_iam::{
    advice::{AccessQuestion, Asker, Explanation, Question},
    arn::Arn,
    context::Context,
    evaluate::{self, Caller, Decision, Policies, Request, Source, StatementRef},
    policy::Policy,
    web_identity::{Fetched, Session},
};

use super::{
    bad_token::BadToken,
    plan::{Operation, Plan},
};
use crate::{
    connection::Connection,
    documents::{self, Documents},
    failure::Failure,
    policies::{self, Provider, Role, RolePolicy, Unread},
    token::Token,
};

/// The unique id of a role whose own one could not be read.
const ROLE_ID: &str = "AROAEXPLAINEXPLAINEX";

/// What the session tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    operation: Operation,
    key: Option<&'a str>,
    prefix: Option<&'a str>,
}

impl<'a> Attempt<'a> {
    /// Listing a prefix, or the whole bucket.
    pub(super) const fn list(prefix: Option<&'a str>) -> Self {
        Self { operation: Operation::List, key: None, prefix }
    }

    /// Something with an object.
    pub(super) const fn on(operation: Operation, key: &'a str) -> Self {
        Self { operation, key: Some(key), prefix: None }
    }
}

/// Explains. Nothing is read before something fails.
#[derive(Debug)]
pub(super) struct Explainer<'a> {
    plan: &'a Plan,
    connection: &'a Connection,
    session: Option<Session>,
    role: Option<Result<Role, Unread>>,
    rest: Option<Rest>,
}

/// The policies that decide over what the session may do.
#[derive(Debug)]
struct Rest {
    role: Vec<RolePolicy>,
    bucket: Option<Policy>,
    unread: Vec<Unread>,
}

impl<'a> Explainer<'a> {
    pub(super) fn new(plan: &'a Plan, connection: &'a Connection) -> Self {
        Self { plan, connection, session: None, role: None, rest: None }
    }

    /// Takes note of the session that STS opened.
    pub(super) fn opened(&mut self, session_arn: &str, provider: &str) {
        let Plan { role_arn, session_name, tokens, .. } = self.plan;
        let token = &tokens.good;
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        self.session = Some(Session {
            role_arn: role_arn.clone(),
            session_arn: session_arn.to_owned(),
            session_name: session_name.clone(),
            provider: provider.to_owned(),
            subject: text(token.subject()),
            audience: text(token.audience()),
            source_identity: token.source_identity().map(str::to_owned),
            tags: token.tags().into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            transitive_tag_keys: Vec::new(),
            role_authorized_by_idp: false,
            duration_seconds: 0,
            expires_at: Timestamp::MAX,
            policy: None,
        });
    }

    /// Why STS refused a token that it must accept.
    pub(super) async fn refused_token(&mut self, token: &Token, now: Timestamp) -> String {
        match self.explanation(token, now, true).await {
            Err(why) => {
                let role = policies::role_name(&self.plan.role_arn).unwrap_or("NAME");
                format!(
                    "{why}. To find out why, with credentials that may read the role: tagmint explain --token FILE --role {} --fetch. Without: aws iam \
                     get-role --role-name {role} >role.json, then tagmint explain --token FILE --trust-policy role.json --fetch",
                    self.plan.role_arn
                )
            }
            Ok(Explanation { accepted: true, warnings, .. }) => {
                let unsure: Vec<&str> = warnings
                    .iter()
                    .filter(|one| one.id.ends_with("-not-checked"))
                    .map(|one| one.text.as_str())
                    .collect();
                let unsure = if unsure.is_empty() { String::new() } else { format!(" ({})", unsure.join("; ")) };
                format!(
                    "by the role's trust policy STS would accept it{unsure}. A role or provider that was changed seconds ago is refused for a \
                     while; an organisation's policy can refuse, too"
                )
            }
            Ok(explanation) => words::failed_checks(&explanation),
        }
    }

    /// Why STS accepted a token that it must refuse.
    pub(super) async fn accepted_token(&mut self, which: BadToken, token: &Token, now: Timestamp) -> String {
        let issuer = token.issuer().unwrap_or_default();
        let host = issuer.trim_start_matches("https://");
        let audience = token.audience().unwrap_or_default();
        let cause = match which {
            BadToken::Altered => "the endpoint does not check signatures: it is no stand-in for STS".to_owned(),
            BadToken::Expired => "the endpoint does not check when tokens end, or its clock is wrong".to_owned(),
            BadToken::Untagged => {
                let key = self.plan.tag.as_deref().unwrap_or("KEY");
                format!(
                    "the trust policy does not demand the tag: add \"Null\": {{\"aws:RequestTag/{key}\": \"false\"}} to its conditions"
                )
            }
            BadToken::OtherAudience => format!(
                "the provider has {audience:?} among its client ids, and the trust policy does not bind the audience: take the client id out, or \
                 add \"StringEquals\": {{\"{host}:aud\": …}} to its conditions"
            ),
            BadToken::OtherEnvironment => format!(
                "the role trusts {issuer:?}, the issuer of another environment: take its provider out of the trust policy, and out of the account"
            ),
        };
        match self.explanation(token, now, true).await {
            Ok(explanation) if !explanation.accepted => {
                let told = explanation.error.map(|error| format!(" ({}: {})", error.code, error.message));
                format!("{cause}. By AWS's rules it has to be refused{}", told.unwrap_or_default())
            }
            Ok(_) | Err(_) => cause,
        }
    }

    /// What a token without the tag was refused for, where the trust policy can be read and that is not the missing tag.
    pub(super) async fn refused_for_another_reason(&mut self, token: &Token, now: Timestamp) -> Option<String> {
        let explanation = self.explanation(token, now, false).await.ok().filter(|explanation| !explanation.accepted)?;
        let about_tags = |text: &str| text.contains("aws:requesttag/") || text.contains("aws:tagkeys");
        let mut failed = explanation.checks.iter().filter(|check| !check.passed);
        let tags = failed.any(|check| about_tags(&check.expected.to_lowercase()));
        (!tags).then(|| words::failed_checks(&explanation))
    }

    /// Why the session may not do what it must be able to do, or why something else than a refusal came.
    pub(super) async fn refused(&mut self, attempt: Attempt<'_>, refusal: &Failure) -> String {
        match refusal.code() {
            Some("AccessDenied") => {}
            Some("NoSuchBucket") => {
                return format!("there is no bucket {} here: look at --bucket and the endpoint", self.plan.bucket);
            }
            Some("PermanentRedirect" | "AuthorizationHeaderMalformed") => {
                return "the bucket is in another region: name it with AWS_REGION or --region".to_owned();
            }
            _ => return refusal.to_string(),
        }
        let words = refusal.to_string();
        let Some((decision, unread)) = self.decide(attempt, Which::Both).await else { return words };
        if decision.is_allowed() {
            let boundary = self.role.as_ref().and_then(|role| role.as_ref().ok()?.boundary.clone());
            let boundary = boundary.map_or_else(String::new, |arn| format!("the role's permissions boundary {arn}, "));
            return format!(
                "{words}. The policies that could be read allow it: look at {boundary}policies of the organisation and of the VPC endpoint, and \
                 at the key that encrypts the bucket{unread}"
            );
        }
        if let Some(at) = decision.decisive.first() {
            return format!("{words}. {} denies it, and a denial wins over every Allow{unread}", self.place(at));
        }
        let fix = self.fix(attempt).unwrap_or_else(|| "no statement allows it".to_owned());
        format!("{words}. {fix}{unread}")
    }

    /// Why the session may do what it must not be able to do.
    pub(super) async fn allowed(&mut self, attempt: Attempt<'_>) -> String {
        let what = self.described(attempt);
        if let Some((decision, _)) = self.decide(attempt, Which::Role).await
            && decision.is_allowed()
        {
            let at = decision.decisive.first().map_or_else(|| "it".to_owned(), |at| self.place(at));
            let bucket = match self.decide(attempt, Which::Bucket).await {
                Some((decision, _)) if decision.is_allowed() => {
                    let at = decision.decisive.first().map_or_else(|| "a statement".to_owned(), |at| self.place(at));
                    format!("{at} allows it as well")
                }
                _ => "it masks the bucket policy, which cannot take it back".to_owned(),
            };
            return format!(
                "{at} allows {what}. Allows add up: {bucket}. Take this grant out of the role's policy, or narrow it to the session's own prefix"
            );
        }
        match self.decide(attempt, Which::Both).await {
            Some((decision, _)) if decision.is_allowed() => {
                let at = decision.decisive.first().map_or_else(|| "a statement".to_owned(), |at| self.place(at));
                let key = self.plan.tag.as_deref().unwrap_or("KEY");
                format!("{at} allows {what}: narrow it to ${{aws:PrincipalTag/{key}}}/")
            }
            Some((_, unread)) if unread.is_empty() => format!(
                "neither the role's policies nor the bucket policy allow {what} by AWS's rules: the endpoint does not enforce them as AWS does, or \
                 an access control list grants it"
            ),
            Some((_, unread)) => format!("no policy that could be read allows {what}{unread}"),
            None => format!("the session may do {what}"),
        }
    }

    /// The engine's explanation of STS's answer; an error where the trust policy could not be read.
    async fn explanation(&mut self, token: &Token, now: Timestamp, fetch: bool) -> Result<Explanation, String> {
        let role = self.role().await.clone().map_err(|unread| unread.to_string())?;
        let provider = self.provider(&role, token).await;
        let client_ids = provider.as_ref().map_or_else(Vec::new, |provider| provider.client_ids.clone());
        let mut question = Question {
            token: token.expose(),
            trust_policy: &role.trust_policy,
            // Stores that are not AWS have roles without an account, which STS would not take.
            role_arn: Some(self.plan.role_arn.as_str())
                .filter(|arn| Arn::split(arn).is_some_and(|arn| arn.has_account())),
            provider_url: provider.as_ref().map(|provider| provider.url.as_str()),
            local: !self.connection.is_aws(),
            provider_missing: false,
            client_ids: &client_ids,
            context: &[],
            discovery: Fetched::Unchecked,
            jwks: Fetched::Unchecked,
            now,
            access: None,
        };
        let documents: Option<Documents> = match question.issuer().filter(|_| fetch) {
            Some(issuer) => documents::fetch(&issuer, self.plan.issuer_roots.as_deref()).await.ok(),
            None => None,
        };
        // What this machine cannot fetch, STS may; then the signature is taken as right.
        if let Some(documents) = documents.as_ref().filter(|documents| documents.jwks.is_ok()) {
            question.discovery = documents.discovery();
            question.jwks = documents.jwks();
        }
        Ok(question.explain_to(Asker::Maker))
    }

    /// The provider that the trust policy names for the token's issuer, as far as it can be read.
    async fn provider(&self, role: &Role, token: &Token) -> Option<Provider> {
        let host = token.issuer().unwrap_or_default().trim_start_matches("https://");
        let named = policies::providers(&role.trust_policy);
        let arn = named.iter().find(|arn| arn.ends_with(&format!(":oidc-provider/{host}"))).or(named.first())?;
        policies::provider(self.connection, arn).await.ok()
    }

    async fn role(&mut self) -> &Result<Role, Unread> {
        if self.role.is_none() {
            self.role = Some(policies::role(self.connection, &self.plan.role_arn).await);
        }
        self.role.as_ref().expect("it was read just now")
    }

    async fn rest(&mut self) -> &Rest {
        if self.rest.is_none() {
            let (role, mut unread) = policies::role_policies(self.connection, &self.plan.role_arn).await;
            let bucket = match policies::bucket_policy(self.connection, &self.plan.bucket).await {
                Ok(policy) => policy,
                Err(problem) => {
                    unread.push(problem);
                    None
                }
            };
            self.rest = Some(Rest { role, bucket, unread });
        }
        self.rest.as_ref().expect("it was read just now")
    }

    /// What the engine says, and what could not be read, as the end of a sentence. None before a session was opened.
    async fn decide(&mut self, attempt: Attempt<'_>, which: Which) -> Option<(Decision, String)> {
        let role = self.role().await.clone();
        self.rest().await;
        let (session, rest) = (self.session.as_ref()?, self.rest.as_ref()?);
        let context = self.context(session, role.as_ref().ok(), attempt);
        let resource = self.resource(attempt);
        let caller: Caller = session.caller();
        let request =
            Request { caller: &caller, action: attempt.operation.action(), resource: &resource, context: &context };
        let identity: Vec<Policy> = rest.role.iter().map(|policy| policy.policy.clone()).collect();
        let (identity, bucket) = match which {
            Which::Role => (identity, None),
            Which::Bucket => (Vec::new(), rest.bucket.as_ref()),
            Which::Both => (identity, rest.bucket.as_ref()),
        };
        let policies = Policies { identity: &identity, session: None, resource: bucket, same_account: true };
        Some((evaluate::access(policies, request), words::unread(role.as_ref().err(), &rest.unread)))
    }

    /// The nearest fix for something that no statement allows.
    fn fix(&self, attempt: Attempt<'_>) -> Option<String> {
        let (Some(Ok(role)), Some(rest)) = (&self.role, &self.rest) else { return None };
        let identity: Vec<Policy> = rest.role.iter().map(|policy| policy.policy.clone()).collect();
        let resource = self.resource(attempt);
        let mut context: Vec<(String, String)> =
            attempt.prefix.map(|prefix| ("s3:prefix".to_owned(), prefix.to_owned())).into_iter().collect();
        let tags = role.tags.iter().filter(|(key, _)| self.plan.tokens.good.tag(key).is_none());
        context.extend(tags.map(|(key, value)| (format!("aws:PrincipalTag/{key}"), value.clone())));
        let access = AccessQuestion {
            action: attempt.operation.action(),
            resource: &resource,
            role_policies: &identity,
            bucket_policy: rest.bucket.as_ref(),
            context: &context,
        };
        let token = &self.plan.tokens.good;
        let question = Question {
            token: token.expose(),
            trust_policy: &role.trust_policy,
            role_arn: Some(&self.plan.role_arn),
            provider_url: None,
            local: !self.connection.is_aws(),
            provider_missing: false,
            client_ids: &[],
            context: &[],
            discovery: Fetched::Unchecked,
            jwks: Fetched::Unchecked,
            now: token.expires_at()?,
            access: Some(access),
        };
        let explanation = question.explain_to(Asker::Maker);
        explanation.checks.into_iter().find(|check| check.check == "access")?.fix
    }

    fn context(&self, session: &Session, role: Option<&Role>, attempt: Attempt<'_>) -> Context {
        let mut context = session.context(role.map_or(ROLE_ID, |role| role.id.as_str()));
        // A session tag of the same key stands before the role's own.
        for (key, value) in role.map(|role| role.tags.as_slice()).unwrap_or_default() {
            let name = format!("aws:PrincipalTag/{key}");
            if context.get(&name).is_none() {
                context = context.with(&name, value);
            }
        }
        context = context.with("aws:SecureTransport", self.connection.s3_over_tls().to_string());
        match attempt.prefix {
            Some(prefix) => context.with("s3:prefix", prefix),
            None => context,
        }
    }

    fn resource(&self, attempt: Attempt<'_>) -> String {
        let partition = Arn::split(&self.plan.role_arn).map_or("aws", |arn| arn.partition);
        let bucket = format!("arn:{partition}:s3:::{}", self.plan.bucket);
        attempt.key.map_or_else(|| bucket.clone(), |key| format!("{bucket}/{key}"))
    }

    fn described(&self, attempt: Attempt<'_>) -> String {
        let prefix = match (attempt.operation, attempt.prefix) {
            (Operation::List, Some(prefix)) => format!(" with the prefix {prefix:?}"),
            (Operation::List, None) => " without a prefix".to_owned(),
            _ => String::new(),
        };
        format!("{} on {}{prefix}", attempt.operation.action(), self.resource(attempt))
    }

    /// Where a statement stands.
    fn place(&self, at: &StatementRef) -> String {
        let statement = at.sid.as_ref().map_or_else(
            || format!("statement {}", at.statement + 1),
            |sid| format!("statement {} ({sid:?})", at.statement + 1),
        );
        let policy = self.rest.as_ref().and_then(|rest| rest.role.get(at.policy));
        match (at.source, policy) {
            (Source::Resource, _) => format!("{statement} of the bucket policy"),
            (_, Some(RolePolicy { name, inline: true, .. })) => {
                format!("{statement} of the role's own policy `{name}`")
            }
            (_, Some(RolePolicy { name, .. })) => format!("{statement} of {name}, which is attached to the role,"),
            (_, None) => format!("{statement} of the role's policy"),
        }
    }
}

/// Which policies are asked.
#[derive(Debug, Clone, Copy)]
enum Which {
    Role,
    Bucket,
    Both,
}

#[cfg(test)]
mod tests;
