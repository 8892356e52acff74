//! `tagmint aws diff`: each drift of an account is found, and told in words.

#[path = "aws_diff/account.rs"]
mod account;
#[path = "aws_render/stage.rs"]
mod stage;

use std::path::Path;

use account::{Account, GUARD, ROLE, conditions, remove};
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketVersioningStatus, ObjectOwnership, OwnershipControls, OwnershipControlsRule,
    PublicAccessBlockConfiguration, VersioningConfiguration,
};
use serde_json::{Value, json};
use stage::{ACCOUNT, Stage, TestResult};
use tagmint_e2e::TagmintProcess;

/// A change of a policy, and what is said of it.
type Case = (&'static str, fn(&mut Value), &'static str);

const PROVIDER: &str = "test-broker.litentry.org";

#[tokio::test]
async fn drifts_of_the_trust_policy_are_told() -> TestResult {
    let account = Account::new().await?;
    let cases: [Case; 13] = [
        (
            "audience",
            |document| {
                conditions(document, 0)["StringEquals"][format!("{PROVIDER}:aud")] =
                    json!(["sts.amazonaws.com", "other"]);
            },
            "trust-audience: the trust policy also accepts the audience other (statement `Wallet`)",
        ),
        (
            "no audience",
            |document| remove(conditions(document, 0), "StringEquals"),
            "trust-audience: statement `Wallet` no longer asks for the audience: every audience of the provider is accepted",
        ),
        (
            "subject",
            |document| conditions(document, 0)["StringLike"][format!("{PROVIDER}:sub")] = json!("*"),
            "trust-subject: the trust policy also accepts subjects like * (statement `Wallet`)",
        ),
        (
            "no subject",
            |document| remove(&mut conditions(document, 1)["StringLike"], &format!("{PROVIDER}:sub")),
            "trust-subject: statement `GithubPullRequest` no longer asks for the subject: tokens of every rule of the issuer are let in",
        ),
        (
            "no tag",
            |document| remove(conditions(document, 0), "Null"),
            "trust-tag: the tag agentkeys_user_wallet is no longer required by statement `Wallet`",
        ),
        (
            "any tags",
            |document| remove(conditions(document, 1), "ForAllValues:StringEquals"),
            "trust-tag: statement `GithubPullRequest` no longer refuses further tags: a token may bring tags that open other prefixes",
        ),
        (
            "any value",
            |document| remove(&mut conditions(document, 1)["StringLike"], "aws:RequestTag/prefix"),
            "trust-tag: statement `GithubPullRequest` no longer looks at the value of the tag prefix: any prefix is accepted",
        ),
        (
            "slashes",
            |document| conditions(document, 1)["StringNotLike"]["aws:RequestTag/prefix"] = json!("*..*"),
            "trust-tag: the trust policy also accepts values of the tag prefix like */*/* (statement `GithubPullRequest`)",
        ),
        (
            "no roles",
            |document| remove(conditions(document, 0), "Bool"),
            "trust-roles-claim: statement `Wallet` no longer asks that the token names the role: tokens for no role in particular are let in",
        ),
        (
            "no tags at all",
            |document| {
                document["Statement"][0]["Action"] = json!(["sts:AssumeRoleWithWebIdentity", "sts:SetSourceIdentity"]);
            },
            "trust-action: statement `Wallet` no longer allows sts:TagSession: every token with tags is refused",
        ),
        (
            "another provider",
            |document| {
                document["Statement"][0]["Principal"]["Federated"] = json!([
                    format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{PROVIDER}"),
                    format!("arn:aws:iam::{ACCOUNT}:oidc-provider/evil.example.com")
                ]);
            },
            "trust-principal: the trust policy also trusts arn:aws:iam::000000000000:oidc-provider/evil.example.com: who comes from there and fulfils statement `Wallet` opens sessions",
        ),
        (
            "another statement",
            |document| {
                document["Statement"].as_array_mut().unwrap().push(json!({
            "Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}));
            },
            "trust-statement: a statement was added that allows sts:assumerole to 000000000000: who fulfils it opens sessions of the role, whatever the configuration says",
        ),
        (
            "a statement less",
            |document| {
                document["Statement"].as_array_mut().unwrap().remove(0);
            },
            "trust-statement: statement `Wallet` is gone: tokens with the subjects wallet:* are refused",
        ),
    ];
    // IAM stores no policy that trusts a provider which is not there.
    let other = account.iam.create_open_id_connect_provider().url("https://evil.example.com");
    other.client_id_list("sts.amazonaws.com").send().await?;
    for (name, change, expected) in cases {
        let mut changed = account.trust.clone();
        change(&mut changed);
        account.set_trust(&changed).await?;
        let found = account.found()?;
        assert!(found.iter().any(|text| text == expected), "{name}: {found:#?}");
        assert!(found.len() <= 2, "{name}: {found:#?}");
    }
    // What means the same is the same.
    let mut same = account.trust.clone();
    same["Statement"].as_array_mut().ok_or("statements")?.reverse();
    same["Statement"][1]["Sid"] = json!("Renamed");
    same["Statement"][1]["Action"] =
        json!(["sts:setsourceidentity", "sts:TagSession", "sts:AssumeRoleWithWebIdentity", "sts:TagSession"]);
    let same = same.to_string().replace("sts:setsourceidentity", "sts:SetSourceIdentity");
    account.set_trust(&serde_json::from_str(&same)?).await?;
    account.expect_same()
}

#[tokio::test]
async fn drifts_of_the_buckets_policy_are_told() -> TestResult {
    let account = Account::new().await?;
    let cases: [Case; 8] = [
        (
            "clear",
            |document| {
                document["Statement"].as_array_mut().unwrap().pop();
            },
            "bucket-policy-statement: statement `TlsAlone` is gone: requests in clear (plain HTTP) are no longer refused",
        ),
        (
            "untagged",
            |document| {
                document["Statement"].as_array_mut().unwrap().remove(4);
            },
            "bucket-policy-statement: statement `NothingWithoutTags` is gone: sessions without the tags are no longer refused",
        ),
        (
            "write",
            |document| document["Statement"][1]["Action"] = json!(["s3:GetObject", "s3:PutObject"]),
            "bucket-policy-action: statement `ReadAgentkeysUserWallet` also allows s3:PutObject",
        ),
        (
            "no write",
            |document| document["Statement"][3]["Action"] = json!("s3:GetObject"),
            "bucket-policy-action: statement `WritePrefix` no longer allows s3:PutObject",
        ),
        (
            "everything",
            |document| {
                document["Statement"][1]["Resource"] = json!(format!("arn:aws:s3:::agentkeys-mail-test-{ACCOUNT}/*"));
            },
            "bucket-policy-resource: statement `ReadAgentkeysUserWallet` also allows it on arn:aws:s3:::agentkeys-mail-test-000000000000/*",
        ),
        (
            "without the slash",
            |document| {
                conditions(document, 0)["StringLike"]["s3:prefix"] =
                    json!("${aws:PrincipalTag/agentkeys_user_wallet}*");
            },
            "bucket-policy-condition: the condition StringLike s3:prefix of statement `ListAgentkeysUserWallet` also fits ${aws:PrincipalTag/agentkeys_user_wallet}*: more is open",
        ),
        (
            "another account",
            |document| {
                document["Statement"][1]["Principal"]["AWS"] =
                    json!([format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}"), "arn:aws:iam::999988887777:root"]);
            },
            "bucket-policy-principal: statement `ReadAgentkeysUserWallet` is also for 999988887777",
        ),
        (
            "a grant",
            |document| {
                document["Statement"].as_array_mut().unwrap().push(json!({
            "Sid": "Quick", "Effect": "Allow", "Principal": {"AWS": "999988887777"}, "Action": "s3:GetObject",
            "Resource": format!("arn:aws:s3:::agentkeys-mail-test-{ACCOUNT}/*")}));
            },
            "bucket-policy-statement: a statement `Quick` was added that allows s3:GetObject on arn:aws:s3:::agentkeys-mail-test-000000000000/* to 999988887777: allows add up: it undoes what the other statements keep apart",
        ),
    ];
    for (name, change, expected) in cases {
        let mut changed = account.policy.clone();
        change(&mut changed);
        account.set_policy(&changed).await?;
        let found = account.found()?;
        assert!(found.iter().any(|text| text == expected), "{name}: {found:#?}");
    }
    account.s3.delete_bucket_policy().bucket(&account.bucket).send().await?;
    assert!(account.found()?[0].starts_with("bucket-policy-missing: it has no policy"));
    account.set_policy(&account.policy).await?;
    account.expect_same()
}

#[tokio::test]
async fn drifts_of_the_role_and_the_provider_are_told() -> TestResult {
    let account = Account::new().await?;
    let (iam, found) = (&account.iam, || account.found());
    let full = "arn:aws:iam::aws:policy/AmazonS3FullAccess";
    iam.attach_role_policy().role_name(ROLE).policy_arn(full).send().await?;
    let told = found()?;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].starts_with("role-attached-policy: an attached policy, `AmazonS3FullAccess`, gives s3:*"),
        "{told:#?}"
    );
    assert!(told[0].contains("still hold it back"), "{told:#?}");
    iam.delete_role_policy().role_name(ROLE).policy_name(GUARD).send().await?;
    account.s3.delete_bucket_policy().bucket(&account.bucket).send().await?;
    let told = found()?;
    assert!(
        told.iter()
            .any(|text| text.starts_with("role-policy-missing: its own policy `tagmint-own-prefix-alone` is gone")),
        "{told:#?}"
    );
    let undone = "it undoes the bucket policy, and every session may do s3:GetObject, s3:PutObject, s3:DeleteObject on every prefix";
    assert!(told.iter().any(|text| text.contains(undone)), "{told:#?}");
    account.set_guard(&account.guard).await?;
    account.set_policy(&account.policy).await?;
    iam.detach_role_policy().role_name(ROLE).policy_arn(full).send().await?;
    account.expect_same()?;

    let mut loosened = account.guard.clone();
    loosened["Statement"].as_array_mut().ok_or("statements")?.remove(0);
    account.set_guard(&loosened).await?;
    assert_eq!(
        found()?,
        [
            "role-policy-statement: statement `NothingElse` is gone: a broad policy that somebody attaches to the role would open other prefixes and services"
        ]
    );
    account.set_guard(&account.guard).await?;

    let queue = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}});
    iam.put_role_policy().role_name(ROLE).policy_name("queue").policy_document(queue.to_string()).send().await?;
    assert_eq!(
        found()?,
        ["role-inline-policy: a further policy of its own, `queue`, gives sqs:*, which the configuration does not"]
    );
    iam.delete_role_policy().role_name(ROLE).policy_name("queue").send().await?;

    iam.update_role().role_name(ROLE).max_session_duration(43_200).send().await?;
    assert_eq!(found()?, ["role-max-session: a session may last 43200 seconds instead of 3600"]);
    iam.update_role().role_name(ROLE).max_session_duration(3600).send().await?;

    let tag = aws_sdk_iam::types::Tag::builder().key("prefix").value("pr-1/run-1").build()?;
    iam.tag_role().role_name(ROLE).tags(tag).send().await?;
    assert_eq!(
        found()?,
        [
            "role-tag: the role itself has the tag prefix = pr-1/run-1: a session without that tag gets the prefix pr-1/run-1"
        ]
    );
    iam.untag_role().role_name(ROLE).tag_keys("prefix").send().await?;

    let provider = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{PROVIDER}");
    iam.add_client_id_to_open_id_connect_provider()
        .open_id_connect_provider_arn(&provider)
        .client_id("more")
        .send()
        .await?;
    assert_eq!(found()?, ["provider-audience: the provider also takes the audience more, which no rule gives"]);
    let less = iam.remove_client_id_from_open_id_connect_provider().open_id_connect_provider_arn(&provider);
    less.client_id("sts.amazonaws.com").send().await?;
    assert!(
        found()?.iter().any(|text| text
            == "provider-audience: the audience sts.amazonaws.com is not registered: STS refuses tokens for it")
    );
    iam.delete_open_id_connect_provider().open_id_connect_provider_arn(&provider).send().await?;
    assert!(found()?[0].starts_with("provider-missing: there is no such provider"));
    Ok(())
}

