//! The nearest fix of one false condition.

use super::{azp, nearest};
use crate::{
    advice::{
        Asker,
        claims::{Claims, Maker},
        keys, known_keys, request,
        subject::{IDS_SINCE, RepositorySubject, spelling},
        version,
    },
    condition::{ConditionTrace, Operator},
    pattern,
    provider::OidcProvider,
    service::ASSUME_WITH_WEB_IDENTITY,
    subject::{Flaw, flaw},
};

/// What to change so that the condition becomes true.
pub(super) fn fix(condition: &ConditionTrace, provider: &OidcProvider, claims: &Claims, asker: Asker) -> String {
    let actual = condition.actual.as_ref().filter(|values| !values.is_empty());
    let Some(actual) = actual else { return absent(condition, provider, claims, asker) };
    let key = &condition.key;
    if condition.operator == "Null" {
        return format!("the policy demands that the request has no {key}, and it has: {}", actual.join(", "));
    }
    if condition.operator.contains("Not") {
        return format!("the policy excludes {:?} as {key}: change the policy, or the token", actual.join(", "));
    }
    if let Some((value, variable)) =
        condition.expected.iter().find_map(|value| Some((value, version::variable(value)?)))
    {
        return format!("the policy's value {value:?} matches nothing: {}", unfilled(variable));
    }
    if key.eq_ignore_ascii_case("sts:RoleAuthorizedByIdp") {
        return "the policy demands that the token pins the role: have the issuer put the role's ARN into the claim \
                https://aws.amazon.com/roles"
            .to_owned();
    }
    if let Some(fix) = azp::fix(condition, provider, claims) {
        return fix;
    }
    let value = actual.first().map(String::as_str).unwrap_or_default();
    let Some(expected) = nearest(condition, value) else {
        return format!("the policy has no value for {key}: add {value:?}");
    };
    let about = Compared { condition, expected, value };
    about
        .wildcard()
        .or_else(|| about.letters())
        .or_else(|| malformed(condition, provider, value, expected))
        .or_else(|| about.repository(claims))
        .or_else(|| about.audience(provider))
        .unwrap_or_else(|| about.otherwise())
}

/// A value of the policy that no subject of the token's kind is like. One that is meant for this token goes before the nearest.
fn malformed(condition: &ConditionTrace, provider: &OidcProvider, subject: &str, nearest: &str) -> Option<String> {
    let on_subject = condition.key.eq_ignore_ascii_case(&format!("{}:sub", provider.url()));
    let spelling = spelling(Operator::parse(&condition.operator).filter(|_| on_subject)?.test)?;
    let flaws: Vec<Flaw> =
        condition.expected.iter().filter_map(|value| flaw(provider.url(), subject, value, spelling)).collect();
    let meant = flaws.iter().find(|flaw| flaw.admits && flaw.remark.is_empty());
    let meant = meant
        .or_else(|| flaws.iter().find(|flaw| flaw.value == nearest))
        .or_else(|| flaws.iter().find(|flaw| flaw.admits));
    meant.map(|flaw| flaw.fix(subject))
}

/// A value of the policy and one of the request that doesn't fit it.
struct Compared<'a> {
    condition: &'a ConditionTrace,
    expected: &'a str,
    value: &'a str,
}

