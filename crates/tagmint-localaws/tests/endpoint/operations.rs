//! Every operation that AWS has is done or refused as not implemented, and a refused one changes nothing.

use std::{collections::BTreeMap, path::Path};

use super::stage::{BUCKET, Keys, Options, Stage};

const TABLE: &str = include_str!("../../data/operations.txt");

/// What is done here. Everything else that AWS has is refused.
const DONE: [&str; 58] = [
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateBucket",
    "CreateMultipartUpload",
    "DeleteBucket",
    "DeleteBucketEncryption",
    "DeleteBucketLifecycle",
    "DeleteBucketOwnershipControls",
    "DeleteBucketPolicy",
    "DeleteBucketTagging",
    "DeleteObject",
    "DeleteObjectTagging",
    "DeleteObjects",
    "DeletePublicAccessBlock",
    "GetBucketAccelerateConfiguration",
    "GetBucketAcl",
    "GetBucketCors",
    "GetBucketEncryption",
    "GetBucketLifecycleConfiguration",
    "GetBucketLocation",
    "GetBucketLogging",
    "GetBucketNotificationConfiguration",
    "GetBucketOwnershipControls",
    "GetBucketPolicy",
    "GetBucketPolicyStatus",
    "GetBucketReplication",
    "GetBucketRequestPayment",
    "GetBucketTagging",
    "GetBucketVersioning",
    "GetBucketWebsite",
    "GetObject",
    "GetObjectAcl",
    "GetObjectAttributes",
    "GetObjectLockConfiguration",
    "GetObjectTagging",
    "GetPublicAccessBlock",
    "HeadBucket",
    "HeadObject",
    "ListBuckets",
    "ListMultipartUploads",
    "ListObjectVersions",
    "ListObjects",
    "ListObjectsV2",
    "ListParts",
    "PutBucketEncryption",
    "PutBucketLifecycleConfiguration",
    "PutBucketOwnershipControls",
    "PutBucketPolicy",
    "PutBucketTagging",
    "PutBucketVersioning",
    "PutObject",
    "PutObjectTagging",
    "PutPublicAccessBlock",
    "UploadPart",
    "UploadPartCopy",
    "AssumeRole",
    "AssumeRoleWithWebIdentity",
];

/// Everything that the stand-in keeps.
fn state(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(state(&path));
            files.insert(path.display().to_string(), Vec::new());
        } else {
            files.insert(path.display().to_string(), std::fs::read(&path).unwrap());
        }
    }
    files
}

async fn stage(dir: &Path) -> (Stage, Keys) {
    let stage = Stage::new(Options { data: Some(dir.to_owned()), ..Options::default() }).await;
    let admin = stage.admin();
    (stage, admin)
}

/// A request as the table describes it, with all that it can have.
fn request(on: &str, selectors: &str, parameters: &str, full: bool) -> String {
    let path = match on {
        "root" => "/".to_owned(),
        "bucket" => format!("/{BUCKET}"),
        _ => format!("/{BUCKET}/own/mail.txt"),
    };
    let list = |words: &str| words.split(',').filter(|word| *word != "-").map(str::to_owned).collect::<Vec<_>>();
    let mut query = list(selectors);
    if full {
        query.extend(list(parameters).into_iter().map(|name| format!("{name}=1")));
    }
    format!("{path}?{}", query.join("&"))
}

#[tokio::test]
async fn what_is_not_done_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (stage, admin) = stage(dir.path()).await;
    let before = state(dir.path());
    let mut refused = 0;
    for line in TABLE.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let ["s3", name, method, on, selectors, parameters, headers] = words[..] else { continue };
        if DONE.contains(&name) {
            continue;
        }
        let headers: Vec<(&str, &str)> =
            headers.split(',').filter(|word| *word != "-").map(|name| (name, "own/other")).collect();
        for full in [false, true] {
            let path = request(on, selectors, parameters, full);
            // Without more it is the request of `ListBuckets`.
            let is_list = name == "ListDirectoryBuckets" && !full;
            let path = if is_list { "/?x-id=ListDirectoryBuckets".to_owned() } else { path };
            let answer = stage.s3_with(method, &path, &admin, &headers, "<x/>").await;
            assert_eq!(answer.status, 501, "{name}: {method} {path}: {}", answer.body);
            if method != "HEAD" {
                assert_eq!(answer.element("Code"), "NotImplemented", "{name}: {}", answer.body);
            }
        }
        refused += 1;
    }
    assert_eq!(state(dir.path()), before);
    let known = TABLE.lines().filter(|line| line.starts_with("s3 ")).count();
    assert_eq!(refused + DONE.len() - 2, known, "an operation in DONE is not in the table");
}