#[tokio::test]
async fn drifts_of_the_buckets_settings_are_told() -> TestResult {
    let account = Account::new().await?;
    let (s3, bucket, found) = (&account.s3, &account.bucket, || account.found());
    let block = |policy: bool| {
        let all = PublicAccessBlockConfiguration::builder().block_public_acls(true).ignore_public_acls(true);
        let all = all.block_public_policy(policy).restrict_public_buckets(true).build();
        s3.put_public_access_block().bucket(bucket).public_access_block_configuration(all).send()
    };
    block(false).await?;
    assert_eq!(
        found()?,
        [
            "bucket-public-access: BlockPublicPolicy of the public access block is off: a policy that lets the public in can be set"
        ]
    );
    s3.delete_public_access_block().bucket(bucket).send().await?;
    assert_eq!(found()?.len(), 4);
    block(true).await?;

    let own = |ownership: ObjectOwnership| {
        let rule = OwnershipControlsRule::builder().object_ownership(ownership).build();
        let controls = rule.and_then(|rule| OwnershipControls::builder().rules(rule).build());
        controls.map(|controls| s3.put_bucket_ownership_controls().bucket(bucket).ownership_controls(controls).send())
    };
    own(ObjectOwnership::ObjectWriter)?.await?;
    assert_eq!(
        found()?,
        [
            "bucket-ownership: object ownership is ObjectWriter instead of BucketOwnerEnforced: ACLs count, beside the bucket policy"
        ]
    );
    own(ObjectOwnership::BucketOwnerEnforced)?.await?;

    let version = |status: BucketVersioningStatus| {
        let configuration = VersioningConfiguration::builder().status(status).build();
        s3.put_bucket_versioning().bucket(bucket).versioning_configuration(configuration).send()
    };
    version(BucketVersioningStatus::Enabled).await?;
    assert_eq!(found()?, ["bucket-versioning: old versions are kept: what is deleted stays, and costs"]);
    version(BucketVersioningStatus::Suspended).await?;
    account.expect_same()?;

    let rules = s3.get_bucket_lifecycle_configuration().bucket(bucket).send().await?.rules().to_vec();
    let put = |rules: Vec<aws_sdk_s3::types::LifecycleRule>| {
        let configuration = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build();
        configuration
            .map(|it| s3.put_bucket_lifecycle_configuration().bucket(bucket).lifecycle_configuration(it).send())
    };
    put(rules[..rules.len() - 1].to_vec())?.await?;
    assert_eq!(found()?, ["bucket-lifecycle: nothing removes objects below bearer- after 14 days"]);
    let mut sooner = rules.clone();
    let everything = aws_sdk_s3::types::LifecycleRuleFilter::builder().prefix("").build();
    sooner[1].filter = Some(everything);
    put(sooner)?.await?;
    assert_eq!(
        found()?,
        [
            "bucket-lifecycle: nothing removes objects below pr- after 14 days",
            "bucket-lifecycle: the lifecycle also removes objects after 14 days, which the configuration does not say"
        ]
    );
    put(rules)?.await?;
    account.expect_same()
}

