//! The proxy's thread: TLS on one side, TLS on the other.

use std::{
    convert::Infallible,
    fs,
    future::ready,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Request, Response, StatusCode, header},
};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use serde_json::{Value, json};

use super::{
    SharedScript, Upstream,
    message::{AcmeRequest, AcmeStep, RENEWAL_INFO},
    script::{AcmeFault, Moment, RenewalWindow},
};
use crate::error::GuardError;

/// No ACME message is longer.
const LARGEST: usize = 1 << 20;
/// Pebble answers in milliseconds; a test is to fail before its own limit does.
const PATIENCE: Duration = Duration::from_secs(30);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The thread, and the way to end it.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    handle: Handle<SocketAddr>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(upstream: &Upstream<'_>, script: SharedScript) -> Result<Self, GuardError> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let io = |action: &str, error| GuardError::io(format!("{action} for the ACME proxy"), error);
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| io("bind a port", e))?;
        listener.set_nonblocking(true).map_err(|e| io("prepare the port", e))?;
        let address = listener.local_addr().map_err(|e| io("read the port", e))?;
        let forward = Arc::new(Forward { client: client(upstream.ca)?, address: upstream.address, script });
        let tls = tls_config(upstream)?;
        let service = tower::service_fn(move |request| answer(forward.clone(), request));
        let make = tower::service_fn(move |_: SocketAddr| ready(Ok::<_, Infallible>(service.clone())));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| io("start a runtime", e))?;
        let handle = Handle::new();
        let serve = {
            let handle = handle.clone();
            move || {
                runtime.block_on(async {
                    // Accepted connections end with the runtime.
                    if let Ok(server) = axum_server::from_tcp_rustls(listener, tls) {
                        let _ = server.handle(handle).serve(make).await;
                    }
                });
            }
        };
        Ok(Self { address, handle, thread: Some(std::thread::spawn(serve)) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.shutdown();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn tls_config(upstream: &Upstream<'_>) -> Result<RustlsConfig, GuardError> {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let failed = |e: Failure| GuardError::io("read the certificate of the ACME proxy", std::io::Error::other(e));
    let chain = CertificateDer::pem_file_iter(upstream.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| failed(e.into()))?;
    let key = PrivateKeyDer::from_pem_file(upstream.key).map_err(|e| failed(e.into()))?;
    // HTTP/1.1 alone: there a cut connection is a cut connection.
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| failed(e.into()))?;
    Ok(RustlsConfig::from_config(Arc::new(config)))
}

/// A client that trusts the server's authority and nobody else.
pub(crate) fn client(ca: &Path) -> Result<reqwest::Client, GuardError> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let pem = fs::read(ca).map_err(|e| GuardError::file("read", ca, e))?;
    let failed = |e| GuardError::io("make a client for the ACME server", std::io::Error::other(e));
    reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&pem).map_err(failed)?])
        .no_proxy()
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build()
        .map_err(failed)
}

/// What is needed to ask the server behind.
#[derive(Debug)]
struct Forward {
    client: reqwest::Client,
    address: SocketAddr,
    script: SharedScript,
}

/// An error ends the connection without an answer.
async fn answer(forward: Arc<Forward>, request: Request<hyper::body::Incoming>) -> Result<Response<Body>, Failure> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(Body::new(body), LARGEST).await?;
    let user_agent = text(&parts.headers, header::USER_AGENT.as_str());
    let mut seen = AcmeRequest::read(parts.uri.path(), user_agent, &body);
    let script = &forward.script;
    let (action, fault) = {
        let mut script = script.lock();
        let action = script.take_interruption(seen.step, Moment::Before);
        let fault = if action.is_some() { None } else { script.take_fault(seen.step) };
        (action, fault)
    };
    if let Some(action) = action {
        script.lock().seen.push(seen);
        action();
        return Err("interrupted before the server was asked".into());
    }
    let lose = match fault {
        None => false,
        Some(AcmeFault::LoseAnswer) => true,
        Some(AcmeFault::Cut) => {
            script.lock().seen.push(seen);
            return Err("the connection is cut".into());
        }
        Some(AcmeFault::Answer { status, retry_after, content_type, body }) => {
            seen.status = Some(status);
            seen.problem = problem(body.as_bytes());
            script.lock().seen.push(seen);
            return plain(status, content_type, retry_after.as_deref(), body);
        }
    };
    let step = seen.step;
    let response = if step == AcmeStep::RenewalInfo {
        let window = script.lock().window.clone();
        renewal_info(window.as_ref())?
    } else {
        forward.ask(parts, body, step).await?
    };
    let (mut head, mut body) = response;
    if head.status.is_success() && matches!(step, AcmeStep::NewOrder | AcmeStep::Order | AcmeStep::Finalize) {
        body = forward.reflect(&mut head, &body, &seen)?;
    }
    seen.status = Some(head.status.as_u16());
    seen.location = text(&head.headers, header::LOCATION.as_str());
    seen.problem = problem(&body);
    let action = {
        let mut script = script.lock();
        script.seen.push(seen);
        script.take_interruption(step, Moment::After)
    };
    if let Some(action) = action {
        action();
        return Err("interrupted before the answer was out".into());
    }
    if lose {
        return Err("the answer is lost".into());
    }
    Ok(Response::from_parts(head, Body::from(body)))
}

