//! The functions of the rule language that CEL does not have: safe prefix parts from names that others
//! choose, and a pull request's number.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use cel::{Context, ExecutionError, FunctionContext, Value, common::types::CelString};

use super::expression::shortened;

/// Longest slug, in characters.
pub(super) const MAX_SLUG: usize = 40;
/// Longest segment, in characters.
pub(super) const MAX_SEGMENT: usize = 128;
/// How much of the hash a slug carries, in characters of hex: enough that nobody finds a second name of the same slug by trying.
const SLUG_HASH: usize = 16;

/// Why a function gives nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FunctionError {
    #[error("`{0}` has no letter or digit of ASCII to make a slug of")]
    EmptySlug(String),
    #[error(
        "`{0}` is no safe part of a prefix: 1 to {MAX_SEGMENT} characters of `A-Z`, `a-z`, `0-9` and `._=@+:-`, not `.` or `..`"
    )]
    Segment(String),
    #[error("`{0}` is not `refs/pull/NUMBER/merge` or `refs/pull/NUMBER/head`")]
    PullRequest(String),
}

/// Makes the functions known to expressions.
pub(super) fn add(root: &mut Context<'_, '_>) {
    let call_slug = |call: &FunctionContext<'_, '_>| -> Result<Value, ExecutionError> {
        slug(text(call)?).map(Value::from).map_err(|error| call.error(error))
    };
    let call_segment = |call: &FunctionContext<'_, '_>| -> Result<Value, ExecutionError> {
        segment(text(call)?).map(Value::from).map_err(|error| call.error(error))
    };
    let call_number = |call: &FunctionContext<'_, '_>| -> Result<Value, ExecutionError> {
        pull_request_number(text(call)?).map(Value::Int).map_err(|error| call.error(error))
    };
    let known = "CEL has no function of this name";
    root.add_function("slug", call_slug).expect(known);
    root.add_function("segment", call_segment).expect(known);
    root.add_function("pull_request_number", call_number).expect(known);
}

/// The one argument.
fn text<'a>(call: &'a FunctionContext<'_, '_>) -> Result<&'a str, ExecutionError> {
    let argument = call.args.first().ok_or_else(|| call.error("wants a text"))?;
    let text = argument.downcast_ref::<CelString<'_>>();
    text.map(CelString::inner).ok_or_else(|| call.error(format!("wants a text, not a {}", argument.get_type().name())))
}

/// `text` as one part of a prefix: lower case, whatever is not `a-z` or `0-9` as a single `-`, none at
/// the ends, at most [`MAX_SLUG`] characters.
///
/// A text that is no slug as it stands gets `-` and the first [`SLUG_HASH`] hex characters of its SHA-256, so that
/// `feature/a` and `feature-a` differ. So does one that ends as such a slug does: nobody can choose a name that is another's slug.
fn slug(text: &str) -> Result<String, FunctionError> {
    let mut slug = String::with_capacity(MAX_SLUG);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            slug.push(char::from(byte.to_ascii_lowercase()));
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() > MAX_SLUG {
            break;
        }
    }
    let trimmed = slug.trim_end_matches('-');
    if trimmed.is_empty() {
        return Err(FunctionError::EmptySlug(shortened(text, 60)));
    }
    if trimmed == text && text.len() <= MAX_SLUG && !ends_with_a_hash(text) {
        return Ok(slug);
    }
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let most = MAX_SLUG - SLUG_HASH - 1;
    let start = trimmed[..trimmed.len().min(most)].trim_end_matches('-');
    let mut slug = format!("{start}-");
    for byte in hash.as_ref().iter().take(SLUG_HASH / 2) {
        // Writing to a text cannot fail.
        let _ = write!(slug, "{byte:02x}");
    }
    Ok(slug)
}

