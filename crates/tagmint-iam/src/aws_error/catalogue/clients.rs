//! Errors of clients before they ask AWS, and AWS's errors about credentials.

use super::{Entry, Next, PLAIN};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: "id-token-permission",
        code: "",
        shown: &[
            "Unable to get ACTIONS_ID_TOKEN_REQUEST_URL env variable",
            "Unable to get ACTIONS_ID_TOKEN_REQUEST_TOKEN env variable",
            "It looks like you might be trying to authenticate with OIDC. Did you mean to set the `id-token` permission?",
        ],
        seen: &[
            "unable to get actions_id_token_request",
            "did you mean to set the `id-token` permission",
            "did you mean to set the id-token permission",
        ],
        means: "The GitHub job has no ID token.",
        causes: &[
            (
                "The job or workflow has no `permissions: id-token: write`.",
                "Set it on the job, with contents: read beside it.",
            ),
            (
                "It is a pull request from a fork, or a reusable workflow whose caller lacks the permission.",
                "Run on push, or grant it in the caller.",
            ),
        ],
        next: &[Next::Token],
        docs: "credentials",
        ..PLAIN
    },
    Entry {
        id: "token-file",
        code: "",
        shown: &[
            "failed to read web identity token",
            "failed to retrieve jwt from provide source, unable to read file at …",
            "WebIdentityErr: failed fetching WebIdentity token",
        ],
        seen: &[
            "failed to read web identity token",
            "failed to retrieve jwt from provide source",
            "failed fetching webidentity token",
            "serviceaccount/token: no such file",
        ],
        means: "The client did not find the token's file.",
        causes: &[
            (
                "AWS_WEB_IDENTITY_TOKEN_FILE names a file that is not there, or not for this user.",
                "Look at it as the program's user; in a pod fsGroup makes it readable.",
            ),
            ("The pod was started before its service account was annotated.", "Start it again."),
        ],
        next: &[Next::Run("ls -l \"$AWS_WEB_IDENTITY_TOKEN_FILE\"")],
        docs: "credentials",
        ..PLAIN
    },
    Entry {
        id: "no-credentials",
        code: "",
        shown: &[
            "Unable to locate credentials",
            "Credentials could not be loaded, please check your action inputs",
            "Could not load credentials from any providers",
            "NoCredentialProviders: no valid providers in chain",
            "No valid credential sources found",
            "CredentialsProviderError",
            "the credential provider was not enabled",
            "Unable to load credentials from any of the providers in the chain",
        ],
        seen: &[
            "unable to locate credentials",
            "credentials could not be loaded",
            "could not load credentials from any providers",
            "nocredentialproviders",
            "no valid credential sources found",
            "credentialsprovidererror",
            "the credential provider was not enabled",
            "unable to load credentials from any of the providers",
        ],
        general: true,
        follows: true,
        means: "The client found no AWS credentials. What made them fail stands before it in the log.",
        causes: &[
            ("Assuming the role failed before.", "Look for the first error above it."),
            (
                "The step does not have the variables of an earlier one: another job, a container, sudo.",
                "Pass AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN on, or use `tagmint exec`.",
            ),
        ],
        next: &[Next::Run("aws configure list")],
        docs: "credentials",
        ..PLAIN
    },
    Entry {
        id: "credentials-invalid",
        code: "InvalidClientTokenId",
        shown: &[
            "The security token included in the request is invalid",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        ],
        seen: &[
            "the security token included in the request is invalid",
            "invalidclienttokenid",
            "unrecognizedclientexception",
            "invalidaccesskeyid",
            "access key id you provided does not exist",
        ],
        means: "AWS does not know these credentials. It is not about the web identity token.",
        causes: &[
            ("AWS_SESSION_TOKEN is missing or of another session.", "Set all three variables from one answer of STS."),
            (
                "They are of a stand-in, as `tagmint localaws`, and AWS itself was asked; or of another partition.",
                "Set AWS_ENDPOINT_URL, or the partition's region.",
            ),
        ],
        next: &[Next::Run("aws configure list")],
        docs: "credentials",
        ..PLAIN
    },
    Entry {
        id: "signature",
        code: "SignatureDoesNotMatch",
        shown: &[
            "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
            "The difference between the request time and the current time is too large.",
            "Signature expired: …",
        ],
        seen: &[
            "signature we calculated does not match",
            "signaturedoesnotmatch",
            "requesttimetooskewed",
            "difference between the request time and the current time is too large",
            "signature expired:",
        ],
        means: "The request's own signature is wrong. It is not about the web identity token.",
        causes: &[
            ("The clock of the machine that sends is off.", "Set it by NTP."),
            ("The secret key was cut, or has a line break or quotes around it.", "Set it again."),
            ("A proxy changes headers or the path.", "Go around it."),
        ],
        next: &[Next::Run("date -u +%s")],
        docs: "credentials",
        ..PLAIN
    },
    Entry {
        id: "unreachable",
        code: "",
        shown: &["Could not connect to the endpoint URL: …", "EndpointConnectionError"],
        seen: &["could not connect to the endpoint url", "endpointconnectionerror"],
        means: "The client did not reach AWS.",
        causes: &[
            ("The region is misspelt.", "Look at AWS_REGION."),
            (
                "The network has no way to AWS: a private subnet without an endpoint for STS, a proxy that is not set.",
                "Add a VPC endpoint for STS, or set HTTPS_PROXY.",
            ),
            ("AWS_ENDPOINT_URL names a stand-in that is not running.", "Start it, or unset the variable."),
        ],
        next: &[Next::Run("aws configure list")],
        docs: "credentials",
        ..PLAIN
    },
];
