//! AWS's own claims: session tags, source identity, roles.

use serde_json::Value;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use super::{
    StsCode, StsError,
    checks::{Checks, shown},
    request::is_session_name,
    token::Token,
};
use crate::arn::RoleArn;

const TAGS: &str = "https://aws.amazon.com/tags";
const SOURCE_IDENTITY: &str = "https://aws.amazon.com/source_identity";
const PRINCIPAL_TAGS: &str = "principal_tags";
const ROLES: &str = "https://aws.amazon.com/roles";

/// A token's session tags, sorted by key, and the keys of the transitive ones.
#[derive(Debug, Default)]
pub(super) struct Tags {
    pub(super) tags: Vec<(String, String)>,
    pub(super) transitive: Vec<String>,
}

/// Reads session tags in either form of the IAM user guide ("Passing session tags using AssumeRoleWithWebIdentity"): the claim `…/tags`, whose
/// values are lists of one, and flat claims `…/tags/principal_tags/KEY`, whose values are texts or such lists.
pub(super) fn check_tags(token: &Token<'_>, checks: &mut Checks) -> Result<Tags, StsError> {
    let tags = read_tags(token).map_err(|WrongForm { name, problem }| {
        let fix = r#"write {"principal_tags": {"KEY": ["value"]}, "transitive_tag_keys": ["KEY"]}"#;
        checks.fail("claim-tags", "tags with lists of one value", problem, fix, StsError::wrong_form(name))
    })?;
    if let Err(problem) = within_limits(&tags) {
        // The words are those of public reports of refused tags.
        let error = StsCode::ValidationError.with("Unable to validate tags");
        let expected = "at most 50 tags; keys of 1 to 128, values of 0 to 256 characters; no aws: prefix; keys apart in more than case";
        return Err(checks.fail("claim-tags", expected, problem, "correct the tags", error));
    }
    if !tags.tags.is_empty() {
        let keys: Vec<&str> = tags.tags.iter().map(|(key, _)| key.as_str()).collect();
        checks.pass("claim-tags", "tags within the limits", keys.join(", "));
    }
    Ok(tags)
}

/// A claim in another form than AWS's: the name that STS gives it, and the fault.
struct WrongForm {
    name: &'static str,
    problem: String,
}

/// STS's name for `principal_tags` is recorded; the names of its neighbours are modelled on it.
fn wrong(name: &'static str, problem: impl Into<String>) -> WrongForm {
    WrongForm { name, problem: problem.into() }
}

fn read_tags(token: &Token<'_>) -> Result<Tags, WrongForm> {
    let mut tags = Tags::default();
    match token.claims.get(TAGS) {
        None | Some(Value::Null) => {}
        Some(Value::Object(claim)) => {
            if let Some(list) = claim.get("principal_tags").filter(|value| !value.is_null()) {
                let list = list.as_object().ok_or_else(|| wrong(PRINCIPAL_TAGS, "principal_tags is not an object"))?;
                for (key, value) in list {
                    let problem = || wrong(PRINCIPAL_TAGS, format!("the value of {key:?} is not a list of one text"));
                    let value = only_text(value).ok_or_else(problem)?;
                    tags.tags.push((key.clone(), value.to_owned()));
                }
            }
            tags.transitive = keys(claim.get("transitive_tag_keys"))?;
        }
        Some(_) => return Err(wrong(TAGS, "the claim is not an object")),
    }
    let flat = format!("{TAGS}/principal_tags/");
    for (name, value) in &token.claims {
        if let Some(key) = name.strip_prefix(&flat) {
            let problem = || wrong(PRINCIPAL_TAGS, format!("the value of {key:?} is not a text"));
            let value = value.as_str().or_else(|| only_text(value)).ok_or_else(problem)?;
            tags.tags.push((key.to_owned(), value.to_owned()));
        }
    }
    tags.transitive.extend(keys(token.claims.get(&format!("{TAGS}/transitive_tag_keys")))?);
    tags.tags.sort();
    Ok(tags)
}

fn only_text(value: &Value) -> Option<&str> {
    match value.as_array()?.as_slice() {
        [Value::String(text)] => Some(text),
        _ => None,
    }
}

fn keys(value: Option<&Value>) -> Result<Vec<String>, WrongForm> {
    let problem = || wrong("transitive_tag_keys", "transitive_tag_keys is not a list of texts");
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(key)) => Ok(vec![key.clone()]),
        Some(Value::Array(list)) => {
            list.iter().map(|key| key.as_str().map(str::to_owned).ok_or_else(problem)).collect()
        }
        Some(_) => Err(problem()),
    }
}

