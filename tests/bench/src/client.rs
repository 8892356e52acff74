//! A lean HTTP client: one connection, one request at a time.

use std::{fmt::Display, net::SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    client::conn::http1::{self, SendRequest},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::error::BenchError;

/// A server.
#[derive(Clone)]
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What goes into `Host`.
    pub(crate) authority: String,
    /// How to speak TLS with it; none: plain HTTP.
    pub(crate) tls: Option<TlsConnector>,
}

/// A connection that is kept open.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
}

impl Target {
    /// Connects.
    pub(crate) async fn connect(&self) -> Result<Connection, BenchError> {
        let stream = TcpStream::connect(self.address).await.map_err(|error| self.problem(&error))?;
        stream.set_nodelay(true).map_err(|error| self.problem(&error))?;
        let sender = match &self.tls {
            Some(connector) => {
                let name = ServerName::try_from("localhost").map_err(|error| self.problem(&error))?;
                let stream = connector.connect(name, stream).await.map_err(|error| self.problem(&error))?;
                self.handshake(stream).await?
            }
            None => self.handshake(stream).await?,
        };
        Ok(Connection { sender, authority: self.authority.clone() })
    }

    async fn handshake<S>(&self, stream: S) -> Result<SendRequest<Full<Bytes>>, BenchError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.problem(&error))?;
        // An error of the connection comes out of the request that is under way.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    fn problem(&self, error: &dyn Display) -> BenchError {
        BenchError::Connection { to: self.authority.clone(), problem: error.to_string() }
    }
}

impl Connection {
    /// Fetches a document.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Bytes, BenchError> {
        let request = Request::builder().method(Method::GET).uri(path).header(HOST, &self.authority);
        self.send(request.body(Full::default()), StatusCode::OK).await
    }

    /// Sends JSON, with a credential where there is one.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        credential: Option<&str>,
        json: Bytes,
        expected: StatusCode,
    ) -> Result<Bytes, BenchError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json");
        if let Some(credential) = credential {
            request = request.header(AUTHORIZATION, credential);
        }
        self.send(request.body(Full::new(json)), expected).await
    }

    /// Sends a form.
    pub(crate) async fn post_form(
        &mut self,
        path: &str,
        form: Bytes,
        expected: StatusCode,
    ) -> Result<Bytes, BenchError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Full::new(form)), expected).await
    }

    async fn send(
        &mut self,
        request: Result<Request<Full<Bytes>>, hyper::http::Error>,
        expected: StatusCode,
    ) -> Result<Bytes, BenchError> {
        let to = &self.authority;
        let problem = |problem: String| BenchError::Connection { to: to.clone(), problem };
        let request = request.map_err(|error| problem(error.to_string()))?;
        self.sender.ready().await.map_err(|error| problem(error.to_string()))?;
        let response = self.sender.send_request(request).await.map_err(|error| problem(error.to_string()))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| problem(error.to_string()))?.to_bytes();
        if status == expected {
            return Ok(body);
        }
        let body: String = String::from_utf8_lossy(&body).chars().take(500).collect();
        Err(problem(format!("{status} instead of {expected}: {body}")))
    }
}
