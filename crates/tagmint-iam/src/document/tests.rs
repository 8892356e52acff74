use serde_json::{Value, json};

use super::*;

fn trust() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/id.example.com"},
        "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringLike": {"id.example.com:sub": "repo:acme/app:*"}},
    }]})
}

fn own() -> Value {
    json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/a+b/*"}})
}

fn bucket() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/*",
    }]})
}

fn parsed(kind: Kind, value: &Value) -> Policy {
    Policy::parse_as(kind, &value.to_string()).unwrap()
}

/// RFC 3986, as IAM's API encodes documents.
fn url_encoded(text: &str) -> String {
    let encode = |byte: u8| {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(encode).collect()
}

fn utf16(text: &str, mark: bool, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let mark = mark.then_some(0xfeff);
    mark.into_iter().chain(text.encode_utf16()).flat_map(bytes).collect()
}

#[test]
fn encodings_and_quotes() {
    let plain = trust().to_string();
    let pretty = serde_json::to_string_pretty(&trust()).unwrap();
    let in_string = json!(plain).to_string();
    let texts = [
        plain.clone(),
        pretty.clone(),
        pretty.replace('\n', "\r\n"),
        format!("\u{feff}{plain}"),
        format!("  \n\t{plain}\n\n"),
        in_string.clone(),
        json!(in_string).to_string(),
        format!("'{plain}'"),
        format!("\"{plain}\""),
        format!("\u{201c}{plain}\u{201d}"),
        plain.replace('"', "\\\""),
        pretty.replace('"', "\\\""),
        url_encoded(&plain),
        url_encoded(&pretty),
        url_encoded(&url_encoded(&plain)),
        format!("\"{}\"", url_encoded(&plain)),
        json!(url_encoded(&plain)).to_string(),
        format!("```json\n{pretty}\n```\n"),
        format!("```\n{pretty}\n```"),
    ];
    for text in &texts {
        let files = [
            text.clone().into_bytes(),
            utf16(text, true, u16::to_le_bytes),
            utf16(text, true, u16::to_be_bytes),
            utf16(text, false, u16::to_le_bytes),
            utf16(text, false, u16::to_be_bytes),
        ];
        // Without a mark the first character tells: one of ASCII.
        let files = if text.starts_with(|c: char| c.is_ascii()) { &files[..] } else { &files[..3] };
        for file in files {
            let found = policy(Kind::Trust, file, None).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(found.policy, parsed(Kind::Trust, &trust()), "{text}");
        }
    }
    assert_eq!(policy(Kind::Trust, &[0xff, 0xfe, 0x00, 0xd8], None), Err(DocumentError::Encoding));
    assert_eq!(policy(Kind::Trust, b"{\"a\": \"\xff\"}", None), Err(DocumentError::Encoding));
    for empty in [&b""[..], b" \n", b"\xef\xbb\xbf", b"\"\""] {
        assert_eq!(policy(Kind::Trust, empty, None), Err(DocumentError::Empty), "{empty:?}");
    }
}

const ARN: &str = "arn:aws:iam::111122223333:role/app";

/// What the CLI, CloudFormation, Terraform and Pulumi put around a policy.
#[test]
fn outputs_of_other_programs() {
    let (trust_text, own_text) = (trust().to_string(), own().to_string());
    let tags = [("team".to_owned(), "blue".to_owned())];
    let role = json!({"RoleName": "app", "Arn": ARN, "AssumeRolePolicyDocument": trust(), "Tags": [{"Key": "team", "Value": "blue"}]});
    let mut encoded = role.clone();
    encoded["AssumeRolePolicyDocument"] = json!(url_encoded(&trust_text));
    let state = json!({"name": "app", "arn": ARN, "assume_role_policy": trust_text, "tags": {"team": "blue"}, "inline_policy": [{"policy": own_text}]});
    let trusts = [
        (json!({"Role": {"RoleName": "app", "AssumeRolePolicyDocument": trust()}}), None),
        (json!({"Role": role}), Some(ARN)),
        (json!({"Role": encoded}), Some(ARN)),
        (role.clone(), Some(ARN)),
        (json!([role]), Some(ARN)),
        (json!({"Roles": [role], "IsTruncated": false}), Some(ARN)),
        (
            json!({"RoleDetailList": [{"RoleName": "app", "Arn": ARN, "AssumeRolePolicyDocument": trust(), "Tags": [{"Key": "team", "Value": "blue"}],
            "RolePolicyList": [{"PolicyName": "x", "PolicyDocument": own()}]}], "Policies": []}),
            Some(ARN),
        ),
        (json!({"AssumeRolePolicyDocument": trust()}), None),
        (json!({"AssumeRolePolicyDocument": trust_text}), None),
        (
            json!({"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust(), "Policies": [{"PolicyName": "x", "PolicyDocument": own()}]}}),
            None,
        ),
        (
            json!({"Resources": {"App": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust()}}, "Data": {"Type": "AWS::S3::Bucket"}}}),
            None,
        ),
        (json!({"resources": [{"type": "aws_iam_role", "instances": [{"attributes": state}]}]}), Some(ARN)),
        (
            json!({"values": {"root_module": {"resources": [{"address": "aws_iam_role.app", "values": state}]}}}),
            Some(ARN),
        ),
        (json!({"deployment": {"resources": [{"outputs": {"assumeRolePolicy": trust_text}}]}}), None),
        (json!({"PolicyDocument": trust()}), None),
    ];
    for (document, arn) in trusts {
        let found = policy(Kind::Trust, document.to_string().as_bytes(), None)
            .unwrap_or_else(|error| panic!("{document:#}: {error}"));
        assert_eq!((found.policy, found.role_arn.as_deref()), (parsed(Kind::Trust, &trust()), arn), "{document:#}");
        assert_eq!(found.role_tags, if arn.is_some() { &tags[..] } else { &[] }, "{document:#}");
    }
    for document in [
        json!({"RoleName": "app", "PolicyName": "x", "PolicyDocument": own()}),
        json!({"RoleName": "app", "PolicyName": "x", "PolicyDocument": url_encoded(&own_text)}),
        json!({"PolicyVersion": {"Document": own(), "VersionId": "v1", "IsDefaultVersion": true}}),
        json!({"Document": own_text}),
        json!({"policy": own_text}),
        json!({"RoleDetailList": [{"RoleName": "app", "AssumeRolePolicyDocument": trust(), "RolePolicyList": [{"PolicyName": "x", "PolicyDocument": own()}]}]}),
    ] {
        let found = policy(Kind::Identity, document.to_string().as_bytes(), None)
            .unwrap_or_else(|error| panic!("{document:#}: {error}"));
        assert_eq!(found.policy, parsed(Kind::Identity, &own()), "{document:#}");
    }
    for document in [
        json!({"Policy": bucket().to_string()}),
        json!({"Policy": bucket()}),
        json!({"Properties": {"Bucket": "data", "PolicyDocument": bucket()}}),
    ] {
        let found = policy(Kind::Resource, document.to_string().as_bytes(), None)
            .unwrap_or_else(|error| panic!("{document:#}: {error}"));
        assert_eq!(found.policy, parsed(Kind::Resource, &bucket()), "{document:#}");
    }
}

#[test]
fn one_of_several_roles() {
    let mut other = trust();
    other["Statement"][0]["Condition"]["StringLike"]["id.example.com:sub"] = json!("repo:acme/vpn:*");
    let other_arn = "arn:aws:iam::111122223333:role/team/vpn";
    let document = json!({"Roles": [
        {"RoleName": "app", "Arn": ARN, "AssumeRolePolicyDocument": trust()}, {"RoleName": "vpn", "Arn": other_arn, "AssumeRolePolicyDocument": other},
    ]});
    let read = |role| policy(Kind::Trust, document.to_string().as_bytes(), role);
    assert_eq!(read(Some(other_arn)).unwrap().policy, parsed(Kind::Trust, &other));
    assert_eq!(read(Some(ARN)).unwrap().role_arn.as_deref(), Some(ARN));
    for role in [None, Some("arn:aws:iam::111122223333:role/none")] {
        let error = read(role).unwrap_err().to_string();
        assert!(error.contains(ARN) && error.contains(other_arn) && error.contains("--role-arn"), "{error}");
    }
    let template = json!({"Resources": {
        "App": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust()}},
        "Vpn": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": other, "RoleName": "vpn"}},
    }});
    let found = policy(Kind::Trust, template.to_string().as_bytes(), Some(other_arn)).unwrap();
    assert_eq!(found.policy, parsed(Kind::Trust, &other));
}

#[test]
fn functions_of_cloudformation() {
    let mut template = trust();
    let principal = "arn:aws:iam::${AWS::AccountId}:oidc-provider/id.example.com";
    for function in [
        json!({"Fn::Sub": principal}),
        json!({"Fn::Sub": ["arn:aws:iam::${AWS::AccountId}:oidc-provider/${Host}", {"Host": "id.example.com"}]}),
        json!({"Fn::Join": ["", ["arn:aws:iam::", {"Ref": "AWS::AccountId"}, ":oidc-provider/id.example.com"]]}),
    ] {
        template["Statement"][0]["Principal"]["Federated"] = function;
        let mut expected = trust();
        expected["Statement"][0]["Principal"]["Federated"] = json!(principal);
        assert_eq!(
            policy(Kind::Trust, template.to_string().as_bytes(), None).unwrap().policy,
            parsed(Kind::Trust, &expected)
        );
    }
    for function in
        [json!({"Ref": "GithubProvider"}), json!({"Fn::GetAtt": ["P", "Arn"]}), json!({"Fn::ImportValue": "provider"})]
    {
        template["Statement"][0]["Principal"]["Federated"] = function;
        let error = policy(Kind::Trust, template.to_string().as_bytes(), None).unwrap_err().to_string();
        assert!(
            error.starts_with("$.Statement[0].Principal.Federated is") && error.contains("aws iam get-role"),
            "{error}"
        );
    }
}

/// What cannot be taken says what it is, and what to give.
#[test]
fn what_is_no_policy_is_named() {
    let good = serde_json::to_string_pretty(&trust()).unwrap();
    let cases = [
        (good.replacen("\"Effect\"", "// who\n\"Effect\"", 1), "line 5 has a comment"),
        (good.replacen("\"Effect\"", "/* who */ \"Effect\"", 1), "has a comment"),
        (good.replacen("\"Effect\"", "# who\n\"Effect\"", 1), "has a comment"),
        (good.replacen("\"Allow\",", "\"Allow\",\n},", 1), "has a comma before `}`"),
        (good.replacen("}\n      },", "},\n      },", 1).replacen("\n  ]", ",\n  ]", 1), "has a comma before `"),
        (good.replace('"', "'"), "single quotes"),
        (good.replacen('"', "\u{201c}", 1), "typographic quotes"),
        (good.replacen("  \"", "\u{a0} \"", 1), "U+00A0"),
        (good[..good.len() - 3].to_owned(), "not acceptable JSON: EOF"),
        (good.replacen("\"2012-10-17\"", "\"2012-10-17", 1), "closing quote"),
        (good.replacen("\"Effect\": \"Allow\"", "\"Effect\": \"Allow\", \"Effect\": \"Deny\"", 1), "stands twice"),
        ("Version: '2012-10-17'\nStatement:\n- Effect: Allow\n".to_owned(), "it is YAML"),
        ("Role:\n  Arn: x\n".to_owned(), "it is YAML"),
        (
            "resource \"aws_iam_role\" \"x\" {\n  assume_role_policy = jsonencode({})\n}".to_owned(),
            "terraform show -json",
        ),
        ("<html><body>".to_owned(), "XML or HTML"),
        ("ROLE\tarn:aws:iam::1:role/x\t2026".to_owned(), "--output json"),
        ("-----------\n|  GetRole  |\n".to_owned(), "--output json"),
        ("An error occurred (NoSuchEntity) when calling the GetRole operation: x".to_owned(), "--error"),
        ("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.".to_owned(), "give it as --token"),
        (json!({"Url": "id.example.com", "ClientIDList": ["a"]}).to_string(), "--provider FILE"),
        (json!({"OpenIDConnectProviderList": [{"Arn": "x"}]}).to_string(), "get-open-id-connect-provider"),
        (json!({"PolicyNames": ["x"]}).to_string(), "aws iam get-role "),
        (json!({"AttachedPolicies": [{"PolicyName": "x", "PolicyArn": "arn:p"}]}).to_string(), "--policy-arn arn:p"),
        (
            json!({"Policy": {"Arn": "arn:p", "DefaultVersionId": "v3"}}).to_string(),
            "--policy-arn arn:p --version-id v3",
        ),
        (json!({"Versions": [{"VersionId": "v1"}]}).to_string(), "get-policy-version"),
        (json!({"keys": []}).to_string(), "--jwks"),
        (json!({"Credentials": {"SecretAccessKey": "hidden"}}).to_string(), "`aws sts`"),
        (json!({"RoleName": "app", "PolicyName": "x", "PolicyDocument": own()}).to_string(), "no trust policy"),
        (json!({"Role": {"RoleName": "app"}}).to_string(), "unknown member"),
    ];
    for (text, expected) in cases {
        let error = policy(Kind::Trust, text.as_bytes(), None).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}\n{error}");
        assert!(!error.contains("hidden") && !error.contains("eyJ"), "{error}");
    }
    let error =
        policy(Kind::Identity, json!({"PolicyNames": ["x"]}).to_string().as_bytes(), None).unwrap_err().to_string();
    assert!(error.contains("--policy-name x"), "{error}");
    let error =
        policy(Kind::Resource, json!({"Role": {"AssumeRolePolicyDocument": trust()}}).to_string().as_bytes(), None);
    assert!(error.unwrap_err().to_string().contains("get-bucket-policy"));
}

