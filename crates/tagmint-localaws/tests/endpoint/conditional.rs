//! Policies that enforce conditional writes (user guide of S3, "Enforce conditional writes on Amazon S3 buckets").

use serde_json::{Value, json};

use super::stage::{Answer, BUCKET, Keys, Options, Stage, seed};

const WRITER: &str = "arn:aws:iam::000000000000:role/writer";

/// The guide's examples: objects are made with a condition only, and the steps of an upload in parts need none.
fn policy(keys: &[&str]) -> Value {
    let statement = |sid: String, condition: Value| {
        json!({
            "Sid": sid, "Effect": "Allow", "Principal": {"AWS": WRITER}, "Action": "s3:PutObject",
            "Resource": format!("arn:aws:s3:::{BUCKET}/*"), "Condition": condition,
        })
    };
    let mut statements: Vec<Value> = keys
        .iter()
        .enumerate()
        .map(|(n, key)| statement(format!("Put{n}"), json!({"Null": {*key: "false"}})))
        .collect();
    statements.push(statement("Parts".to_owned(), json!({"Bool": {"s3:ObjectCreationOperation": "false"}})));
    statements.push(json!({
        "Sid": "Read", "Effect": "Allow", "Principal": {"AWS": WRITER}, "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::{BUCKET}/*"),
    }));
    json!({"Version": "2012-10-17", "Statement": statements})
}

struct Writer {
    stage: Stage,
    keys: Keys,
}

impl Writer {
    async fn new(policy: Value) -> Self {
        let mut seed = seed();
        seed["roles"].as_array_mut().unwrap().push(json!({
            "name": "writer",
            "trust_policy": {"Statement": {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}},
        }));
        seed["buckets"][0]["policy"] = policy;
        let stage = Stage::new(Options { seed: Some(seed), ..Options::default() }).await;
        Self { keys: stage.session_of(WRITER).await, stage }
    }

    async fn put(&self, key: &str, headers: &[(&str, &str)]) -> u16 {
        self.stage.s3_with("PUT", &format!("/{BUCKET}/{key}"), &self.keys, headers, "text").await.status
    }

    async fn copy(&self, key: &str, headers: &[(&str, &str)]) -> u16 {
        let source = format!("/{BUCKET}/own/mail.txt");
        let headers = [&[("x-amz-copy-source", source.as_str())], headers].concat();
        self.stage.s3_with("PUT", &format!("/{BUCKET}/{key}"), &self.keys, &headers, "").await.status
    }

    /// Uploads a part; an answer for each of the three steps.
    async fn parts(&self, key: &str, headers: &[(&str, &str)]) -> [Answer; 3] {
        let path = format!("/{BUCKET}/{key}");
        let begun = self.stage.s3_with("POST", &format!("{path}?uploads"), &self.keys, &[], "").await;
        let id = begun.element("UploadId").to_owned();
        let part = format!("{path}?partNumber=1&uploadId={id}");
        let part = self.stage.s3_with("PUT", &part, &self.keys, &[], "text").await;
        // MD5 of the part.
        let etag = "1cb251ec0d568de6a929b520c4aed8d1";
        let body = format!(
            "<CompleteMultipartUpload><Part><ETag>\"{etag}\"</ETag><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>"
        );
        let completed = format!("{path}?uploadId={id}");
        let completed = self.stage.s3_with("POST", &completed, &self.keys, headers, &body).await;
        [begun, part, completed]
    }
}

#[tokio::test]
async fn objects_are_made_with_the_condition_that_the_policy_wants() {
    let writer = Writer::new(policy(&["s3:if-none-match"])).await;
    let unless_there = [("if-none-match", "*")];
    assert_eq!((writer.put("new", &[]).await, writer.put("new", &unless_there).await), (403, 200));
    assert_eq!(writer.put("new", &unless_there).await, 412, "it is there");
    assert_eq!(writer.put("new", &[("if-match", "\"x\"")]).await, 403, "another condition");
    assert_eq!((writer.copy("copy", &[]).await, writer.copy("copy", &unless_there).await), (403, 200));
    assert_eq!(writer.copy("copy", &unless_there).await, 412);
    let [begun, part, completed] = writer.parts("parts", &[]).await;
    assert_eq!((begun.status, part.status), (200, 200), "{} {}", begun.body, part.body);
    assert_eq!(completed.code(), (403, "AccessDenied"));
    let [.., completed] = writer.parts("parts", &unless_there).await;
    assert_eq!(completed.status, 200, "{}", completed.body);
    let [.., completed] = writer.parts("parts", &unless_there).await;
    assert_eq!(completed.code(), (412, "PreconditionFailed"));
}

