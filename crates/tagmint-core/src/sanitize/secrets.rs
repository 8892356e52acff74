//! Credentials in text: where they begin and end.

use std::{borrow::Cow, fmt};

use crate::issued_secret::SecretKind;

/// The kind of secret that a part of a text looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretLike {
    /// `tms_<env>_…` or `tmb_<env>_…`.
    Issued,
    /// The prefix of an issued secret with something after it that no environment stands in.
    IssuedPrefix,
    /// A JSON Web Token, or a part of one.
    Jwt,
    /// The id of an AWS access key.
    AwsAccessKeyId,
    /// 40 characters such as AWS's secret access keys have.
    AwsSecretKey,
    /// The session token of temporary AWS credentials.
    AwsSessionToken,
    /// A private key in PEM.
    PrivateKey,
    /// A token with the prefix of another platform.
    PlatformToken,
    /// The value of an `Authorization` header.
    Authorization,
    /// A password in a URL.
    UrlPassword,
}

impl SecretLike {
    /// Whether a request that holds it is refused. The rest is redacted where it is shown: a name may look like it by accident.
    pub const fn is_certain(self) -> bool {
        !matches!(self, Self::IssuedPrefix | Self::Authorization)
    }
}

impl fmt::Display for SecretLike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Issued | Self::IssuedPrefix => "a session or bearer token of Tagmint",
            Self::Jwt => "a JSON Web Token",
            Self::AwsAccessKeyId => "an AWS access key ID",
            Self::AwsSecretKey => "an AWS secret access key",
            Self::AwsSessionToken => "an AWS session token",
            Self::PrivateKey => "a private key",
            Self::PlatformToken => "a token of GitHub, GitLab or Slack",
            Self::Authorization => "the value of an Authorization header",
            Self::UrlPassword => "a password in a URL",
        })
    }
}

/// A part of a text that is redacted, in bytes.
#[derive(Debug, Clone, Copy)]
struct Hit {
    from: usize,
    to: usize,
    like: SecretLike,
}

/// Finds what begins at a place.
type Detector = fn(&[u8], usize) -> Option<Hit>;

/// So many characters after the prefix of an issued secret are no word of a message any more.
const LEAST_ISSUED: usize = 8;

/// The text without what may be a credential: of `tms_test_…` only `tms_[redacted]` is left, of a JWT only `…`.
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut done = 0;
    while let Some(hit) = next(text.as_bytes(), done) {
        // A hit begins and ends next to an ASCII character.
        clean.push_str(text.get(done..hit.from).unwrap_or_default());
        clean.push_str(if hit.like == SecretLike::Jwt { "…" } else { "[redacted]" });
        done = hit.to;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(clean)
}

/// The first credential in a text that is certain enough to refuse it.
pub fn find_secret(text: &str) -> Option<SecretLike> {
    let mut done = 0;
    while let Some(hit) = next(text.as_bytes(), done) {
        if hit.like.is_certain() {
            return Some(hit.like);
        }
        done = hit.to;
    }
    None
}

/// Whether a text has the beginning of a session's or bearer's secret.
pub fn looks_like_a_secret(text: &str) -> bool {
    issued_prefix(text.trim_start().as_bytes(), 0).is_some()
}

fn next(text: &[u8], from: usize) -> Option<Hit> {
    const DETECTORS: [Detector; 9] = [
        issued,
        jwt,
        aws_access_key_id,
        aws_session_token,
        aws_secret_key,
        private_key,
        platform_token,
        authorization,
        url_password,
    ];
    (from..text.len()).find_map(|at| DETECTORS.iter().find_map(|detect| detect(text, at)))
}

