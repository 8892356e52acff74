//! The endpoint in process: an issuer over TLS, plain HTTP requests signed by the SDK's signer, a clock that moves.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conditional;
mod operations;
mod page;
mod principals;
mod requests;
mod scope;
mod stage;

use jiff::SignedDuration;
use serde_json::json;
use stage::{BUCKET, Keys, Options, Stage, seed};

/// A tag's owner reads below its tag.
#[tokio::test]
async fn a_session_reads_its_own_until_it_ends() {
    let stage = Stage::new(Options::default()).await;
    let session = stage.assume(&stage.token(json!({}))).await.keys();
    let (own, foreign) = (format!("/{BUCKET}/own/mail.txt"), format!("/{BUCKET}/foreign/mail.txt"));
    let get = async |path: &str| stage.s3("GET", path, Some(&session), "").await;
    assert_eq!(get(&own).await.told(), (200, "own mail".to_owned()));
    assert_eq!(get(&foreign).await.code(), (403, "AccessDenied"));
    stage.clock.advance(SignedDuration::from_secs(3599));
    assert_eq!(get(&own).await.status, 200, "the last second");
    stage.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(get(&own).await.code(), (400, "ExpiredToken"));
}

#[tokio::test]
async fn tokens_are_verified_as_sts_does() {
    let stage = Stage::new(Options::default()).await;
    let now = stage.now();
    for (claims, status, code) in [
        (json!({"exp": now - 301}), 400, "ExpiredTokenException"),
        (json!({"aud": "another"}), 400, "InvalidIdentityToken"),
        (json!({"iss": "https://id.example.com"}), 400, "InvalidIdentityToken"),
        (json!({"https://aws.amazon.com/tags": null}), 403, "AccessDenied"),
        (json!({"https://aws.amazon.com/roles": "arn:aws:iam::000000000000:role/other"}), 400, "InvalidIdentityToken"),
    ] {
        let answer = stage.assume(&stage.token(claims.clone())).await;
        assert_eq!(answer.code(), (status, code), "{claims}: {}", answer.body);
    }
    assert_eq!(stage.assume("x.y.z").await.code(), (400, "InvalidIdentityToken"));
    assert_eq!(stage.assume(&stage.token(json!({"exp": now - 299}))).await.status, 200, "within the leeway");
}

#[tokio::test]
async fn documents_come_over_verified_tls_alone() {
    let stage = Stage::new(Options { trusted: false, ..Options::default() }).await;
    let answer = stage.assume(&stage.token(json!({}))).await;
    assert_eq!(answer.code(), (400, "InvalidIdentityToken"), "{}", answer.body);
    assert!(answer.body.contains("verification key"), "{}", answer.body);
}

#[tokio::test]
async fn everything_but_sessions_outlives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let data = Some(dir.path().to_owned());
    let stage = Stage::new(Options { data, ..Options::default() }).await;
    let session = stage.assume(&stage.token(json!({}))).await.keys();
    let admin = stage.admin();
    let stage = stage.restart().await;
    let identity = stage.sts("Action=GetCallerIdentity&Version=2011-06-15", &admin).await;
    assert!(identity.body.contains("<Arn>arn:aws:iam::000000000000:user/administrator</Arn>"), "{}", identity.body);
    let object = stage.s3("GET", &format!("/{BUCKET}/own/mail.txt"), Some(&admin), "").await;
    assert_eq!(object.told(), (200, "own mail".to_owned()));
    let gone = stage.sts("Action=GetCallerIdentity&Version=2011-06-15", &session).await;
    assert_eq!(gone.code(), (403, "InvalidClientTokenId"));
    assert_eq!(stage.assume(&stage.token(json!({}))).await.status, 200, "role and provider are there");
}

