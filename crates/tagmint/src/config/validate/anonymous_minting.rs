//! Tokens without proof: in test alone, by rules of their own, to read and nothing else.
//!
//! What such a token reaches is told by three things together: the roles that it names, the tags that it can have, and what those roles
//! grant by these tags. So all three must be known here, and the token must be pinned to its roles.

use jiff::SignedDuration;
use tagmint_aws::render::{Mode, RoleSettings};
use tagmint_core::{
    environment::Environment,
    identity::VerifiedIdentity,
    rules::{Piece, RuleOutline, RuleSet, Shape, TagOutline, TagValues, UnboundTag},
};
use tagmint_iam::partition;
use tagmint_server::settings::{AnonymousMinting, Rate};

use super::{Check, MINUTE};
use crate::config::{
    AwsConfig,
    problem::shortened,
    raw::{RawConfig, RawRate},
};

/// How the subject of such a token begins: CloudTrail and trust policies tell it from others by it.
const SUBJECT: &str = "anonymous:";
/// Whom such a token may be for, in most partitions: what another audience's services allow cannot be looked at here.
const STS: &str = "sts.amazonaws.com";

impl Check<'_> {
    /// The section. What it allows a rule is in [`Self::anonymous_rules`].
    pub(super) fn anonymous_minting(&mut self, raw: &RawConfig, environment: Environment) -> Option<AnonymousMinting> {
        let section = raw.anonymous_minting.as_ref()?;
        if environment == Environment::Prod {
            self.problem(
                "anonymous_minting",
                "is for test issuers alone: a prod issuer gives nobody a token without proof; remove it",
            );
            return None;
        }
        if !raw.token.roles {
            self.problem(
                "token.roles",
                "is `false`, and there is `[anonymous_minting]`: a token without proof must be pinned to its roles; set it to `true`",
            );
        }
        Some(AnonymousMinting {
            per_address: self.bounded("anonymous_minting.per_address", section.per_address),
            total: self.bounded("anonymous_minting.total", section.total),
        })
    }

    fn bounded(&mut self, path: &str, raw: RawRate) -> Rate {
        if raw.per_second == 0 {
            self.problem(
                &format!("{path}.per_second"),
                "`0` is no limit, and there must be one where nobody proves anything: 1 or more is allowed",
            );
        }
        self.rate(path, raw)
    }

    /// Refuses rules for callers without proof that could give more than reading, or of which that cannot be told.
    pub(super) fn anonymous_rules(
        &mut self,
        raw: &RawConfig,
        rules: &RuleSet,
        aws: Option<&AwsConfig>,
        environment: Environment,
    ) {
        let known = self.problems.len();
        let most = raw.anonymous_minting.as_ref().map(|section| {
            self.duration("anonymous_minting.max_lifetime", &section.max_lifetime, (MINUTE, MINUTE * 15))
        });
        // What is no bound makes no rule too long.
        let most = if self.problems.len() > known { most.map(|_| MINUTE * 15) } else { most };
        for (index, rule) in rules.outlines().enumerate().filter(|(_, rule)| rule.is_anonymous()) {
            let one_role = raw.rule.get(index).is_some_and(|rule| rule.role.is_some());
            let mut problem = |field: &str, message: String| {
                let field = if one_role && field == "roles[0]" { "role" } else { field };
                let name = shortened(rule.name.as_str());
                self.problem(&format!("rule[{index}].{field}"), format!("(rule `{name}`) {message}"));
            };
            match (environment, most) {
                (Environment::Prod, _) => problem(
                    "from",
                    "is `anonymous`, and this is a prod issuer: nobody gets a token there without proof".to_owned(),
                ),
                (Environment::Test, None) => problem(
                    "from",
                    "is `anonymous`, and there is no `[anonymous_minting]`: add the section, or remove the rule"
                        .to_owned(),
                ),
                (Environment::Test, Some(most)) => {
                    // A section that is wrong has its own problems, and says nothing of roles.
                    let unknown_roles = raw.aws.is_some() && aws.is_none();
                    for (field, message) in too_much(&rule, most, aws).into_iter().chain(unbound(rules, index)) {
                        if !(unknown_roles && field.starts_with("roles[")) {
                            problem(&field, message);
                        }
                    }
                }
            }
        }
    }
}

