//! Documents that were made fit for showing around, or that a template is still to fill: something else stands in the place of an account id.

use super::{Question, Warning};
use crate::{
    arn::is_account,
    policy::{Policy, Principals},
};

/// The parts of an IAM ARN that separate the account from the resource.
const RESOURCES: [&str; 5] = [":oidc-provider/", ":saml-provider/", ":role/", ":user/", ":root"];
const IAM: &str = ":iam::";

/// A question's documents with a real account.
pub(super) struct Filled {
    pub(super) trust_policy: Policy,
    pub(super) bucket_policy: Option<Policy>,
    pub(super) role_arn: Option<String>,
    found: Vec<String>,
}

/// Fills in the account; none where nothing was to be filled.
pub(super) fn fill(question: &Question<'_>, account: &str) -> Option<Filled> {
    let mut found = Vec::new();
    let mut fill = |text: &mut String| {
        let Some((filled, placeholder)) = filled(text, account) else { return };
        if !found.contains(&placeholder) {
            found.push(placeholder);
        }
        *text = filled;
    };
    let mut role_arn = question.role_arn.map(str::to_owned);
    role_arn.iter_mut().for_each(&mut fill);
    let mut trust_policy = question.trust_policy.clone();
    names(&mut trust_policy).for_each(&mut fill);
    let mut bucket_policy = question.access.as_ref().and_then(|access| access.bucket_policy.cloned());
    bucket_policy.iter_mut().flat_map(names).for_each(&mut fill);
    (!found.is_empty()).then_some(Filled { trust_policy, bucket_policy, role_arn, found })
}

impl Filled {
    pub(super) fn warning(&self, account: &str) -> Warning {
        let text = format!(
            "{} stands in the place of an account id; {account} was taken instead. IAM takes 12 digits: write the role's account before the \
             policy is used",
            self.found.join(", ")
        );
        Warning { id: "account-placeholder", text }
    }
}

/// Everybody whom a policy names.
fn names(policy: &mut Policy) -> impl Iterator<Item = &mut String> {
    let principals = policy.statements.iter_mut().filter_map(|statement| statement.principal.as_mut());
    principals.flat_map(|element| match &mut element.principals {
        Principals::Listed { aws, federated, .. } => aws.iter_mut().chain(federated.iter_mut()).collect::<Vec<_>>(),
        Principals::Everyone => Vec::new(),
    })
}

/// An ARN with the account in the place of a placeholder, and the placeholder. The parts are not counted by their colons: `${AWS::AccountId}` has
/// some of its own.
fn filled(arn: &str, account: &str) -> Option<(String, String)> {
    let (head, rest) = arn.split_once(IAM)?;
    let partition = head.strip_prefix("arn:")?;
    let resource = RESOURCES.iter().filter_map(|resource| rest.find(resource)).min()?;
    let (named, resource) = rest.split_at(resource);
    if !is_placeholder(named) {
        return None;
    }
    let partition = if partition.starts_with("aws") { partition } else { "aws" };
    debug_assert!(!is_account(named), "an account is no placeholder");
    Some((format!("arn:{partition}{IAM}{account}{resource}"), named.to_owned()))
}

/// Whether a text stands for an account id. Only digits are an account id, or a wrong one;
/// a store other than AWS has none; `*` is a wildcard.
fn is_placeholder(account: &str) -> bool {
    let digits_alone = account.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    !account.is_empty() && account != "*" && !digits_alone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_seen() {
        for placeholder in [
            "XXXXXXXXXXXX",
            "xxxx",
            "<ACCOUNT_ID>",
            "ACCOUNT_ID",
            "${AWS::AccountId}",
            "${data.aws_caller_identity.current.account_id}",
            "$ACCOUNT",
            "{account}",
            "{{ account }}",
            "your-account-id",
            "************",
            "12345678901X",
            "…",
            "[redacted]",
            "%ACCOUNT%",
            "###",
        ] {
            let provider = format!("arn:aws:iam::{placeholder}:oidc-provider/id.example.com/a:b");
            let expected = "arn:aws:iam::111122223333:oidc-provider/id.example.com/a:b".to_owned();
            assert_eq!(filled(&provider, "111122223333"), Some((expected, placeholder.to_owned())));
            assert!(filled(&format!("arn:aws:iam::{placeholder}:role/x"), "111122223333").is_some(), "{placeholder}");
        }
        let both = "arn:${AWS::Partition}:iam::${AWS::AccountId}:oidc-provider/x";
        assert_eq!(filled(both, "1").map(|(arn, _)| arn).as_deref(), Some("arn:aws:iam::1:oidc-provider/x"));
        for real in ["111122223333", "11112222333", "1111-2222-3333", "", "*"] {
            assert_eq!(filled(&format!("arn:aws:iam::{real}:oidc-provider/x"), "1"), None, "{real}");
        }
        for other in ["accounts.google.com", "*", "arn:aws:s3:::bucket", "arn:aws:sts::X:assumed-role/a/b"] {
            assert_eq!(filled(other, "1"), None, "{other}");
        }
    }
}