#[tokio::test]
async fn a_role_made_anew_is_another_one() {
    let stage = Stage::new(Options::default()).await;
    let (admin, session) = (stage.admin(), stage.assume(&stage.token(json!({}))).await.keys());
    let put = "Action=PutRolePolicy&Version=2010-05-08&RoleName=data&PolicyName=all&PolicyDocument=%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3A*%22%2C%22Resource%22%3A%22*%22%7D%7D";
    assert_eq!(stage.iam(put, &admin).await.status, 200);
    let foreign = format!("/{BUCKET}/foreign/mail.txt");
    assert_eq!(stage.s3("GET", &foreign, Some(&session), "").await.status, 200, "the role's policy counts at once");
    let conflict = stage.iam("Action=DeleteRole&Version=2010-05-08&RoleName=data", &admin).await;
    assert_eq!(conflict.code(), (409, "DeleteConflict"));
    stage.iam("Action=DeleteRolePolicy&Version=2010-05-08&RoleName=data&PolicyName=all", &admin).await;
    stage.iam("Action=DeleteRole&Version=2010-05-08&RoleName=data", &admin).await;
    stage.iam("Action=CreateRole&Version=2010-05-08&RoleName=data&AssumeRolePolicyDocument=%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22sts%3AAssumeRole%22%2C%22Principal%22%3A%7B%22AWS%22%3A%22*%22%7D%7D%7D", &admin).await;
    assert_eq!(stage.iam(put, &admin).await.status, 200);
    assert_eq!(stage.s3("GET", &foreign, Some(&session), "").await.code(), (403, "AccessDenied"));
}

