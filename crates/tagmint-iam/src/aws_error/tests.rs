use super::*;

fn ids(text: &str) -> Vec<&'static str> {
    explain(text).into_iter().map(|found| found.id).collect()
}

/// One refusal as each client prints it.
#[test]
fn wrappings() {
    let no_key = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements";
    let cases: Vec<(String, &str)> = vec![
        (
            "An error occurred (InvalidIdentityToken) when calling the AssumeRoleWithWebIdentity operation: Incorrect token audience".to_owned(),
            "audience-not-registered",
        ),
        (
            "botocore.errorfactory.InvalidIdentityTokenException: An error occurred (InvalidIdentityToken) when calling the AssumeRoleWithWebIdentity \
             operation: Incorrect token audience"
                .to_owned(),
            "audience-not-registered",
        ),
        ("\u{1b}[31mError: Incorrect token audience\u{1b}[0m".to_owned(), "audience-not-registered"),
        ("2026-06-01T10:00:00.1234567Z ##[error]Could not assume role with OIDC: Not authorized to perform sts:AssumeRoleWithWebIdentity".to_owned(), "not-authorized"),
        ("deploy\tConfigure AWS\t2026-06-01T10:00:00.1234567Z ##[error]Incorrect token audience".to_owned(), "audience-not-registered"),
        ("2026-06-01T10:00:00.123456Z 00O \u{1b}[0KNot authorized to perform sts:AssumeRoleWithWebIdentity".to_owned(), "not-authorized"),
        (
            "│ Error: No valid credential sources found\n│ \n│ Error: failed to refresh cached credentials, failed to retrieve\n│ credentials, operation error \
             STS: AssumeRoleWithWebIdentity, https response\n│ error StatusCode: 400, RequestID: 6d2b51e9, api\n│ error ValidationError: Unable to\n│ validate tags\n╵"
                .to_owned(),
            "tags-invalid",
        ),
        (
            "operation error STS: AssumeRoleWithWebIdentity, https response error StatusCode: 403, RequestID: x, api error AccessDenied: Not authorized \
             to perform sts:AssumeRoleWithWebIdentity"
                .to_owned(),
            "not-authorized",
        ),
        (format!("WebIdentityErr: failed to retrieve credentials\ncaused by: InvalidIdentityToken: {no_key}\n\tstatus code: 400, request id: x"), "no-verification-key"),
        (
            format!(
                "{{\"level\":\"WARN\",\"error\":\"service error: InvalidIdentityTokenException: {no_key} (ServiceError {{ message: Some(\\\\\\\"{no_key}\\\\\\\") \
                 }})\"}}"
            ),
            "no-verification-key",
        ),
        ("InvalidIdentityToken: Couldn\u{2019}t retrieve verification key from your identity provider".to_owned(), "no-verification-key"),
        (
            "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code><Message>Couldn&apos;t retrieve verification key from your identity \
             provider,  please reference AssumeRoleWithWebIdentity documentation for requirements</Message></Error></ErrorResponse>"
                .to_owned(),
            "no-verification-key",
        ),
        (r#"{"Error":{"Code":"InvalidIdentityToken","Message":"Couldn\u0027t retrieve verification key from your identity provider"}}"#.to_owned(), "no-verification-key"),
        (
            "com.amazonaws.services.securitytoken.model.InvalidIdentityTokenException: Missing a required claim: aud (Service: \
             AWSSecurityTokenService; Status Code: 400; Error Code: InvalidIdentityToken; Request ID: x; Proxy: null)"
                .to_owned(),
            "missing-claim",
        ),
        (
            "software.amazon.awssdk.services.sts.model.StsException: Not authorized to perform sts:AssumeRoleWithWebIdentity (Service: Sts, Status Code: \
             403, Request ID: x)"
                .to_owned(),
            "not-authorized",
        ),
        (
            "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity\n    at throwDefaultError (/node_modules/@smithy) {\n  '$fault': 'client'\n}"
                .to_owned(),
            "not-authorized",
        ),
        ("Aws::STS::Errors::InvalidIdentityToken (Missing a required claim: aud)".to_owned(), "missing-claim"),
        (
            "error: STS refused: ExpiredTokenException: Token expired: current date/time 1789123337 must be before the expiration date/time 1789123312".to_owned(),
            "expired",
        ),
        ("error: refused: InvalidIdentityToken".to_owned(), "invalid-token"),
        ("ERROR Not authorized to perform\r\n  sts:AssumeRoleWithWebIdentity".to_owned(), "not-authorized"),
    ];
    for (text, expected) in cases {
        let found = ids(&text);
        assert_eq!(found.first(), Some(&expected), "{text}\n{found:?}");
        for wrapped in [
            format!("\u{feff}{text}"),
            text.to_uppercase(),
            text.to_lowercase(),
            format!("{}\n{text}\n{}", "ok ".repeat(500), "ok ".repeat(500)),
        ] {
            assert!(ids(&wrapped).contains(&expected), "{wrapped}\n{:?}", ids(&wrapped));
        }
    }
}

/// Each text by itself leads to its entry, and each entry is whole.
#[test]
fn every_text_is_found() {
    for entry in catalogue::ENTRIES.iter() {
        for shown in entry.shown {
            let text = shown.replace('…', "X");
            let found = explain(&text);
            assert!(found.iter().any(|found| found.id == entry.id), "{}: {shown}: {found:?}", entry.id);
        }
        assert!(
            !entry.shown.is_empty() && !entry.means.is_empty() && !entry.causes.is_empty() && !entry.next.is_empty(),
            "{entry:?}"
        );
        assert!(!entry.docs.is_empty() && entry.seen.iter().all(|seen| *seen == seen.to_lowercase()), "{entry:?}");
    }
    let mut names: Vec<&str> = catalogue::ENTRIES.iter().map(|entry| entry.id).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "two entries have one name");
}