impl Compared<'_> {
    /// Wildcards where they are plain characters.
    fn wildcard(&self) -> Option<String> {
        let plain = self.condition.operator.contains("StringEquals");
        let like =
            |pattern: &String| pattern.contains(['*', '?']) && pattern::matches(&pattern::parse(pattern), self.value);
        let meant = self.condition.expected.iter().find(|expected| like(expected))?;
        plain.then(|| {
            let operator = self.condition.operator.replace("StringEqualsIgnoreCase", "StringLike");
            let operator = operator.replace("StringEquals", "StringLike");
            format!(
                "under {} `*` and `?` are plain characters: put {meant:?} under {operator}",
                self.condition.operator
            )
        })
    }

    /// Letters' case, blanks, a slash.
    fn letters(&self) -> Option<String> {
        let (expected, value) = (self.expected, self.value);
        let like = self.condition.operator.contains("Like");
        let same = |a: &str, b: &str| if like { pattern::matches(&pattern::parse(a), b) } else { a == b };
        if same(&expected.to_lowercase(), &value.to_lowercase()) {
            return Some(format!("letters' case counts: write {:?} in the policy", cased(expected, value)));
        }
        if same(expected.trim(), value.trim()) {
            return Some(format!("the two differ in blanks alone: write {value:?} in the policy"));
        }
        if same(expected.trim_end_matches('/'), value.trim_end_matches('/')) {
            return Some(format!("the two differ in a slash at the end: write {value:?} in the policy"));
        }
        None
    }

    /// GitHub's subjects.
    fn repository(&self, claims: &Claims) -> Option<String> {
        let (policy, token) = (RepositorySubject::parse(self.expected)?, RepositorySubject::parse(self.value)?);
        let value = self.value;
        let like = self.condition.operator.contains("Like");
        let same_names = policy.fits_names(&token, like);
        if same_names && policy.other_ids(&token, like) {
            return Some(format!(
                "the token is from another repository of the same name than the policy's (recreated or taken over): the token has {}, the policy \
                 {}. Don't just admit it: find out whose it is first, and then let the policy have its ids",
                token.ids(),
                policy.ids()
            ));
        }
        if same_names && policy.lacks_ids() != token.lacks_ids() {
            let value = if like && token.with_ids() { policy.with_ids_of(&token) } else { value.to_owned() };
            return Some(if token.with_ids() {
                format!(
                    "the policy has GitHub's old subject; repositories created, renamed or transferred since {IDS_SINCE} have ids in it: \
                     write {value:?} in the policy"
                )
            } else {
                format!(
                    "the policy has GitHub's subject with ids; this repository still has the old one, as those that were not created, renamed \
                     or transferred since {IDS_SINCE}: write {value:?} in the policy, and bind repository_id beside it"
                )
            });
        }
        if !same_names {
            return Some(format!(
                "the token is from {}/{}, the policy is for {}/{}: run the workflow there, or let the policy have {value:?}",
                token.owner, token.name, policy.owner, policy.name
            ));
        }
        if let (Some(environment), Some(_)) = (token.environment(), policy.git_ref()) {
            let branch = claims.text("ref").unwrap_or("its ref");
            return Some(format!(
                "the job runs in the environment {environment:?}, and then the subject names the environment instead of the branch ({branch}): \
                 write {value:?} in the policy and protect the environment's branches on GitHub, or take `environment:` out of the job"
            ));
        }
        if let (Some(environment), None) = (policy.environment(), token.environment()) {
            return Some(format!(
                "the policy wants the environment {environment:?}, and the job names none: add `environment: {environment}` to the job, \
                 or let the policy have {value:?}"
            ));
        }
        if token.rest == "pull_request" {
            return Some(
                "the token is from a pull request, and the policy wants something else. Run the job on push, or think hard before the policy \
                 takes pull requests"
                    .to_owned(),
            );
        }
        if let (Some(policy), Some(token)) = (policy.git_ref(), token.git_ref()) {
            return Some(format!(
                "the policy is for {policy}, the workflow ran on {token}: run it there, or let the policy have {value:?}"
            ));
        }
        None
    }

    fn audience(&self, provider: &OidcProvider) -> Option<String> {
        let is_audience = self.condition.key.eq_ignore_ascii_case(&format!("{}:aud", provider.url()));
        is_audience.then(|| {
            format!(
                "the token is for the audience {:?}, the policy wants {:?}: ask the issuer for that audience, or change the policy",
                self.value, self.expected
            )
        })
    }

    fn otherwise(&self) -> String {
        let Compared { condition, expected, value } = self;
        let place = if request::is_outside(&condition.key) { "request" } else { "token" };
        format!(
            "{} is {value:?} in the {place}, the policy wants {expected:?}: correct the one that is wrong",
            condition.key
        )
    }
}

/// The policy's value with the letters of the request's where it has no wildcards.
fn cased(expected: &str, value: &str) -> String {
    if !expected.contains(['*', '?']) {
        return value.to_owned();
    }
    let start = expected.find(['*', '?']).unwrap_or(expected.len());
    let (fixed, rest) = expected.split_at(start);
    let of_value: String = value.chars().take(fixed.chars().count()).collect();
    format!("{of_value}{rest}")
}

