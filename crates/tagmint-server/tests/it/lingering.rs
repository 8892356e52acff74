//! Requests that are answered before their body has come: the answer arrives, whatever the client sends first.

use std::time::Duration;

use axum::body::Bytes;
use futures::StreamExt;
use hyper::body::Frame;
use rustls::version::TLS13;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::sockets::{Served, client, connect, limits, start, url};

/// Larger than the socket buffers of both ends, so that the client is still sending when it is answered.
const HUGE: usize = 12 << 20;

/// Sends everything before it reads anything, as simple clients do.
async fn send_first(served: &Served, head: &str, body: &[u8]) -> String {
    let mut stream = connect(served, &[&TLS13]).await;
    let exchange = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        stream.flush().await?;
        let mut answer = vec![0; 4096];
        let bytes = stream.read(&mut answer).await?;
        answer.truncate(bytes);
        std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    timeout(Duration::from_secs(30), exchange).await.expect("it answers").expect("the connection is not reset")
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for chunk in body.chunks(64 << 10) {
        all.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        all.extend_from_slice(chunk);
        all.extend_from_slice(b"\r\n");
    }
    all.extend_from_slice(b"0\r\n\r\n");
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_the_limit_gets_its_413_before_the_connection_closes() {
    let served = start(limits()).await;
    let body = vec![b' '; HUGE];
    let length = format!("content-length: {HUGE}");
    let pieces = chunked(&body);
    for (path, headers, body) in [
        ("/v1/sessions", length.as_str(), &body),
        ("/oauth2/token", &length, &body),
        ("/v1/sessions", "transfer-encoding: chunked", &pieces),
        ("/v1/sessions", &format!("{length}\r\nconnection: close"), &body),
    ] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n\r\n");
        let answer = send_first(&served, &head, body).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{head}{answer}");
    }
    // The same holds for whatever else is answered early.
    for (path, status) in [("/nothing", "404"), ("/livez", "405")] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n");
        let answer = send_first(&served, &head, &pieces).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    served.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_goes_on_after_a_body_that_nobody_read() {
    let served = start(limits()).await;
    let mut stream = connect(&served, &[&TLS13]).await;
    let head = "POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 200000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; 200_000]).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answers = String::new();
    timeout(Duration::from_secs(10), stream.read_to_string(&mut answers)).await.expect("it answers").unwrap();
    assert!(answers.starts_with("HTTP/1.1 413 ") && answers.contains("HTTP/1.1 200 OK"), "{answers}");
    served.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_to_be_told_is_told_that_it_is_too_large() {
    let served = start(limits()).await;
    let head = |framing: &str| {
        format!("POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n{framing}\r\n\r\n")
    };
    // It says how much there is: the answer comes without a byte of it.
    let mut stream = connect(&served, &[&TLS13]).await;
    stream.write_all(head(&format!("content-length: {HUGE}")).as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let bytes = timeout(Duration::from_secs(10), stream.read(&mut answer)).await.expect("it answers").unwrap();
    let answer = String::from_utf8_lossy(&answer[..bytes]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // It sends all the same, as a client does that has waited long enough.
    let all = send_first(&served, &head(&format!("content-length: {HUGE}")), &vec![b' '; HUGE]).await;
    assert!(all.starts_with("HTTP/1.1 413 "), "{all}");

    // It does not say: it is told to go on until it is too much.
    let mut stream = connect(&served, &[&TLS13]).await;
    stream.write_all(head("transfer-encoding: chunked").as_bytes()).await.unwrap();
    let mut answer = vec![0; 25];
    timeout(Duration::from_secs(10), stream.read_exact(&mut answer)).await.expect("it answers").unwrap();
    assert_eq!(answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&chunked(&vec![b' '; HUGE])).await.unwrap();
    let mut answer = vec![0; 13];
    timeout(Duration::from_secs(30), stream.read_exact(&mut answer)).await.expect("it answers").unwrap();
    assert_eq!(answer, b"HTTP/1.1 413 ");
    served.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_gets_its_413_and_keeps_its_connection() {
    let served = start(limits()).await;
    let client = client(&served.certificates.ca_pem);
    let body = vec![b' '; HUGE];
    for expect in [false, true] {
        let mut request = client.post(url(&served, "/v1/sessions")).body(body.clone());
        if expect {
            request = request.header("expect", "100-continue");
        }
        let answer = timeout(Duration::from_secs(30), request.send()).await.expect("it answers").unwrap();
        assert_eq!((answer.version(), answer.status().as_u16()), (reqwest::Version::HTTP_2, 413));
        assert!(answer.text().await.unwrap().contains("body-too-large"));
    }
    // Without a length.
    let stream = futures::stream::iter(
        body.chunks(64 << 10)
            .map(|chunk| std::io::Result::Ok(Frame::data(Bytes::copy_from_slice(chunk))))
            .collect::<Vec<_>>(),
    );
    let request =
        client.post(url(&served, "/v1/sessions")).body(reqwest::Body::wrap(http_body_util::StreamBody::new(stream)));
    let answer = timeout(Duration::from_secs(30), request.send()).await.expect("it answers").unwrap();
    assert_eq!(answer.status(), 413);
    assert_eq!(client.get(url(&served, "/livez")).send().await.unwrap().status(), 200);
    served.running.shutdown().await;
}

/// curl waits for a second to be told to go on, then sends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_may_send_after_it_was_answered() {
    let served = start(limits()).await;
    let admin = served.running.admin_address().tcp().unwrap();
    let answered = async move {
        let figures = format!("http://{admin}/metrics");
        loop {
            let text = reqwest::get(&figures).await.unwrap().text().await.unwrap();
            if text.contains(r#"tagmint_http_requests_total{route="/v1/sessions",status="4xx"} 1"#) {
                return;
            }
        }
    };
    let frame = |_| std::io::Result::Ok(Frame::data(Bytes::from(vec![b' '; 64 << 10])));
    let body = futures::stream::once(answered)
        .map(|()| std::io::Result::Ok(Frame::data(Bytes::new())))
        .chain(futures::stream::iter((0..64).map(frame)));
    let request = client(&served.certificates.ca_pem)
        .post(url(&served, "/v1/sessions"))
        .header("expect", "100-continue")
        .header("content-length", HUGE)
        .body(reqwest::Body::wrap(http_body_util::StreamBody::new(body)));
    let answer = timeout(Duration::from_secs(30), request.send()).await.expect("it answers").unwrap();
    assert_eq!((answer.version(), answer.status().as_u16()), (reqwest::Version::HTTP_2, 413));
    assert!(answer.text().await.unwrap().contains("body-too-large"));
    served.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_over_the_limit_get_their_answer_too() {
    let served = start(limits()).await;
    let head = format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    let answer = send_first(&served, &head, b"").await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    served.running.shutdown().await;
}
