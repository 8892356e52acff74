//! Another account, region and partition.

use serde_json::json;
use tagmint_localaws::scope::ScopeChoice;

use super::stage::{BUCKET, Options, Stage, seed};

fn scope(account: &str, region: &str) -> ScopeChoice {
    ScopeChoice { account: Some(account.to_owned()), region: Some(region.to_owned()), partition: None }
}

#[tokio::test]
async fn everything_is_in_the_account_and_region_that_were_asked_for() {
    for (region, partition) in [("eu-central-1", "aws"), ("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn")] {
        let text = seed().to_string().replace("000000000000", "111122223333");
        let text = text.replace("arn:aws:", &format!("arn:{partition}:"));
        let seed = Some(serde_json::from_str(&text).unwrap());
        let stage = Stage::new(Options { seed, scope: scope("111122223333", region), ..Options::default() }).await;
        let admin = stage.admin();
        let identity = stage.sts("Action=GetCallerIdentity&Version=2011-06-15", &admin).await;
        assert_eq!(identity.element("Account"), "111122223333");
        assert_eq!(identity.element("Arn"), format!("arn:{partition}:iam::111122223333:user/administrator"));
        let role = format!("arn:{partition}:iam::111122223333:role/data");
        let form = format!(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={role}&RoleSessionName=test&WebIdentityToken={}",
            stage.token(json!({}))
        );
        let assumed = stage.post(&form, None, "sts").await;
        let session = assumed.keys();
        assert!(
            assumed.body.contains(&format!("arn:{partition}:sts::111122223333:assumed-role/data/test")),
            "{}",
            assumed.body
        );
        assert_eq!(stage.s3("GET", &format!("/{BUCKET}/own/mail.txt"), Some(&session), "").await.status, 200);
        let foreign = stage.s3("GET", &format!("/{BUCKET}/foreign/mail.txt"), Some(&session), "").await;
        assert!(foreign.body.contains(&format!("arn:{partition}:s3:::{BUCKET}/foreign/mail.txt")), "{}", foreign.body);
        let attached = format!("arn:{partition}:iam::aws:policy/AmazonS3ReadOnlyAccess");
        let answer = stage.iam_call("AttachRolePolicy", &[("RoleName", "data"), ("PolicyArn", &attached)]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(stage.s3("GET", &format!("/{BUCKET}/foreign/mail.txt"), Some(&session), "").await.status, 200);
        let located = stage.s3("GET", &format!("/{BUCKET}?location"), Some(&admin), "").await;
        assert!(located.body.contains(&format!(">{region}<")), "{}", located.body);
    }
}

#[tokio::test]
async fn a_bucket_is_made_in_the_region_of_the_endpoint() {
    let body = |region: &str| {
        format!(
            "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        )
    };
    let refused = (400, "IllegalLocationConstraintException");
    for (region, answers) in [
        ("eu-central-1", [("", refused), ("eu-central-1", (200, "")), ("eu-west-1", refused)]),
        ("us-east-1", [("", (200, "")), ("eu-central-1", refused), ("eu-west-1", refused)]),
    ] {
        let seed = Some(json!({}));
        let stage = Stage::new(Options { seed, scope: scope("111122223333", region), ..Options::default() }).await;
        for (n, (constraint, expected)) in answers.into_iter().enumerate() {
            let body = if constraint.is_empty() { String::new() } else { body(constraint) };
            let answer = stage.s3("PUT", &format!("/bucket-{n}"), Some(&stage.admin()), &body).await;
            assert_eq!(answer.code(), expected, "{region} {constraint}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn a_folder_stays_in_its_account() {
    let dir = tempfile::tempdir().unwrap();
    let open = |scope: ScopeChoice| {
        let options = Options { data: Some(dir.path().to_owned()), scope, ..Options::default() };
        Stage::open_with(&options, None).map(|aws| (*aws.scope).clone())
    };
    let made = open(scope("111122223333", "eu-central-1")).unwrap();
    assert_eq!(open(ScopeChoice::default()).unwrap(), made, "what is left open is what the folder has");
    let refused = open(scope("444455556666", "eu-central-1")).unwrap_err();
    assert!(refused.contains("was made for the account 111122223333, not 444455556666"), "{refused}");
    let refused = open(scope("111122223333", "eu-west-1")).unwrap_err();
    assert!(refused.contains("the region eu-central-1, not eu-west-1"), "{refused}");
}
