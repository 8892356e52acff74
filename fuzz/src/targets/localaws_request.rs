//! Requests to `tagmint localaws`: routing, the query protocol, SigV4, the actions of STS and IAM, and S3 as far as it comes without a
//! signature.
//!
//! Parts: the request line and headers, the body. The header `x-sign: sts` or `x-sign: iam` is replaced by a good signature of the
//! administrator.

use std::{
    fmt::Write,
    net::SocketAddr,
    sync::{Arc, LazyLock},
};

use crate::{sections, world};
use aws_lc_rs::{digest, hmac};
use axum::{
    body::{Body, to_bytes},
    extract::ConnectInfo,
};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use jiff::{SignedDuration, Timestamp};
use tagmint_core::{clock::Clock, random::SystemRandom};
use tagmint_localaws::{
    account::{AccessKey, Account},
    aws::{Aws, Settings},
    front,
    query::{Params, QueryError},
    scope::ScopeChoice,
};
use tower::ServiceExt;

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        world::now()
    }

    fn monotonic(&self) -> SignedDuration {
        SignedDuration::ZERO
    }
}

/// The stand-in, and its account as it is at the start.
static AWS: LazyLock<(Arc<Aws>, Account)> = LazyLock::new(|| {
    let settings = Settings {
        data: None,
        ca_pem: None,
        seed: None,
        explain: true,
        secure_transport: false,
        scope: ScopeChoice::default(),
        clock: Arc::new(Still),
        random: Arc::new(SystemRandom),
    };
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("the first provider");
    let aws = Arc::new(Aws::open(settings).expect("the stand-in starts"));
    let account = aws.account().clone();
    (aws, account)
});

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"));

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some([head, body]) = sections(data) else { return };
    let _ = Params::parse(body.as_bytes()).tags("Tags");
    let Some(request) = request(head, body) else { return };
    let signed = head.contains("\nx-sign: ") && request.uri() == "/";
    let (aws, account) = &*AWS;
    let response = RUNTIME.block_on(async {
        let response = front::router(Arc::clone(aws)).oneshot(request).await.expect("the router always answers");
        let (parts, body) = response.into_parts();
        (parts.status, to_bytes(body, 1 << 22).await.expect("the answer has a body"))
    });
    let mismatch = String::from_utf8_lossy(&response.1).contains("The request signature we calculated does not match");
    assert!(!signed || !mismatch, "a good signature is refused");
    assert_ne!(response.0, StatusCode::INTERNAL_SERVER_ERROR, "{:?}", response.1);
    let changed = {
        let now = aws.account();
        !now.roles.is_empty() || !now.policies.is_empty() || now.providers.registry.iter().next().is_some()
    };
    if changed {
        aws.change(|changed| {
            account.clone_into(changed);
            Ok::<_, QueryError>(())
        })
        .expect("the account can be written");
    }
}

/// The request that a text describes; none where no HTTP server would hand it on.
fn request(head: &str, body: &str) -> Option<Request<Body>> {
    let mut lines = head.split('\n');
    let (method, target) = lines.next()?.split_once(' ')?;
    let method: Method = method.parse().ok()?;
    if !target.starts_with('/') {
        return None;
    }
    let mut request = Request::new(Body::from(body.to_owned()));
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().ok()?;
    let mut sign = None;
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        if name == "x-sign" {
            sign = Some(value);
            continue;
        }
        let name: HeaderName = name.parse().ok()?;
        request.headers_mut().append(name, HeaderValue::from_str(value).ok()?);
    }
    if let Some(service) = sign {
        let query = request.uri().query().is_some();
        if !query {
            let signature = authorization(&AWS.1.administrator, request.method(), request.uri().path(), service, body);
            let headers = request.headers_mut();
            headers.insert(http::header::HOST, HeaderValue::from_static("localhost"));
            headers.insert("x-amz-date", HeaderValue::from_static(STAMP));
            headers.insert(http::header::AUTHORIZATION, HeaderValue::from_str(&signature).ok()?);
        }
    }
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 40_000))));
    Some(request)
}

/// [`world::now`] in a signature.
const STAMP: &str = "20260921T141320Z";

/// Signature Version 4 over host, date and body.
fn authorization(key: &AccessKey, method: &Method, path: &str, service: &str, body: &str) -> String {
    let hash = |text: &str| hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    let canonical =
        format!("{method}\n{path}\n\nhost:localhost\nx-amz-date:{STAMP}\n\nhost;x-amz-date\n{}", hash(body));
    let (date, region) = (&STAMP[..8], "us-east-1");
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{STAMP}\n{scope}\n{}", hash(&canonical));
    let mac = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let mut signing = mac(format!("AWS4{}", key.secret).as_bytes(), date);
    for part in [region, service, "aws4_request", &to_sign] {
        signing = mac(signing.as_ref(), part);
    }
    let signature = hex(signing.as_ref());
    format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=host;x-amz-date, Signature={signature}", key.id)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