fn ends_with_a_hash(text: &str) -> bool {
    let hash = text.rsplit_once('-').map(|(_, end)| end);
    hash.is_some_and(|end| {
        end.len() == SLUG_HASH && end.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// `text` itself, where it is safe as one part of a prefix.
fn segment(text: &str) -> Result<&str, FunctionError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._=@+:-".contains(&b);
    let good = (1..=MAX_SEGMENT).contains(&text.len()) && text.bytes().all(allowed) && text != "." && text != "..";
    if good { Ok(text) } else { Err(FunctionError::Segment(shortened(text, 60))) }
}

/// The number in a pull request's ref.
///
/// Source: "Events that trigger workflows", `GITHUB_REF` of `pull_request`, in GitHub's documentation.
fn pull_request_number(reference: &str) -> Result<i64, FunctionError> {
    let number = reference.strip_prefix("refs/pull/").and_then(|rest| rest.split_once('/'));
    let digits = number.filter(|(_, end)| matches!(*end, "merge" | "head")).map(|(digits, _)| digits);
    let plain = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0'));
    let number = plain.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| FunctionError::PullRequest(shortened(reference, 60)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slug_keeps_what_is_one_and_marks_what_is_not() {
        for same in ["main", "release-1-2", "a", "0", &"x".repeat(MAX_SLUG)] {
            assert_eq!(slug(same).unwrap(), *same);
        }
        // The hashes are those of `printf %s TEXT | sha256sum`.
        for (text, expected) in [
            ("Main", "main-eb814be3ca3b78c0"),
            ("feature/login", "feature-login-df7c7aeb3560d333"),
            ("--a--b--", "a-b-8a45dde2806543af"),
            ("größe", "gr-e-d353a2671b67afff"),
            ("../../other", "other-5cbfa8e9f7056001"),
            ("main-0123456789abcdef", "main-0123456789abcdef-97d3cd4878e75f0c"),
        ] {
            assert_eq!(slug(text).unwrap(), expected, "{text}");
        }
        for empty in ["", "/", "---", "é", "日本"] {
            assert!(matches!(slug(empty), Err(FunctionError::EmptySlug(_))), "{empty}");
        }
        let long = slug(&"x".repeat(MAX_SLUG + 1)).unwrap();
        assert_eq!(long.len(), MAX_SLUG);
        assert_ne!(long, slug(&"x".repeat(MAX_SLUG + 2)).unwrap());
    }

    #[test]
    fn names_that_look_alike_have_slugs_of_their_own() {
        let names = ["feature-a", "feature/a", "Feature-a", "feature_a", "feature--a", "feature-a-", "-feature-a"];
        let mut slugs: Vec<String> = names.iter().map(|name| slug(name).unwrap()).collect();
        // Nor can a name be another's slug.
        slugs.extend(slugs.clone()[1..].iter().map(|name| slug(name).unwrap()));
        let count = slugs.len();
        slugs.sort();
        slugs.dedup();
        assert_eq!(slugs.len(), count, "{slugs:?}");
    }

    #[test]
    fn a_segment_is_given_back_or_refused() {
        for good in ["main", "v1.2.3", "A_b=c@d+e:f-g", "...", ".a", &"x".repeat(MAX_SEGMENT)] {
            assert_eq!(segment(good).unwrap(), good);
        }
        for bad in
            ["", ".", "..", "a/b", "/", "a b", "a*", "ä", "a\n", "a\0", "a\\b", "${a}", &"x".repeat(MAX_SEGMENT + 1)]
        {
            assert!(segment(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_pull_request_has_a_number() {
        assert_eq!(pull_request_number("refs/pull/42/merge"), Ok(42));
        assert_eq!(pull_request_number("refs/pull/1/head"), Ok(1));
        for bad in [
            "refs/heads/main",
            "refs/pull/42",
            "refs/pull/42/",
            "refs/pull//merge",
            "refs/pull/0/merge",
            "refs/pull/042/merge",
            "refs/pull/-1/merge",
            "refs/pull/+1/merge",
            "refs/pull/1/merge/x",
            "refs/pull/99999999999999999999/merge",
            "refs/heads/refs/pull/1/merge",
            "",
        ] {
            assert!(pull_request_number(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_slug_is_always_a_segment_without_surprises(text in any::<String>()) {
            if let Ok(slug) = slug(&text) {
                prop_assert!(slug.len() <= MAX_SLUG);
                prop_assert_eq!(segment(&slug).unwrap(), &slug);
                prop_assert!(slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
                prop_assert!(!slug.starts_with('-') && !slug.ends_with('-') && !slug.contains("--"));
                prop_assert!(slug == text || ends_with_a_hash(&slug));
            }
        }
    }
}