/// Why the request has no single value for a variable (`${KEY}`).
fn unfilled(variable: &str) -> String {
    let inside = variable.trim_start_matches("${").trim_end_matches('}');
    let key = inside.split(',').next().unwrap_or(inside).trim();
    match keys::never(ASSUME_WITH_WEB_IDENTITY, key) {
        Some(never) => {
            format!("{never}, and {variable} is not filled in. {}", keys::instead(ASSUME_WITH_WEB_IDENTITY, key))
        }
        None => {
            format!("the request has no single value for {key}, and {variable} is not filled in: use a key that it has")
        }
    }
}

/// The request lacks the key.
fn absent(condition: &ConditionTrace, provider: &OidcProvider, claims: &Claims, asker: Asker) -> String {
    let key = &condition.key;
    let lower = key.to_lowercase();
    let url = provider.url();
    if let Some(advice) = request::advice(key, asker) {
        return advice;
    }
    if let Some(tag) = lower.strip_prefix("aws:principaltag/") {
        let name = key.get(key.len() - tag.len()..).unwrap_or(tag);
        let has = if claims.tag_keys().iter().any(|key| key.eq_ignore_ascii_case(name)) {
            ""
        } else {
            ", and has no such tag"
        };
        return format!(
            "a token's holder has no principal tags when AssumeRoleWithWebIdentity is called: {key} is there once the session exists. In a trust \
             policy the token's tag is aws:RequestTag/{name}: write that (the token carries {}{has})",
            carried(claims)
        );
    }
    if let Some(tag) = lower.strip_prefix("aws:requesttag/") {
        let name = key.get(key.len() - tag.len()..).unwrap_or(tag);
        let has = carried(claims);
        return format!(
            "the policy demands the session tag {name:?}, and the token has {has}: have the issuer put it into the claim \
             https://aws.amazon.com/tags, as {{\"principal_tags\": {{{name:?}: [\"…\"]}}}}"
        );
    }
    if lower == "aws:tagkeys" || lower == "sts:transitivetagkeys" {
        let what = if lower == "aws:tagkeys" { "session tags" } else { "transitive session tags" };
        return format!(
            "the policy demands {what}, and the token has none: have the issuer put them into https://aws.amazon.com/tags"
        );
    }
    if lower == "sts:sourceidentity" {
        return "the policy demands a source identity, and the token has none: have the issuer set https://aws.amazon.com/source_identity"
            .to_owned();
    }
    if let Some(rest) = lower.strip_prefix("https://") {
        return format!("condition keys of a provider begin with its host, without the scheme: write {rest:?}");
    }
    if let Some(claim) = lower.strip_prefix(&format!("{}:", url.to_lowercase())) {
        if claim == "environment" && claims.maker() == Maker::GitHub {
            return "the policy wants an environment, and the job names none: add `environment:` to the job".to_owned();
        }
        return if !known_keys::exists(key, url) {
            known_keys::reason(key, url)
        } else {
            format!("the token has no claim {claim:?}: correct the key's name, or have the issuer set it")
        };
    }
    if provider.is_built_in() && lower == "graph.facebook.com:user_id" {
        return "Facebook's user is the key graph.facebook.com:id: write that".to_owned();
    }
    if let Some((issuer, claim)) = key.rsplit_once(':')
        && claims.has(claim)
        && issuer.contains('.')
    {
        return format!("the key belongs to another provider than the token's: write {:?}", format!("{url}:{claim}"));
    }
    match keys::never(ASSUME_WITH_WEB_IDENTITY, key) {
        Some(never) => format!("{never}. {}", keys::instead(ASSUME_WITH_WEB_IDENTITY, key)),
        None => format!("requests of this kind have no key {key}: take the condition out, or correct the key's name"),
    }
}

/// The token's tags in words.
fn carried(claims: &Claims) -> String {
    let tags = claims.tag_keys();
    if tags.is_empty() { "no session tags at all".to_owned() } else { format!("the tags {}", tags.join(", ")) }
}
