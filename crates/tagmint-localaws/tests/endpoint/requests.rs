//! What S3 refuses of a signed request itself.

use std::time::Duration;

use super::stage::{BUCKET, Options, Stage};

const HOUR: Option<Duration> = Some(Duration::from_hours(1));

#[tokio::test]
async fn nothing_is_added_to_a_signed_request() {
    let stage = Stage::new(Options::default()).await;
    let path = format!("/{BUCKET}/own/new.txt");
    for life in [HOUR, None] {
        for (name, value) in
            [("x-amz-copy-source", format!("/{BUCKET}/foreign/mail.txt")), ("x-amz-tagging", "a=b".to_owned())]
        {
            let mut request = stage.signed_s3("PUT", &path, "", life);
            request.headers_mut().insert(name, value.parse().unwrap());
            let answer = stage.as_it_is(request).await;
            assert_eq!(answer.code(), (403, "AccessDenied"), "{}", answer.body);
            let told = format!(
                "<Message>There were headers present in the request which were not signed</Message>\
                 <HeadersNotSigned>{name}</HeadersNotSigned><RequestId>"
            );
            assert!(answer.body.contains(&told), "{}", answer.body);
        }
        let mut request = stage.signed_s3("GET", &format!("/{BUCKET}/own/mail.txt"), "", life);
        request.headers_mut().insert("range", "bytes=0-2".parse().unwrap());
        assert_eq!(stage.as_it_is(request).await.told(), (206, "own".to_owned()), "other headers may come");
    }
    let absent = stage.s3("GET", &path, Some(&stage.admin()), "").await;
    assert_eq!(absent.code(), (404, "NoSuchKey"), "nothing was written");
}

#[tokio::test]
async fn presigned_urls_live_a_week_at_most() {
    let stage = Stage::new(Options::default()).await;
    for (seconds, expected) in [(604_800, (200, "")), (604_801, (400, "AuthorizationQueryParametersError"))] {
        let request =
            stage.signed_s3("GET", &format!("/{BUCKET}/own/mail.txt"), "", Some(Duration::from_secs(seconds)));
        assert_eq!(stage.as_it_is(request).await.code(), expected);
    }
}

#[tokio::test]
async fn signature_version_two_is_refused() {
    let stage = Stage::new(Options::default()).await;
    let key = stage.admin().id;
    let path = format!("/{BUCKET}/own/mail.txt?AWSAccessKeyId={key}&Expires=99999999999&Signature=c2lnbmF0dXJl");
    assert_eq!(stage.s3("GET", &path, None, "").await.code(), (400, "InvalidRequest"));
}

#[tokio::test]
async fn a_body_that_was_not_signed_is_refused() {
    let stage = Stage::new(Options::default()).await;
    // Of a length that is read before the decision, and of one that is not.
    for length in [8, 2 << 20] {
        let path = format!("/{BUCKET}/own/mail.txt");
        let mut request = stage.signed_s3("PUT", &path, &"a".repeat(length), None);
        *request.body_mut() = "b".repeat(length);
        let answer = stage.as_it_is(request).await;
        assert_eq!(answer.code(), (400, "XAmzContentSHA256Mismatch"), "{length}: {}", answer.body);
    }
    let mut policy = stage.signed_s3("PUT", &format!("/{BUCKET}?policy"), "{}", None);
    *policy.body_mut() = "[]".to_owned();
    assert_eq!(stage.as_it_is(policy).await.code(), (400, "XAmzContentSHA256Mismatch"));
    let kept = stage.s3("GET", &format!("/{BUCKET}/own/mail.txt"), Some(&stage.admin()), "").await;
    assert_eq!(kept.told(), (200, "own mail".to_owned()));
}
