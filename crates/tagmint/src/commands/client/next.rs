//! The exact commands to run after STS refused a token.

use super::args::{IssuerArgs, RoleArgs, Wish, given};
use crate::redact;

/// Where the commands put the token.
const TOKEN_FILE: &str = "token.jwt";

/// Gets such a token again and explains it. Nothing secret is in it: credentials are named by their file, or stay in the environment.
pub(super) fn explain(args: &RoleArgs, role: &str, issuer: &str) -> String {
    let mut mint = vec!["tagmint".to_owned(), "token".to_owned()];
    mint.extend(issuer_options(&args.issuer, issuer));
    mint.extend(wish_options(&args.wish));
    mint.extend(["--role".to_owned(), quoted(role), "--out".to_owned(), TOKEN_FILE.to_owned()]);
    let mut explain: Vec<String> =
        ["tagmint", "explain", "--token", TOKEN_FILE, "--role"].into_iter().map(str::to_owned).collect();
    explain.extend([quoted(role), "--fetch".to_owned()]);
    explain.extend(ca_file(&args.issuer));
    redact::secrets(&format!("{} && {}", mint.join(" "), explain.join(" "))).into_owned()
}

/// Explains an answer of STS that is about the request.
pub(super) fn explain_error(said: &str) -> String {
    format!("tagmint explain --error {}", quoted(&redact::secrets(said)))
}

fn issuer_options(args: &IssuerArgs, url: &str) -> Vec<String> {
    let mut options = vec!["--url".to_owned(), quoted(url)];
    options.extend(ca_file(args));
    if let Some(file) = args.credential_file.as_ref().filter(|file| file.as_os_str() != "-") {
        options.extend(["--credential-file".to_owned(), quoted(&file.display().to_string())]);
    }
    if let Some(audience) = given(args.provider_audience.as_ref()) {
        options.extend(["--provider-audience".to_owned(), quoted(audience)]);
    }
    options
}

fn ca_file(args: &IssuerArgs) -> Vec<String> {
    let file = args.ca_file.as_ref().filter(|file| !file.as_os_str().is_empty());
    file.map(|file| vec!["--ca-file".to_owned(), quoted(&file.display().to_string())]).unwrap_or_default()
}

fn wish_options(wish: &Wish) -> Vec<String> {
    let mut options = Vec::new();
    if let Some(audience) = &wish.audience {
        options.extend(["--audience".to_owned(), quoted(audience)]);
    }
    for (key, value) in &wish.tags {
        options.extend(["--tag".to_owned(), quoted(&format!("{key}={value}"))]);
    }
    if let Some(lifetime) = wish.lifetime {
        options.extend(["--lifetime".to_owned(), format!("{}s", lifetime.as_secs())]);
    }
    if let Some(rule) = &wish.rule {
        options.extend(["--rule".to_owned(), quoted(rule)]);
    }
    options
}

/// A word as a shell reads it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let printable: String = word.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("'{}'", printable.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn args() -> RoleArgs {
        RoleArgs {
            issuer: IssuerArgs { url: None, ca_file: None, credential_file: None, provider_audience: None },
            wish: Wish { audience: None, tags: Vec::new(), lifetime: None, rule: None },
            role: None,
            session_name: None,
            duration: None,
            region: None,
        }
    }

    #[test]
    fn the_commands_have_what_was_given() {
        let role = "arn:aws:iam::111122223333:role/data";
        assert_eq!(
            explain(&args(), role, "https://id.example.com"),
            format!(
                "tagmint token --url https://id.example.com --role {role} --out token.jwt && tagmint explain --token token.jwt --role {role} --fetch"
            )
        );
        let mut full = args();
        full.issuer.ca_file = Some("my ca.pem".into());
        full.issuer.credential_file = Some("cred".into());
        full.wish = Wish {
            audience: Some("sts.amazonaws.com".to_owned()),
            tags: vec![("prefix".to_owned(), "it's $HOME".to_owned())],
            lifetime: Some(SignedDuration::from_mins(5)),
            rule: Some("wallet".to_owned()),
        };
        assert_eq!(
            explain(&full, role, "https://id.example.com"),
            format!(
                "tagmint token --url https://id.example.com --ca-file 'my ca.pem' --credential-file cred --audience sts.amazonaws.com --tag \
                 'prefix=it'\\''s $HOME' --lifetime 300s --rule wallet --role {role} --out token.jwt && tagmint explain --token token.jwt --role {role} \
                 --fetch --ca-file 'my ca.pem'"
            )
        );
    }

    #[test]
    fn nothing_secret_is_in_them() {
        let mut full = args();
        full.issuer.credential_file = Some("-".into());
        full.wish.tags = vec![
            ("a".to_owned(), "tms_test_0123456789abcdef".to_owned()),
            ("b".to_owned(), "eyJhbGciOiJ.eyJzdWIiOi.c2ln".to_owned()),
        ];
        let command = explain(&full, "arn", "https://id.example.com");
        assert!(
            !command.contains("0123456789abcdef") && !command.contains("eyJ") && !command.contains("--credential-file"),
            "{command}"
        );
        assert_eq!(explain_error("ValidationError: it's\nx"), r"tagmint explain --error 'ValidationError: it'\''s x'");
        assert!(!explain_error("Value 'eyJhbGciOiJ.eyJzdWIiOi.c2ln' at 'x'").contains("eyJ"));
    }
}