/// Who may not look is told what it takes, and nothing passes for the same.
#[tokio::test]
async fn what_cannot_be_looked_at_is_told() -> TestResult {
    let account = Account::new().await?;
    let trust = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}});
    account.iam.create_role().role_name("looker").assume_role_policy_document(trust.to_string()).send().await?;
    let looker = |allowed: Value| {
        let policy =
            json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": allowed, "Resource": "*"}});
        account.iam.put_role_policy().role_name("looker").policy_name("look").policy_document(policy.to_string()).send()
    };
    looker(json!([
        "s3:Get*",
        "iam:ListRolePolicies",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:GetOpenIDConnectProvider"
    ]))
    .await?;
    let (code, found) = diff_as_looker(&account, &account.config).await?;
    assert_eq!((code, &found["same"], &found["drifts"]), (1, &json!(false), &json!([])), "{found}");
    assert_eq!(found["unread"][0]["permission"], "iam:GetRole");
    let text = found["unread"][0]["text"].as_str().unwrap_or_default();
    assert!(text.ends_with("it takes the permission iam:GetRole"), "{text}");

    looker(json!(["iam:Get*", "iam:List*"])).await?;
    let (_, found) = diff_as_looker(&account, &account.config).await?;
    let unread: Vec<_> =
        found["unread"].as_array().ok_or("unread")?.iter().map(|it| it["permission"].clone()).collect();
    let needed = [
        "s3:GetBucketPolicy",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetBucketOwnershipControls",
        "s3:GetEncryptionConfiguration",
        "s3:GetBucketVersioning",
        "s3:GetLifecycleConfiguration",
    ];
    assert_eq!(unread, needed.map(|permission| json!(permission)), "{found}");
    Ok(())
}

