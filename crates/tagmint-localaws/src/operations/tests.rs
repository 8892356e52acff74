use http::HeaderValue;

use super::*;

fn found(method: &str, path: &str, header: Option<&'static str>) -> Result<&'static str, NoOperation> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let query: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let headers = header.into_iter().map(|name| (http::HeaderName::from_static(name), HeaderValue::from_static("b/k")));
    of_request(&method.parse().unwrap(), On::of(path), &query, &headers.collect()).map(|operation| operation.name)
}

#[test]
fn requests_are_the_operations_that_aws_says() {
    for (method, path, header, name) in [
        ("GET", "/", None, "ListBuckets"),
        ("GET", "/?x-id=ListBuckets&prefix=a", None, "ListBuckets"),
        ("GET", "/?x-id=ListDirectoryBuckets", None, "ListDirectoryBuckets"),
        ("GET", "/?max-directory-buckets=1", None, "ListDirectoryBuckets"),
        ("GET", "/b", None, "ListObjects"),
        ("GET", "/b/?list-type=2&prefix=a%2F&start-after=b", None, "ListObjectsV2"),
        ("GET", "/b?versions&prefix=a", None, "ListObjectVersions"),
        ("GET", "/b?lifecycle", None, "GetBucketLifecycleConfiguration"),
        ("PUT", "/b?lifecycle", None, "PutBucketLifecycleConfiguration"),
        ("GET", "/b?notification", None, "GetBucketNotificationConfiguration"),
        ("PUT", "/b/k", None, "PutObject"),
        ("PUT", "/b%2Fk", None, "PutObject"),
        ("PUT", "/b/k/", None, "PutObject"),
        ("PUT", "/b/k?x-id=PutObject&X-Amz-Signature=s&x-custom=1", None, "PutObject"),
        ("PUT", "/b/k", Some("x-amz-copy-source"), "CopyObject"),
        ("PUT", "/b/k?partNumber=1&uploadId=u", None, "UploadPart"),
        ("PUT", "/b/k?partNumber=1&uploadId=u", Some("x-amz-copy-source"), "UploadPartCopy"),
        ("PUT", "/b/k?renameObject", Some("x-amz-rename-source"), "RenameObject"),
        ("GET", "/b/k?uploadId=u&max-parts=2", None, "ListParts"),
        ("GET", "/b/k?versionId=v&response-content-type=a&partNumber=1", None, "GetObject"),
        ("DELETE", "/b/k?annotation&annotationName=n", None, "DeleteObjectAnnotation"),
        ("GET", "/b/k?annotation", None, "ListObjectAnnotations"),
        ("GET", "/b?metrics&id=1", None, "GetBucketMetricsConfiguration"),
        ("GET", "/b?metrics", None, "ListBucketMetricsConfigurations"),
        ("POST", "/b/k?select&select-type=2", None, "SelectObjectContent"),
        ("POST", "/b?delete", None, "DeleteObjects"),
    ] {
        assert_eq!(found(method, path, header), Ok(name), "{method} {path}");
    }
}

#[test]
fn what_aws_does_not_have_is_no_operation() {
    for (method, path, header) in [
        ("PUT", "/b/k?objectLock", None),
        ("DELETE", "/b/k?objectLock", None),
        ("DELETE", "/b?objectLock", None),
        ("PUT", "/b?Policy", None),
        ("GET", "/b/k?foo=bar", None),
        ("PUT", "/b/k?uploadId=u", None),
        ("PUT", "/b/k?partNumber=1", None),
        ("DELETE", "/b/k?uploadId=u&partNumber=1", None),
        // Selectors without what belongs to them.
        ("PUT", "/b/k?renameObject", None),
        ("PUT", "/b/k?renameObject", Some("x-amz-copy-source")),
        ("DELETE", "/b/k?annotation", None),
        ("PUT", "/b/k?annotationName=n", None),
        ("DELETE", "/b?metrics", None),
        ("POST", "/b/k?select", None),
        ("GET", "/b?list-type=3", None),
        // Subresources of buckets on objects, and the other way round.
        ("PUT", "/b/k?policy", None),
        ("DELETE", "/b?uploadId=u", None),
        ("DELETE", "/b?versionId=v", None),
        ("HEAD", "/b?policy", None),
        ("POST", "/b", None),
        ("POST", "/b/k", None),
        ("PUT", "/", None),
        ("OPTIONS", "/b/k", None),
        ("PATCH", "/b/k", None),
        ("GET", "/?x-id=ListDirectoryBuckets&foo", None),
        ("PUT", "/b/k?x-id=RenameObject", None),
    ] {
        let refused = found(method, path, header);
        assert!(matches!(refused, Err(NoOperation::Unknown(_))), "{method} {path}: {refused:?}");
    }
}

#[test]
fn two_operations_at_once_and_repeated_parameters_are_refused() {
    assert_eq!(found("GET", "/b?policy&acl", None), Err(NoOperation::Conflict(vec!["acl", "policy"])));
    assert_eq!(found("PUT", "/b/k?tagging&acl", None), Err(NoOperation::Conflict(vec!["acl", "tagging"])));
    let repeated = Err(NoOperation::Repeated("versionId".to_owned()));
    assert_eq!(found("DELETE", "/b/k?versionId=a&versionId=b", None), repeated);
}

#[test]
fn the_table_is_read_whole() {
    let lines =
        include_str!("../../data/operations.txt").lines().filter(|line| line.contains(' ') && !line.starts_with('#'));
    assert_eq!(TABLE.s3.len() + TABLE.actions.len(), lines.count());
    assert!(has_action("sts", "GetFederationToken") && has_action("iam", "CreateUser"));
    assert!(!has_action("iam", "GetFederationToken"));
}