#[test]
fn descriptions_of_providers() {
    for document in [
        json!({"Url": "id.example.com/a", "ClientIDList": ["x", "y"], "ThumbprintList": [], "CreateDate": "2026"}),
        json!({"Type": "AWS::IAM::OIDCProvider", "Properties": {"Url": "https://id.example.com/a", "ClientIdList": ["x", "y"]}}),
        json!({"values": {"url": "https://id.example.com/a", "client_id_list": ["x", "y"]}}),
    ] {
        let expected =
            Provider { url: "https://id.example.com/a".to_owned(), client_ids: vec!["x".to_owned(), "y".to_owned()] };
        assert_eq!(provider(document.to_string().as_bytes()), Ok(expected), "{document}");
    }
    assert!(provider(trust().to_string().as_bytes()).unwrap_err().to_string().contains("get-open-id-connect-provider"));
}

#[test]
fn tokens_as_people_save_them() {
    let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";
    for text in [
        jwt.to_owned(),
        format!("{jwt}\r\n"),
        format!("\u{feff}{jwt}\n"),
        format!("\"{jwt}\""),
        format!("'{jwt}'\n"),
        format!("Bearer {jwt}"),
        format!("Authorization: Bearer {jwt}"),
        format!("{}\n{}", &jwt[..20], &jwt[20..]),
        format!("{{\"count\": 1, \"value\": \"{jwt}\"}}"),
        format!("{{\"access_token\": \"opaque\", \"id_token\": \"{jwt}\"}}"),
        format!("{{\"status\": {{\"token\": \"{jwt}\"}}}}"),
    ] {
        assert_eq!(token(&text), jwt, "{text}");
    }
    for other in ["Atza|IQEBL a", "not a token", "{", "{\"a\": 1}", ""] {
        assert_eq!(token(other), other);
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(prop_oneof![Just(b'{'), Just(b'"'), Just(b'%'), Just(b'\\'), any::<u8>()], 0..60)) {
            for kind in [Kind::Trust, Kind::Identity] {
                let _ = policy(kind, &bytes, None);
            }
            let _ = provider(&bytes);
            let _ = text(&bytes).map(|text| token(&text));
        }
    }
}