#[tokio::test]
async fn what_aws_does_not_have_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (stage, admin) = stage(dir.path()).await;
    let before = state(dir.path());
    let (bucket, object) = (format!("/{BUCKET}"), format!("/{BUCKET}/own/mail.txt"));
    let anywhere = [
        "objectLock",
        "Encryption",
        "annotations",
        "annotation",
        "annotationName=a",
        "metadataConfigurations",
        "renameObject",
        "rename",
        "select",
        "partNumber=1",
        "append",
        "quota",
        "events",
        "versionid=1",
        "%6fbjectLock",
        "session&foo",
        "restore=1&foo",
    ];
    let at_bucket = ["uploadId=u", "versionId=v", "attributes", "legal-hold", "torrent", "retention"];
    let at_object = [
        "policy",
        "delete",
        "lifecycle",
        "publicAccessBlock",
        "ownershipControls",
        "versioning",
        "website",
        "cors",
        "abac",
    ];
    let paths = anywhere.iter().flat_map(|query| [(&bucket, query), (&object, query)]);
    let paths = paths
        .chain(at_bucket.iter().map(|query| (&bucket, query)))
        .chain(at_object.iter().map(|query| (&object, query)));
    for (path, query) in paths {
        for method in ["PUT", "DELETE", "POST", "PATCH"] {
            let answer = stage.s3(method, &format!("{path}?{query}"), Some(&admin), "<x/>").await;
            assert_eq!(answer.code(), (501, "NotImplemented"), "{method} {path}?{query}: {}", answer.body);
        }
    }
    for query in ["policy&session", "tagging&policy", "acl&lifecycle"] {
        let answer = stage.s3("PUT", &format!("{bucket}?{query}"), Some(&admin), "<x/>").await;
        assert!(
            matches!(answer.code(), (400, "InvalidArgument") | (501, "NotImplemented")),
            "{query}: {}",
            answer.body
        );
    }
    for (name, value) in
        [("x-amz-rename-source", "own/mail.txt"), ("x-amz-write-offset-bytes", "3"), ("x-amz-if-match-size", "1")]
    {
        for method in ["PUT", "DELETE"] {
            let answer = stage.s3_with(method, &object, &admin, &[(name, value)], "").await;
            assert_eq!(answer.code(), (501, "NotImplemented"), "{method} {name}: {}", answer.body);
        }
    }
    let twice = stage.s3("DELETE", &format!("{object}?versionId=null&versionId=other"), Some(&admin), "").await;
    assert_eq!(twice.code(), (400, "InvalidArgument"), "{}", twice.body);
    for owner in ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"] {
        let answer = stage.s3_with("DELETE", &object, &admin, &[(owner, "111122223333")], "").await;
        assert_eq!(answer.code(), (403, "AccessDenied"), "{}", answer.body);
    }
    let grant = stage.s3_with("PUT", &object, &admin, &[("x-amz-grant-read", "id=1")], "x").await;
    assert_eq!(grant.code(), (400, "AccessControlListNotSupported"), "{}", grant.body);
    assert_eq!(state(dir.path()), before);
}

#[tokio::test]
async fn actions_of_sts_and_iam_are_done_or_not_implemented() {
    let dir = tempfile::tempdir().unwrap();
    let (stage, admin) = stage(dir.path()).await;
    let before = state(dir.path());
    for line in TABLE.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [service @ ("sts" | "iam"), action] = words[..] else { continue };
        let version = if service == "sts" { "2011-06-15" } else { "2010-05-08" };
        let answer = stage.post(&format!("Action={action}&Version={version}"), Some(&admin), service).await;
        // Without parameters the ones that are done miss one, or only read.
        let reads = ["Get", "List"].iter().any(|start| action.starts_with(start)) && answer.status == 200;
        let asks = matches!(answer.code(), (400, "ValidationError"));
        assert!(reads || asks || answer.code() == (501, "NotImplemented"), "{service}:{action}: {answer:?}");
    }
    assert_eq!(state(dir.path()), before);
}

#[tokio::test]
async fn several_attributes_of_an_object_are_told_at_once() {
    let stage = Stage::new(Options::default()).await;
    let admin = stage.admin();
    let path = format!("/{BUCKET}/own/mail.txt?attributes");
    let name = "x-amz-object-attributes";
    let answer = stage.s3_with("GET", &path, &admin, &[(name, "ETag, ObjectSize,StorageClass")], "").await;
    assert_eq!((answer.status, answer.element("ObjectSize"), answer.element("StorageClass")), (200, "8", "STANDARD"));
    assert!(!answer.element("ETag").is_empty(), "{}", answer.body);
    let one = stage.s3_with("GET", &path, &admin, &[(name, "ObjectSize")], "").await;
    assert_eq!((one.element("ObjectSize"), one.element("ETag")), ("8", ""));
    let several = stage.s3_with("GET", &path, &admin, &[(name, "ObjectSize"), (name, "ETag")], "").await;
    assert_eq!(several.element("ObjectSize"), "8", "{}", several.body);
    let wrong = stage.s3_with("GET", &path, &admin, &[(name, "ETag,Size")], "").await;
    assert_eq!(wrong.code(), (400, "InvalidArgument"), "{}", wrong.body);
}