/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]`. Marks are not in it, though Rust counts some of them as alphabetic.
fn is_tag_character(c: char) -> bool {
    use GeneralCategoryGroup::{Letter, Number, Separator};
    matches!(c.general_category_group(), Letter | Separator | Number) || "_.:/=+-@".contains(c)
}

/// Service model of STS (`tagKeyType`, `tagValueType`), IAM user guide ("Things to know about session tags").
fn within_limits(tags: &Tags) -> Result<(), String> {
    if tags.tags.len() > 50 {
        return Err(format!("{} tags", tags.tags.len()));
    }
    let mut folded: Vec<String> = Vec::with_capacity(tags.tags.len());
    for (key, value) in &tags.tags {
        let allowed = |text: &str| text.chars().all(is_tag_character);
        let shown_key = shown(key);
        if !(1..=128).contains(&key.chars().count()) {
            return Err(format!("the key {shown_key:?} has {} characters", key.chars().count()));
        }
        if value.chars().count() > 256 {
            return Err(format!("the value of {shown_key:?} has {} characters", value.chars().count()));
        }
        if !allowed(key) || !allowed(value) {
            return Err(format!("{shown_key:?} or its value has a character that tags don't have"));
        }
        if key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
            return Err(format!("the key {shown_key:?} begins with aws:"));
        }
        folded.push(key.to_lowercase());
    }
    for key in &tags.transitive {
        if !folded.contains(&key.to_lowercase()) {
            return Err(format!("the transitive key {:?} names no tag", shown(key)));
        }
    }
    folded.sort_unstable();
    match folded.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two keys are {:?} but for the case of letters", shown(&pair[0]))),
        None => Ok(()),
    }
}

/// The source identity: 2 to 64 of `[\w+=,.@-]` (service model of STS). The words of its refusal are modelled on those of tags.
pub(super) fn check_source_identity(token: &Token<'_>, checks: &mut Checks) -> Result<Option<String>, StsError> {
    let expected = "2 to 64 of [\\w+=,.@-]";
    match token.claims.get(SOURCE_IDENTITY) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if (2..=64).contains(&text.len()) && is_session_name(text) => {
            checks.pass("claim-source-identity", expected, text);
            Ok(Some(text.clone()))
        }
        Some(value) => {
            let fix = "correct the source identity, or leave it out";
            let actual = shown(&value.to_string());
            Err(checks.fail("claim-source-identity", expected, actual, fix, StsError::wrong_form("source_identity")))
        }
    }
}

/// The roles claim: the roles that the token may be used for. Returns whether it names the role; without the claim it doesn't.
///
/// Recorded: a text is a list with `;`, blanks around its entries don't count, nor do entries that are no role's ARN; in an array everything
/// but texts is passed over; `null` is no claim. This is checked before the trust policy.
pub(super) fn check_roles(token: &Token<'_>, role_arn: &str, checks: &mut Checks) -> Result<bool, StsError> {
    const CHECK: &str = "claim-roles";
    let entries: Vec<&str> = match token.claims.get(ROLES) {
        None | Some(Value::Null) => return Ok(false),
        Some(Value::String(text)) => text.split(';').collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(other) => {
            let error = StsCode::InvalidIdentityToken.with("The roles claim is not in a supported format");
            let fix = "write the roles as an array of ARNs";
            return Err(checks.fail(CHECK, "a text or an array", shown(&other.to_string()), fix, error));
        }
    };
    let arns: Vec<&str> = entries.into_iter().map(str::trim).filter(|entry| RoleArn::parse(entry).is_some()).collect();
    let expected = format!("a list with {role_arn}");
    if arns.is_empty() {
        let error = StsCode::InvalidIdentityToken.with("The roles claim contains no valid role ARNs");
        let fix = "write whole ARNs without wildcards, letters as in the role's";
        return Err(checks.fail(CHECK, expected, "no role's ARN", fix, error));
    }
    let actual = shown(&arns.join(", "));
    if arns.contains(&role_arn) {
        checks.pass(CHECK, expected, actual);
        return Ok(true);
    }
    let error = StsCode::InvalidIdentityToken
        .with("The target role ARN is not present in the roles claim of the identity token");
    Err(checks.fail(CHECK, expected, actual, "ask for a token for this role", error))
}

#[cfg(test)]
mod tests {
    use tagmint_core::tags::{TagKey, TagValue};

    use super::is_tag_character;

    #[test]
    fn what_may_be_minted_is_taken() {
        let key = TagKey::parse("k").unwrap();
        let minted = |c: &char| TagValue::parse(&key, c.encode_utf8(&mut [0; 4])).is_ok();
        let all: Vec<char> = (char::MIN..=char::MAX).filter(minted).collect();
        assert!(all.len() > 100_000, "{}", all.len());
        assert_eq!(all.iter().find(|c| !is_tag_character(**c)), None);
    }
}
