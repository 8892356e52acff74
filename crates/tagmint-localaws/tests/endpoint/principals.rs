//! What is stored of policies, and whom they mean when a role is made anew.

use serde_json::{Value, json};

use super::stage::{BUCKET, HOST, Options, ROLE_ARN, Stage, seed};

const ACCOUNT: &str = "000000000000";

async fn put(stage: &Stage, policy: &Value) -> super::stage::Answer {
    stage.s3("PUT", &format!("/{BUCKET}?policy"), Some(&stage.admin()), &policy.to_string()).await
}

fn grant(principal: &Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{BUCKET}/*"),
    }]})
}

#[tokio::test]
async fn bucket_policies_that_s3_refuses_are_not_stored() {
    let stage = Stage::new(Options::default()).await;
    let kept = stage.s3("GET", &format!("/{BUCKET}?policy"), Some(&stage.admin()), "").await.body;
    let (bucket, objects) = (format!("arn:aws:s3:::{BUCKET}"), format!("arn:aws:s3:::{BUCKET}/*"));
    let statement = |action: &str, resource: &str, condition: Value| {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": ROLE_ARN}, "Action": action, "Resource": resource, "Condition": condition,
        }]})
    };
    let none = || json!({});
    let aws = |name: &str| grant(&json!({"AWS": name}));
    for (policy, words) in [
        (statement("s3:ListBucket", &objects, none()), "Action does not apply to any resource(s) in statement"),
        (statement("s3:GetObject", &bucket, none()), "Action does not apply to any resource(s) in statement"),
        (statement("s3:GetObjekt", &objects, none()), "Policy has invalid action"),
        (statement("s3:HeadObject", &objects, none()), "Policy has invalid action"),
        (statement("sqs:SendMessage", &objects, none()), "Policy has invalid action"),
        (statement("s3:GetObject", "arn:aws:s3:::another/*", none()), "Policy has invalid resource"),
        (statement("s3:GetObject", BUCKET, none()), "Policy has invalid resource"),
        (statement("s3:GetObject", "*", none()), "Policy has invalid resource"),
        (statement("s3:GetObject", &objects.replace(":aws:", ":aws-cn:"), none()), "Policy has invalid resource"),
        (
            statement("s3:GetObject", &objects, json!({"StringEquals": {"s3:nokey": "a"}})),
            "Policy has an invalid condition key",
        ),
        (
            statement("s3:GetObject", &objects, json!({"StringLike": {"s3:prefix": "a/*"}})),
            "Conditions do not apply to combination of actions and resources in statement",
        ),
        (aws(&format!("arn:aws:iam::{ACCOUNT}:role/*")), "Invalid principal in policy"),
        (aws(&format!("arn:aws:iam::{ACCOUNT}:role/da?a")), "Invalid principal in policy"),
        (aws(&format!("arn:aws:sts::{ACCOUNT}:assumed-role/data/*")), "Invalid principal in policy"),
        (aws(&format!("arn:aws:sts::{ACCOUNT}:assumed-role/none/me")), "Invalid principal in policy"),
        (aws(&format!("arn:aws:iam::{ACCOUNT}:role/none")), "Invalid principal in policy"),
        (aws(&format!("arn:aws:iam::{ACCOUNT}:role/Data")), "Invalid principal in policy"),
        (aws(&format!("arn:aws:iam::{ACCOUNT}:user/somebody")), "Invalid principal in policy"),
        (aws("AROAQ3EGP6XCMJ7UE4T2A"), "Invalid principal in policy"),
        (aws("data"), "Invalid principal in policy"),
        (grant(&json!({"Service": "nobody.example.com"})), "Invalid principal in policy"),
    ] {
        let answer = put(&stage, &policy).await;
        assert_eq!(answer.code(), (400, "MalformedPolicy"), "{policy}: {}", answer.body);
        assert_eq!(answer.element("Message"), words, "{policy}");
    }
    assert_eq!(stage.s3("GET", &format!("/{BUCKET}?policy"), Some(&stage.admin()), "").await.body, kept);
    for principal in [
        json!({"AWS": ACCOUNT}),
        json!({"AWS": [format!("arn:aws:iam::{ACCOUNT}:root"), ROLE_ARN]}),
        json!({"AWS": format!("arn:aws:sts::{ACCOUNT}:assumed-role/data/test")}),
        json!({"AWS": format!("arn:aws:iam::{ACCOUNT}:user/administrator")}),
        json!({"AWS": "arn:aws:iam::123456789012:role/of-another-account"}),
        json!({"Service": "cloudtrail.amazonaws.com"}),
    ] {
        let answer = put(&stage, &grant(&principal)).await;
        assert_eq!(answer.status, 204, "{principal}: {}", answer.body);
    }
}

#[tokio::test]
async fn policies_of_roles_that_iam_refuses_are_not_stored() {
    let stage = Stage::new(Options::default()).await;
    let issuer = stage.host().to_owned();
    let trust = |principal: Value| {
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal,
            "Action": if principal.get("AWS").is_some() { "sts:AssumeRole" } else { "sts:AssumeRoleWithWebIdentity" }}]})
        .to_string()
    };
    let federated = |name: &str| trust(json!({"Federated": name}));
    let provider = |name: &str| format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{name}");
    let documents = [
        (federated(&provider("id.example.com")), Some("FEDERATED")),
        (federated(&format!("arn:aws:iam::{ACCOUNT}:saml-provider/none")), Some("FEDERATED")),
        (federated("id.example.com"), Some("FEDERATED")),
        (trust(json!({"AWS": provider(&issuer)})), Some("AWS")),
        (trust(json!({"AWS": format!("arn:aws:iam::{ACCOUNT}:role/none")})), Some("AWS")),
        (trust(json!({"AWS": format!("arn:aws:iam::{ACCOUNT}:role/*")})), Some("AWS")),
        (federated(&provider(&issuer)), None),
        (trust(json!({"AWS": ROLE_ARN})), None),
    ];
    for (n, (document, words)) in documents.into_iter().enumerate() {
        for (action, parameter, role) in
            [("CreateRole", "AssumeRolePolicyDocument", "new"), ("UpdateAssumeRolePolicy", "PolicyDocument", "data")]
        {
            let role = if action == "CreateRole" { format!("new-{n}") } else { role.to_owned() };
            let answer = stage.iam_call(action, &[("RoleName", &role), (parameter, &document)]).await;
            let Some(kind) = words else {
                assert_eq!(answer.status, 200, "{document}: {}", answer.body);
                continue;
            };
            assert_eq!(answer.code(), (400, "MalformedPolicyDocument"), "{document}: {}", answer.body);
            let told = answer.element("Message");
            let start = format!("Invalid principal in policy: &quot;{kind}&quot;:&quot;");
            assert!(told.replace('"', "&quot;").starts_with(&start), "{document}: {told}");
        }
    }
    let identity = |resource: &str, action: &str| {
        json!({"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]}).to_string()
    };
    for (document, words) in [
        (identity("my-bucket/*", "s3:GetObject"), "Resource my-bucket/* must be in ARN format or \"*\"."),
        (
            identity("arn:aws-cn:s3:::b/*", "s3:GetObject"),
            "Partition \"aws-cn\" is not valid for resource \"arn:aws-cn:s3:::b/*\".",
        ),
        (identity("*", "GetObject"), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
        (grant(&json!("*")).to_string(), "Policy document should not specify a principal."),
    ] {
        for (action, name) in [("PutRolePolicy", ("RoleName", "data")), ("CreatePolicy", ("Path", "/"))] {
            let answer = stage.iam_call(action, &[name, ("PolicyName", "new"), ("PolicyDocument", &document)]).await;
            assert_eq!(answer.code(), (400, "MalformedPolicyDocument"), "{document}: {}", answer.body);
            assert_eq!(answer.element("Message").replace("&quot;", "\""), words);
        }
    }
}

/// Takes the seed's role away, and makes another one of its name.
async fn made_anew(stage: &Stage) {
    let trust = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}})
        .to_string();
    for (action, params) in [
        ("DeleteRole", &[("RoleName", "data")][..]),
        ("CreateRole", &[("RoleName", "data"), ("AssumeRolePolicyDocument", &trust)][..]),
    ] {
        let answer = stage.iam_call(action, params).await;
        assert_eq!(answer.status, 200, "{action}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_role_made_anew_gets_nothing_of_a_buckets_policy() {
    for name in [ROLE_ARN.to_owned(), format!("arn:aws:sts::{ACCOUNT}:assumed-role/data/test")] {
        let dir = tempfile::tempdir().unwrap();
        let stage = Stage::new(Options { data: Some(dir.path().to_owned()), ..Options::default() }).await;
        let policy = format!("/{BUCKET}?policy");
        let own = format!("/{BUCKET}/own/mail.txt");
        assert_eq!(put(&stage, &grant(&json!({"AWS": [name.clone(), "123456789012"]}))).await.status, 204);
        let session = stage.assume(&stage.token(json!({}))).await.keys();
        assert_eq!(stage.s3("GET", &own, Some(&session), "").await.status, 200);
        let before = stage.s3("GET", &policy, Some(&stage.admin()), "").await.body;
        assert!(before.contains(&name), "{before}");
        made_anew(&stage).await;
        let stage = stage.restart().await;
        let session = stage.session_of(ROLE_ARN).await;
        assert_eq!(stage.s3("GET", &own, Some(&session), "").await.code(), (403, "AccessDenied"), "{name}");
        let shown = stage.s3("GET", &policy, Some(&stage.admin()), "").await.body;
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let gone = shown["Statement"][0]["Principal"]["AWS"][0].as_str().unwrap();
        assert!(gone.starts_with("AROA"), "{shown}");
        assert_eq!(gone.ends_with(":test"), name.contains("assumed-role"), "{shown}");
        assert_eq!(shown["Statement"][0]["Principal"]["AWS"][1], "123456789012");
        // What is shown cannot be stored again; the same text as before means the new role.
        assert_eq!(put(&stage, &shown).await.code(), (400, "MalformedPolicy"));
        assert_eq!(put(&stage, &serde_json::from_str(&before).unwrap()).await.status, 204);
        assert_eq!(stage.s3("GET", &own, Some(&session), "").await.status, 200);
    }
}

/// Everybody but a role that is gone is everybody.
#[tokio::test]
async fn a_denial_for_all_but_a_role_is_not_for_the_new_one() {
    let stage = Stage::new(Options::default()).await;
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{BUCKET}/*")},
        {"Effect": "Deny", "NotPrincipal": {"AWS": ROLE_ARN}, "Action": "s3:GetObject",
         "Resource": format!("arn:aws:s3:::{BUCKET}/*")},
    ]});
    let all = json!({"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}).to_string();
    let own = format!("/{BUCKET}/own/mail.txt");
    assert_eq!(put(&stage, &policy).await.status, 204);
    made_anew(&stage).await;
    let params = [("RoleName", "data"), ("PolicyName", "all"), ("PolicyDocument", all.as_str())];
    assert_eq!(stage.iam_call("PutRolePolicy", &params).await.status, 200);
    let session = stage.session_of(ROLE_ARN).await;
    assert_eq!(stage.s3("GET", &own, Some(&session), "").await.code(), (403, "AccessDenied"));
}

#[tokio::test]
async fn a_role_made_anew_is_not_trusted() {
    let mut seed = seed();
    // Named before the role that it trusts.
    seed["roles"].as_array_mut().unwrap().insert(
        0,
        json!({
            "name": "next",
            "trust_policy": {"Statement": [{"Effect": "Allow", "Principal": {"AWS": ROLE_ARN},
                "Action": ["sts:AssumeRole", "sts:TagSession"]}]},
        }),
    );
    let stage = Stage::new(Options { seed: Some(seed), ..Options::default() }).await;
    let next =
        format!("Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::{ACCOUNT}:role/next&RoleSessionName=test");
    let session = stage.assume(&stage.token(json!({}))).await.keys();
    assert_eq!(stage.sts(&next, &session).await.status, 200);
    made_anew(&stage).await;
    let session = stage.session_of(ROLE_ARN).await;
    assert_eq!(stage.sts(&next, &session).await.code(), (403, "AccessDenied"));
    let shown = stage.iam_call("GetRole", &[("RoleName", "next")]).await;
    assert!(shown.element("AssumeRolePolicyDocument").contains("%22AWS%22%3A%22AROA"), "{}", shown.body);
}

#[tokio::test]
async fn a_seed_names_what_is_not_there() {
    let mut seed = seed();
    seed["buckets"][0]["policy"]["Statement"][0]["Principal"] = json!({"AWS": "arn:aws:iam::000000000000:role/none"});
    seed = serde_json::from_str(&seed.to_string().replace(HOST, "localhost:8443")).unwrap();
    let refused = Stage::open(&Options { seed: Some(seed), ..Options::default() }).unwrap_err();
    let told = "Invalid principal in policy ($.Statement[0].Principal: there is no `arn:aws:iam::000000000000:role/none` in the account";
    assert!(refused.contains(told), "{refused}");
}
