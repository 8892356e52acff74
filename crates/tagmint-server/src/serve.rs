//! Listeners, and an orderly end.
//!
//! The end loses nothing that was accepted: first nothing new is accepted, then every connection is served to its end, whether its request was
//! read yet or not. HTTP/2 is told by GOAWAY (RFC 9113 §6.8), HTTP/1.1 by `connection: close` in its next answer (RFC 9112 §9.6); who stays
//! silent is closed after a second. All of it within the grace.

mod accept;
mod conversation;
pub(crate) mod linger;
mod listener;

use std::{io, sync::Arc};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    sync::watch::{self, Receiver, Sender},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

pub use self::listener::{Address, Listener};
use self::{accept::accept, conversation::Terms};
use crate::{
    app::App,
    connections::OpenConnections,
    router,
    settings::Limits,
    tls::{self, ServedCertificate},
};

/// The sockets that an issuer listens on, bound already.
#[derive(Debug)]
pub struct Listeners {
    /// For everybody.
    pub public: Listener,
    /// The certificate for the public listener; without one it speaks plain HTTP, for a proxy on the same machine.
    pub tls: Option<Arc<ServedCertificate>>,
    /// For the operator; plain HTTP.
    pub admin: Listener,
    /// One more for everybody, plain HTTP with routes of its own, under the same limits and with the same end: port 80.
    pub plain: Option<(Listener, Router)>,
}

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// It has not begun.
    NotYet,
    /// Nothing new is accepted; what was accepted is finished.
    Begun,
    /// The grace is over: whatever is left is cut.
    Over,
}

/// Returns when the end has come so far. Where nobody can tell any more it is over.
async fn reached(end: &mut Receiver<End>, stage: End) {
    // An error says that the issuer is gone.
    let _ = end.wait_for(|now| *now >= stage).await;
}

/// A running issuer.
#[derive(Debug)]
pub struct Running {
    app: Arc<App>,
    public: Address,
    admin: Address,
    plain: Option<Address>,
    /// Each listener and each connection holds a receiver for as long as it lives.
    end: Sender<End>,
    keepers: [JoinHandle<()>; 5],
    certificate: Option<Arc<ServedCertificate>>,
}

/// Starts the listeners, and the tasks that look after keys, sessions and the keys of CI platforms.
///
/// # Errors
///
/// When a socket cannot be used.
pub fn serve(app: Arc<App>, listeners: Listeners) -> io::Result<Running> {
    let Listeners { public, tls: certificate, admin, plain } = listeners;
    if let Some(certificate) = &certificate {
        // Served once: a second time there is one already.
        app.show_certificate(Arc::clone(certificate), None);
    }
    let tls = certificate.clone().map(tls::server_config).transpose().map_err(io::Error::other)?;
    let tls = tls.map(TlsAcceptor::from);
    let (end, ending) = watch::channel(End::NotYet);
    let listen = |listener: Listener, router: Router, tls| {
        let address = listener.address()?;
        let limits = app.settings.limits;
        // Each listener has its own count: whoever fills the public one leaves the operator's open.
        let figures = app.figures.connections.clone();
        let open = Arc::new(OpenConnections::new(&limits, &app.settings.trusted_proxies, figures));
        let terms = Terms { router, tls, http: http(&limits), limits, open };
        tokio::spawn(accept(listener.start()?, Arc::new(terms), ending.clone()));
        Ok::<_, io::Error>(address)
    };
    let public = listen(public, router::public(&app), tls)?;
    let admin = listen(admin, router::admin(&app), None)?;
    let plain = plain.map(|(listener, router)| listen(listener, router, None)).transpose()?;
    let keepers = [
        tokio::spawn(Arc::clone(&app).keep_keys()),
        tokio::spawn(Arc::clone(&app).keep_sessions()),
        tokio::spawn(Arc::clone(&app.upstreams).keep_fresh()),
        tokio::spawn(Arc::clone(&app).keep_fetches()),
        tokio::spawn(Arc::clone(&app).keep_refusal_summaries()),
    ];
    Ok(Running { app, public, admin, plain, end, keepers, certificate })
}

impl Running {
    /// The address of the public listener.
    pub const fn public_address(&self) -> &Address {
        &self.public
    }

    /// The address of the admin listener.
    pub const fn admin_address(&self) -> &Address {
        &self.admin
    }

    /// The address of the third listener, where there is one.
    pub const fn plain_address(&self) -> Option<&Address> {
        self.plain.as_ref()
    }

    /// The issuer.
    pub const fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The certificate that new connections are shown, where TLS ends here.
    pub const fn certificate(&self) -> Option<&Arc<ServedCertificate>> {
        self.certificate.as_ref()
    }

    /// Ends in order: no new connections, those that were accepted are finished (within the grace), the ledger's queue is written.
    pub async fn shutdown(self) {
        self.app.begin_shutdown();
        self.end.send_replace(End::Begun);
        let grace = self.app.settings.limits.shutdown_grace;
        if tokio::time::timeout(grace, self.end.closed()).await.is_err() {
            let left = self.end.receiver_count();
            tracing::warn!(left, "connections were still open when the grace was over: they are cut");
            self.end.send_replace(End::Over);
            self.end.closed().await;
        }
        for keeper in self.keepers {
            keeper.abort();
            // Cancelled, and so without its hold on the recorder's queue.
            let _ = keeper.await;
        }
        self.app.recorder.finish(&self.app.store).await;
        self.app.write_refusal_summary().await;
        self.app.ledger.close().await;
    }
}

/// How much of a body a client of HTTP/2 may send before it is read, and of all bodies of a connection: as much as bodies have, and less than half
/// of what may be said in vain, so that a body that is read late is not taken for that.
const STREAM_WINDOW: u32 = 128 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;

/// Bounds on what a connection may hold.
fn http(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes.max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(256)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(limits.idle_timeout / 2)
        .keep_alive_timeout(limits.header_timeout);
    builder
}
