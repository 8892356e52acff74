//! The signed call against the signature that botocore makes of the same request, and what comes of SNS's answers.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use super::*;

const ARN: &str = "arn:aws:sns:eu-central-1:123456789012:alarms";

fn topic(endpoint: Option<String>, timeout: Duration) -> Topic {
    let _ = rustls_provider();
    // No TLS is spoken here: no root certificates are needed.
    let endpoint = Some(endpoint.unwrap_or_else(|| "http://127.0.0.1:1".to_owned()));
    Topic::new(ARN.to_owned(), "eu-central-1".to_owned(), endpoint, timeout, None, &Outbound::direct()).unwrap()
}

fn rustls_provider() -> Result<(), ()> {
    rustls::crypto::aws_lc_rs::default_provider().install_default().map_err(|_| ())
}

fn keys() -> Credentials {
    let token = Some("session-token".to_owned());
    Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token, None, "test")
}

fn now() -> Timestamp {
    Timestamp::constant(1_790_000_000, 0)
}

const PUBLICATION: Publication<'_> =
    Publication { subject: "Tagmint test [critical] disk-nearly-full", message: "{\"text\":\"a+b & ü\"}" };

#[test]
fn the_signature_is_botocores() {
    let topic =
        Topic { endpoint: "https://sns.eu-central-1.amazonaws.com".to_owned(), ..topic(None, Duration::from_secs(1)) };
    let request = topic.signed(&keys(), &form(ARN, PUBLICATION), now()).unwrap();
    let header = |name: &str| request.headers().get(name).unwrap().to_str().unwrap();
    assert_eq!(header("x-amz-date"), "20260921T141320Z");
    assert_eq!(header("x-amz-security-token"), "session-token");
    assert_eq!(
        header("authorization"),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260921/eu-central-1/sns/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, \
         Signature=81c7a0ecde93aa85308d37c1c425334e620c6ed636e9f1eaea0fac87b83bb2a6"
    );
    assert!(!format!("{topic:?}").contains("AKID"));
}

#[test]
fn subjects_are_what_sns_takes() {
    let body = form(ARN, Publication { subject: &format!(" é\nx{}", "y".repeat(200)), message: "" });
    let subject = body.split('&').find_map(|pair| pair.strip_prefix("Subject=")).unwrap();
    assert_eq!(subject, format!("x{}", "y".repeat(98)), "100 characters, the blank before it not told");
}

/// A server that answers one request so; what it was sent comes out of the thread.
fn server(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&request).contains("Message=") {
            let count = stream.read(&mut buffer).unwrap();
            request.extend_from_slice(&buffer[..count]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, thread)
}

#[tokio::test]
async fn answers_are_read() {
    let taken = "HTTP/1.1 200 OK\r\ncontent-length: 175\r\nconnection: close\r\n\r\n\
        <PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult></PublishResponse>     ";
    let (url, sent) = server(taken);
    let id = topic(Some(url), Duration::from_secs(5)).publish_as(&keys(), PUBLICATION, now()).await;
    assert_eq!(id.unwrap(), "567910cd-659e-55d4-8ccb-5aaf14679dc0");
    let sent = sent.join().unwrap();
    assert!(sent.starts_with("POST / HTTP/1.1\r\n") && sent.contains("Action=Publish&Version=2010-03-31&"), "{sent}");
    let refused = "HTTP/1.1 403 Forbidden\r\ncontent-length: 132\r\nconnection: close\r\n\r\n\
        <ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>not allowed.</Message></Error></ErrorResponse>     ";
    let (url, _) = server(refused);
    let error = topic(Some(url), Duration::from_secs(5)).publish_as(&keys(), PUBLICATION, now()).await.unwrap_err();
    assert_eq!(error.to_string(), "403 AuthorizationError: not allowed");
    let gone = topic(None, Duration::from_secs(5)).publish_as(&keys(), PUBLICATION, now()).await.unwrap_err();
    assert!(matches!(gone, Failure::Unreachable { .. }), "{gone}");
}
