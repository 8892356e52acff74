//! How the values of options are read. An error never repeats what may be a secret.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tagmint_core::{
    issuer::IssuerUrl,
    ledger::LedgerHead,
    rules::{RuleName, TagScope},
};

use crate::{
    durations,
    output::{ExportFormat, Format},
    redact,
};

/// The tag that `--prefix-scope` means where it names none.
const DEFAULT_SCOPE_TAG: &str = "prefix";

/// A moment, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The moment.
    At(Timestamp),
    /// So long before now.
    Ago(SignedDuration),
}

impl Since {
    /// The moment.
    pub fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Ago(duration) => now.checked_sub(duration).unwrap_or(Timestamp::MIN),
        }
    }
}

impl std::str::FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let moment = || text.parse().ok().map(Self::At);
        durations::parse(text)
            .map(Self::Ago)
            .or_else(moment)
            .ok_or_else(|| "give a moment such as `2026-01-31T12:00:00Z`, or a duration such as `2h`".to_owned())
    }
}

pub(crate) fn duration(text: &str) -> Result<SignedDuration, String> {
    let positive = durations::parse(text).filter(SignedDuration::is_positive);
    positive.ok_or_else(|| "give a duration such as `90s`, `2h` or `90d`".to_owned())
}

/// A region's name. It becomes a line of files that shells and CI runners read.
pub(crate) fn region(text: &str) -> Result<String, String> {
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    // An empty one counts as unset: CI systems make one of an unset variable.
    if text.len() <= 64 && plain(text) {
        Ok(text.to_owned())
    } else {
        Err("give the name of a region such as `eu-west-1`: letters, digits and hyphens".to_owned())
    }
}

pub(super) fn any_duration(text: &str) -> Result<SignedDuration, String> {
    durations::parse(text).ok_or_else(|| "give a duration such as `0s`, `2h` or `24h`".to_owned())
}

/// A bearer's name. The error does not repeat what may be a secret.
pub(super) fn plain_name(text: &str) -> Result<String, String> {
    if redact::looks_like_a_secret(text) {
        Err("this is a secret; give the bearer's name".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// The tag and the prefix that its value must have. A prefix alone is that of the tag `prefix`.
pub(super) fn prefix_scope(text: &str) -> Result<(String, String), String> {
    let (tag, prefix) = text.split_once('=').unwrap_or((DEFAULT_SCOPE_TAG, text));
    TagScope::new([(tag, prefix)]).map_err(|error| error.to_string())?;
    Ok((tag.to_owned(), prefix.to_owned()))
}

pub(super) fn issuer_url(text: &str) -> Result<IssuerUrl, String> {
    IssuerUrl::parse(text).map_err(|error| error.to_string())
}

pub(super) fn rule_name(text: &str) -> Result<RuleName, String> {
    RuleName::parse(text).map_err(|error| error.to_string())
}

/// How a credential is named on the command line.
#[derive(Debug, Clone)]
pub enum Named<I> {
    /// By its id or name.
    Plainly(I),
    /// By its secret, or by what has the beginning of one. It does not print.
    Secret(SecretString),
}

/// A bearer's id or name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BearerName(pub String);

impl std::str::FromStr for BearerName {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

/// What begins like a secret is never an error here: clap's message would repeat it.
pub(super) fn named<I: std::str::FromStr>(text: &str) -> Result<Named<I>, I::Err> {
    if redact::looks_like_a_secret(text) {
        Ok(Named::Secret(SecretString::from(text)))
    } else {
        text.parse().map(Named::Plainly)
    }
}

/// A secret on the command line. The error does not repeat it.
pub(super) fn secret(text: &str) -> Result<SecretString, String> {
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(SecretString::from(text)) }
}

pub(crate) fn attribute(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("give KEY=VALUE")?;
    if key.is_empty() {
        Err("the key is empty; give KEY=VALUE".to_owned())
    } else {
        Ok((key.to_owned(), value.to_owned()))
    }
}

pub(super) fn head(text: &str) -> Result<LedgerHead, String> {
    let parsed = text.split_once(':').and_then(|(seq, hash)| {
        let hex = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let seq: i64 = seq.parse().ok().filter(|seq| *seq >= 0)?;
        hex.then(|| LedgerHead { seq, hash: hash.to_ascii_lowercase() })
    });
    parsed.ok_or_else(|| "give SEQ:HASH as `ledger verify` prints it".to_owned())
}

/// The formats of `ledger export`. `json` is what programs pass to every command; rows are the same.
pub(super) fn export_format() -> impl TypedValueParser<Value = Format> {
    let known = [PossibleValue::new("jsonl"), PossibleValue::new("ocsf"), PossibleValue::new("json").hide(true)];
    PossibleValuesParser::new(known).map(|text| match text.as_str() {
        "ocsf" => Format::Export(ExportFormat::Ocsf),
        "json" => Format::Json,
        _ => Format::Export(ExportFormat::JsonLines),
    })
}

#[cfg(test)]
mod tests {
    use tagmint_core::id::SessionId;

    use super::*;

    #[test]
    fn special_values_are_read() {
        assert_eq!(attribute("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(attribute("a").is_err() && attribute("=b").is_err());
        assert_eq!("2h".parse(), Ok(Since::Ago(SignedDuration::from_hours(2))));
        assert_eq!("2026-01-31T12:00:00Z".parse(), Ok(Since::At("2026-01-31T12:00:00Z".parse().unwrap())));
        assert!("yesterday".parse::<Since>().is_err());
        assert!(duration("0s").is_err() && any_duration("0s").is_ok() && any_duration("soon").is_err());
        assert_eq!(prefix_scope("ci/a"), Ok(("prefix".to_owned(), "ci/a".to_owned())));
        assert_eq!(prefix_scope("team=a/b"), Ok(("team".to_owned(), "a/b".to_owned())));
        assert!(prefix_scope("ci/a/").is_err() && prefix_scope("=a").is_err() && prefix_scope("team=").is_err());
        assert!(!plain_name("tmb_test_x").unwrap_err().contains("test_x"));
        assert!(matches!(named::<SessionId>("tms_cut"), Ok(Named::Secret(_))));
        assert!(named::<SessionId>("nonsense").is_err());
        let hash = "AB".repeat(32);
        assert_eq!(head(&format!("7:{hash}")), Ok(LedgerHead { seq: 7, hash: hash.to_lowercase() }));
        assert!(head("7").is_err() && head("-1:ab").is_err() && head(&format!("x:{hash}")).is_err());
    }
}
