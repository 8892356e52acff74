//! What S3 says to a session, and other services in the same words.

use super::{Entry, Next, PLAIN};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: "explicit-deny",
        code: "AccessDenied",
        shown: &[
            "with an explicit deny in a resource-based policy",
            "with an explicit deny in an identity-based policy",
            "with an explicit deny in a service control policy",
            "with an explicit deny in a resource control policy",
            "with an explicit deny in a VPC endpoint policy",
            "with an explicit deny in a permissions boundary",
            "with an explicit deny in a session policy",
            "with an explicit deny",
        ],
        seen: &[
            "with an explicit deny in a resource-based policy",
            "with an explicit deny in an identity-based policy",
            "with an explicit deny in a service control policy",
            "with an explicit deny in a resource control policy",
            "with an explicit deny in a vpc endpoint policy",
            "with an explicit deny in a permissions boundary",
            "with an explicit deny in a session policy",
            "with an explicit deny",
        ],
        means: "A statement denies it, and a denial wins over every Allow. The words behind `in` say in which kind of policy.",
        causes: &[
            (
                "The session asks for what the statement keeps away: another prefix, a request without TLS, a session without its tag.",
                "Ask within the session's own prefix; `tagmint explain` names the statement.",
            ),
            (
                "A condition with a negated operator is true because its key is missing.",
                "Guard it with Null, or set the key.",
            ),
        ],
        next: &[Next::Access],
        docs: "refused-by-s3",
        ..PLAIN
    },
    Entry {
        id: "no-allow",
        code: "AccessDenied",
        shown: &[
            "because no identity-based policy allows the … action",
            "because no resource-based policy allows the … action",
            "because no session policy allows the … action",
            "because no permissions boundary allows the … action",
            "because no service control policy allows the … action",
            "because no VPC endpoint policy allows the … action",
        ],
        seen: &[
            "because no identity-based policy allows",
            "because no resource-based policy allows",
            "because no session policy allows",
            "because no permissions boundary allows",
            "because no service control policy allows",
            "because no vpc endpoint policy allows",
        ],
        means: "No statement allows it.",
        causes: &[
            (
                "The action or the resource is not in the role's policy: objects need arn:aws:s3:::BUCKET/*, listing needs the bucket itself.",
                "Allow the action on that kind of resource.",
            ),
            (
                "The resource has a policy variable, as ${aws:PrincipalTag/KEY}, and the session has no such tag.",
                "Assume the role with the token that carries the tag.",
            ),
            (
                "A condition is false, as on s3:prefix without the slash at the end.",
                "List the prefix exactly as the policy has it.",
            ),
        ],
        next: &[Next::Access],
        docs: "refused-by-s3",
        ..PLAIN
    },
    Entry {
        id: "head-forbidden",
        code: "403",
        shown: &[
            "An error occurred (403) when calling the HeadObject operation: Forbidden",
            "An error occurred (403) when calling the HeadBucket operation: Forbidden",
        ],
        seen: &["when calling the headobject operation: forbidden", "when calling the headbucket operation: forbidden"],
        means: "An answer to a HEAD request has no body, so the reason is missing.",
        causes: &[
            ("The session may not read the object.", "Ask with --action s3:GetObject."),
            (
                "The object is not there, and the session may not list: S3 says 403 in place of 404.",
                "List the prefix with a session that may.",
            ),
        ],
        next: &[Next::Access],
        docs: "refused-by-s3",
        ..PLAIN
    },
    Entry {
        id: "no-bucket",
        code: "NoSuchBucket",
        shown: &["The specified bucket does not exist"],
        seen: &["the specified bucket does not exist", "nosuchbucket"],
        means: "There is no bucket of this name, or the endpoint is another one.",
        causes: &[("The name is misspelt, or AWS_ENDPOINT_URL leads elsewhere.", "Look at both.")],
        next: &[Next::Run("aws s3api list-buckets --query 'Buckets[].Name'")],
        docs: "refused-by-s3",
        ..PLAIN
    },
    Entry {
        id: "other-region",
        code: "PermanentRedirect",
        shown: &[
            "The bucket you are attempting to access must be addressed using the specified endpoint.",
            "The authorization header is malformed; the region '…' is wrong; expecting '…'",
        ],
        seen: &[
            "must be addressed using the specified endpoint",
            "the authorization header is malformed",
            "permanentredirect",
        ],
        means: "The bucket is in another region.",
        causes: &[("The region is not the bucket's.", "Set AWS_REGION to the bucket's region.")],
        next: &[Next::Run("aws s3api get-bucket-location --bucket BUCKET")],
        docs: "refused-by-s3",
        ..PLAIN
    },
    Entry {
        id: "session-expired",
        code: "ExpiredToken",
        shown: &["The provided token has expired.", "The security token included in the request is expired"],
        seen: &["the provided token has expired", "the security token included in the request is expired"],
        means: "The role's session is over. It is not about the web identity token.",
        causes: &[(
            "The credentials were kept longer than the session lasts.",
            "Assume the role again with a fresh token; let the SDK do it (credential_process).",
        )],
        next: &[Next::Run("aws sts get-caller-identity")],
        docs: "the-time",
        ..PLAIN
    },
    Entry {
        id: "access-denied",
        code: "AccessDenied",
        shown: &["Access Denied", "AccessDenied", "AccessDeniedException"],
        seen: &["access denied", "accessdenied"],
        general: true,
        means: "Access was refused, and the text does not say why.",
        causes: &[
            (
                "S3: the action or resource is not allowed to the session, or a statement denies it.",
                "Ask with --action and --resource.",
            ),
            ("STS: the trust policy does not admit the token.", "Explain the token."),
        ],
        next: &[Next::Access, Next::Token],
        docs: "refused-by-s3",
        ..PLAIN
    },
];
