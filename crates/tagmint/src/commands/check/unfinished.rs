//! Settings that the operator must still fill in or decide: warnings of `tagmint check`, errors where the configuration is strict.

use jiff::Timestamp;
use tagmint_store::CredentialFilter;

use crate::{compose, config::Config, generate::answers::EXAMPLE_ACCOUNTS};

/// Ids of the shipped configurations, with the attributes that they stand for. They belong to no user, or to a stranger.
const PLACEHOLDERS: &[(&str, &str)] =
    &[("repository_id", "456789"), ("repository_owner_id", "123456"), ("project_id", "20"), ("namespace_id", "72")];
/// How many bearer tokens are looked at.
const MOST: u32 = 10_000;

/// Placeholders that were left in the configuration, and tags that no rule sets.
pub(super) fn in_configuration(config: &Config) -> Vec<String> {
    let text = std::fs::read_to_string(&config.file).unwrap_or_default();
    let mut found = placeholders(&text);
    found.extend(tags_without_rule(config));
    found
}

/// Placeholders in the lines of a configuration that are no comments.
pub(crate) fn placeholders(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let named = |line: &str, name: &str, value: &str| {
        line.match_indices(name).any(|(at, _)| {
            // `repository_id == "456789"`, `repository_id = "456789"`, `"repository_id": "456789"`
            let rest = line[at + name.len()..].trim_start_matches(['"', '\'', ' ', '=', ':', ']']);
            rest.strip_prefix(value).is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric()))
                && !line[..at].ends_with(|before: char| before.is_ascii_alphanumeric() || before == '_')
        })
    };
    let mut found = Vec::new();
    for (name, value) in PLACEHOLDERS {
        if code.iter().any(|line| named(line, name, value)) {
            found.push(format!("`{name}` is {value}, an example: put the id of your own in its place"));
        }
    }
    for account in EXAMPLE_ACCOUNTS {
        let has = |line: &&str| line.split(|c: char| !c.is_ascii_digit()).any(|digits| digits == account);
        if code.iter().any(has) {
            found.push(format!(
                "the AWS account {account} is an example of AWS's documentation: put your own in its place"
            ));
        }
    }
    found
}

/// Roles whose access goes by a tag that no rule sets, with the nearest one that a rule does.
fn tags_without_rule(config: &Config) -> Vec<String> {
    let set = config.rules.tag_keys();
    let wanted = config.aws.iter().flat_map(|aws| &aws.roles).flat_map(|role| &role.access).map(|access| &access.tag);
    let unset = wanted.filter(|wanted| !set.iter().any(|key| key.eq_ignore_ascii_case(wanted)));
    unset
        .map(|wanted| {
            let near = set.iter().max_by(|a, b| strsim::jaro(a, wanted).total_cmp(&strsim::jaro(b, wanted)));
            let near = near.map_or_else(String::new, |near| format!("; the nearest tag of a rule is `{near}`"));
            format!("`access.tag` is `{wanted}`, which no rule sets: no session would reach anything{near}")
        })
        .collect()
}

/// Bearer tokens that never end and may use any rule.
pub(super) async fn in_database(config: &Config, now: Timestamp) -> Vec<String> {
    // Whether the database can be read has a line of its own.
    let Ok(store) = compose::open_existing(config).await else { return Vec::new() };
    let bearers = store.bearers().list(CredentialFilter::ActiveAt(now), MOST).await.unwrap_or_default();
    store.close().await;
    let loose = bearers.into_iter().filter(|bearer| bearer.expires_at.is_none() && bearer.rule.is_none());
    loose
        .map(|bearer| {
            format!(
                "the bearer token `{}` never ends and may use any rule: make one with --expires and --rule, and revoke it",
                bearer.name
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found_where_they_are_values() {
        for (text, count) in [
            ("when = 'repository_id == \"456789\"'", 1),
            ("match = { repository_owner_id = \"123456\", repository_id = \"456789\" }", 2),
            ("when = 'project_id == \"20\" && claims.namespace_id == \"72\"'", 2),
            ("account = \"111122223333\"", 1),
            ("roles = [\"arn:aws:iam::123456789012:role/x\"]", 1),
            ("# repository_id == \"456789\"", 0),
            ("repository_id == \"4567890\"", 0),
            ("my_repository_id == \"456789\"", 0),
            ("project_id == \"2012\"", 0),
            ("account = \"111122223334\"", 0),
        ] {
            let found = placeholders(text);
            assert_eq!(found.len(), count, "{text}: {found:?}");
        }
    }
}