#[tokio::test]
async fn an_object_is_overwritten_by_who_knows_it() {
    let writer = Writer::new(policy(&["s3:if-match"])).await;
    // MD5 of `own mail`, which is there.
    let there = writer.stage.s3("HEAD", &format!("/{BUCKET}/own/mail.txt"), Some(&writer.keys), "").await;
    assert_eq!(there.status, 200);
    let etag = "\"b0f6c1d1f1d1f1d1f1d1f1d1f1d1f1d1\"";
    assert_eq!(writer.put("own/mail.txt", &[]).await, 403);
    assert_eq!(writer.put("own/mail.txt", &[("if-none-match", "*")]).await, 403);
    assert_eq!(writer.put("own/mail.txt", &[("if-match", etag)]).await, 412);
    assert_eq!(writer.put("absent", &[("if-match", etag)]).await, 404);
    assert_eq!(writer.copy("own/copy", &[("if-match", etag)]).await, 404);
    let both = Writer::new(policy(&["s3:if-match", "s3:if-none-match"])).await;
    assert_eq!(both.put("new", &[("if-none-match", "*")]).await, 200);
    // MD5 of `text`.
    assert_eq!(both.put("new", &[("if-match", "\"1cb251ec0d568de6a929b520c4aed8d1\"")]).await, 200);
    assert_eq!(both.copy("new", &[("if-match", "1cb251ec0d568de6a929b520c4aed8d1")]).await, 200);
    assert_eq!(both.put("new", &[]).await, 403);
}

/// The same with a statement that denies, and with one that is about the operation alone.
#[tokio::test]
async fn a_denial_is_about_what_makes_an_object() {
    let all = json!({
        "Effect": "Allow", "Principal": {"AWS": WRITER}, "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{BUCKET}/*"),
    });
    let deny = json!({
        "Effect": "Deny", "Principal": {"AWS": WRITER}, "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{BUCKET}/*"),
        "Condition": {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}},
    });
    let writer = Writer::new(json!({"Version": "2012-10-17", "Statement": [all, deny]})).await;
    assert_eq!((writer.put("a", &[]).await, writer.put("a", &[("if-none-match", "*")]).await), (403, 200));
    let [begun, part, completed] = writer.parts("b", &[]).await;
    assert_eq!((begun.status, part.status, completed.status), (200, 200, 403));
}

/// Conditions of reads are no keys, and what belongs to writing is no key of reading the source of a copy.
#[tokio::test]
async fn keys_are_those_of_the_action() {
    let allow = json!({
        "Effect": "Allow", "Principal": {"AWS": WRITER}, "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": format!("arn:aws:s3:::{BUCKET}/*"),
    });
    let writer = Writer::new(json!({"Statement": [allow]})).await;
    for key in ["s3:if-none-match", "s3:prefix", "s3:x-amz-copy-source", "s3:RequestObjectTagKeys"] {
        let deny = json!({"Statement": [{
            "Effect": "Deny", "Action": "s3:*", "Resource": format!("arn:aws:s3:::{BUCKET}/own/*"),
            "Condition": {"Null": {key: "false"}},
        }]});
        let params = [("RoleName", "writer"), ("PolicyName", "deny"), ("PolicyDocument", &deny.to_string())];
        assert_eq!(writer.stage.iam_call("PutRolePolicy", &params).await.status, 200, "{key}");
        let path = format!("/{BUCKET}/own/mail.txt?x-prefix=own");
        let headers = [("if-none-match", "\"a\""), ("x-amz-tagging", "a=b")];
        let got = writer.stage.s3_with("GET", &path, &writer.keys, &headers, "").await;
        assert_eq!(got.status, 200, "{key}: {}", got.body);
        assert_eq!(writer.copy("copy", &[]).await, 200, "{key}");
    }
}
