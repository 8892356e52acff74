//! What the session may do: the role's own policies and the bucket's together, and where the first undo the second.

use super::{
    Explanation, Refusal, Warning,
    diff::{Comparison, likeness},
    trust::place,
};
use crate::{
    arn::Arn,
    context::Context,
    evaluate::{self, Caller, Decision, Outcome, Policies, Request, Source, StatementRef},
    pattern,
    policy::{Effect, Policy, Statement},
    web_identity::{Check, Session},
};

/// The unique id that stands in for the role's.
const ROLE_ID: &str = "AROAEXPLAINEXPLAINEX";
/// A prefix that nobody was given: who reaches it reaches everybody's.
const FOREIGN: &str = "tagmint-explain-foreign-prefix";

/// A request that the session makes then.
#[derive(Debug, Clone, Copy)]
pub struct AccessQuestion<'a> {
    /// The action, as `s3:GetObject`.
    pub action: &'a str,
    /// The resource's ARN.
    pub resource: &'a str,
    /// The role's own policies.
    pub role_policies: &'a [Policy],
    /// The bucket's policy. The bucket is taken to be of the role's account.
    pub bucket_policy: Option<&'a Policy>,
    /// Keys of the request, as `s3:prefix`.
    pub context: &'a [(String, String)],
}

/// Adds the decision to an explanation.
pub(super) fn explain(question: &AccessQuestion<'_>, session: &Session, explanation: &mut Explanation) {
    let caller = session.caller();
    let mut context = session.context(ROLE_ID).with("aws:SecureTransport", "true");
    for (key, value) in question.context {
        context = context.with(key, value);
    }
    let request = Request { caller: &caller, action: question.action, resource: question.resource, context: &context };
    let decision = decide(question.role_policies, question.bucket_policy, request);
    let allowed = decision.is_allowed();
    let mut check = Check {
        check: "access",
        passed: allowed,
        expected: format!("{} on {} is allowed", question.action, question.resource),
        actual: described(&decision),
        fix: None,
    };
    if !allowed {
        let (fix, comparison) = advice(question, &decision, &context);
        check.fix = Some(fix);
        explanation.comparison = comparison;
        explanation.accepted = false;
        explanation.error =
            Some(Refusal { code: "AccessDenied".to_owned(), message: message(question, session, &decision) });
    }
    explanation.checks.push(check);
    explanation.warnings.extend(undone(question, &caller, &context));
}

fn decide(role: &[Policy], bucket: Option<&Policy>, request: Request<'_>) -> Decision {
    evaluate::access(Policies { identity: role, session: None, resource: bucket, same_account: true }, request)
}

/// S3's words. Source: IAM user guide, "Troubleshoot access denied error messages".
fn message(question: &AccessQuestion<'_>, session: &Session, decision: &Decision) -> String {
    let action = question.action;
    let denial = decision.decisive.first().map(|at| match at.source {
        Source::Resource => "with an explicit deny in a resource-based policy".to_owned(),
        _ => "with an explicit deny in an identity-based policy".to_owned(),
    });
    let why = denial.unwrap_or_else(|| format!("because no identity-based policy allows the {action} action"));
    format!(
        "User: {} is not authorized to perform: {action} on resource: \"{}\" {why}",
        session.session_arn, question.resource
    )
}

fn described(decision: &Decision) -> String {
    let Some(first) = decision.decisive.first() else { return "no statement allows it".to_owned() };
    let verb = if decision.outcome == Outcome::ExplicitDeny { "denies" } else { "allows" };
    format!("{} of {} {verb}", place(first), owner(first.source))
}

const fn owner(source: Source) -> &'static str {
    match source {
        Source::Resource => "the bucket policy",
        _ => "the role policy",
    }
}

/// The nearest fix, by the Allow statement that misses least.
fn advice(question: &AccessQuestion<'_>, decision: &Decision, context: &Context) -> (String, Option<Comparison>) {
    if let Some(at) = decision.decisive.first() {
        let fix = format!(
            "{} of {} denies it, and a denial wins over every Allow: change its conditions, or what is asked for",
            place(at),
            owner(at.source)
        );
        return (fix, None);
    }
    if let Some(fix) = wrong_kind_of_resource(question) {
        return (fix, None);
    }
    let allows = decision.statements.iter().filter(|statement| statement.effect == Effect::Allow);
    let nearest = allows.min_by_key(|statement| {
        let failed = statement.conditions.iter().filter(|condition| !condition.passed).count();
        let unlike = usize::MAX - alike(question, &statement.at, context);
        (!statement.action, statement.principal == Some(false), statement.resource == Some(false), unlike, failed)
    });
    let Some(nearest) = nearest.filter(|statement| statement.action) else {
        let fix =
            format!("no statement names {}: allow it in the role policy or in the bucket policy", question.action);
        return (fix, None);
    };
    let at = format!("{} of {}", place(&nearest.at), owner(nearest.at.source));
    if nearest.principal == Some(false) {
        let fix = format!("{at} does not name the role as a principal: write \"Principal\": {{\"AWS\": \"ROLE_ARN\"}}");
        return (fix, None);
    }
    if nearest.resource == Some(false) {
        return statement_at(question, &nearest.at).map_or_else(
            || (format!("{at} names another resource"), None),
            |statement| other_resource(statement, &at, question, context),
        );
    }
    let Some(failed) = nearest.conditions.iter().find(|condition| !condition.passed) else {
        return (format!("{at} does not apply"), None);
    };
    let wanted = failed.expected.join(" | ");
    let actual = failed.actual.as_ref().and_then(|values| values.first()).map(String::as_str);
    let what = format!("{} {}, {at}", failed.operator, failed.key);
    let fix = match actual {
        None if failed.key.to_lowercase().starts_with("aws:principaltag/") => {
            format!("the session has no tag {:?}: the token has to carry it", &failed.key["aws:PrincipalTag/".len()..])
        }
        None => format!(
            "the request has no {}; give it with --context {}=VALUE if the real one has",
            failed.key, failed.key
        ),
        Some(_) if wanted.contains("${") => {
            "the policy's variable was not filled in, and then it matches nothing: the token has to carry \
                                             the tag, and the policy has to be of \"Version\": \"2012-10-17\""
                .to_owned()
        }
        Some(actual) => format!("{} is {actual:?}, the policy wants {wanted:?}", failed.key),
    };
    (fix, Some(Comparison::new(what, ("policy", &wanted), ("request", actual))))
}

