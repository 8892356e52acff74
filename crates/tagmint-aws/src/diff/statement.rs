//! Statements without what doesn't matter: order, lists of one, letters of names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use tagmint_iam::{
    arn::Arn,
    condition::Test,
    policy::{Effect, Policy, Principals, Statement},
};

/// A statement, as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Normal {
    pub(super) sid: Option<String>,
    pub(super) allows: bool,
    pub(super) principals: Names,
    pub(super) actions: Names,
    pub(super) resources: Names,
    /// By operator and key.
    pub(super) conditions: BTreeMap<(String, String), BTreeSet<String>>,
}

/// What an element names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Names {
    /// Whether it names everything but these.
    pub(super) negated: bool,
    pub(super) names: BTreeSet<String>,
}

impl Normal {
    /// Whether both say the same. The statement's id says nothing.
    pub(super) fn same(&self, other: &Self) -> bool {
        Self { sid: None, ..self.clone() } == Self { sid: None, ..other.clone() }
    }

    /// How many parts differ.
    pub(super) fn distance(&self, other: &Self) -> usize {
        let conditions = self.conditions.keys().chain(other.conditions.keys()).collect::<BTreeSet<_>>();
        let differing = conditions.into_iter().filter(|key| self.conditions.get(*key) != other.conditions.get(*key));
        usize::from(self.principals != other.principals)
            + usize::from(self.actions != other.actions)
            + usize::from(self.resources != other.resources)
            + differing.count()
    }

    /// `statement \`Sid\``, or what it does.
    pub(super) fn name(&self) -> String {
        match &self.sid {
            Some(sid) => format!("statement `{sid}`"),
            None => {
                format!("a statement that {} {}", if self.allows { "allows" } else { "denies" }, self.actions.listed())
            }
        }
    }

    /// What it does, in a line.
    pub(super) fn told(&self) -> String {
        let verb = if self.allows { "allows" } else { "denies" };
        let mut text = format!("{verb} {}", self.actions.listed());
        if !self.resources.names.is_empty() {
            let _ = write!(text, " on {}", self.resources.listed());
        }
        if !self.principals.names.is_empty() {
            let _ = write!(text, " to {}", self.principals.listed());
        }
        if !self.conditions.is_empty() {
            let keys: BTreeSet<&str> = self.conditions.keys().map(|(_, key)| key.as_str()).collect();
            let _ = write!(text, ", on conditions of {}", keys.into_iter().collect::<Vec<_>>().join(", "));
        }
        text
    }
}

impl Names {
    pub(super) fn listed(&self) -> String {
        let but = if self.negated { "everything but " } else { "" };
        format!("{but}{}", listed(&self.names))
    }
}

/// Names in a row.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// A policy's statements.
pub(super) fn normal(policy: &Policy) -> Vec<Normal> {
    policy.statements.iter().map(one).collect()
}

fn one(statement: &Statement) -> Normal {
    let mut conditions: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for condition in &statement.conditions {
        let operator = condition.operator.to_string();
        let truth = matches!(condition.operator.test, Test::Bool | Test::Null);
        let values = condition.values.iter().map(|value| {
            let value = value.source();
            if truth { value.to_lowercase() } else { value.to_owned() }
        });
        conditions.entry((operator, condition.key.to_lowercase())).or_default().extend(values);
    }
    Normal {
        sid: statement.sid.clone(),
        allows: statement.effect == Effect::Allow,
        principals: statement.principal.as_ref().map_or_else(Names::default, |element| Names {
            negated: element.negated,
            names: principals(&element.principals),
        }),
        actions: Names {
            negated: statement.action.negated,
            names: statement.action.names.iter().map(|name| action(name)).collect(),
        },
        resources: statement.resource.as_ref().map_or_else(Names::default, |element| Names {
            negated: element.negated,
            names: element.arns.iter().map(|arn| arn.source().to_owned()).collect(),
        }),
        conditions,
    }
}

/// Letters of an action don't count: written as AWS does, where it is one that is known.
fn action(name: &str) -> String {
    const KNOWN: [&str; 9] = [
        "sts:AssumeRoleWithWebIdentity",
        "sts:TagSession",
        "sts:SetSourceIdentity",
        "s3:ListBucket",
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
    ];
    let known = KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(name));
    known.map_or_else(|| name.to_lowercase(), str::to_owned)
}

fn root_account(name: &str) -> Option<&str> {
    Arn::split(name).filter(|arn| arn.service == "iam" && arn.resource == "root").map(|arn| arn.account)
}

fn principals(principals: &Principals) -> BTreeSet<String> {
    match principals {
        Principals::Everyone => BTreeSet::from(["everybody".to_owned()]),
        Principals::Listed { aws, federated, service, canonical_user } => {
            let aws = aws.iter().map(|name| match name.as_str() {
                // In a policy that allows, both are the same.
                "*" => "everybody".to_owned(),
                // An account and its root, in whatever partition, are the same principal.
                other => root_account(other).unwrap_or(other).to_owned(),
            });
            aws.chain([federated, service, canonical_user].into_iter().flatten().cloned()).collect()
        }
    }
}