#[tokio::test]
async fn plain_http_is_told_to_policies() {
    let mut seed = seed();
    let deny = json!({
        "Effect": "Deny", "Principal": {"AWS": stage::ROLE_ARN}, "Action": "s3:*", "Resource": [format!("arn:aws:s3:::{BUCKET}/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    });
    seed["buckets"][0]["policy"]["Statement"].as_array_mut().unwrap().push(deny);
    for (secure_transport, status) in [(false, 403), (true, 200)] {
        let options = Options { seed: Some(seed.clone()), secure_transport, ..Options::default() };
        let stage = Stage::new(options).await;
        let session = stage.assume(&stage.token(json!({}))).await.keys();
        let answer = stage.s3("GET", &format!("/{BUCKET}/own/mail.txt"), Some(&session), "").await;
        assert_eq!(answer.status, status, "{}", answer.body);
        if status == 403 {
            assert!(answer.body.contains("with an explicit deny in a resource-based policy"), "{}", answer.body);
            assert!(answer.body.contains("start tagmint localaws with --secure-transport"), "{}", answer.body);
            let other = stage.s3("GET", &format!("/{BUCKET}/foreign/mail.txt"), Some(&session), "").await;
            assert!(
                other.body.contains("--secure-transport"),
                "the statement for TLS is what denies it: {}",
                other.body
            );
            let list = stage.s3("GET", &format!("/{BUCKET}"), Some(&session), "").await;
            assert!(!list.body.contains("--secure-transport"), "no statement for TLS is about it: {}", list.body);
        }
    }
}

#[tokio::test]
async fn strangers_see_public_buckets_alone() {
    let stage = Stage::new(Options::default()).await;
    let admin = stage.admin();
    let own = format!("/{BUCKET}/own/mail.txt");
    assert_eq!(stage.s3("GET", &own, None, "").await.code(), (403, "AccessDenied"));
    let public = json!({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::{BUCKET}/own/*")}})
    .to_string();
    let policy = format!("/{BUCKET}?policy");
    assert_eq!(stage.s3("PUT", &policy, Some(&admin), &public).await.code(), (403, "AccessDenied"));
    let opened = stage.s3("DELETE", &format!("/{BUCKET}?publicAccessBlock"), Some(&admin), "").await;
    assert_eq!(opened.status, 204);
    assert_eq!(stage.s3("PUT", &policy, Some(&admin), &public).await.status, 204);
    assert_eq!(stage.s3("GET", &own, None, "").await.told(), (200, "own mail".to_owned()));
    assert_eq!(stage.s3("GET", &format!("/{BUCKET}/foreign/mail.txt"), None, "").await.code(), (403, "AccessDenied"));
}

#[tokio::test]
async fn the_query_protocol_names_what_is_wrong() {
    let stage = Stage::new(Options::default()).await;
    let admin = stage.admin();
    for (form, status, code) in [
        ("Version=2010-05-08", 400, "MissingAction"),
        ("Action=GetRole&Version=2006-03-01", 400, "InvalidAction"),
        ("Action=GetRole&Version=2010-05-08", 400, "ValidationError"),
        ("Action=GetRole&Version=2010-05-08&RoleName=none", 404, "NoSuchEntity"),
        ("Action=CreateUser&Version=2010-05-08&UserName=x", 501, "NotImplemented"),
        ("Action=CreateWorld&Version=2010-05-08", 400, "InvalidAction"),
        ("Action=CreateRole&Version=2011-06-15&RoleName=x", 400, "InvalidAction"),
        ("Action=CreateRole&Version=2010-05-08&RoleName=a/b&AssumeRolePolicyDocument={}", 400, "ValidationError"),
        (
            "Action=AttachRolePolicy&Version=2010-05-08&RoleName=data&PolicyArn=arn:aws:iam::aws:policy/None",
            404,
            "NoSuchEntity",
        ),
    ] {
        let answer = stage.iam(form, &admin).await;
        assert_eq!(answer.code(), (status, code), "{form}: {}", answer.body);
    }
    let federation = stage.sts("Action=GetFederationToken&Version=2011-06-15&Name=x", &admin).await;
    assert_eq!(federation.code(), (501, "NotImplemented"));
    let unsigned = stage.post("Action=GetCallerIdentity&Version=2011-06-15", None, "sts").await;
    assert_eq!(unsigned.code(), (403, "MissingAuthenticationToken"));
    let for_iam = stage.post("Action=GetCallerIdentity&Version=2011-06-15", Some(&admin), "iam").await;
    assert_eq!(for_iam.code(), (403, "SignatureDoesNotMatch"));
    let stranger = Keys { id: "AKIAIOSFODNN7EXAMPLE".to_owned(), ..admin };
    assert_eq!(stage.iam("Action=ListRoles&Version=2010-05-08", &stranger).await.code(), (403, "InvalidClientTokenId"));
    assert!(unsigned.body.starts_with(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>"
    ));
}

#[tokio::test]
async fn a_seed_that_cannot_be_names_its_part() {
    let told = |change: fn(&mut serde_json::Value)| {
        let mut seed = seed();
        change(&mut seed);
        Stage::open(&Options { seed: Some(seed), ..Options::default() }).unwrap_err()
    };
    let wrong = told(|seed| seed["roles"][0]["trust_policy"] = json!({}));
    assert!(wrong.starts_with("the seed's role data: MalformedPolicyDocument"), "{wrong}");
    let wrong = told(|seed| seed["providers"][0]["url"] = json!("http://id.example.com"));
    assert!(wrong.starts_with("the seed's provider http://id.example.com: InvalidInput"), "{wrong}");
    let wrong = told(|seed| seed["buckets"][0]["name"] = json!("../x"));
    assert!(wrong.starts_with("the seed's bucket ../x: InvalidBucketName"), "{wrong}");
    let wrong = told(|seed| seed["bucket"] = json!([]));
    assert!(wrong.contains("unknown field `bucket`"), "{wrong}");
}

#[tokio::test]
async fn a_folder_is_for_one_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { data: Some(dir.path().to_owned()), ..Options::default() };
    let first = Stage::open_with(&options, None).unwrap();
    let refused = Stage::open_with(&options, None).unwrap_err();
    let path = dir.path().display();
    assert_eq!(refused, format!("a localaws is running on {path} already: end it, or use another folder with --data"));
    drop(first);
    assert!(Stage::open_with(&options, None).is_ok(), "the lock ends with its holder");
}

#[tokio::test]
async fn roots_without_a_certificate_are_refused() {
    for pem in ["", "no certificate"] {
        let refused = Stage::open_with(&Options::default(), Some(pem)).unwrap_err();
        assert!(refused.contains("--ca-file"), "{refused}");
    }
}
