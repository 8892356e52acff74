//! The nearest fix of a request that is not allowed.

use super::{
    super::{
        Asker,
        diff::{Comparison, likeness},
        keys,
        trust::place,
        version,
    },
    AccessQuestion, decide, owner, policies,
};
use crate::{
    arn::Arn,
    condition::ConditionTrace,
    context::Context,
    evaluate::{Caller, Decision, Outcome, Request, Source, StatementRef, StatementTrace},
    pattern,
    policy::{Condition, Effect, Policy, Statement},
    service,
};

/// A question and what is known to answer it.
pub(super) struct Adviser<'a> {
    pub(super) question: &'a AccessQuestion<'a>,
    pub(super) caller: &'a Caller,
    pub(super) context: &'a Context,
    pub(super) asker: Asker,
}

type Advice = (String, Option<Comparison>);

impl Adviser<'_> {
    /// The nearest fix, by the statement that denies, or by the Allow statement that misses least.
    pub(super) fn advice(&self, decision: &Decision) -> Advice {
        let question = self.question;
        if let Some(fix) = self.older_version() {
            return (fix, None);
        }
        if decision.outcome == Outcome::ExplicitDeny
            && let Some(at) = decision.decisive.first()
        {
            return (self.denied(decision, at), None);
        }
        let allows = decision.statements.iter().filter(|statement| statement.effect == Effect::Allow);
        let nearest = allows.min_by_key(|statement| {
            let failed = statement.conditions.iter().filter(|condition| !condition.passed).count();
            let unlike = usize::MAX - self.alike(&statement.at);
            (!statement.action, statement.principal == Some(false), statement.resource == Some(false), unlike, failed)
        });
        let Some(nearest) = nearest.filter(|statement| statement.action) else {
            let fix =
                format!("no statement names {}: allow it in the role policy or in the bucket policy", question.action);
            return (fix, None);
        };
        let at = format!("{} of {}", place(&nearest.at), owner(nearest.at.source));
        if nearest.principal == Some(false) {
            let fix =
                format!("{at} does not name the role as a principal: write \"Principal\": {{\"AWS\": \"ROLE_ARN\"}}");
            return (fix, None);
        }
        if nearest.resource == Some(false) {
            return self.statement(&nearest.at).map_or_else(
                || (format!("{at} names another resource"), None),
                |(policy, statement)| self.other_resource(policy, statement, nearest, &at),
            );
        }
        let Some(failed) = nearest.conditions.iter().find(|condition| !condition.passed) else {
            return (format!("{at} does not apply"), None);
        };
        let wanted = failed.expected.join(" | ");
        let actual = failed.actual.as_ref().and_then(|values| values.first()).map(String::as_str);
        let what = format!("{} {}, {at}", failed.operator, failed.key);
        let fix = self.condition(nearest, failed, &at);
        (fix, Some(Comparison::new(what, ("policy", &wanted), ("request", actual))))
    }

    /// Whether the policies' older version is what keeps the request out.
    fn older_version(&self) -> Option<String> {
        let AccessQuestion { action, resource, role_policies, bucket_policy, .. } = *self.question;
        let (owner, variable) =
            policies(self.question).find_map(|(owner, policy)| Some((owner, version::literal(policy)?)))?;
        let newer = |policy: &Policy| policy.with_variables().unwrap_or_else(|| policy.clone());
        let role: Vec<Policy> = role_policies.iter().map(newer).collect();
        let bucket = bucket_policy.map(newer);
        let request = Request { caller: self.caller, action, resource, context: self.context };
        decide(&role, bucket.as_ref(), request).is_allowed().then(|| version::fix(owner, &variable))
    }

    fn denied(&self, decision: &Decision, at: &StatementRef) -> String {
        let AccessQuestion { action, .. } = *self.question;
        let whose = format!("{} of {}", place(at), owner(at.source));
        let Some((policy, statement)) = self.statement(at) else { return format!("{whose} denies it") };
        if let Some(element) = statement.principal.as_ref().filter(|element| element.negated) {
            return format!(
                "{whose} denies it by {}, which spares a session only where the account, the role and the session are all named: write \
                 \"Principal\": \"*\" with \"Condition\": {{\"ArnNotEquals\": {{\"aws:PrincipalArn\": \"ROLE_ARN\"}}}}",
                element.name()
            );
        }
        if let Some(variable) = version::literal_in(policy, statement) {
            return format!("{whose} denies it: {}", version::fix(owner(at.source), &variable));
        }
        let trace = decision.statements.iter().find(|trace| trace.at == *at);
        let mut conditions = trace.into_iter().flat_map(|trace| &trace.conditions);
        if let Some(condition) = conditions.find(|condition| is_absent(condition) && condition.operator != "Null") {
            let ConditionTrace { operator, key, .. } = condition;
            let why = match keys::never(action, key) {
                Some(never) => format!("{never}. {}", keys::instead(action, key)),
                None => format!("this one has none{}", self.asker.telling(key)),
            };
            return format!(
                "{whose} denies it: its {operator} on {key} is true for a request without the key, and {why}"
            );
        }
        format!("{whose} denies it, and a denial wins over every Allow: change its conditions, or what is asked for")
    }

    fn condition(&self, nearest: &StatementTrace, failed: &ConditionTrace, at: &str) -> String {
        let AccessQuestion { action, resource, .. } = *self.question;
        let key = &failed.key;
        let wanted = failed.expected.join(" | ");
        if is_absent(failed) {
            if let Some(never) = keys::never(action, key) {
                let written = self.statement(&nearest.at).and_then(|(_, statement)| {
                    let condition = find(statement, failed)?;
                    keys::two_statements(statement, condition, action, resource)
                });
                let instead = written.unwrap_or_else(|| keys::instead(action, key));
                return format!("{never}, so {at} never allows {action}. {instead}");
            }
            if key.to_lowercase().starts_with("aws:principaltag/") {
                let tag = &key["aws:PrincipalTag/".len()..];
                return format!("the session has no tag {tag:?}: the token has to carry it");
            }
            let telling = match self.asker {
                Asker::Explain => format!("; give it with --context {key}=VALUE if the real one has"),
                Asker::Maker => format!(", and {at} wants {} {key} {wanted}", failed.operator),
            };
            return format!("the request has no {key}{telling}");
        }
        if let Some(variable) = version::variable(&wanted) {
            if let Some((policy, _)) = self.statement(&nearest.at)
                && version::literal(policy).is_some()
            {
                return version::fix(owner(nearest.at.source), variable);
            }
            return format!("{at} matches nothing: {}", self.unfilled(variable));
        }
        let actual = failed.actual.as_ref().and_then(|values| values.first()).map_or("", String::as_str);
        format!("{key} is {actual:?}, the policy wants {wanted:?}")
    }

    /// Why a variable (`${KEY}`) is not filled in.
    fn unfilled(&self, variable: &str) -> String {
        let inside = variable.trim_start_matches("${").trim_end_matches('}');
        let key = inside.split(',').next().unwrap_or(inside).trim();
        if let Some(never) = keys::never(self.question.action, key) {
            let instead = keys::instead(self.question.action, key);
            return format!("{never}, and {variable} is not filled in. {instead}");
        }
        if key.to_lowercase().starts_with("aws:principaltag/") {
            return format!(
                "the session has no value for {key}, and {variable} is not filled in: the token has to carry this tag"
            );
        }
        let telling = self.asker.telling(key);
        format!("the request has no single value for {key}, and {variable} is not filled in{telling}")
    }

    fn statement(&self, at: &StatementRef) -> Option<(&Policy, &Statement)> {
        let policy = match at.source {
            Source::Resource => self.question.bucket_policy?,
            _ => self.question.role_policies.get(at.policy)?,
        };
        Some((policy, policy.statements.get(at.statement)?))
    }

    /// How alike the resource that is asked for and the nearest of a statement are.
    fn alike(&self, at: &StatementRef) -> usize {
        let arns =
            self.statement(at).and_then(|(_, statement)| statement.resource.as_ref()).map(|element| &element.arns);
        let shown = arns.into_iter().flatten().map(|arn| {
            arn.resolve(self.context).map_or_else(|_| arn.source().to_owned(), |tokens| pattern::to_text(&tokens))
        });
        shown.map(|arn| likeness(&arn, self.question.resource)).max().unwrap_or_default()
    }

    /// Objects' actions on a bucket, or the reverse.
    pub(super) fn wrong_kind_of_resource(&self) -> Option<String> {
        let AccessQuestion { action, resource, .. } = *self.question;
        let known = service::action(action).filter(|action| action.service() == "s3")?;
        if known.applies_to(resource) {
            return None;
        }
        let on_object = Arn::split(resource)?.resource.contains('/');
        if known.is_on("object") && !on_object {
            return Some(format!("{action} is asked on objects: ask for {resource}/KEY"));
        }
        if known.is_on("bucket") && on_object {
            let prefix = match self.asker {
                Asker::Explain if known.has_key("s3:prefix") => "; the prefix is --context s3:prefix=…",
                _ => "",
            };
            return Some(format!("{action} is asked on the bucket, without a key{prefix}"));
        }
        None
    }

    fn other_resource(&self, policy: &Policy, statement: &Statement, trace: &StatementTrace, at: &str) -> Advice {
        let arns = statement.resource.iter().flat_map(|element| &element.arns);
        let mut resolved = Vec::new();
        for arn in arns {
            match arn.resolve(self.context) {
                Ok(tokens) => resolved.push(pattern::to_text(&tokens)),
                Err(unresolved) => {
                    let why = self.unfilled(&format!("${{{}}}", unresolved.0));
                    return (format!("the resource {:?} of {at} matches nothing: {why}", arn.source()), None);
                }
            }
        }
        let resource = self.question.resource;
        let nearest = resolved.iter().rev().max_by_key(|arn| likeness(arn, resource));
        let comparison =
            nearest.map(|arn| Comparison::new(format!("Resource, {at}"), ("policy", arn), ("request", Some(resource))));
        if let Some(variable) =
            nearest.and_then(|arn| version::variable(arn)).filter(|_| version::literal(policy).is_some())
        {
            return (version::fix(owner(trace.at.source), variable), comparison);
        }
        (format!("{at} is for another resource: ask for one that fits it, or widen it with care"), comparison)
    }
}

/// The condition of a statement that a trace is of.
fn find<'a>(statement: &'a Statement, trace: &ConditionTrace) -> Option<&'a Condition> {
    statement
        .conditions
        .iter()
        .find(|condition| condition.key == trace.key && condition.operator.to_string() == trace.operator)
}

fn is_absent(condition: &ConditionTrace) -> bool {
    condition.actual.as_ref().is_none_or(Vec::is_empty)
}
