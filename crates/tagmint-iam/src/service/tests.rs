use super::*;

#[test]
fn the_whole_table_is_read() {
    for service in &TABLE.services {
        for action in &service.actions {
            assert!(!action.name.is_empty() && action.name.bytes().all(|b| b.is_ascii_alphanumeric()), "{action}");
            assert!(action.keys.iter().all(|key| key.contains(':')), "{action}: {:?}", action.keys);
        }
        for resource in &service.resources {
            assert!(resource.keys().iter().all(|key| key.contains(':')), "{}", resource.name());
        }
    }
    let prefixes: Vec<&str> = TABLE.services.iter().map(|service| service.prefix).collect();
    assert_eq!(prefixes, ["s3", "sts", "iam"]);
    let lines = include_str!("../../data/service-authorization.txt").lines();
    let of_actions = lines.filter(|line| line.starts_with("action "));
    let read: usize = TABLE.services.iter().map(|service| service.actions.len()).sum();
    assert_eq!(of_actions.count(), read);
    // `-` stands for no resource; every other name is one of a resource type.
    let named = include_str!("../../data/service-authorization.txt").lines().filter_map(|line| {
        let on = line.strip_prefix("action ")?.split(' ').nth(1)?;
        Some(if on == "-" { 0 } else { on.split(',').count() })
    });
    let found: usize = TABLE.services.iter().flat_map(|service| &service.actions).map(|one| one.resources.len()).sum();
    assert_eq!(named.sum::<usize>(), found);
}

#[test]
fn actions_have_their_keys_and_the_global_ones() {
    let cases = [
        ("s3:ListBucket", "s3:prefix", true),
        ("s3:listbucketversions", "S3:Prefix", true),
        ("s3:GetObject", "s3:prefix", false),
        ("s3:PutObject", "s3:prefix", false),
        ("s3:ListBucketMultipartUploads", "s3:delimiter", false),
        ("s3:GetObject", "s3:max-keys", false),
        ("s3:GetObject", "s3:ExistingObjectTag/team", true),
        ("s3:PutObject", "s3:ExistingObjectTag/team", false),
        ("s3:PutObject", "s3:RequestObjectTag/team", true),
        ("s3:GetObject", "s3:RequestObjectTag/team", false),
        ("s3:GetObject", "s3:ExistingObjectTag/", false),
        ("s3:GetObject", "s3:x-amz-server-side-encryption", false),
        ("s3:PutObject", "s3:x-amz-server-side-encryption", true),
        ("s3:GetObject", "s3:x-amz-acl", false),
        ("s3:GetObject", "s3:VersionId", false),
        ("s3:GetObjectVersion", "s3:VersionId", true),
        ("s3:GetObject", "s3:object-lock-mode", false),
        ("s3:PutObjectRetention", "s3:object-lock-mode", true),
        ("s3:PutObject", "s3:if-none-match", true),
        ("s3:GetObject", "s3:if-match", false),
        ("s3:GetObject", "s3:DataAccessPointArn", true),
        ("s3:GetObject", "aws:SourceIp", true),
        ("s3:GetObject", "AWS:principaltag/team", true),
        ("s3:GetObject", "aws:RequestTag/team", false),
        ("s3:CreateBucket", "aws:RequestTag/team", true),
        ("s3:GetObject", "sts:RoleSessionName", false),
        (ASSUME_WITH_WEB_IDENTITY, "aws:SourceIp", true),
        (ASSUME_WITH_WEB_IDENTITY, "aws:PrincipalTag/team", false),
        (ASSUME_WITH_WEB_IDENTITY, "aws:RequestTag/team", true),
        (ASSUME_WITH_WEB_IDENTITY, "aws:ResourceTag/team", true),
        (ASSUME_WITH_WEB_IDENTITY, "iam:ResourceTag/team", true),
        (ASSUME_WITH_WEB_IDENTITY, "sts:ExternalId", false),
        (ASSUME_WITH_WEB_IDENTITY, "s3:prefix", false),
        (ASSUME_WITH_WEB_IDENTITY, "aws:username", false),
        ("sts:AssumeRole", "sts:ExternalId", true),
        ("sts:AssumeRole", "aws:PrincipalTag/team", true),
    ];
    for (name, key, expected) in cases {
        assert_eq!(action(name).unwrap().has_key(key), expected, "{name} {key}");
    }
    let with_prefix: Vec<String> = actions_with("s3:prefix").map(ToString::to_string).collect();
    assert_eq!(with_prefix, ["s3:ListBucket", "s3:ListBucketVersions"]);
}

