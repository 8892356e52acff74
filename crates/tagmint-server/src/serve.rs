//! Listeners, and an orderly end.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use axum_server::{
    Handle, Server,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use hyper_util::rt::TokioTimer;
use tokio::task::JoinHandle;

use crate::{
    app::App,
    connections::{GuardedAcceptor, OpenConnections},
    router,
    settings::Limits,
    tls::{self, ServedCertificate},
};

/// How often the end looks whether it has come.
const POLL: Duration = Duration::from_millis(10);
/// How long no request may have been under way before idle connections are cut; answers have left by then.
const QUIET: Duration = Duration::from_millis(300);

/// The sockets that an issuer listens on, bound already.
#[derive(Debug)]
pub struct Listeners {
    /// For everybody.
    pub public: TcpListener,
    /// The certificate for the public listener; without one it speaks plain HTTP, for a proxy on the same machine.
    pub tls: Option<Arc<ServedCertificate>>,
    /// For the operator; plain HTTP.
    pub admin: TcpListener,
}

/// A running issuer.
#[derive(Debug)]
pub struct Running {
    app: Arc<App>,
    public: Listening,
    admin: Listening,
    keepers: [JoinHandle<()>; 3],
    certificate: Option<Arc<ServedCertificate>>,
}

#[derive(Debug)]
struct Listening {
    address: SocketAddr,
    handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
}

/// Starts the listeners, and the tasks that look after keys, sessions and the keys of CI platforms.
///
/// # Errors
///
/// When a socket cannot be used.
pub fn serve(app: Arc<App>, listeners: Listeners) -> io::Result<Running> {
    let limits = app.settings.limits;
    let certificate = listeners.tls;
    let tls = certificate.clone().map(tls::server_config).transpose().map_err(io::Error::other)?;
    let tls = tls.map(RustlsConfig::from_config);
    // Each listener has its own count: whoever fills the public one leaves the operator's open.
    let refused = &app.figures.connections_refused;
    let open = || Arc::new(OpenConnections::new(&limits, &app.settings.trusted_proxies, refused.clone()));
    let public = listen(listeners.public, router::public(&app), tls, &limits, open())?;
    let admin = listen(listeners.admin, router::admin(&app), None, &limits, open())?;
    let keepers = [
        tokio::spawn(Arc::clone(&app).keep_keys()),
        tokio::spawn(Arc::clone(&app).keep_sessions()),
        tokio::spawn(Arc::clone(&app.upstreams).keep_fresh()),
    ];
    Ok(Running { app, public, admin, keepers, certificate })
}

impl Running {
    /// The address of the public listener.
    pub const fn public_address(&self) -> SocketAddr {
        self.public.address
    }

    /// The address of the admin listener.
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin.address
    }

    /// The issuer.
    pub const fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The certificate that new connections are shown, where TLS ends here.
    pub const fn certificate(&self) -> Option<&Arc<ServedCertificate>> {
        self.certificate.as_ref()
    }

    /// Ends in order: no new connections, requests that have begun are finished (within the grace), the ledger's queue is written.
    ///
    /// Connections without a request are cut once nothing is under way: a peer that does not read would hold the end up otherwise.
    pub async fn shutdown(self) {
        let grace = self.app.settings.limits.shutdown_grace;
        self.app.begin_shutdown();
        for listening in [&self.public, &self.admin] {
            listening.handle.graceful_shutdown(Some(grace));
        }
        let closed = async {
            while self.public.handle.connection_count() + self.admin.handle.connection_count() > 0 {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::select! {
            () = closed => {}
            () = self.app.quiet_for(QUIET) => {}
            () = tokio::time::sleep(grace) => tracing::warn!("requests were still under way when the grace was over"),
        }
        for (name, listening) in [("public", self.public), ("admin", self.admin)] {
            listening.handle.shutdown();
            match listening.task.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(name, %error, "the listener ended with an error"),
                Err(error) => tracing::error!(name, %error, "the listener's task ended badly"),
            }
        }
        self.keepers.iter().for_each(JoinHandle::abort);
        self.app.ledger.close().await;
    }
}

fn listen(
    listener: TcpListener,
    router: Router,
    tls: Option<RustlsConfig>,
    limits: &Limits,
    open: Arc<OpenConnections>,
) -> io::Result<Listening> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let handle = Handle::new();
    let mut server = axum_server::from_tcp(listener)?.handle(handle.clone());
    bound(&mut server, limits);
    let guarded = GuardedAcceptor { idle_timeout: limits.idle_timeout, open };
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let task = match tls {
        Some(config) => {
            let acceptor = RustlsAcceptor::new(config).handshake_timeout(limits.handshake_timeout).acceptor(guarded);
            tokio::spawn(server.acceptor(acceptor).serve(service))
        }
        None => tokio::spawn(server.acceptor(guarded).serve(service)),
    };
    Ok(Listening { address, handle, task })
}

/// Bounds on what a connection may hold.
fn bound<A>(server: &mut Server<SocketAddr, A>, limits: &Limits) {
    let builder = server.http_builder();
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
        .keep_alive_interval(limits.idle_timeout / 2)
        .keep_alive_timeout(limits.header_timeout);
}
