//! `AssumeRoleWithWebIdentity`: fetches what the engine needs, and lets it decide.

use tagmint_iam::{
    context::Context,
    web_identity::{Fetched, Report, Verdict, WebIdentityRequest, World, unverified_issuer, verdict},
};

use super::{open, session_policies};
use crate::{
    authorize,
    aws::Aws,
    fetch::Documents,
    query::{Params, QueryError},
    sessions::Session,
    xml::Xml,
};

/// Answers the call, which is unsigned: the token is its credential. `base` are the keys that every request has.
pub async fn assume_role_with_web_identity(aws: &Aws, params: &Params, base: &Context) -> Result<Xml, QueryError> {
    let request = WebIdentityRequest {
        role_arn: params.need("RoleArn")?,
        role_session_name: params.need("RoleSessionName")?,
        token: params.need("WebIdentityToken")?,
        duration_seconds: params.number("DurationSeconds")?,
        policy: params.get("Policy"),
        provider_id: params.get("ProviderId"),
    };
    let issuer = unverified_issuer(request.token);
    // Cloned: the account isn't held while documents are fetched.
    let provider = issuer.and_then(|issuer| aws.account().providers.registry.by_issuer(&issuer).cloned());
    let documents = if let Some(provider) = &provider {
        aws.fetcher.documents(&provider.issuer()).await
    } else {
        let none = || Err("no provider, nothing fetched".to_owned());
        Documents { discovery: none(), jwks: none() }
    };
    let account = aws.account();
    let role = account.role_by_arn(request.role_arn);
    let engine_role = role.map(|role| role.for_engine(&account)).transpose()?;
    let base = with_resource_tags(base, role);
    let world = World {
        provider: provider.as_ref(),
        discovery: Some(fetched(&documents.discovery)),
        jwks: fetched(&documents.jwks),
        role: engine_role.as_ref(),
        base: &base,
        now: aws.clock.now(),
    };
    let report = verdict(&request, &world);
    let granted = match &report.verdict {
        Verdict::Accepted(granted) => granted,
        Verdict::Refused(error) => {
            aws.explain(|| trace(&report));
            let mut error = QueryError::from(error.clone());
            if aws.over_tls(&base).is_some_and(|base| {
                matches!(verdict(&request, &World { base: &base, ..world }).verdict, Verdict::Accepted(_))
            }) {
                error.message.push_str(authorize::TLS_HINT);
            }
            return Err(error);
        }
    };
    let role = role.ok_or_else(|| QueryError::new(500, "InternalFailure", "a session of a role that is not there"))?;
    let mut context = granted.context(&role.id);
    role_tags(&mut context, role);
    let context = context.with("aws:TokenIssueTime", world.now.to_string());
    let session = Session {
        access_key: aws.ids.access_key("ASIA")?,
        secret: aws.ids.secret()?,
        token: aws.ids.session_token()?,
        role_arn: granted.role_arn.clone(),
        role_id: role.id.clone(),
        arn: granted.session_arn.clone(),
        name: granted.session_name.clone(),
        expires_at: granted.expires_at,
        context,
        policies: session_policies(&account, params)?,
        transitive: transitive(&granted.tags, &granted.transitive_tag_keys),
        source_identity: granted.source_identity.clone(),
    };
    drop(account);
    Ok(open(aws, session)
        .text("SubjectFromWebIdentityToken", &granted.subject)
        .text("Audience", &granted.audience)
        .text("Provider", &granted.provider))
}

/// The role is the call's resource, and its tags are that resource's.
fn with_resource_tags(base: &Context, role: Option<&crate::account::Role>) -> Context {
    let mut context = base.clone();
    for (key, value) in role.into_iter().flat_map(|role| role.tags.iter()) {
        context = context.with(&format!("aws:ResourceTag/{key}"), value).with(&format!("iam:ResourceTag/{key}"), value);
    }
    context
}

fn fetched(document: &Result<Vec<u8>, String>) -> Fetched<'_> {
    match document {
        Ok(bytes) => Fetched::Document(bytes),
        Err(why) => Fetched::Failed(why),
    }
}

/// A role's own tags are principal tags too; a session tag of the same key stands before them (IAM user guide, "Pass session tags").
pub(super) fn role_tags(context: &mut Context, role: &crate::account::Role) {
    for (key, value) in role.tags.iter() {
        let name = format!("aws:PrincipalTag/{key}");
        if context.get(&name).is_none() {
            context.set(&name, vec![value.to_owned()]);
        }
    }
}

/// The tags whose keys are transitive.
pub(super) fn transitive(tags: &[(String, String)], keys: &[String]) -> Vec<(String, String)> {
    tags.iter().filter(|(key, _)| keys.iter().any(|transitive| transitive.eq_ignore_ascii_case(key))).cloned().collect()
}

fn trace(report: &Report) -> String {
    let refusal = report.refusal().map_or_else(String::new, ToString::to_string);
    let checks = report.checks.iter().map(|check| {
        let mark = if check.passed { "✓" } else { "✗" };
        let fix = check.fix.as_ref().map_or_else(String::new, |fix| format!("\n    fix: {fix}"));
        format!("\n  {mark} {}: wanted {}, found {}{fix}", check.check, check.expected, check.actual)
    });
    std::iter::once(refusal).chain(checks).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::account::{Role, Tags};

    #[test]
    fn the_roles_tags_are_the_resources_and_the_requests_keys_stay() {
        let mut tags = Tags::default();
        tags.set(vec![("team".to_owned(), "blue".to_owned())]);
        let role = Role {
            name: "data".to_owned(),
            path: "/".to_owned(),
            id: "AROAEXAMPLE".to_owned(),
            arn: "arn:aws:iam::000000000000:role/data".to_owned(),
            created: jiff::Timestamp::UNIX_EPOCH,
            description: None,
            max_session_seconds: 3600,
            trust_policy: String::new(),
            trusted: BTreeMap::new(),
            inline: BTreeMap::new(),
            attached: BTreeSet::new(),
            tags,
        };
        let base = Context::new().with("aws:SourceIp", "192.0.2.1");
        let context = with_resource_tags(&base, Some(&role));
        for (key, value) in
            [("aws:ResourceTag/team", "blue"), ("iam:ResourceTag/team", "blue"), ("aws:SourceIp", "192.0.2.1")]
        {
            assert_eq!(context.single(key), Some(value), "{key}");
        }
        assert_eq!(with_resource_tags(&base, None), base);
    }
}
