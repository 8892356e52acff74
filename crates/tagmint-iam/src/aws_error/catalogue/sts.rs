//! What `AssumeRoleWithWebIdentity` says about the role, the provider and the call.

use super::{Entry, Next, PLAIN};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: "not-authorized",
        code: "AccessDenied",
        shown: &["Not authorized to perform sts:AssumeRoleWithWebIdentity"],
        seen: &[
            "not authorized to perform sts:assumerolewithwebidentity",
            "not authorized to perform: sts:assumerolewithwebidentity",
        ],
        means: "The role's trust policy does not admit this token, or there is no such role. STS says the same whatever the cause.",
        causes: &[
            (
                "A condition on `sub` does not fit the token's subject: another branch, environment, pull request, spelling, or GitHub's form with ids.",
                "Compare both texts; `tagmint explain` marks where they differ.",
            ),
            (
                "A condition on `aud` does not fit. Where the token has `azp`, the key `aud` is `azp`, and the token's `aud` is the key `oaud`.",
                "Bind `azp` as `aud`, and the token's `aud` as `oaud`.",
            ),
            (
                "The token carries session tags or a source identity, and the trust policy does not allow sts:TagSession or sts:SetSourceIdentity.",
                "Allow the action beside sts:AssumeRoleWithWebIdentity in the same statement.",
            ),
            (
                "The principal is not the token's provider: another account, another URL, or an OIDC provider under \"AWS\".",
                "Write \"Principal\": {\"Federated\": \"arn:aws:iam::ACCOUNT:oidc-provider/HOST\"} with the role's own account.",
            ),
            (
                "The role's ARN is misspelt, lacks its path, or the role is in another account.",
                "Look it up: aws iam get-role --role-name NAME.",
            ),
            ("The role, its trust policy or the provider was changed seconds ago.", "Try again in a minute."),
            (
                "A denial applies: in the trust policy, or in an organisation's service or resource control policy.",
                "Ask the organisation's administrators.",
            ),
        ],
        next: &[Next::Token],
        docs: "not-authorized",
        ..PLAIN
    },
    Entry {
        id: "no-provider",
        code: "InvalidIdentityToken",
        shown: &["No OpenIDConnect provider found in your account for …"],
        seen: &["no openidconnect provider found in your account for"],
        names: true,
        means: "The role's account has no OIDC provider with exactly the token's `iss` as its URL.",
        causes: &[
            (
                "The account has no provider for the issuer.",
                "Create it: aws iam create-open-id-connect-provider --url ISSUER --client-id-list AUDIENCE.",
            ),
            (
                "The role is in another account than the provider.",
                "Create the provider in the account that the role's ARN has.",
            ),
            (
                "The URL differs in a slash at the end, in letters' case, in the path or in a port.",
                "Create the provider with the text that the token has as `iss`.",
            ),
            (
                "The token is from another issuer: another cluster, another realm, an enterprise's own issuer URL.",
                "Look at the token's `iss`, and create a provider for it or get another token.",
            ),
        ],
        next: &[Next::Token, Next::Providers],
        docs: "no-provider",
        ..PLAIN
    },
    Entry {
        id: "no-verification-key",
        code: "InvalidIdentityToken",
        shown: &[
            "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements",
        ],
        seen: &[
            "couldn't retrieve verification key from your identity provider",
            "could not retrieve verification key from your identity provider",
        ],
        means: "STS did not get the issuer's discovery document or key set, or found no key for the token in it. CloudTrail has no row about it.",
        causes: &[
            (
                "The documents cannot be reached from the internet within about five seconds over TLS that STS trusts: firewall, private network, certificate, DNS.",
                "Look at the issuer from outside.",
            ),
            (
                "The key set does not have the token's `kid`: the key was rotated, withdrawn, or belongs to another issuer.",
                "Get a new token; publish keys before they sign.",
            ),
            (
                "STS still has an older key set.",
                "Publish a key hours before it signs. AWS does not say how long STS keeps a set.",
            ),
            (
                "The key has `use` other than \"sig\", an `x5c` that contradicts it, or another algorithm than RS or ES 256 to 512; or the set has more than 100 RSA or 100 EC keys.",
                "Correct the key set.",
            ),
            ("Many jobs ask at once, and STS or the issuer limits the requests.", "Try again with growing pauses."),
        ],
        next: &[Next::Issuer, Next::Token],
        docs: "no-verification-key",
        ..PLAIN
    },
    Entry {
        id: "idp-communication",
        code: "IDPCommunicationError",
        shown: &[
            "IDPCommunicationError",
            "The request could not be fulfilled because the identity provider (IDP) that was asked to verify the incoming identity token could not be reached",
        ],
        seen: &["idpcommunicationerror", "that was asked to verify the incoming identity token could not be reached"],
        means: "STS could not reach the identity provider. It is often a matter of moments.",
        causes: &[
            ("The issuer was unreachable or slow for a moment.", "Try again with growing pauses; SDKs do."),
            ("The issuer cannot be reached from AWS at all.", "Look at it from outside."),
        ],
        next: &[Next::Issuer],
        docs: "no-verification-key",
        ..PLAIN
    },
    Entry {
        id: "idp-rejected",
        code: "IDPRejectedClaim",
        shown: &["IDPRejectedClaim", "The identity provider (IdP) reported that authentication failed"],
        seen: &["idprejectedclaim", "reported that authentication failed"],
        means: "The identity provider said no to the token: it expired, was revoked or is not its own.",
        causes: &[
            ("The token expired or was revoked.", "Get a new one."),
            ("An access token of another provider was sent with ProviderId.", "Send an ID token without ProviderId."),
        ],
        next: &[Next::Token],
        docs: "the-token",
        ..PLAIN
    },
    Entry {
        id: "oauth-provider",
        code: "AccessDenied",
        shown: &[
            "Unrecognized OAuth provider. Do not include a provider parameter when submitting OpenIDConnect ID tokens",
            "Provided Token is not a Login With Amazon token",
            "Provided Token is not a Facebook token",
        ],
        seen: &[
            "unrecognized oauth provider",
            "provided token is not a login with amazon token",
            "provided token is not a facebook token",
        ],
        means: "The call has ProviderId, which is for the access tokens of Login with Amazon and Facebook. With it the code is AccessDenied or InvalidIdentityToken.",
        causes: &[("An ID token was sent with ProviderId.", "Leave ProviderId (--provider-id) out.")],
        next: &[Next::Token],
        docs: "the-call",
        ..PLAIN
    },
    Entry {
        id: "role-arn",
        code: "ValidationError",
        shown: &["Request ARN is invalid"],
        seen: &["request arn is invalid"],
        means: "RoleArn is not the ARN of a role.",
        causes: &[
            ("The variable with the ARN is empty, or a secret's placeholder was sent.", "Print its length in the job."),
            (
                "It is a role's name, a user's, a session's or an instance profile's ARN, or the account has not 12 digits.",
                "Write arn:aws:iam::ACCOUNT:role/PATH/NAME.",
            ),
        ],
        next: &[Next::Run("aws iam get-role --role-name NAME --query Role.Arn --output text")],
        docs: "the-call",
        ..PLAIN
    },
    Entry {
        id: "parameter",
        code: "ValidationError",
        shown: &["1 validation error detected: Value '…' at '…' failed to satisfy constraint: Member must …"],
        seen: &["failed to satisfy constraint"],
        means: "A parameter is outside of its limits: the text behind `at` names it.",
        causes: &[
            ("webIdentityToken: the file is empty, or the variable was not set.", "Look at the token's file."),
            (
                "roleSessionName: 2 to 64 letters, digits and _+=,.@-, so no slash, colon or blank.",
                "Clean the name; a branch's name often has a slash.",
            ),
            ("durationSeconds: 900 to 43200.", "Ask for a session within these limits."),
            ("roleArn: 20 to 2048 characters.", "Write the role's whole ARN."),
        ],
        next: &[Next::Token],
        docs: "the-call",
        ..PLAIN
    },
    Entry {
        id: "duration",
        code: "ValidationError",
        shown: &[
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        ],
        seen: &[
            "exceeds the maxsessionduration set for this role",
            "exceeds the 1 hour session limit for roles assumed by role chaining",
        ],
        means: "The session is to last longer than the role allows. A role that another role assumes has one hour at most.",
        causes: &[
            (
                "DurationSeconds is above the role's maximum, which is an hour unless it was raised.",
                "Ask for less, or: aws iam update-role --role-name NAME --max-session-duration SECONDS.",
            ),
            ("The role is assumed by another role.", "Ask for an hour, or assume it with the token directly."),
        ],
        next: &[Next::Run("aws iam get-role --role-name NAME --query Role.MaxSessionDuration")],
        docs: "the-call",
        ..PLAIN
    },
    Entry {
        id: "region-disabled",
        code: "RegionDisabledException",
        shown: &["RegionDisabledException", "STS is not activated in this region for account"],
        seen: &["regiondisabled", "sts is not activated in this region"],
        means: "The region's STS is switched off for the role's account.",
        causes: &[(
            "The region is opt-in, or its STS was deactivated.",
            "Enable the region, or ask another region's STS (AWS_REGION).",
        )],
        next: &[Next::Run("aws account list-regions")],
        docs: "the-call",
        ..PLAIN
    },
    Entry {
        id: "throttled",
        code: "Throttling",
        shown: &["Rate exceeded", "ThrottlingException", "RequestLimitExceeded"],
        seen: &["rate exceeded", "throttlingexception", "requestlimitexceeded"],
        means: "Too many calls at once. The request itself may be right.",
        causes: &[(
            "Many jobs call STS or IAM at the same moment.",
            "Try again with growing pauses, and reuse sessions.",
        )],
        next: &[Next::Token],
        docs: "the-call",
        ..PLAIN
    },
    Entry {
        id: "packed-policy",
        code: "PackedPolicyTooLarge",
        shown: &["PackedPolicyTooLarge", "Packed size of session tags consumes …% of allotted space."],
        seen: &["packedpolicytoolarge", "packed size of"],
        means: "Session policy and session tags together are larger than AWS's unpublished packed format takes.",
        causes: &[
            ("The token has many or long session tags.", "Send fewer and shorter ones."),
            ("The session policy is long.", "Shorten it, or pass managed policies by ARN."),
        ],
        next: &[Next::Token],
        docs: "session-tags",
        ..PLAIN
    },
    Entry {
        id: "assume-role-denied",
        code: "AccessDenied",
        shown: &[
            "is not authorized to perform: sts:AssumeRole on resource: …",
            "is not authorized to perform: sts:TagSession on resource: …",
        ],
        seen: &[
            "is not authorized to perform: sts:assumerole on resource",
            "is not authorized to perform: sts:tagsession on resource",
            "is not authorized to perform: sts:assumerole",
            "is not authorized to perform: sts:tagsession",
        ],
        means: "A session or user may not assume this role: that is AssumeRole with AWS credentials, not a web identity.",
        causes: &[
            (
                "The role's trust policy does not name the caller, or its own policy does not allow sts:AssumeRole.",
                "Allow both.",
            ),
            (
                "Session tags are passed on, and the trust policy does not allow sts:TagSession.",
                "Allow sts:TagSession, too, or skip the tags (GitHub's action: role-skip-session-tagging).",
            ),
            (
                "The job was to assume the role with its ID token, and other credentials were found first.",
                "Remove AWS_ACCESS_KEY_ID, AWS_PROFILE and earlier steps' credentials.",
            ),
        ],
        next: &[Next::Run("aws sts get-caller-identity")],
        docs: "credentials",
        ..PLAIN
    },
];
