//! What the session may do: the role's own policies and the bucket's together, and where the first undo the second.

mod adviser;

use self::adviser::Adviser;
use super::{Asker, Explanation, Refusal, Warning, keys, trust::place, version};
use crate::{
    arn::Arn,
    context::Context,
    evaluate::{self, Caller, Decision, Outcome, Policies, Request, Source},
    policy::Policy,
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
pub(super) fn explain(question: &AccessQuestion<'_>, session: &Session, explanation: &mut Explanation, asker: Asker) {
    let caller = session.caller();
    let mut context = session.context(ROLE_ID).with("aws:SecureTransport", "true");
    for (key, value) in question.context.iter().filter(|(key, _)| keys::is_sent(question.action, key)) {
        context = context.with(key, value);
    }
    let request = Request { caller: &caller, action: question.action, resource: question.resource, context: &context };
    let decision = decide(question.role_policies, question.bucket_policy, request);
    let adviser = Adviser { question, caller: &caller, context: &context, asker };
    let impossible = adviser.wrong_kind_of_resource();
    let allowed = decision.is_allowed() && impossible.is_none();
    let mut check = Check {
        check: "access",
        passed: allowed,
        expected: format!("{} on {} is allowed", question.action, question.resource),
        actual: if impossible.is_some() {
            "the action is never asked on such a resource".to_owned()
        } else {
            described(&decision)
        },
        fix: None,
    };
    if allowed {
        explanation.warnings.extend(keys::in_vain(question.action, &decision));
        explanation.warnings.extend(policies(question).filter_map(|(owner, policy)| version::warning(owner, policy)));
    } else {
        let (fix, comparison) = impossible.map_or_else(|| adviser.advice(&decision), |fix| (fix, None));
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

/// The policies of a question, and whose they are.
fn policies<'a>(question: &AccessQuestion<'a>) -> impl Iterator<Item = (&'static str, &'a Policy)> {
    let role = question.role_policies.iter().map(|policy| (owner(Source::Identity), policy));
    role.chain(question.bucket_policy.map(|policy| (owner(Source::Resource), policy)))
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

/// Policies are a union of allows: what the role's own grant on a foreign prefix, the bucket policy cannot take back.
fn undone(question: &AccessQuestion<'_>, caller: &Caller, context: &Context) -> Option<Warning> {
    let bucket_policy = question.bucket_policy?;
    let arn = Arn::split(question.resource).filter(|arn| arn.service == "s3")?;
    let bucket = format!("arn:{}:s3:::{}", arn.partition, arn.resource.split('/').next().unwrap_or_default());
    let foreign = format!("{bucket}/{FOREIGN}/object");
    let context = &context.clone().only(|key| !keys::is_of_lists(key));
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