#[test]
fn keys_are_known_or_not() {
    for (key, expected) in [
        ("aws:SourceIp", KeyKind::Global),
        ("aws:PrincipalTag/x", KeyKind::Global),
        ("ec2:SourceInstanceArn", KeyKind::Global),
        ("aws:RequestTag/x", KeyKind::OfActions),
        ("s3:PREFIX", KeyKind::OfActions),
        ("token.actions.githubusercontent.com:repository_id", KeyKind::OfActions),
        ("token.actions.acme.ghe.com:repository_id", KeyKind::OfActions),
        ("s3:perfix", KeyKind::Unknown),
        ("aws:SourceIP4", KeyKind::Unknown),
        ("prefix", KeyKind::Unknown),
        ("id.example.com:sub", KeyKind::Foreign),
        ("kms:ViaService", KeyKind::Foreign),
    ] {
        assert_eq!(key_kind(key), expected, "{key}");
    }
}

#[test]
fn patterns_cover_actions() {
    let count = |pattern: &str| covered(pattern).count();
    assert_eq!(count("s3:getobject"), 1);
    assert!(count("s3:GetObject*") > 5);
    assert!(count("s3:*") > 150 && count("*") > count("s3:*") && count("*:GetObject") == 1);
    assert_eq!(count("s3:GetObjects"), 0);
    assert_eq!(count("s3:HeadObject"), 0);
    assert!(action("s3:GetObject").is_some() && action("sqs:SendMessage").is_none() && action("GetObject").is_none());
}

#[test]
fn actions_apply_to_resources_of_their_types() {
    let cases = [
        ("s3:ListBucket", "arn:aws:s3:::b", true),
        ("s3:ListBucket", "arn:aws-cn:s3:::b", true),
        ("s3:ListBucket", "arn:aws:s3:::b/*", false),
        ("s3:ListBucket", "arn:aws:s3:::b/k", false),
        ("s3:ListBucket", "arn:aws:s3:::b*", true),
        ("s3:ListBucket", "arn:aws:s3:::${aws:PrincipalTag/team}", true),
        ("s3:ListBucket", "arn:aws:s3:::${aws:PrincipalTag/team}/*", false),
        ("s3:ListBucket", "*", true),
        ("s3:ListBucket", "arn:aws:s3:*", true),
        ("s3:ListBucket", "arn:aws:sqs:*", false),
        ("s3:GetObject", "arn:aws:s3:::b", false),
        ("s3:GetObject", "arn:aws:s3:::b/*", true),
        ("s3:GetObject", "arn:aws:s3:::b/", true),
        ("s3:GetObject", "arn:aws:s3:::b*", true),
        ("s3:GetObject", "arn:aws:s3:::b?", true),
        ("s3:GetObject", "arn:aws:s3:::?", false),
        ("s3:GetObject", "arn:aws:s3:::b/${aws:PrincipalTag/team}/*", true),
        ("s3:GetObject", "arn:aws:s3:::b/a:b", true),
        ("s3:GetObject", "arn:aws:s3:eu-west-1:111122223333:accesspoint/p/object/*", true),
        ("s3:GetObject", "arn:aws:s3:eu-west-1:111122223333:accesspoint/p", false),
        ("s3:ListBucket", "arn:aws:s3:eu-west-1:111122223333:accesspoint/p", true),
        ("s3:ListAllMyBuckets", "arn:aws:s3:::b", false),
        ("s3:ListAllMyBuckets", "*", true),
        ("sts:AssumeRole", "arn:aws:iam::111122223333:role/a/b", true),
        ("sts:AssumeRole", "arn:aws:iam::111122223333:user/a", false),
        ("iam:GetRole", "arn:aws:iam", true),
    ];
    for (name, resource, expected) in cases {
        assert_eq!(action(name).unwrap().applies_to(resource), expected, "{name} {resource}");
    }
    assert!(action("s3:GetObject").unwrap().is_on("object") && !action("s3:GetObject").unwrap().is_on("bucket"));
}
