//! One statement: its actions, its resources, its condition keys, and how they go together.

use super::{Fault, Finding, Place};
use crate::{
    arn::Arn,
    policy::{ActionElement, ResourceElement, Statement},
    service::{self, Action, KeyKind},
};

/// The prefixes of the resource part of IAM's own ARNs (words of IAM's refusal).
const IAM_PATHS: &str = "user/, federated-user/, role/, group/, instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, \
                         saml-provider/, oidc-provider/, report/, access-report/";

const INVALID_ACTION: &str = "Policy has invalid action";
const INVALID_RESOURCE: &str = "Policy has invalid resource";
const INVALID_KEY: &str = "Policy has an invalid condition key";
const VENDOR: &str = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";

pub(super) fn check(statement: &Statement, path: &str, place: Place<'_>, found: &mut Vec<Finding>) {
    let mut check = Check { statement, path, place, found };
    check.actions();
    check.resources();
    check.conditions();
}

struct Check<'a> {
    statement: &'a Statement,
    path: &'a str,
    place: Place<'a>,
    found: &'a mut Vec<Finding>,
}

impl Check<'_> {
    fn add(&mut self, member: &str, problem: Fault, refusal: Option<String>) {
        self.found.push(Finding { path: format!("{}.{member}", self.path), problem, refusal });
    }

    /// S3's words at a bucket; none where IAM stores the policy all the same.
    fn at_bucket(&self, words: &str) -> Option<String> {
        matches!(self.place, Place::Bucket { .. }).then(|| words.to_owned())
    }

    fn actions(&mut self) {
        let ActionElement { negated, names } = &self.statement.action;
        let member = self.statement.action.name();
        for name in names {
            let known = known(name);
            if let Place::Bucket { .. } = self.place
                && !is_of_s3(name)
            {
                self.add(member, Fault::ForeignAction(name.clone()), Some(INVALID_ACTION.to_owned()));
            } else if known.as_ref().is_some_and(Vec::is_empty) {
                let hint = service::permission_of(name).map(str::to_owned);
                let refusal = self.at_bucket(INVALID_ACTION);
                self.add(member, Fault::UnknownAction { name: name.clone(), hint }, refusal);
            } else if !negated && let Some(known) = known {
                self.applies(name, &known);
            }
        }
    }

    /// An action has to apply to one of the resources that a statement names.
    fn applies(&mut self, name: &str, known: &[&'static Action]) {
        let Some(ResourceElement { negated: false, arns }) = &self.statement.resource else { return };
        let texts: Vec<&str> = arns.iter().map(crate::template::Template::source).collect();
        if known.iter().any(|action| texts.iter().any(|text| action.applies_to(text))) {
            return;
        }
        let mut types: Vec<&str> =
            known.iter().flat_map(|action| action.resource_types()).map(service::ResourceType::name).collect();
        types.sort_unstable();
        types.dedup();
        let types = if types.is_empty() { "no single resource: write `*`".to_owned() } else { types.join(", ") };
        let fault = Fault::NotApplicable { action: name.to_owned(), resources: texts.join(", "), types };
        let refusal = self.at_bucket("Action does not apply to any resource(s) in statement");
        self.add(self.statement.action.name(), fault, refusal);
    }

    fn resources(&mut self) {
        let Some(element) = &self.statement.resource else { return };
        for arn in &element.arns {
            let text = arn.source();
            let problem = match self.place {
                Place::Bucket { partition, bucket } => at_bucket(text, partition, bucket),
                Place::Trust { .. } => None,
                Place::Identity { partition } => at_identity(text, partition),
            };
            if let Some((fault, refusal)) = problem {
                self.add(element.name(), fault, Some(refusal));
            }
        }
    }

    fn conditions(&mut self) {
        for condition in &self.statement.conditions {
            let member = format!("Condition.{}[{:?}]", condition.operator, condition.key);
            self.key(&condition.key, &member);
        }
    }

    fn key(&mut self, key: &str, member: &str) {
        if !key.contains(':') {
            let refusal = self.at_bucket(INVALID_KEY).or_else(|| Some(VENDOR.to_owned()));
            return self.add(member, Fault::UnknownKey(key.to_owned()), refusal);
        }
        match service::key_kind(key) {
            KeyKind::Global if matches!(self.place, Place::Trust { .. }) => {}
            KeyKind::Global | KeyKind::Foreign => return,
            KeyKind::Unknown => {
                let refusal = self.at_bucket(INVALID_KEY);
                return self.add(member, Fault::UnknownKey(key.to_owned()), refusal);
            }
            KeyKind::OfActions => {}
        }
        if let Some(action) = self.without(key) {
            // AWS's documentation does not say that a global key is refused where only some actions have it.
            let own = !key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
            let words = "Conditions do not apply to combination of actions and resources in statement";
            let refusal = self.at_bucket(words).filter(|_| own);
            let with = service::actions_with(key).map(ToString::to_string).take(4).collect();
            self.add(member, Fault::KeyOfOtherActions { key: key.to_owned(), action, with }, refusal);
        }
    }

    /// The first action of the statement whose requests never have a key.
    fn without(&self, key: &str) -> Option<String> {
        let ActionElement { negated, names } = &self.statement.action;
        let resources: Vec<&str> = match &self.statement.resource {
            Some(ResourceElement { negated: false, arns }) => {
                arns.iter().map(crate::template::Template::source).collect()
            }
            _ => vec!["*"],
        };
        let has = |action: &&'static Action| {
            action.has_key(key) && resources.iter().any(|resource| action.applies_to(resource))
        };
        // An action that accompanies the assuming of a role sees the keys of the call that assumes it.
        let along = matches!(self.place, Place::Trust { .. });
        if along && names.iter().flat_map(|name| service::covered(name)).any(|action| has(&action)) {
            return None;
        }
        if *negated {
            let named = |action: &&'static Action| names.iter().any(|name| covers(name, action));
            let all = service::covered(if matches!(self.place, Place::Bucket { .. }) { "s3:*" } else { "*" });
            return (!all.filter(|action| !named(action)).any(|action| has(&action))).then(|| "the actions".to_owned());
        }
        names.iter().find(|name| known(name).is_some_and(|known| !known.is_empty() && !known.iter().any(has))).cloned()
    }
}