/// `tagmint aws diff` with a session of the role `looker`.
async fn diff_as_looker(account: &Account, config: &Path) -> TestResult<(i32, Value)> {
    let sts = aws_sdk_sts::Config::builder()
        .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
        .endpoint_url(account.stage.aws.field("endpoint")?)
        .region(aws_sdk_sts::config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_sts::config::Credentials::new(
            account.stage.aws.field("access_key_id")?,
            account.stage.aws.field("secret_access_key")?,
            None,
            None,
            "admin",
        ));
    let sts = aws_sdk_sts::Client::from_conf(sts.build());
    let role = format!("arn:aws:iam::{ACCOUNT}:role/looker");
    let session = sts.assume_role().role_arn(role).role_session_name("look").send().await?;
    let keys = session.credentials().ok_or("no credentials")?;
    let mut command = TagmintProcess::command(["aws", "diff", "--account", ACCOUNT, "--format", "json"])?;
    command
        .arg("--config")
        .arg(config)
        .env("AWS_ENDPOINT_URL", account.stage.aws.field("endpoint")?)
        .env("AWS_ACCESS_KEY_ID", keys.access_key_id())
        .env("AWS_SECRET_ACCESS_KEY", keys.secret_access_key())
        .env("AWS_SESSION_TOKEN", keys.session_token())
        .env("AWS_REGION", "us-east-1");
    let output = command.output()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let found = serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {told}"))?;
    Ok((output.status.code().unwrap_or(-1), found))
}

#[tokio::test]
async fn nobody_to_ask_and_another_account_are_told() -> TestResult {
    let stage = Stage::new(None)?;
    let config = stage.config("prod", &[])?;
    let mut command = TagmintProcess::command(["aws", "diff", "--endpoint-url", "http://127.0.0.1:1"])?;
    command.arg("--config").arg(&config);
    assert_eq!(stage.run(command)?.status.code(), Some(4));
    let mut command = TagmintProcess::command(["aws", "diff"])?;
    command.arg("--config").arg(&config);
    let output = stage.run(command)?;
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        message.contains("credentials of the account 000000000000, and the set-up is for 111122223333"),
        "{message}"
    );
    Ok(())
}
