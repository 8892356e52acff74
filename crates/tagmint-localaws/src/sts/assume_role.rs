//! `AssumeRole`, also from role to role.
//!
//! Sources: API reference of STS, `AssumeRole`; IAM user guide, "Pass session tags in AWS STS" (transitive tags), "Monitor and control actions
//! taken with assumed roles" (source identity).

use jiff::SignedDuration;
use tagmint_core::tags::SessionTags;
use tagmint_iam::{
    arn::RoleArn,
    context::Context,
    policy::{Kind, Policy},
};

use super::{
    open, session_policies,
    web_identity::{role_tags, transitive},
};
use crate::{
    account::Role,
    authorize::Question,
    aws::Aws,
    query::{Params, QueryError},
    scope::Scope,
    sessions::{Principal, Session},
    xml::Xml,
};

const DEFAULT_SECONDS: i64 = 3600;
/// The longest session that a session can open.
const CHAINED_SECONDS: i64 = 3600;
const MAX_POLICY_LEN: usize = 2048;

/// What the request asks for, checked against the service model.
struct Wish<'a> {
    role: Role,
    session_name: &'a str,
    seconds: i64,
    tags: Vec<(String, String)>,
    transitive_keys: Vec<String>,
    source_identity: Option<String>,
}

/// Answers the call.
pub fn assume_role(aws: &Aws, principal: &Principal, params: &Params, base: &Context) -> Result<Xml, QueryError> {
    for unsupported in ["SerialNumber", "TokenCode", "ProvidedContexts.member.1.ProviderArn"] {
        if params.get(unsupported).is_some() {
            return Err(QueryError::not_implemented(&format!("{unsupported} of AssumeRole")));
        }
    }
    let wish = wish(aws, principal, params)?;
    let context = context(base, params, &wish);
    let trust = wish.role.shown_trust_policy(&aws.account()).into_owned();
    let trust = Policy::parse_as(Kind::Trust, &trust)
        .map_err(|error| QueryError::new(500, "InternalFailure", error.to_string()))?;
    let asked = [
        ("sts:AssumeRole", true),
        ("sts:TagSession", !wish.tags.is_empty()),
        ("sts:SetSourceIdentity", wish.source_identity.is_some()),
    ];
    for (action, _) in asked.into_iter().filter(|(_, needed)| *needed) {
        let question =
            Question { principal, action, resource: &wish.role.arn, context: &context, resource_policy: None };
        aws.trust(&trust, question).map_err(|refused| {
            let mut error = denied(principal, action, &wish.role.arn);
            error.message.push_str(refused.hint());
            error
        })?;
    }
    let policies = session_policies(&aws.account(), params)?;
    let now = aws.clock.now();
    let arn = aws.scope.sts(&format!("assumed-role/{}/{}", wish.role.name, wish.session_name));
    let session = Session {
        access_key: aws.ids.access_key("ASIA")?,
        secret: aws.ids.secret()?,
        token: aws.ids.session_token()?,
        role_arn: wish.role.arn.clone(),
        role_id: wish.role.id.clone(),
        arn,
        name: wish.session_name.to_owned(),
        expires_at: now + SignedDuration::from_secs(wish.seconds),
        context: session_context(&aws.scope, &wish).with("aws:TokenIssueTime", now.to_string()),
        policies,
        transitive: transitive(&wish.tags, &wish.transitive_keys),
        source_identity: wish.source_identity,
    };
    Ok(open(aws, session))
}

fn denied(principal: &Principal, action: &str, resource: &str) -> QueryError {
    let message = format!("User: {} is not authorized to perform: {action} on resource: {resource}", principal.arn());
    QueryError::new(403, "AccessDenied", message)
}

fn wish<'a>(aws: &Aws, principal: &Principal, params: &'a Params) -> Result<Wish<'a>, QueryError> {
    let role_arn = params.need("RoleArn")?;
    let session_name = params.need("RoleSessionName")?;
    let fits = (2..=64).contains(&session_name.len())
        && session_name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b));
    if !fits {
        return Err(QueryError::validation(format!(
            "1 validation error detected: Value '{session_name}' at 'roleSessionName' failed to satisfy constraint: Member must satisfy \
             regular expression pattern: [\\w+=,.@-]{{2,64}}"
        )));
    }
    if RoleArn::parse(role_arn).is_none() {
        return Err(QueryError::validation(format!("{role_arn} is invalid")));
    }
    if params.get("Policy").is_some_and(|policy| policy.chars().count() > MAX_POLICY_LEN) {
        return Err(QueryError::validation(format!("the session policy is longer than {MAX_POLICY_LEN} characters")));
    }
    let role = aws.account().role_by_arn(role_arn).cloned();
    let role = role.ok_or_else(|| denied(principal, "sts:AssumeRole", role_arn))?;
    let (tags, transitive_keys) = tags(principal, params)?;
    Ok(Wish {
        seconds: seconds(principal, params, &role)?,
        source_identity: source_identity(principal, params, role_arn)?,
        role,
        session_name,
        tags,
        transitive_keys,
    })
}