/// The actions that a name covers; none where its service is not listed.
fn known(name: &str) -> Option<Vec<&'static Action>> {
    let prefix = name.split(':').next().unwrap_or_default();
    (name == "*" || service::lists(prefix)).then(|| service::covered(name).collect())
}

fn covers(name: &str, action: &Action) -> bool {
    crate::pattern::matches_ignoring_case(name, &action.to_string())
}

fn is_of_s3(name: &str) -> bool {
    name == "*" || name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("s3:"))
}

/// A bucket policy is about its bucket and what is in it.
fn at_bucket(text: &str, partition: &str, bucket: &str) -> Option<(Fault, String)> {
    let own = format!("arn:{partition}:s3:::{bucket}");
    let rest = text.strip_prefix(&own);
    if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest.starts_with('*')) {
        return None;
    }
    let fault = match Arn::split(text) {
        None => Fault::NoArn(text.to_owned()),
        Some(arn) if arn.partition != partition => {
            Fault::Partition { arn: text.to_owned(), partition: partition.to_owned() }
        }
        Some(_) => Fault::OtherResource { arn: text.to_owned(), wanted: format!("{own} or {own}/KEY") },
    };
    Some((fault, INVALID_RESOURCE.to_owned()))
}

fn at_identity(text: &str, partition: &str) -> Option<(Fault, String)> {
    if text == "*" {
        return None;
    }
    let Some(rest) = text.strip_prefix("arn:") else {
        let refusal = format!("Resource {text} must be in ARN format or \"*\".");
        return Some((Fault::NoArn(text.to_owned()), refusal));
    };
    let of = rest.split(':').next().unwrap_or_default();
    if of != partition && !of.contains(['*', '?']) {
        let refusal = format!("Partition \"{of}\" is not valid for resource \"{text}\".");
        return Some((Fault::Partition { arn: text.to_owned(), partition: partition.to_owned() }, refusal));
    }
    let arn = Arn::split(text).filter(|arn| arn.service == "iam")?;
    let other = |wanted: &str| Fault::OtherResource { arn: text.to_owned(), wanted: wanted.to_owned() };
    if !arn.region.is_empty() && arn.region != "*" {
        let refusal = format!("IAM resource {text} cannot contain region information.");
        return Some((other("an ARN without a region"), refusal));
    }
    let begins = |prefix: &str| arn.resource.starts_with(prefix);
    if arn.resource == "root" || begins("*") || begins("${") || IAM_PATHS.split(", ").any(|path| begins(path.trim())) {
        return None;
    }
    let refusal = format!("IAM resource path must either be \"*\" or start with {IAM_PATHS}.");
    Some((other("a resource type of IAM such as role/NAME"), refusal))
}