/// What of a rule for callers without proof is too much, or cannot be told: field and message.
fn too_much(rule: &RuleOutline, most: SignedDuration, aws: Option<&AwsConfig>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut tell = |field: &str, message: String| found.push((field.to_owned(), message));
    let begins = matches!(rule.subject.pieces().first(), Some(Piece::Text(text)) if text.starts_with(SUBJECT));
    if !begins {
        tell("subject", format!("must begin with `{SUBJECT}`, so that nobody takes such a token for another"));
    }
    for (index, audience) in rule.audiences.iter().enumerate() {
        if audience.literal().is_none_or(|audience| !partition::is_sts_audience(audience)) {
            tell(&format!("audiences[{index}]"), format!("must be `{STS}`: such a token is for STS alone"));
        }
    }
    let longest = rule.longest_lifetime.map(|lifetime| SignedDuration::from_secs(lifetime.seconds().into()));
    if longest.is_none_or(|longest| longest > most) {
        let seconds = most.as_secs();
        tell(
            "lifetime",
            format!(
                "and `max_lifetime` must be written out, and {seconds} s at most, as `anonymous_minting.max_lifetime` says"
            ),
        );
    }
    if !rule.transitive.is_empty() {
        tell("transitive", "must be empty: nothing of such a session goes on into another role".to_owned());
    }
    if rule.tags.is_empty() {
        tell("tags", "are missing: without a tag that a role's `access` names the token opens nothing".to_owned());
    }
    for tag in rule.tags.iter().filter(|tag| tag.values == TagValues::Open) {
        let message = "is open: whoever asks would choose the prefix; fix it, or use `one_of` or `matches`";
        tell(&format!("tags.{}", tag.key), message.to_owned());
    }
    if rule.roles.is_empty() {
        tell("roles", "are missing: without them the token is good for every role that takes it; name them".to_owned());
    }
    for (index, role) in rule.roles.iter().enumerate() {
        match known(role, aws) {
            Ok(known) => {
                for (key, message) in rule.tags.iter().filter_map(|tag| Some((&tag.key, opens(tag, known)?))) {
                    tell(&format!("tags.{key}"), message);
                }
            }
            Err(message) => tell(&format!("roles[{index}]"), message),
        }
    }
    found
}

/// Conditions of tags that are as good as `open = true` to a caller of whom nothing is known.
fn unbound(rules: &RuleSet, rule: usize) -> impl Iterator<Item = (String, String)> {
    let found = rules.unbound_tags(rule, &VerifiedIdentity::anonymous()).into_iter();
    found.map(|UnboundTag { key, example }| {
        let message = format!(
            "takes values that it does not name, such as `{example}`: whoever asks would choose the prefix; say how the value begins \
             (`value.startsWith(\"pr-\")`, `value.matches(\"^pr-[0-9]+$\")`), or use `one_of`"
        );
        (format!("tags.{key}.matches"), message)
    })
}

/// The role of this configuration that an ARN names, or why it is none.
fn known<'a>(role: &Shape, aws: Option<&'a AwsConfig>) -> Result<&'a RoleSettings, String> {
    let unknown = "that a token without proof writes nothing cannot be told";
    let Some(aws) = aws else { return Err(format!("there is no `[aws]` that says what it grants: {unknown}")) };
    let Some(account) = &aws.account else { return Err(format!("there is no `aws.account`: {unknown}")) };
    let Some(arn) = role.literal() else { return Err(format!("is an expression: {unknown}; write it out")) };
    let arn_of = |role: &RoleSettings| format!("arn:{}:iam::{account}:role/{}", aws.partition, role.name);
    let found = aws.roles.iter().find(|role| arn_of(role) == arn);
    found.ok_or_else(|| format!("`{}` is no `[[aws.role]]` of this configuration: {unknown}", shortened(arn)))
}

/// Why a tag opens more of a role than reading, if it does. To AWS keys that differ in case alone are one.
fn opens(tag: &TagOutline, role: &RoleSettings) -> Option<String> {
    let key = tag.key.to_lowercase();
    let mut entries = role.access.iter().filter(|access| access.tag.to_lowercase() == key).peekable();
    if entries.peek().is_none() {
        return Some(format!(
            "is none of the `access` of the role `{}`: what it opens cannot be told; leave it out",
            role.name
        ));
    }
    entries.any(|access| access.mode != Mode::Read).then(|| {
        format!(
            "opens the role `{}` for writing (`access`, mode `read-write`): a token without proof may read alone",
            role.name
        )
    })
}

/// The warning of every start.
pub(super) fn warning(rules: &RuleSet, anonymous_minting: Option<AnonymousMinting>) -> Option<String> {
    let AnonymousMinting { total, .. } = anonymous_minting?;
    let names: Vec<String> =
        rules.outlines().filter(RuleOutline::is_anonymous).map(|rule| format!("`{}`", rule.name)).collect();
    if names.is_empty() {
        return Some(
            "`[anonymous_minting]` is there, and no rule has `from = \"anonymous\"`: nobody gets a token without proof"
                .to_owned(),
        );
    }
    Some(format!(
        "`[anonymous_minting]` is on: whoever reaches this issuer gets tokens without proof, to read what the rule {} gives, {} a second in the long run",
        names.join(", "),
        total.per_second
    ))
}