impl Forward {
    async fn ask(
        &self,
        parts: axum::http::request::Parts,
        body: Bytes,
        step: AcmeStep,
    ) -> Result<(axum::http::response::Parts, Bytes), Failure> {
        let host = text(&parts.headers, header::HOST.as_str()).unwrap_or_default();
        // `Host` stays the proxy's: the server makes its URLs of it, and checks the signed one against it.
        let url = format!("https://{}{}", self.address, parts.uri);
        let answer = self.client.request(parts.method, url).headers(parts.headers).body(body).send().await?;
        let mut response = Response::new(());
        *response.status_mut() = answer.status();
        response.headers_mut().clone_from(answer.headers());
        let body = answer.bytes().await?;
        let (mut head, ()) = response.into_parts();
        head.headers.remove(header::TRANSFER_ENCODING);
        head.headers.remove(header::CONNECTION);
        if step != AcmeStep::Directory {
            return Ok((head, body));
        }
        head.headers.remove(header::CONTENT_LENGTH);
        let body = self.directory(&body, &host)?;
        Ok((head, body))
    }

    /// An order with what it was asked for and the server behind does not know.
    fn reflect(
        &self,
        head: &mut axum::http::response::Parts,
        body: &[u8],
        seen: &AcmeRequest,
    ) -> Result<Bytes, Failure> {
        let mut object: Value = serde_json::from_slice(body)?;
        let mut script = self.script.lock();
        let made = text(&head.headers, header::LOCATION.as_str()).filter(|_| seen.step == AcmeStep::NewOrder);
        if let Some(order) = &made {
            script.note_wishes(order, &seen.payload);
        }
        script.reflect_wishes(made.as_deref().unwrap_or(&seen.path), &mut object);
        head.headers.remove(header::CONTENT_LENGTH);
        Ok(object.to_string().into())
    }

    /// The directory with what the server behind does not know.
    fn directory(&self, body: &[u8], host: &str) -> Result<Bytes, Failure> {
        let mut directory: Value = serde_json::from_slice(body)?;
        let script = self.script.lock();
        if script.window.is_some() {
            directory["renewalInfo"] = json!(format!("https://{host}{RENEWAL_INFO}"));
        }
        if !script.profiles.is_empty() {
            let described = script.profiles.iter().map(|name| (name.clone(), json!("https://ca.test/profiles")));
            directory["meta"]["profiles"] = Value::Object(described.collect());
        }
        Ok(directory.to_string().into())
    }
}

fn renewal_info(window: Option<&RenewalWindow>) -> Result<(axum::http::response::Parts, Bytes), Failure> {
    let mut response = Response::builder();
    let Some(window) = window else {
        let (head, ()) = response.status(StatusCode::NOT_FOUND).body(())?.into_parts();
        return Ok((head, Bytes::new()));
    };
    let mut body = json!({"suggestedWindow": {"start": window.start, "end": window.end}});
    if let Some(url) = &window.explanation {
        body["explanationURL"] = json!(url);
    }
    if let Some(value) = &window.retry_after {
        response = response.header(header::RETRY_AFTER, value);
    }
    let (head, ()) = response.header(header::CONTENT_TYPE, "application/json").body(())?.into_parts();
    Ok((head, body.to_string().into()))
}

fn plain(status: u16, kind: &str, retry_after: Option<&str>, body: String) -> Result<Response<Body>, Failure> {
    let mut response = Response::builder().status(status).header(header::CONTENT_TYPE, kind);
    if let Some(value) = retry_after {
        response = response.header(header::RETRY_AFTER, value);
    }
    Ok(response.body(Body::from(body))?)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The `type` of a problem document (RFC 9457).
fn problem(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body["type"].as_str().filter(|kind| kind.starts_with("urn:")).map(str::to_owned)
}
