//! Credentials in fields that are logged, kept in the ledger and signed into tokens.

use tagmint_core::{rules::MintRequest, sanitize};

use super::problem::{MISPLACED_SECRET, Problem};

/// Refuses a request for a token whose fields hold a credential, before any of it is looked at, logged or recorded.
pub(super) fn check(request: &MintRequest) -> Result<(), Problem> {
    let MintRequest { audience, role, lifetime_seconds: _, rule, tags } = request;
    for (name, value) in [("audience", audience), ("role", role), ("rule", rule)] {
        field(name, value.as_deref().unwrap_or_default())?;
    }
    for (key, value) in tags {
        field("tags", key)?;
        field(&format!("tags.{key}"), value)?;
    }
    Ok(())
}

/// Refuses one field that holds a credential.
pub(super) fn field(name: &str, value: &str) -> Result<(), Problem> {
    let Some(like) = sanitize::find_secret(value) else { return Ok(()) };
    Err(Problem::new(&MISPLACED_SECRET).detail(format!(
        "`{name}` holds what looks like {like}. Send a credential in the `Authorization` header or as `subject_token` or `client_secret` only. The value \
         was not recorded here; if others may have seen it, revoke it."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(request: MintRequest) -> bool {
        check(&request).is_err()
    }

    #[test]
    fn every_field_is_looked_at() {
        let secret = || format!("tmb_test_{}", "a1".repeat(24));
        let base = MintRequest::default;
        assert!(!refused(base()));
        assert!(refused(MintRequest { audience: Some(secret()), ..base() }));
        assert!(refused(MintRequest { role: Some(format!("arn:aws:iam::123456789012:role/{}", secret())), ..base() }));
        assert!(refused(MintRequest { rule: Some(secret()), ..base() }));
        assert!(refused(MintRequest { tags: [("run".to_owned(), secret())].into(), ..base() }));
        assert!(refused(MintRequest { tags: [(secret(), String::new())].into(), ..base() }));
        let fine = MintRequest {
            audience: Some("sts.amazonaws.com".to_owned()),
            role: Some("arn:aws:iam::123456789012:role/tmb_backup_role".to_owned()),
            tags: [("commit".to_owned(), "da39a3ee5e6b4b0d3255bfef95601890afd80709".to_owned())].into(),
            ..base()
        };
        assert!(!refused(fine));
    }
}