fn statement_at<'a>(question: &AccessQuestion<'a>, at: &StatementRef) -> Option<&'a Statement> {
    let policy = match at.source {
        Source::Resource => question.bucket_policy,
        _ => question.role_policies.get(at.policy),
    };
    policy?.statements.get(at.statement)
}

/// How alike the resource that is asked for and the nearest of a statement are.
fn alike(question: &AccessQuestion<'_>, at: &StatementRef, context: &Context) -> usize {
    let arns =
        statement_at(question, at).and_then(|statement| statement.resource.as_ref()).map(|element| &element.arns);
    let shown = arns
        .into_iter()
        .flatten()
        .map(|arn| arn.resolve(context).map_or_else(|_| arn.source().to_owned(), |tokens| pattern::to_text(&tokens)));
    shown.map(|arn| likeness(&arn, question.resource)).max().unwrap_or_default()
}

/// Objects' actions on a bucket, or the reverse.
fn wrong_kind_of_resource(question: &AccessQuestion<'_>) -> Option<String> {
    let action = question.action.to_lowercase();
    let on_object = Arn::split(question.resource)?.resource.contains('/');
    let about_object = action.starts_with("s3:") && action.contains("object");
    let about_bucket = action.starts_with("s3:list") && !about_object;
    if about_object && !on_object {
        return Some(format!("{} is asked on objects: ask for {}/KEY", question.action, question.resource));
    }
    (about_bucket && on_object && action.contains("bucket")).then(|| {
        format!("{} is asked on the bucket, without a key; the prefix is --context s3:prefix=…", question.action)
    })
}

fn other_resource(
    statement: &Statement,
    at: &str,
    question: &AccessQuestion<'_>,
    context: &Context,
) -> (String, Option<Comparison>) {
    let arns = statement.resource.iter().flat_map(|element| &element.arns);
    let mut resolved = Vec::new();
    for arn in arns {
        match arn.resolve(context) {
            Ok(tokens) => resolved.push(pattern::to_text(&tokens)),
            Err(unresolved) => {
                let fix = format!(
                    "the resource {:?} of {at} holds a variable that the session has no value for ({}), and then it matches nothing: the \
                     token has to carry this tag",
                    arn.source(),
                    unresolved.0
                );
                return (fix, None);
            }
        }
    }
    let resource = question.resource;
    let nearest = resolved.iter().rev().max_by_key(|arn| likeness(arn, resource));
    let comparison =
        nearest.map(|arn| Comparison::new(format!("Resource, {at}"), ("policy", arn), ("request", Some(resource))));
    (format!("{at} is for another resource: ask for one that fits it, or widen it with care"), comparison)
}

/// Policies are a union of allows: what the role's own grant on a foreign prefix, the bucket policy cannot take back.
fn undone(question: &AccessQuestion<'_>, caller: &Caller, context: &Context) -> Option<Warning> {
    let bucket_policy = question.bucket_policy?;
    let arn = Arn::split(question.resource).filter(|arn| arn.service == "s3")?;
    let bucket = format!("arn:{}:s3:::{}", arn.partition, arn.resource.split('/').next().unwrap_or_default());
    let foreign = format!("{bucket}/{FOREIGN}/object");
    let listing = context.clone().with("s3:prefix", format!("{FOREIGN}/"));
    let attempts = [
        ("s3:GetObject", foreign.as_str(), context),
        ("s3:PutObject", &foreign, context),
        ("s3:DeleteObject", &foreign, context),
        ("s3:ListBucket", &bucket, &listing),
    ];
    let mut open = Vec::new();
    let mut statement = None;
    for (action, resource, context) in attempts {
        let request = Request { caller, action, resource, context };
        if decide(&[], Some(bucket_policy), request).is_allowed() {
            continue;
        }
        let both = decide(question.role_policies, Some(bucket_policy), request);
        if both.is_allowed() {
            open.push(action);
            statement = statement.or_else(|| both.decisive.first().map(place));
        }
    }
    let statement = statement?;
    let text = format!(
        "{statement} of the role policy undoes the bucket policy: with it the session has {} on foreign prefixes of {bucket}, too. Allows add \
         up; take the grant out of the role policy, or narrow it to the session's own prefix",
        open.join(", ")
    );
    Some(Warning { id: "broad-role-grant", text })
}
