//! The arguments of `tagmint aws reach`.

use clap::Args;
use tagmint_iam::arn::is_account;

/// The longest key of S3, in bytes.
const LONGEST_KEY: usize = 1024;

/// Which prefix is looked at.
#[derive(Debug, Args)]
pub struct ReachArgs {
    /// The prefix: `pr-7/run-12/`, or `s3://BUCKET/pr-7/run-12/`. The slash at the end may be left out. `""`: the whole bucket.
    #[arg(value_parser = place)]
    pub prefix: Place,
    /// Another account than the configuration's `aws.account`.
    #[arg(long, value_name = "ID", env = "TAGMINT_AWS_ACCOUNT", value_parser = account)]
    pub account: Option<String>,
}

/// A prefix of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The bucket, where one is named.
    pub bucket: Option<String>,
    /// The prefix: empty, or with a slash at the end.
    pub prefix: String,
}

fn place(text: &str) -> Result<Place, String> {
    let (bucket, prefix) = match text.strip_prefix("s3://") {
        None => (None, text),
        Some(rest) => {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err("name the bucket: `s3://BUCKET/PREFIX`, or give the prefix only".to_owned());
            }
            (Some(bucket.to_owned()), prefix)
        }
    };
    if prefix.starts_with("arn:") {
        return Err("this is an ARN; give the prefix only, such as `pr-7/run-12/`".to_owned());
    }
    if prefix.starts_with('/') {
        return Err(
            "it begins with `/`, and the keys of sessions do not. Leave the slash out; `\"\"` is the whole bucket"
                .to_owned(),
        );
    }
    if prefix.len() > LONGEST_KEY || prefix.chars().any(char::is_control) {
        return Err(format!("a key has at most {LONGEST_KEY} bytes, and no control characters"));
    }
    // Sessions reach everything below a slash, so `team` and `team/` are the same to them.
    let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
    Ok(Place { bucket, prefix: format!("{prefix}{slash}") })
}

fn account(text: &str) -> Result<String, String> {
    if is_account(text) { Ok(text.to_owned()) } else { Err("an account id has twelve digits".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_read() {
        let read = |text: &str| place(text).map(|place| (place.bucket, place.prefix));
        let ok = |bucket: Option<&str>, prefix: &str| Ok((bucket.map(str::to_owned), prefix.to_owned()));
        assert_eq!(read("pr-7/run-12"), ok(None, "pr-7/run-12/"));
        assert_eq!(read("pr-7/run-12/"), ok(None, "pr-7/run-12/"));
        assert_eq!(read(""), ok(None, ""));
        assert_eq!(read("s3://mail/pr-7"), ok(Some("mail"), "pr-7/"));
        assert_eq!(read("s3://mail"), ok(Some("mail"), ""));
        for bad in ["/", "/pr-7", "s3://", "s3:///x", "arn:aws:s3:::mail/x", "a\nb", &"x".repeat(2000)] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