#[test]
fn the_command_is_filled_in() {
    let role = "arn:aws:iam::111122223333:role/ci/deploy";
    let log = format!(
        "+ aws sts assume-role-with-web-identity --role-arn {role} --web-identity-token file:///tmp/awscreds\nAn error occurred (InvalidIdentityToken) when \
         calling the AssumeRoleWithWebIdentity operation: No OpenIDConnect provider found in your account for https://gitlab.example.com"
    );
    let found = explain(&log);
    assert_eq!(found[0].next[0], format!("tagmint explain --token /tmp/awscreds --role {role} --fetch"));
    assert_eq!(found[0].message, "No OpenIDConnect provider found in your account for https://gitlab.example.com");
    let found = explain("Missing a required claim: aud");
    assert_eq!(
        (found[0].message.as_str(), found[0].next[0].as_str()),
        ("Missing a required claim: aud", "tagmint explain --token TOKEN_FILE --role ROLE_ARN --fetch")
    );
    assert_eq!(explain("Claim is not allowed to be empty: aud.")[0].message, "Claim is not allowed to be empty: aud");
    let s3 = "An error occurred (AccessDenied) when calling the GetObject operation: User: arn:aws:sts::111122223333:assumed-role/data/me is not authorized to \
              perform: s3:GetObject on resource: \"arn:aws:s3:::data/red/x\" because no identity-based policy allows the s3:GetObject action";
    let found = explain(s3);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].next[0],
        "tagmint explain --token TOKEN_FILE --role arn:aws:iam::111122223333:role/data --fetch --action s3:GetObject --resource 'arn:aws:s3:::data/red/x'"
    );
    // An account that a runner masks is not one.
    assert!(explain("Incorrect token audience arn:aws:iam::***:role/x")[0].next[0].contains("ROLE_ARN"));
}

#[test]
fn the_root_cause_comes_first_and_nothing_is_made_up() {
    let log = "Unable to locate credentials\nNot authorized to perform sts:AssumeRoleWithWebIdentity\nAn error occurred (AccessDenied) when calling x";
    assert_eq!(ids(log), ["not-authorized"]);
    let log = "Incorrect token audience\nretry\nToken expired: current date/time 1 must be before";
    assert_eq!(ids(log), ["audience-not-registered", "expired"]);
    assert_eq!(
        ids("Unable to locate credentials. You can configure credentials by running \"aws configure\"."),
        ["no-credentials"]
    );
    for nothing in
        ["", "ok", "AssumeRoleWithWebIdentity succeeded", "access was denied to nobody", "NotInvalidIdentityToken"]
    {
        assert_eq!(ids(nothing), Vec::<&str>::new(), "{nothing}");
    }
}

#[test]
fn no_token_is_repeated() {
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";
    for log in [
        format!("No OpenIDConnect provider found in your account for {token}"),
        format!("Missing a required claim: {token}"),
        format!("Incorrect token audience AWS_WEB_IDENTITY_TOKEN_FILE={token}"),
        format!(
            "Incorrect token audience file:///{token} is not authorized to perform: {token} on resource: arn:{token}"
        ),
    ] {
        let said = serde_json::to_string(&explain(&log)).unwrap();
        assert!(!said.contains("eyJ") && !said.contains("c2ln"), "{said}");
    }
}

/// Every text is on the page that people search, and the sections that the entries name are there.
#[test]
fn the_page_has_every_text() {
    let page = include_str!("../../../../docs/troubleshooting.md");
    let page_text = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let missing: Vec<&str> =
        messages().map(|(_, message)| message).filter(|message| !page_text.contains(*message)).collect();
    assert!(missing.is_empty(), "docs/troubleshooting.md lacks: {missing:#?}");
    let anchors: Vec<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|title| title.to_lowercase().replace(' ', "-").replace([',', '\'', '`', '?'], ""))
        .collect();
    for anchor in pages() {
        assert!(anchors.iter().any(|section| section == anchor), "docs/troubleshooting.md has no section {anchor}");
    }
}

mod properties {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_panics(text in "(\\PC|\u{1b}|\n|\\[|arn:aws|incorrect token audience|missing a required claim:|eyJ){0,30}") {
            let _ = super::explain(&text);
        }
    }
}
