//! A policy's value made ready, and the comparison with one value of the request.

use std::net::IpAddr;

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::Test;
use crate::{
    context::Context,
    pattern::{self, Token},
    template::Template,
};

/// A policy's value, ready to be compared.
pub(super) struct Expected {
    shown: String,
    form: Form,
}

enum Form {
    Text(String),
    TextIgnoringCase(String),
    Like(Vec<Token>),
    Arn(Vec<Vec<Token>>),
    Number(f64, Test),
    Time(Timestamp, Test),
    Bool(bool),
    Bytes(Vec<u8>),
    Range(IpAddr, u32),
    /// Not of the operator's type: fits nothing.
    Unusable,
    /// A variable without a value: fits nothing.
    Unresolved(String),
}

impl Expected {
    pub(super) fn new(test: Test, value: &Template, context: &Context) -> Self {
        // Variables work with the string and ARN operators alone (IAM user guide, "Variables and tags").
        let variables = matches!(
            test,
            Test::StringEquals | Test::StringEqualsIgnoreCase | Test::StringLike | Test::ArnEquals | Test::ArnLike
        );
        if !variables {
            return Self { shown: value.source().to_owned(), form: typed(test, value.source()) };
        }
        match value.resolve(context) {
            Err(unresolved) => Self { shown: value.source().to_owned(), form: Form::Unresolved(unresolved.0) },
            Ok(tokens) => {
                let shown = pattern::to_text(&tokens);
                let form = match test {
                    Test::StringLike => Form::Like(tokens),
                    Test::StringEqualsIgnoreCase => Form::TextIgnoringCase(shown.to_lowercase()),
                    Test::ArnEquals | Test::ArnLike => Form::Arn(arn_parts(&tokens)),
                    _ => Form::Text(shown.clone()),
                };
                Self { shown, form }
            }
        }
    }

    /// The value with its variables filled in.
    pub(super) fn shown(&self) -> String {
        self.shown.clone()
    }

    /// The variable that had no value.
    pub(super) fn unresolved(&self) -> Option<&str> {
        match &self.form {
            Form::Unresolved(name) => Some(name),
            _ => None,
        }
    }

    /// Whether a value of the request fits, negation aside.
    pub(super) fn fits(&self, value: &str) -> bool {
        match &self.form {
            Form::Text(expected) => expected == value,
            Form::TextIgnoringCase(expected) => *expected == value.to_lowercase(),
            Form::Like(pattern) => pattern::matches(pattern, value),
            Form::Arn(parts) => arn_fits(parts, value),
            Form::Number(expected, test) => number(value).is_some_and(|actual| number_fits(*test, actual, *expected)),
            Form::Time(expected, test) => time(value).is_some_and(|actual| time_fits(*test, actual, *expected)),
            Form::Bool(expected) => boolean(value) == Some(*expected),
            Form::Bytes(expected) => BASE64_STANDARD.decode(value).is_ok_and(|actual| actual == *expected),
            Form::Range(network, prefix) => value.parse().is_ok_and(|address| contains(*network, *prefix, address)),
            Form::Unusable | Form::Unresolved(_) => false,
        }
    }
}

/// A value of the operators that take no variables.
fn typed(test: Test, value: &str) -> Form {
    let form = match test {
        Test::Bool => boolean(value).map(Form::Bool),
        Test::BinaryEquals => BASE64_STANDARD.decode(value).ok().map(Form::Bytes),
        Test::IpAddress => range(value).map(|(network, prefix)| Form::Range(network, prefix)),
        Test::DateEquals
        | Test::DateLessThan
        | Test::DateLessThanEquals
        | Test::DateGreaterThan
        | Test::DateGreaterThanEquals => time(value).map(|time| Form::Time(time, test)),
        _ => number(value).map(|number| Form::Number(number, test)),
    };
    form.unwrap_or(Form::Unusable)
}

fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// An integer or a decimal number (IAM user guide, "Numeric condition operators").
fn number(text: &str) -> Option<f64> {
    let digits = text.trim().trim_start_matches(['+', '-']);
    let plain = digits.bytes().next().is_some_and(|b| b.is_ascii_digit() || b == b'.');
    if plain { text.trim().parse().ok() } else { None }
}

fn number_fits(test: Test, actual: f64, expected: f64) -> bool {
    match test {
        Test::NumericLessThan => actual < expected,
        Test::NumericLessThanEquals => actual <= expected,
        Test::NumericGreaterThan => actual > expected,
        Test::NumericGreaterThanEquals => actual >= expected,
        _ => actual.total_cmp(&expected).is_eq(),
    }
}

/// A time in one of W3C's ISO 8601 profiles, or epoch seconds (IAM user guide, "Date condition operators"). Four digits are a year.
fn time(text: &str) -> Option<Timestamp> {
    let midnight = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let digits = |part: &str, len: usize| part.len() == len && part.bytes().all(|b| b.is_ascii_digit());
    if digits(text, 4) {
        return midnight(Date::new(text.parse().ok()?, 1, 1).ok()?);
    }
    if let Some((year, month)) = text.split_once('-')
        && digits(year, 4)
        && digits(month, 2)
    {
        return midnight(Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?);
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return Timestamp::from_second(seconds).ok();
    }
    if text.len() == 10 { midnight(text.parse().ok()?) } else { text.parse().ok() }
}

fn time_fits(test: Test, actual: Timestamp, expected: Timestamp) -> bool {
    match test {
        Test::DateLessThan => actual < expected,
        Test::DateLessThanEquals => actual <= expected,
        Test::DateGreaterThan => actual > expected,
        Test::DateGreaterThanEquals => actual >= expected,
        _ => actual == expected,
    }
}

/// An address or a range in CIDR form; an address alone is a range of one.
fn range(text: &str) -> Option<(IpAddr, u32)> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => bits,
        Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= bits)?,
    };
    Some((address, prefix))
}

fn contains(network: IpAddr, prefix: u32, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            u32::from(network) & mask == u32::from(address) & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            u128::from(network) & mask == u128::from(address) & mask
        }
        _ => false,
    }
}

/// The six parts of an ARN's pattern; the last one may hold colons.
fn arn_parts(tokens: &[Token]) -> Vec<Vec<Token>> {
    tokens.splitn(6, |token| *token == Token::Char(':')).map(<[Token]>::to_vec).collect()
}

/// "Each of the six colon-delimited components of the ARN is checked separately and each can include multi-character match wildcards (*) or
/// single-character match wildcards (?)." A star alone fits every ARN.
fn arn_fits(pattern: &[Vec<Token>], value: &str) -> bool {
    let parts: Vec<&str> = value.splitn(6, ':').collect();
    if parts.len() != 6 {
        return false;
    }
    if let [only] = pattern {
        return only.as_slice() == [Token::Many];
    }
    pattern.len() == 6 && pattern.iter().zip(parts).all(|(pattern, part)| pattern::matches(pattern, part))
}
