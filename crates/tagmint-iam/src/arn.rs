//! Amazon Resource Names (IAM user guide, "Amazon Resource Names").

/// How many fields an ARN has: the sixth may hold further colons.
pub const FIELDS: usize = 6;

/// The six parts of an ARN, borrowed from its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov`…
    pub partition: &'a str,
    /// The service, as `iam`.
    pub service: &'a str,
    /// The region; empty for global services.
    pub region: &'a str,
    /// The account; empty for S3 buckets.
    pub account: &'a str,
    /// The rest, which may hold further colons.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Splits a text into an ARN's parts. None when it has fewer than six or doesn't begin with `arn`.
    pub fn split(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(FIELDS, ':');
        if parts.next()? != "arn" {
            return None;
        }
        Some(Self {
            partition: parts.next()?,
            service: parts.next()?,
            region: parts.next()?,
            account: parts.next()?,
            resource: parts.next()?,
        })
    }

    /// Whether the account is one: twelve digits.
    pub fn has_account(&self) -> bool {
        is_account(self.account)
    }
}

/// Whether a text is an account id: twelve digits.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// A role's ARN, taken apart: `arn:PARTITION:iam::ACCOUNT:role[/PATH]/NAME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleArn<'a> {
    /// The partition.
    pub partition: &'a str,
    /// The account, twelve digits.
    pub account: &'a str,
    /// The role's name without its path.
    pub name: &'a str,
}

impl<'a> RoleArn<'a> {
    /// Reads a role's ARN. Letters' case counts, and wildcards, separators of lists or an ARN of anything else are none.
    pub fn parse(text: &'a str) -> Option<Self> {
        let arn = Arn::split(text)?;
        let partition_fits =
            arn.partition.starts_with("aws") && arn.partition.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        if !partition_fits || arn.service != "iam" || !arn.region.is_empty() || !arn.has_account() {
            return None;
        }
        let path_and_name = arn.resource.strip_prefix("role/")?;
        let (path, name) = path_and_name.rsplit_once('/').unwrap_or(("", path_and_name));
        // IAM takes U+0021 to U+007E in paths; a colon or wildcard there would make lists of ARNs and patterns look like one role.
        let path_fits = path.bytes().all(|b| b.is_ascii_graphic() && !b":*?".contains(&b));
        (path_fits && is_role_name(name)).then_some(Self { partition: arn.partition, account: arn.account, name })
    }

    /// The ARN of a session of this role.
    pub fn session(&self, session_name: &str) -> String {
        format!("arn:{}:sts::{}:assumed-role/{}/{session_name}", self.partition, self.account, self.name)
    }
}

/// 1 to 64 of `[\w+=,.@-]` (service model of IAM, `roleNameType`).
fn is_role_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_arns() {
        let good = [
            "arn:aws:iam::123456789012:role/deploy",
            "arn:aws-us-gov:iam::123456789012:role/a/b/deploy",
            "arn:aws:iam::123456789012:role/x,y",
        ];
        for text in good {
            assert!(RoleArn::parse(text).is_some(), "{text}");
        }
        let bad = [
            "",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/*",
            "arn:aws:iam::12345678901:role/deploy",
            "arn:aws:iam:eu-west-1:123456789012:role/deploy",
            "arn:aws:iam::123456789012:user/deploy",
            "ARN:AWS:IAM::123456789012:ROLE/DEPLOY",
            "arn:aws:iam::123456789012:role/a,arn:aws:iam::123456789012:role/b",
            "arn:aws:iam::123456789012:role/a;b",
            " arn:aws:iam::123456789012:role/a",
        ];
        for text in bad {
            assert_eq!(RoleArn::parse(text), None, "{text}");
        }
        let session = RoleArn::parse(good[1]).unwrap().session("me");
        assert_eq!(session, "arn:aws-us-gov:sts::123456789012:assumed-role/deploy/me");
    }
}
