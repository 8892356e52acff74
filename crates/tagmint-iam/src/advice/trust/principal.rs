//! Advice about a statement whose principal is not the token's provider.

use super::{nearest::spelling, plain};
use crate::{
    advice::{
        Advice,
        diff::{Comparison, likeness},
    },
    arn::{Arn, is_account},
    evaluate::StatementTrace,
    policy::{Policy, Principals},
    provider::OidcProvider,
};

/// Everybody whom a statement names, with the kind that they are listed under.
fn listed<'a>(policy: &'a Policy, trace: &StatementTrace) -> Vec<(&'static str, &'a str)> {
    let statement = policy.statements.get(trace.at.statement);
    match statement.and_then(|statement| statement.principal.as_ref()).map(|element| &element.principals) {
        Some(Principals::Listed { federated, aws, service, .. }) => {
            [("Federated", federated), ("AWS", aws), ("Service", service)]
                .into_iter()
                .flat_map(|(kind, names)| names.iter().map(move |name| (kind, name.as_str())))
                .collect()
        }
        Some(Principals::Everyone) => vec![("AWS", "*")],
        None => Vec::new(),
    }
}

/// Whom a statement names.
pub(super) fn named(policy: &Policy, trace: &StatementTrace) -> Vec<String> {
    listed(policy, trace).into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// Advises what to write in the place of the principal.
pub(super) fn advice(policy: &Policy, trace: &StatementTrace, at: &str, provider: &OidcProvider) -> Advice {
    let arn = provider.arn();
    let listed = listed(policy, trace);
    let negated = policy.statements.get(trace.at.statement).and_then(|statement| statement.principal.as_ref());
    if negated.is_some_and(|element| element.negated) {
        return plain(format!(
            "{at} has NotPrincipal, which IAM does not take in a trust policy: write \"Principal\": {{\"Federated\": \"{arn}\"}}"
        ));
    }
    if let Some((kind, name)) = listed.iter().find(|(kind, name)| *kind != "Federated" && is_provider(name, provider)) {
        return plain(format!(
            "{at} has the identity provider {name} under {kind:?}, and only \"Federated\" admits its tokens: write \"Principal\": \
             {{\"Federated\": \"{arn}\"}}"
        ));
    }
    let federated: Vec<&str> = listed.iter().filter(|(kind, _)| *kind == "Federated").map(|(_, name)| *name).collect();
    if let Some(name) =
        federated.iter().find(|name| !name.starts_with("arn:") && spelling(name) == spelling(provider.url()))
    {
        return plain(format!(
            "the principal of {at} is {name:?}, and a provider that is registered in IAM is named by its ARN: write \"Principal\": \
             {{\"Federated\": \"{arn}\"}}"
        ));
    }
    let nearest = federated.iter().max_by_key(|name| (is_provider(name, provider), likeness(name, arn)));
    let Some(nearest) = nearest else {
        return plain(format!(
            "the principal of {at} does not admit tokens of an identity provider (`*` and AWS principals never do): write \
             \"Principal\": {{\"Federated\": \"{arn}\"}}"
        ));
    };
    let fix = if nearest.trim_end_matches('/') == arn.trim_end_matches('/') {
        format!("the principal of {at} differs from the provider in a slash at the end: write {arn}")
    } else if nearest.eq_ignore_ascii_case(arn) {
        format!("the principal of {at} differs from the provider in letters' case, which counts: write {arn}")
    } else if provider.is_built_in() && is_provider(nearest, provider) {
        format!(
            "the principal of {at} is a registered provider, and here AWS's own {arn} was taken: register the provider, or write {arn}"
        )
    } else if let Some(account) = malformed_account(nearest, arn) {
        format!(
            "the account {account:?} in the principal of {at} has {} characters, and an account id has 12 digits: write {arn}",
            account.len()
        )
    } else if let Some((named, own)) = other_partition(nearest, arn) {
        format!(
            "the principal of {at} is in the partition {named}, the role in {own}, and a role trusts the providers of its own account only: write {arn}"
        )
    } else if is_of_another_account(nearest, arn) {
        format!(
            "the principal of {at} is another account's provider, and a role trusts the providers of its own account alone: register the issuer \
             in the role's account and write {arn}"
        )
    } else if has_conditions_of(trace, provider) {
        format!("the principal of {at} is not the token's provider: write {arn}")
    } else {
        format!(
            "no statement trusts the token's provider: {at} is for {nearest}. Add a statement of its own with \"Principal\": {{\"Federated\": \
             \"{arn}\"}} and conditions on {url}:aud and {url}:sub, or get a token from the issuer that {at} trusts",
            url = provider.url()
        )
    };
    let comparison = Comparison::new(format!("Principal, {at}"), ("policy", nearest), ("provider", Some(arn)));
    Advice { fix, comparison: Some(comparison) }
}

/// Whether a name means the provider, in whatever account and spelling.
fn is_provider(name: &str, provider: &OidcProvider) -> bool {
    let named = name.split_once(":oidc-provider/").map_or(name, |(_, url)| url);
    spelling(named) == spelling(provider.url())
}

/// Whether the statement's conditions are about the provider's claims: the principal is what is wrong then.
fn has_conditions_of(trace: &StatementTrace, provider: &OidcProvider) -> bool {
    let prefix = format!("{}:", provider.url().to_lowercase());
    trace.conditions.is_empty()
        || trace.conditions.iter().any(|condition| condition.key.to_lowercase().starts_with(&prefix))
}

/// The account of an ARN that differs from the provider's in nothing else, where it is none.
fn malformed_account<'a>(named: &'a str, arn: &str) -> Option<&'a str> {
    let named = Arn::split(named).filter(|_| is_of_another_account(named, arn))?;
    (!named.account.is_empty() && !is_account(named.account)).then_some(named.account)
}

/// The partitions of two ARNs, where they differ in nothing else.
fn other_partition<'a>(named: &'a str, arn: &'a str) -> Option<(&'a str, &'a str)> {
    let (named, arn) = (Arn::split(named)?, Arn::split(arn)?);
    let differs = named.partition != arn.partition && Arn { partition: arn.partition, ..named } == arn;
    differs.then_some((named.partition, arn.partition))
}

/// Whether two providers' ARNs differ only in the account.
fn is_of_another_account(named: &str, arn: &str) -> bool {
    let (Some(named), Some(arn)) = (Arn::split(named), Arn::split(arn)) else { return false };
    named.account != arn.account && named.resource == arn.resource
}
