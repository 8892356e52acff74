//! What `AssumeRoleWithWebIdentity` says about the token.

use super::{Entry, Next, PLAIN};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: "audience-not-registered",
        code: "InvalidIdentityToken",
        shown: &["Incorrect token audience"],
        seen: &["incorrect token audience"],
        means: "The token's audience is not a client id of the OIDC provider in IAM. Public reports have these words from 2022 to June 2026, for `aud` and for \
                `azp`; for an empty `azp` and for a second `aud` in the payload recordings of September 2026 have \"could not be validated\".",
        causes: &[
            (
                "`aud` is not among the provider's client ids: often sts.amazon.com for sts.amazonaws.com, or an `audience` set in the job alone.",
                "Register the audience, or ask the issuer for a token with a registered one.",
            ),
            (
                "The token has `azp`, and STS compares `azp` instead of `aud`: Keycloak, Entra ID version 2.0, Google service accounts.",
                "Register `azp` as a client id, and bind it as HOST:aud and the token's `aud` as HOST:oaud.",
            ),
            (
                "It is the wrong token: a Kubernetes default service account token (audience https://kubernetes.default.svc), an access token.",
                "Project a token with the audience sts.amazonaws.com; send the ID token.",
            ),
            (
                "The two differ in letters' case, a slash at the end or the scheme.",
                "Register exactly what the token has.",
            ),
        ],
        next: &[
            Next::Token,
            Next::Run(
                "aws iam get-open-id-connect-provider --open-id-connect-provider-arn PROVIDER_ARN --query ClientIDList",
            ),
        ],
        docs: "the-audience",
        ..PLAIN
    },
    Entry {
        id: "not-validated",
        code: "InvalidIdentityToken",
        shown: &[
            "The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements.",
        ],
        seen: &[
            "web identity token provided could not be validated",
            "web identity token that was passed could not be validated",
        ],
        means: "The signature is not valid under the issuer's key, or STS says no more about the token.",
        causes: &[
            (
                "The signature does not hold: the token was cut or altered on its way, or another key has the same `kid`.",
                "Compare the token with the one that the issuer gave; check it against the key set.",
            ),
            (
                "The token's `azp` is empty, or its payload has two `aud`, of which the last is not registered (recorded September 2026).",
                "Have the issuer write one `aud`, and no empty `azp`.",
            ),
            (
                "The audience is not registered, where STS does not say \"Incorrect token audience\".",
                "Register the audience as a client id of the provider.",
            ),
            ("The key has `key_ops`.", "Publish it without."),
        ],
        next: &[Next::Token],
        docs: "the-audience",
        ..PLAIN
    },
    Entry {
        id: "several-audiences",
        code: "InvalidIdentityToken",
        shown: &["Token audience contains more than one audience while authorized party is not present"],
        seen: &["token audience contains more than one audience"],
        means: "`aud` is a list of several, and the token has no `azp` that says whom it is for.",
        causes: &[
            (
                "The issuer was asked for several audiences, as Kubernetes does with `audiences: [a, b]`.",
                "Ask for one.",
            ),
            ("The client has several audience mappers.", "Have the issuer set `azp`, and register it as a client id."),
        ],
        next: &[Next::Token],
        docs: "the-audience",
        ..PLAIN
    },
    Entry {
        id: "expired",
        code: "ExpiredTokenException",
        shown: &[
            "Token expired: current date/time … must be before the expiration date/time …",
            "Token is expired",
            "The web identity token that was passed is expired or is not valid. Get a new identity token from the identity provider and then retry the request.",
            "ExpiredTokenException",
        ],
        seen: &[
            "token expired: current date/time",
            "token is expired",
            "web identity token that was passed is expired",
            "expiredtokenexception",
        ],
        means: "The token's `exp` is more than five minutes ago. The first time in the message is STS's clock less five minutes.",
        causes: &[
            (
                "The token was kept: in a variable, a file, a long job.",
                "Get a fresh one for each AssumeRoleWithWebIdentity; the session lasts longer than the token.",
            ),
            ("The issuer's clock is behind.", "Compare the clocks; set the issuer's by NTP."),
        ],
        next: &[Next::Token, Next::Run("date -u +%s")],
        docs: "the-time",
        ..PLAIN
    },
    Entry {
        id: "not-yet-valid",
        code: "InvalidIdentityToken",
        shown: &[
            "Token not yet valid: current date/time … must be after or equal to the not-before date/time …",
            "Token issued in the future: …",
        ],
        seen: &["token not yet valid", "token issued in the future"],
        means: "The token's `nbf` or `iat` is more than five minutes ahead of STS's clock.",
        causes: &[("The issuer's clock is ahead.", "Set it by NTP.")],
        next: &[Next::Token, Next::Run("date -u +%s")],
        docs: "the-time",
        ..PLAIN
    },
    Entry {
        id: "timestamp",
        code: "InvalidIdentityToken",
        shown: &["Invalid timestamp in token claims."],
        seen: &["invalid timestamp in token claims"],
        means: "`exp`, `nbf` or `iat` is no whole number of seconds.",
        causes: &[(
            "The issuer writes fractions, milliseconds as a fraction, a date or null.",
            "Write integers: seconds since 1970.",
        )],
        next: &[Next::Token],
        docs: "the-time",
        ..PLAIN
    },
    Entry {
        id: "missing-claim",
        code: "InvalidIdentityToken",
        shown: &["Missing a required claim: …"],
        seen: &["missing a required claim:"],
        names: true,
        means: "The token lacks a claim that STS requires: iss, sub, aud, exp and iat.",
        causes: &[
            (
                "It is an access token, which need not have `aud`; or a legacy Kubernetes service account token.",
                "Send the ID token, or a projected token with an audience.",
            ),
            ("The issuer leaves the claim out.", "Have it set the claim."),
        ],
        next: &[Next::Token],
        docs: "the-token",
        ..PLAIN
    },
    Entry {
        id: "empty-claim",
        code: "InvalidIdentityToken",
        shown: &["Claim is not allowed to be empty: …"],
        seen: &["claim is not allowed to be empty:"],
        names: true,
        means: "A required claim is there and says nothing (recorded for an empty list as `aud`).",
        causes: &[(
            "The issuer was asked for no audience, or a variable in its configuration is empty.",
            "Ask for the audience that the provider has as client id.",
        )],
        next: &[Next::Token],
        docs: "the-token",
        ..PLAIN
    },
    Entry {
        id: "not-a-jwt",
        code: "InvalidIdentityToken",
        shown: &["The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"],
        seen: &["id token provided is not a valid jwt", "not a valid jwt. (you may see this error"],
        means: "What was sent is no signed JWT, or its header has `crit`.",
        causes: &[
            ("An opaque access token was sent.", "Send the ID token."),
            (
                "The file has more than the token: JSON around it, quotes, `Bearer`, a line break in its middle.",
                "Save the bare token.",
            ),
            ("The variable is masked or empty.", "Look at its length."),
        ],
        next: &[Next::Token],
        docs: "the-token",
        ..PLAIN
    },
    Entry {
        id: "claim-format",
        code: "InvalidIdentityToken",
        shown: &[
            "principal_tags passed in claim is not in correct format.",
            "… passed in claim is not in correct format.",
        ],
        seen: &["passed in claim is not in correct format", "passed in claim are not in correct format"],
        means: "One of AWS's claims in the token (https://aws.amazon.com/tags) has another form than AWS's; the word before `passed` names it.",
        causes: &[
            (
                "Tag values are plain strings (recorded September 2026).",
                "Write {\"principal_tags\": {\"KEY\": [\"value\"]}, \"transitive_tag_keys\": [\"KEY\"]}.",
            ),
            (
                "A value is a number, null, an empty list or a list of several.",
                "Write a list of one string for each key.",
            ),
            ("A value has a character that tags don't have.", "Use letters, digits, blanks and _.:/=+-@."),
        ],
        next: &[Next::Token],
        docs: "session-tags",
        ..PLAIN
    },
    Entry {
        id: "tags-invalid",
        code: "ValidationError",
        shown: &["Unable to validate tags"],
        seen: &["unable to validate tags"],
        means: "A session tag is outside of the limits.",
        causes: &[
            (
                "A key or value has a character that tags don't have, as `*`, `|` or `,`.",
                "Use letters, digits, blanks and _.:/=+-@.",
            ),
            (
                "A value is a plain string, where STS does not name the claim.",
                "Write a list of one string for each key.",
            ),
            (
                "A key is longer than 128, a value longer than 256 characters, or there are more than 50 tags.",
                "Shorten them.",
            ),
            (
                "Two keys differ in letters' case alone, a key begins with aws:, or a transitive key names no tag.",
                "Correct the keys.",
            ),
        ],
        next: &[Next::Token],
        docs: "session-tags",
        ..PLAIN
    },
    Entry {
        id: "roles-claim",
        code: "InvalidIdentityToken",
        shown: &[
            "The target role ARN is not present in the roles claim of the identity token",
            "The roles claim contains no valid role ARNs",
            "The roles claim is not in a supported format",
        ],
        seen: &[
            "is not present in the roles claim",
            "roles claim contains no valid role arns",
            "roles claim is not in a supported format",
        ],
        means: "The token's claim https://aws.amazon.com/roles pins it to other roles, or has none that STS can read. It is checked before the trust policy.",
        causes: &[
            (
                "Another role was asked for than the token is for.",
                "Ask for a token for this role, or assume the role that it names.",
            ),
            (
                "The ARNs have wildcards, commas between them or other letters' case.",
                "Write whole ARNs as an array, or as a text with semicolons.",
            ),
        ],
        next: &[Next::Token],
        docs: "the-role",
        ..PLAIN
    },
    Entry {
        id: "stumbled",
        code: "InternalFailure",
        shown: &["Unknown error validating third-party token"],
        seen: &["unknown error validating third-party token"],
        means: "STS stumbled over the token: a required claim is null (recorded for `sub`).",
        causes: &[("`sub`, `iss` or `aud` is null.", "Have the issuer write a string.")],
        next: &[Next::Token],
        docs: "the-token",
        ..PLAIN
    },
    Entry {
        id: "invalid-token",
        code: "InvalidIdentityToken",
        shown: &["InvalidIdentityToken"],
        seen: &["invalididentitytoken"],
        general: true,
        means: "STS does not take the token; its words are missing in the text.",
        causes: &[(
            "Provider, audience, key, time or form of the token.",
            "Give the line behind the code, or explain the token itself.",
        )],
        next: &[Next::Token],
        docs: "first-the-token",
        ..PLAIN
    },
];