fn starts_with(text: &[u8], at: usize, word: &[u8]) -> bool {
    text.get(at..at + word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// The end of the longest run of such bytes from `at`.
fn run(text: &[u8], at: usize, of: impl Fn(u8) -> bool) -> usize {
    at + text.get(at..).unwrap_or_default().iter().take_while(|byte| of(**byte)).count()
}

/// Whether no letter or digit stands right before `at`.
fn begins_a_word(text: &[u8], at: usize) -> bool {
    at.checked_sub(1).and_then(|before| text.get(before)).is_none_or(|byte| !byte.is_ascii_alphanumeric())
}

/// The end of `_`, plain or as a URL writes it.
fn underscore(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at) == Some(&b'_') {
        return Some(at + 1);
    }
    starts_with(text, at, b"%5f").then_some(at + 3)
}

/// The end of `tms_` or `tmb_`.
fn issued_prefix(text: &[u8], at: usize) -> Option<usize> {
    let kinds = [SecretKind::Session, SecretKind::Bearer].map(SecretKind::prefix);
    let prefix = kinds.into_iter().find(|prefix| starts_with(text, at, prefix.as_bytes()))?;
    underscore(text, at + prefix.len())
}

fn issued(text: &[u8], at: usize) -> Option<Hit> {
    let from = issued_prefix(text, at)?;
    let mut to = from;
    while let Some(after) =
        underscore(text, to).or_else(|| text.get(to).is_some_and(u8::is_ascii_alphanumeric).then_some(to + 1))
    {
        to = after;
    }
    let environment = [&b"prod"[..], b"test"]
        .into_iter()
        .any(|name| starts_with(text, from, name) && underscore(text, from + name.len()).is_some());
    let like = if environment { SecretLike::Issued } else { SecretLike::IssuedPrefix };
    (to - from >= LEAST_ISSUED).then_some(Hit { from, to, like })
}

/// Every JWT begins with the base64url of `{"`.
fn jwt(text: &[u8], at: usize) -> Option<Hit> {
    if !text.get(at..)?.starts_with(b"eyJ") {
        return None;
    }
    let to = run(text, at, |byte| byte.is_ascii_alphanumeric() || b"-_.=".contains(&byte));
    let least = if begins_a_word(text, at) { 12 } else { 40 };
    (to - at >= least).then_some(Hit { from: at, to, like: SecretLike::Jwt })
}

/// IAM user guide, "Understanding unique ID prefixes": those of access keys.
fn aws_access_key_id(text: &[u8], at: usize) -> Option<Hit> {
    let prefix = [&b"AKIA"[..], b"ASIA", b"ABIA", b"ACCA"]
        .into_iter()
        .find(|prefix| text.get(at..).is_some_and(|rest| rest.starts_with(prefix)))?;
    let from = at + prefix.len();
    let to = run(text, from, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let whole = (12..=28).contains(&(to - from)) && text.get(to).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    (whole && begins_a_word(text, at)).then_some(Hit { from, to, like: SecretLike::AwsAccessKeyId })
}

/// The base64 of how the session tokens of STS begin.
fn aws_session_token(text: &[u8], at: usize) -> Option<Hit> {
    let known = [&b"IQoJb3JpZ2lu"[..], b"FwoGZXIvYXdz", b"FQoGZXIvYXdz"]
        .into_iter()
        .any(|prefix| text.get(at..).is_some_and(|rest| rest.starts_with(prefix)));
    if !known {
        return None;
    }
    let to = run(text, at, |byte| is_base64(byte) || byte == b'=' || byte == b'%');
    (to - at >= 40).then_some(Hit { from: at, to, like: SecretLike::AwsSessionToken })
}

const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// 40 characters of base64 and no more, as irregular as 30 random bytes are. Hexadecimal (a commit) and names in `CamelCase` are not. One key in a
/// hundred has few digits and no sign, and passes for a name.
fn aws_secret_key(text: &[u8], at: usize) -> Option<Hit> {
    // The signs of base64url stand in ids and thumbprints: a part of one is no key.
    let goes_on = |byte: u8| is_base64(byte) || matches!(byte, b'-' | b'_');
    if !is_base64(*text.get(at)?) || at.checked_sub(1).is_some_and(|before| goes_on(text[before])) {
        return None;
    }
    let to = run(text, at, is_base64);
    if text.get(to).is_some_and(|byte| goes_on(*byte)) {
        return None;
    }
    let word = text.get(at..to).filter(|word| word.len() == 40)?;
    let class = |byte: &u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let changes = word.windows(2).filter(|pair| class(&pair[0]) != class(&pair[1])).count();
    let count = |wanted| word.iter().filter(|byte| class(byte) == wanted).count();
    let irregular = changes >= 12 && (count(2) >= 3 || (count(2) >= 1 && count(3) >= 1));
    let path = [&b"role/"[..], b"user/", b"assumed-role/", b"/"].into_iter().any(|start| word.starts_with(start));
    (count(0) > 0 && count(1) > 0 && irregular && !path).then_some(Hit { from: at, to, like: SecretLike::AwsSecretKey })
}

fn private_key(text: &[u8], at: usize) -> Option<Hit> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    const KEY: &[u8] = b"PRIVATE KEY-----";
    const END: &[u8] = b"-----END ";
    let rest = text.get(at..).filter(|rest| rest.starts_with(BEGIN))?;
    let head = rest.get(..rest.len().min(64))?;
    let body = BEGIN.len() + head.get(BEGIN.len()..)?.windows(KEY.len()).position(|part| part == KEY)? + KEY.len();
    // One without an end goes as far as the string that it stands in.
    let open = || run(rest, body, |byte| byte != b'"') - body;
    let length = rest.get(body..)?.windows(END.len()).position(|part| part == END).unwrap_or_else(open);
    (length > 0).then_some(Hit { from: at + body, to: at + body + length, like: SecretLike::PrivateKey })
}

fn platform_token(text: &[u8], at: usize) -> Option<Hit> {
    const PREFIXES: [&[u8]; 14] = [
        b"ghp_",
        b"gho_",
        b"ghu_",
        b"ghs_",
        b"ghr_",
        b"github_pat_",
        b"glpat-",
        b"gldt-",
        b"glcbt-",
        b"glrt-",
        b"xoxb-",
        b"xoxp-",
        b"xoxa-",
        b"xapp-",
    ];
    let prefix = PREFIXES.into_iter().find(|prefix| text.get(at..).is_some_and(|rest| rest.starts_with(prefix)))?;
    let from = at + prefix.len();
    let to = run(text, from, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    (to - from >= 16 && begins_a_word(text, at)).then_some(Hit { from, to, like: SecretLike::PlatformToken })
}

/// `Bearer …` and `Basic …` with what is no word after them.
fn authorization(text: &[u8], at: usize) -> Option<Hit> {
    let scheme = [&b"bearer "[..], b"basic "].into_iter().find(|scheme| starts_with(text, at, scheme))?;
    let from = at + scheme.len();
    let to = run(text, from, |byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
    let word = text.get(from..to)?;
    let mixed = word.iter().any(u8::is_ascii_digit)
        || (word.iter().any(u8::is_ascii_lowercase) && word.iter().skip(1).any(u8::is_ascii_uppercase));
    (word.len() >= 16 && mixed).then_some(Hit { from, to, like: SecretLike::Authorization })
}

/// RFC 3986 §3.2.1: what stands after `user:` is a password.
fn url_password(text: &[u8], at: usize) -> Option<Hit> {
    if !text.get(at..)?.starts_with(b"://") {
        return None;
    }
    let start = at + 3;
    let end = run(text, start, |byte| byte.is_ascii_graphic() && !b"/?#@\"'`<>\\".contains(&byte));
    if text.get(end) != Some(&b'@') {
        return None;
    }
    let colon = text.get(start..end)?.iter().position(|byte| *byte == b':')?;
    let from = start + colon + 1;
    (from < end).then_some(Hit { from, to: end, like: SecretLike::UrlPassword })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_out_of_texts() {
        let tail = "a1".repeat(24);
        let key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        for (text, expected) in [
            ("nothing here".to_owned(), "nothing here"),
            (format!("invalid value 'tmb_test_{tail}' for '<ID>'"), "invalid value 'tmb_[redacted]' for '<ID>'"),
            (format!("tmb_test_{tail},tms_prod_{tail}"), "tmb_[redacted],tms_[redacted]"),
            (format!("TMB_TEST_{tail}.example"), "TMB_[redacted].example"),
            (format!("a=tms%5Ftest%5f{tail}&b"), "a=tms%5F[redacted]&b"),
            ("those begin with `tms_` (session) or `tmb_`".to_owned(), "those begin with `tms_` (session) or `tmb_`"),
            ("tms_ and tmb_0123456789é".to_owned(), "tms_ and tmb_[redacted]é"),
            ("sent eyJhbGciOiJ.eyJzdWIiOi.c2ln to it".to_owned(), "sent … to it"),
            ("the keyJunction of a storageKeyJson".to_owned(), "the keyJunction of a storageKeyJson"),
            ("AKIAIOSFODNN7EXAMPLE/x ASIAIOSFODNN7EXAMPLE".to_owned(), "AKIA[redacted]/x ASIA[redacted]"),
            (format!("key={key}\n"), "key=[redacted]\n"),
            (format!("\"{key}\""), "\"[redacted]\""),
            ("FwoGZXIvYXdzEBYaDHqa0AP1lJm3Rr5vVSK7AQ5mB2lq+/x9==".to_owned(), "[redacted]"),
            (
                "-----BEGIN EC PRIVATE KEY-----\nMHcCAQ\n-----END EC PRIVATE KEY-----".to_owned(),
                "-----BEGIN EC PRIVATE KEY-----[redacted]-----END EC PRIVATE KEY-----",
            ),
            ("-----BEGIN PRIVATE KEY----- MHcC".to_owned(), "-----BEGIN PRIVATE KEY-----[redacted]"),
            ("ghs_0123456789abcdefABCD glpat-0123456789abcdefABCD".to_owned(), "ghs_[redacted] glpat-[redacted]"),
            ("Authorization: bearer 0123456789abcdef".to_owned(), "Authorization: bearer [redacted]"),
            (
                "send `Authorization: Bearer <session or bearer>`".to_owned(),
                "send `Authorization: Bearer <session or bearer>`",
            ),
            ("https://user:hunter2@example.org/x".to_owned(), "https://user:[redacted]@example.org/x"),
            ("https://example.org:8443/x@y".to_owned(), "https://example.org:8443/x@y"),
        ] {
            assert_eq!(redact(&text), expected, "{text}");
        }
    }

    #[test]
    fn names_ids_and_hashes_stay() {
        for text in [
            "repo:octo-org/octo-repo:ref:refs/heads/main",
            "arn:aws:iam::123456789012:role/Deploy/Team1/AbCdEfGhIjKlMnOpQr1",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709",
            "mnt_01K00000000000000000000000",
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            "Nz-bLsXh8uDCcd6MNwXF4W7noWXFZAfHkxZsRGC9Xs1",
            "Nzb1LsXh8uDCcd6MNwXF4W7noWXFZAfHkxZsRGC9_Xs",
            "AROAEXAMPLEROLEID1234",
            "MyTeamProdS3ReadOnlyAccessRoleForLambdaX",
            "https://token.actions.githubusercontent.com",
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "//example.com/some/Path/with/4/parts/here",
        ] {
            assert!(matches!(redact(text), Cow::Borrowed(_)), "{text}: {}", redact(text));
        }
    }

    #[test]
    fn what_may_be_a_name_is_not_refused() {
        assert_eq!(find_secret("tmb_backup_role"), None);
        assert_eq!(redact("tmb_backup_role"), "tmb_[redacted]");
        let after_a_name = format!("tmb_backup_role tms_prod_{}", "a1".repeat(24));
        assert_eq!(find_secret(&after_a_name), Some(SecretLike::Issued));
        assert_eq!(find_secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), Some(SecretLike::AwsSecretKey));
        assert_eq!(find_secret("AKIAIOSFODNN7EXAMPLE"), Some(SecretLike::AwsAccessKeyId));
    }

    #[test]
    fn the_beginning_tells_a_secret() {
        assert!(["tms_test_x", " tmb_", "TMB_PROD_"].into_iter().all(looks_like_a_secret));
        assert!(!["", "nightly", "tm", "tmsx", "ses_01", "a tms_test_x"].into_iter().any(looks_like_a_secret));
    }

    proptest::proptest! {
        #[test]
        fn redacting_twice_is_redacting_once(text in "(tm[sb]_|eyJ|AKIA|://a:|-----BEGIN PRIVATE KEY-----|[a-zA-Z0-9/+@. é]){0,40}") {
            let once = redact(&text).into_owned();
            proptest::prop_assert_eq!(redact(&once), once.as_str());
        }
    }
}