fn seconds(principal: &Principal, params: &Params, role: &Role) -> Result<i64, QueryError> {
    let chained = matches!(principal, Principal::Session(_));
    let seconds = params.number("DurationSeconds")?.unwrap_or(DEFAULT_SECONDS);
    let problem = if !(900..=43_200).contains(&seconds) {
        format!(
            "1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: Member must have value \
             between 900 and 43200"
        )
    } else if chained && seconds > CHAINED_SECONDS {
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining".to_owned()
    } else if seconds > role.max_session_seconds {
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.".to_owned()
    } else {
        return Ok(seconds);
    };
    Err(QueryError::validation(problem))
}

/// The request's tags and those that the calling session hands on, and the keys that go on further.
type TagsAndKeys = (Vec<(String, String)>, Vec<String>);

fn tags(principal: &Principal, params: &Params) -> Result<TagsAndKeys, QueryError> {
    let mut tags = params.tags("Tags");
    let mut keys = params.list("TransitiveTagKeys");
    SessionTags::new(tags.iter().map(|(key, value)| (key, value)), &keys)
        .map_err(|error| QueryError::validation(error.to_string()))?;
    if let Principal::Session(session) = principal {
        for (key, value) in &session.transitive {
            if tags.iter().any(|(given, _)| given.eq_ignore_ascii_case(key)) {
                return Err(QueryError::new(
                    400,
                    "InvalidParameterValue",
                    "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the \
                     calling session.",
                ));
            }
            tags.push((key.clone(), value.clone()));
            if !keys.iter().any(|given| given.eq_ignore_ascii_case(key)) {
                keys.push(key.clone());
            }
        }
    }
    tags.sort();
    Ok((tags, keys))
}

/// A source identity stays for all roles that follow, and cannot be changed.
fn source_identity(principal: &Principal, params: &Params, role_arn: &str) -> Result<Option<String>, QueryError> {
    let asked = params.get("SourceIdentity").map(str::to_owned);
    let inherited = match principal {
        Principal::Session(session) => session.source_identity.clone(),
        Principal::Administrator(_) | Principal::Anonymous => None,
    };
    match (inherited, asked) {
        (Some(inherited), Some(asked)) if inherited != asked => {
            Err(denied(principal, "sts:SetSourceIdentity", role_arn))
        }
        (inherited, asked) => Ok(inherited.or(asked)),
    }
}

fn context(base: &Context, params: &Params, wish: &Wish<'_>) -> Context {
    let mut context = base.clone().with("sts:RoleSessionName", wish.session_name);
    for (key, value) in &wish.tags {
        context.set(&format!("aws:RequestTag/{key}"), vec![value.clone()]);
    }
    if !wish.tags.is_empty() {
        context = context.with_many("aws:TagKeys", wish.tags.iter().map(|(key, _)| key));
    }
    if !wish.transitive_keys.is_empty() {
        context = context.with_many("sts:TransitiveTagKeys", &wish.transitive_keys);
    }
    if let Some(source_identity) = &wish.source_identity {
        context = context.with("sts:SourceIdentity", source_identity);
    }
    if let Some(external_id) = params.get("ExternalId") {
        context = context.with("sts:ExternalId", external_id);
    }
    for (key, value) in wish.role.tags.iter() {
        context = context.with(&format!("aws:ResourceTag/{key}"), value).with(&format!("iam:ResourceTag/{key}"), value);
    }
    context
}

fn session_context(scope: &Scope, wish: &Wish<'_>) -> Context {
    let mut context = Context::new()
        .with("aws:PrincipalType", "AssumedRole")
        .with("aws:PrincipalArn", &wish.role.arn)
        .with("aws:PrincipalAccount", &scope.account)
        .with("aws:userid", format!("{}:{}", wish.role.id, wish.session_name));
    if let Some(source_identity) = &wish.source_identity {
        context = context.with("aws:SourceIdentity", source_identity);
    }
    for (key, value) in &wish.tags {
        context.set(&format!("aws:PrincipalTag/{key}"), vec![value.clone()]);
    }
    role_tags(&mut context, &wish.role);
    context
}
