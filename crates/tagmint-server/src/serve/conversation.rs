//! One connection: handshake, requests, end.

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    http::{
        HeaderValue, Request, Response, Version,
        header::{CONNECTION, EXPECT},
    },
};
use futures::future::BoxFuture;
use hyper::{
    body::{Frame, Incoming, SizeHint},
    service::Service,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::Handle,
    sync::watch::Receiver,
};
use tokio_rustls::TlsAcceptor;

use super::{End, linger::drain, listener::Stream, reached};
use crate::{
    client_address::Peer,
    connections::{Asked, Guarded, OpenConnections, Place},
    settings::Limits,
};

/// How long a connection has to say goodbye once it is told to.
const GOODBYE: Duration = Duration::from_millis(100);
/// The name of HTTP/2 in a handshake (RFC 9113 §3.2).
const HTTP2: &[u8] = b"h2";

/// What is the same for all connections of a listener.
pub(super) struct Terms {
    pub(super) router: Router,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) http: Builder<TokioExecutor>,
    pub(super) limits: Limits,
    pub(super) open: Arc<OpenConnections>,
}

/// Serves a connection until it is over, until it has to make room, or until the end's end.
pub(super) async fn attend(stream: Stream, peer: Peer, place: Arc<Place>, terms: Arc<Terms>, mut end: Receiver<End>) {
    let requests = Requests {
        router: TowerToHyperService::new(terms.router.clone()),
        peer,
        place: Arc::clone(&place),
        end: end.clone(),
    };
    let stream = Guarded::new(stream, Arc::clone(&place), terms.limits.idle_timeout);
    let served = async {
        match &terms.tls {
            None => converse(stream, &terms, &place, requests).await,
            Some(tls) => match shake_hands(tls, stream, &terms.limits, &place, requests.end.clone()).await {
                Ok(stream) => converse(stream, &terms, &place, requests).await,
                Err(error) => {
                    terms.open.figures().failed_handshakes.increment(1);
                    tracing::debug!(%peer, %error, "a handshake failed");
                }
            },
        }
    };
    tokio::select! {
        () = served => {}
        () = place.given_way() => {}
        () = reached(&mut end, End::Over) => {}
    }
}

async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
    tls: &TlsAcceptor,
    stream: S,
    limits: &Limits,
    place: &Place,
    mut end: Receiver<End>,
) -> io::Result<tokio_rustls::server::TlsStream<S>> {
    let given_up = async {
        reached(&mut end, End::Begun).await;
        place.idle_at_the_end(limits.handshake_timeout).await;
    };
    let shaken = tokio::select! {
        shaken = tls.accept(stream) => shaken?,
        () = given_up => return Err(io::ErrorKind::Interrupted.into()),
        () = tokio::time::sleep(limits.handshake_timeout) => return Err(io::ErrorKind::TimedOut.into()),
    };
    place.shook_hands();
    if shaken.get_ref().1.alpn_protocol() == Some(HTTP2) {
        place.agreed_on_http2();
    }
    Ok(shaken)
}

async fn converse<S>(stream: S, terms: &Terms, place: &Place, requests: Requests)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut end = requests.end.clone();
    let mut connection = pin!(terms.http.serve_connection(TokioIo::new(stream), requests));
    // What goes wrong on a connection is its peer's affair.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = reached(&mut end, End::Begun) => {}
    }
    // hyper closes a connection at once of whose request it has read nothing. So HTTP/1.1 is told by its next answer, and asked to close when
    // none is wanted; HTTP/2 is told as soon as it is known to be that.
    let mut idle = pin!(place.idle_at_the_end(terms.limits.handshake_timeout));
    let mut told = false;
    loop {
        if !told && place.speaks_http2() {
            connection.as_mut().graceful_shutdown();
            told = true;
        }
        tokio::select! {
            _ = connection.as_mut() => return,
            () = &mut idle => break,
            () = place.next_request(), if !told => {}
        }
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(GOODBYE, connection).await;
}

/// The router, as a connection sees it.
struct Requests {
    router: TowerToHyperService<Router>,
    peer: Peer,
    place: Arc<Place>,
    end: Receiver<End>,
}

impl Service<Request<Incoming>> for Requests {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let version = request.version();
        let asked = self.place.asked(version == Version::HTTP_2);
        // In HTTP/2 the server sends no `100 Continue`: a client that has waited for long enough sends.
        let expects =
            || request.headers().get(EXPECT).is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        let waits = version < Version::HTTP_2 && expects();
        let arriving = |body: Incoming| {
            if body.is_end_stream() {
                asked.is_whole();
            }
            Arriving { body: Some(body), asked: Arc::clone(&asked), waits }
        };
        let mut request = request.map(arriving);
        request.extensions_mut().insert(self.peer);
        let answer = self.router.call(request);
        let end = self.end.clone();
        Box::pin(async move {
            let mut response = answer.await?;
            // HTTP/2 has no such header (RFC 9113 §8.2.2).
            if version < Version::HTTP_2 && *end.borrow() > End::NotYet {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            drop(asked);
            Ok(response)
        })
    }
}

/// A request's body, which reports when it has arrived to the end. The part that its handler does not read is read and thrown away.
struct Arriving {
    /// None when it was read to its end.
    body: Option<Incoming>,
    asked: Arc<Asked>,
    /// The peer sends it when it is told to (RFC 9110 §10.1.1), and was not told yet.
    waits: bool,
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.waits = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(context));
        let ended = !matches!(frame, Some(Ok(_))) || body.is_end_stream();
        if let Some(Ok(data)) = frame.as_ref().map(|frame| frame.as_ref().map(Frame::data_ref)) {
            self.asked.has_come(data.map_or(0, Bytes::len));
        }
        if frame.is_none() || (ended && matches!(frame, Some(Ok(_)))) {
            self.asked.is_whole();
        }
        if ended {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        let place = self.asked.place();
        place.has_left_unread();
        // A peer that still waits to be told has sent nothing: the answer is all that it needs.
        if !self.waits
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(drain(body, place));
        }
    }
}
