//! What IAM says where providers, roles and policies are set up.

use super::{Entry, Next, PLAIN};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: "trust-not-scoped",
        code: "MalformedPolicyDocument",
        shown: &[
            "Trust policy with trusted principal … must evaluate, using StringEquals, StringLike or StringEqualsIgnoreCase, … which is not scoped to all.",
            "Policy trusting … requires a StringEquals condition on an application id",
        ],
        seen: &[
            "must evaluate, using stringequals, stringlike or stringequalsignorecase",
            "requires a stringequals condition on an application id",
        ],
        means: "The provider is shared between AWS's customers, and IAM stores no trust policy for it that is not bound to your own tokens.",
        causes: &[
            (
                "The statement has no condition on the claim that the message names.",
                "Add it: StringEquals or StringLike on HOST:sub.",
            ),
            (
                "The condition is `*`, begins with `*` (GitHub), is negated or has IfExists.",
                "Name the organisation and repository.",
            ),
        ],
        next: &[Next::Run("tagmint aws render")],
        docs: "setting-up",
        ..PLAIN
    },
    Entry {
        id: "invalid-principal",
        code: "MalformedPolicyDocument",
        shown: &[
            "Invalid principal in policy",
            "MalformedPolicyDocument: Invalid principal in policy: \"AWS\":\"…\"",
            "MalformedPolicyDocument: Federated principals must be valid domain names or SAML metadata ARNs",
        ],
        seen: &["invalid principal in policy", "federated principals must be valid domain names"],
        means: "A principal does not exist or has another form than its kind wants.",
        causes: &[
            ("An OIDC provider stands under \"AWS\".", "Write it under \"Federated\"."),
            (
                "The account is a placeholder, or the role or user does not exist.",
                "Write the 12 digits; create the role first.",
            ),
            ("A principal's ARN has a wildcard.", "Name it whole, or use a condition on aws:PrincipalArn."),
        ],
        next: &[Next::Providers],
        docs: "setting-up",
        ..PLAIN
    },
    Entry {
        id: "malformed-policy",
        code: "MalformedPolicyDocument",
        shown: &[
            "This policy contains invalid Json",
            "Syntax errors in policy.",
            "Has prohibited field …",
            "Missing required field …",
            "AssumeRole policy may only specify STS AssumeRole actions.",
            "Statement IDs (SID) in a single policy must be unique.",
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
            "The policy failed legacy parsing",
        ],
        seen: &[
            "this policy contains invalid json",
            "syntax errors in policy",
            "has prohibited field",
            "missing required field",
            "assumerole policy may only specify sts assumerole actions",
            "statement ids (sid) in a single policy must be unique",
            "must be prefaced by a vendor",
            "the policy failed legacy parsing",
        ],
        means: "IAM does not store this document.",
        causes: &[
            (
                "The JSON is wrong, or a member has another name or type than the grammar's.",
                "`tagmint explain --trust-policy FILE` names the place.",
            ),
            (
                "A trust policy has Resource or NotPrincipal, or an action that does not assume a role, as sts:*.",
                "A trust policy has Principal, and sts:AssumeRoleWithWebIdentity with sts:TagSession and sts:SetSourceIdentity.",
            ),
        ],
        next: &[Next::Run("tagmint explain --token TOKEN_FILE --trust-policy FILE")],
        docs: "setting-up",
        ..PLAIN
    },
    Entry {
        id: "malformed-policy-document",
        code: "MalformedPolicyDocument",
        shown: &["MalformedPolicyDocument"],
        seen: &["malformedpolicydocument"],
        general: true,
        means: "IAM or STS does not take a policy; the words that say why are missing in the text.",
        causes: &[(
            "The trust policy or the session policy has an error.",
            "`tagmint explain --trust-policy FILE` names the place.",
        )],
        next: &[Next::Run("tagmint explain --token TOKEN_FILE --trust-policy FILE")],
        docs: "setting-up",
        ..PLAIN
    },
    Entry {
        id: "provider-url",
        code: "InvalidInput",
        shown: &["Invalid Open ID Connect Provider URL", "The specified identity provider URL is not valid"],
        seen: &["invalid open id connect provider url", "identity provider url is not valid"],
        means: "The URL cannot be registered: https, a host without port, perhaps a path, at most 255 characters.",
        causes: &[(
            "It has http, a port, a query or a fragment, or no scheme.",
            "Serve the issuer on https and port 443, and register that URL.",
        )],
        next: &[Next::Issuer],
        docs: "setting-up",
        ..PLAIN
    },
    Entry {
        id: "provider-exists",
        code: "EntityAlreadyExists",
        shown: &["Provider with url … already exists."],
        seen: &["provider with url", "entityalreadyexists"],
        means: "The account has this provider. One URL has one provider; several audiences are its client ids.",
        causes: &[(
            "It was created before, by hand or by another stack.",
            "Import it, or add the audience: aws iam add-client-id-to-open-id-connect-provider.",
        )],
        next: &[Next::Providers],
        docs: "setting-up",
        ..PLAIN
    },
    Entry {
        id: "provider-not-found",
        code: "NoSuchEntity",
        shown: &["OpenIDConnect Provider not found for arn …", "OpenId connect Provider … cannot be found."],
        seen: &["openidconnect provider not found for arn", "openid connect provider"],
        means: "The account has no provider with this ARN.",
        causes: &[("The ARN has another account, letters' case or a slash at the end.", "Copy it from the list.")],
        next: &[Next::Providers],
        docs: "no-provider",
        ..PLAIN
    },
    Entry {
        id: "thumbprint",
        code: "InvalidInput",
        shown: &[
            "Thumbprint list must contain at least one entry.",
            "Thumbprint list must contain fewer than 5 entries.",
            "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint",
        ],
        seen: &["thumbprint list must contain", "https certificate doesn't match configured thumbprint"],
        means: "The provider's thumbprints do not do. AWS trusts its own CA library first and needs one only where that fails.",
        causes: &[
            (
                "The issuer's certificate authority is not in AWS's library and has changed.",
                "Update the thumbprint: aws iam update-open-id-connect-provider-thumbprint.",
            ),
            ("The list is empty or longer than five.", "Give one to five."),
        ],
        next: &[Next::Issuer],
        docs: "no-verification-key",
        ..PLAIN
    },
    Entry {
        id: "quota",
        code: "LimitExceeded",
        shown: &["Cannot exceed quota for …"],
        seen: &["cannot exceed quota for"],
        names: true,
        means: "The account or the provider is at a quota: 100 OIDC providers an account, 100 client ids a provider.",
        causes: &[(
            "Providers or client ids were never removed.",
            "Remove those that are not used, or ask AWS for more.",
        )],
        next: &[Next::Providers],
        docs: "setting-up",
        ..PLAIN
    },
    Entry {
        id: "role-not-found",
        code: "NoSuchEntity",
        shown: &["The role with name … cannot be found."],
        seen: &["the role with name"],
        names: true,
        means: "The account has no such role. STS says \"Not authorized\" about it.",
        causes: &[(
            "The name is misspelt, has a path in it, or the account is another.",
            "aws sts get-caller-identity tells the account.",
        )],
        next: &[Next::Run("aws sts get-caller-identity")],
        docs: "not-authorized",
        ..PLAIN
    },
];
