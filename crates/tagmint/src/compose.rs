//! From a checked configuration to a running issuer, and to its orderly end.

mod reload;
mod service_manager;
mod unix_socket;

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tagmint_aws::connection::Connection;
use tagmint_core::{
    clock::{Clock, SystemClock},
    outbound::Outbound,
    random::{Random, SystemRandom},
    sealing::MasterKey,
    trusted_issuer::TrustedIssuer,
    witness::Networks,
};
use tagmint_server::{
    acme::{AcmeSettings, CertificateManager, ExternalAccount, Pace, http01},
    alarms::{AlarmParts, Alarms, CertificateSource},
    app::{App, Parts},
    backend::{HttpSessionBackend, SessionBackend},
    certificate_files::CertificateFiles,
    flows::keys::KeyContext,
    serve::{Address, Listener, Listeners, Running, serve},
    sts::WebIdentitySts,
    tls::ServedCertificate,
    upstream::Upstreams,
};
use tagmint_store::{DatabaseUrl, Store, StoreOptions};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
};

pub use self::service_manager::{ServiceManager, Sockets};
use crate::{
    certificate::{OrderedHere, StoredFiles},
    config::{
        AcmeConfig, AwsConfig, Config, EabConfig, ListenOn, Tls,
        files::{self, FileError},
    },
    error::CliError,
    sinks,
    sts::AwsSts,
    surroundings,
};

/// An issuer that answers.
#[derive(Debug)]
pub struct Issuer {
    running: Running,
    store: Store,
    config_file: PathBuf,
    trusted_issuers: Vec<TrustedIssuer>,
    certificate_files: Option<Arc<CertificateFiles>>,
    watch: Option<JoinHandle<()>>,
    renewal: Option<(Arc<CertificateManager>, JoinHandle<()>)>,
    alarms: JoinHandle<()>,
}

/// How many connections may wait to be accepted; the system's own most may be lower (`net.core.somaxconn`). With a short queue a burst of
/// connections keeps others waiting for a second, until they try again.
const BACKLOG: i32 = 4096;

/// How often the certificate's files are looked at.
const LOOK_AT_CERTIFICATE: Duration = Duration::from_secs(10);
/// How long the issuer waits at once for an ACME server to validate and to issue; after that it looks again every half minute.
const ACME_PATIENCE: Duration = Duration::from_mins(1);

/// Binds an address.
pub fn bind(address: SocketAddr) -> Result<TcpListener, CliError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        rustix::net::listen(&listener, BACKLOG)?;
        Ok(listener)
    });
    bound.map_err(|source| CliError::Listen { address: Address::Tcp(address), source })
}

/// Listens where the configuration says.
pub fn listen(on: &ListenOn) -> Result<Listener, CliError> {
    match on {
        ListenOn::Tcp(address) => bind(*address).map(Into::into),
        ListenOn::Unix(socket) => unix_socket::listen_on(socket)
            .map(Into::into)
            .map_err(|source| CliError::Listen { address: Address::Unix(socket.path.clone()), source }),
    }
}

/// The address that a listener got.
pub fn local_address(listener: &TcpListener) -> Result<SocketAddr, CliError> {
    listener.local_addr().map_err(|source| CliError::Io { what: "a listening socket", source })
}

/// The key under which signing keys are encrypted.
pub fn master_key(config: &Config) -> Result<Arc<MasterKey>, CliError> {
    let credentials = surroundings::credentials_directory();
    Ok(Arc::new(files::master_key(&config.key_file, credentials.as_deref())?))
}

/// The issuer's database, for administration beside a running issuer.
pub async fn open_existing(config: &Config) -> Result<Store, CliError> {
    Ok(Store::open_existing(&store_options(config)).await?)
}

fn store_options(config: &Config) -> StoreOptions {
    StoreOptions::new(DatabaseUrl::from(config.database.as_path()), config.settings.stamp.clone())
}

/// What looking after the keys needs.
pub fn key_context(config: &Config, store: Store, master_key: Arc<MasterKey>) -> KeyContext {
    KeyContext {
        store,
        master_key,
        settings: config.settings.clone(),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
    }
}

/// How the issuer's own requests leave this machine.
pub fn outbound(config: &Config) -> Result<Outbound, CliError> {
    match &config.outbound {
        Some(outbound) => Ok(outbound.clone()),
        None => Ok(surroundings::outbound()?),
    }
}

/// The session backend as it is configured. In prod an answer of the mock counts as an outage.
pub fn session_backend(config: &Config) -> Result<Option<Arc<dyn SessionBackend>>, CliError> {
    let Some(backend) = &config.session_backend else { return Ok(None) };
    let extra_root = backend.ca_file.as_deref().map(files::backend_ca).transpose()?;
    let refuse_mock = config.environment() == tagmint_core::environment::Environment::Prod;
    let outbound = outbound(config)?;
    let client = HttpSessionBackend::new(&backend.url, backend.timeout, extra_root.as_deref(), refuse_mock, &outbound)
        .map_err(|error| CliError::BackendClient(deepest(&error)))?;
    Ok(Some(Arc::new(client)))
}

/// STS, where roles are assumed on callers' behalf.
fn sts(config: &Config) -> Result<Option<Arc<dyn WebIdentitySts>>, CliError> {
    let Some(AwsConfig { region, sts_endpoint, ca_file, .. }) = &config.aws else { return Ok(None) };
    ca_file.as_deref().map(files::sts_ca).transpose()?;
    let connection = Connection::to_sts(region, sts_endpoint.as_deref(), ca_file.as_ref(), &outbound(config)?)?;
    Ok(Some(Arc::new(AwsSts::new(connection))))
}

/// The innermost cause, which is the one that says something.
fn deepest(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), deepest)
}

/// How certificates are ordered.
fn acme_settings(acme: &AcmeConfig, config: &Config) -> Result<AcmeSettings, CliError> {
    let credentials = surroundings::credentials_directory();
    let external_account = |eab: &EabConfig| {
        let hmac_key = files::hmac_key(&eab.hmac_key, credentials.as_deref())?;
        Ok::<_, FileError>(ExternalAccount { kid: eab.kid.clone(), hmac_key })
    };
    Ok(AcmeSettings {
        directory: acme.directory.clone(),
        contact: acme.contact.clone(),
        names: acme.names.clone(),
        profile: acme.profile.clone(),
        ca_pem: acme.ca_file.as_deref().map(files::acme_ca).transpose()?,
        outbound: outbound(config)?,
        external_account: acme.eab.as_ref().map(external_account).transpose()?,
        refresh: config.settings.key_refresh,
        patience: ACME_PATIENCE,
        pace: Pace::default(),
    })
}

/// Starts an issuer on sockets that are bound already.
pub async fn start(
    config: Config,
    public: impl Into<Listener>,
    admin: impl Into<Listener>,
) -> Result<Issuer, CliError> {
    start_on(config, Sockets { public: public.into(), admin: admin.into(), http: None }).await
}

/// Starts an issuer on its sockets.
pub async fn start_on(config: Config, sockets: Sockets) -> Result<Issuer, CliError> {
    let master_key = master_key(&config)?;
    let certificate_files = match &config.tls {
        Tls::Files { certificate, key } => {
            let files = files::certificate(config.environment(), certificate.clone(), key.clone())?;
            Some(Arc::new(files))
        }
        Tls::Acme(_) | Tls::Proxy => None,
    };
    let acme = match &config.tls {
        Tls::Acme(acme) => Some(acme_settings(acme, &config)?),
        Tls::Files { .. } | Tls::Proxy => None,
    };
    let tls = match &certificate_files {
        Some(files) => Some(Arc::clone(files.served())),
        None => acme.as_ref().map(|_| ServedCertificate::none()),
    };
    let backend = session_backend(&config)?;
    let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    let outbound = outbound(&config)?;
    if !outbound.is_direct() {
        tracing::info!(%outbound, "requests of the issuer's own go through a proxy");
    }
    let upstreams = Upstreams::new(files::upstreams(&config, &outbound)?, Arc::clone(&clock), Arc::clone(&random))?;
    let sts = sts(&config)?;
    let sinks = sinks::all(&config, &outbound)?;
    let folder =
        config.database.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let store = Store::open(&store_options(&config)).await?;
    let ledger = store.ledger_writer(Arc::clone(&master_key)).await?;
    let config_file = config.file.clone();
    let trusted_issuers = config.issuers.iter().map(|config| config.issuer.clone()).collect();
    let mut settings = config.settings;
    if let Some(file) = &config.witness_networks {
        let networks = &mut settings.witness.recognition.networks;
        *networks = Some(Networks::union(networks.take().into_iter().chain([files::aws_networks(file)?])));
    }
    let order = |(settings, served): (AcmeSettings, &Arc<ServedCertificate>)| {
        let (key, clock, random) = (Arc::clone(&master_key), Arc::clone(&clock), Arc::clone(&random));
        CertificateManager::new(settings, store.clone(), key, Arc::clone(served), clock, random)
    };
    let manager = acme.zip(tls.as_ref()).map(order).transpose()?;
    let parts = Parts {
        settings,
        store: store.clone(),
        ledger,
        master_key,
        rules: config.rules,
        backend,
        upstreams,
        sts,
        clock,
        random,
    };
    let app = App::start(parts).await?;
    if let Some(served) = &tls {
        app.show_certificate(Arc::clone(served), manager.clone());
    }
    let Sockets { public, admin, http } = sockets;
    let plain = http.zip(manager.as_ref()).map(|(http, manager)| (http, http01::router(&app, manager)));
    let listeners = Listeners { public, tls, admin, plain };
    let running = serve(app, listeners).map_err(|source| CliError::Io { what: "the listeners", source })?;
    let watch = certificate_files.clone().map(|files| {
        let figures = running.app().certificate_file_figures().clone();
        tokio::spawn(files.watch(LOOK_AT_CERTIFICATE, figures))
    });
    let renewal = manager.map(|manager| (Arc::clone(&manager), tokio::spawn(manager.keep_certificate())));
    let certificate = running.certificate().and_then(|served| certificate_source(&config.tls, running.app(), served));
    let parts = AlarmParts { policy: config.notices, sinks, certificate, folder };
    let alarms = tokio::spawn(Alarms::new(Arc::clone(running.app()), parts).keep());
    Ok(Issuer { running, store, config_file, trusted_issuers, certificate_files, watch, renewal, alarms })
}

/// Where the served certificate comes from.
fn certificate_source(
    tls: &Tls,
    app: &Arc<App>,
    served: &Arc<ServedCertificate>,
) -> Option<Arc<dyn CertificateSource>> {
    match tls {
        Tls::Files { certificate, key } => Some(Arc::new(StoredFiles {
            served: Arc::clone(served),
            certificate: certificate.clone(),
            key: key.clone(),
        })),
        Tls::Acme(_) => Some(Arc::new(OrderedHere(Arc::clone(app)))),
        Tls::Proxy => None,
    }
}

impl Issuer {
    /// Its state.
    pub const fn app(&self) -> &Arc<App> {
        self.running.app()
    }

    /// Its database.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Where it serves everybody.
    pub const fn public_address(&self) -> &Address {
        self.running.public_address()
    }

    /// The URL of the admin listener.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.running.admin_address())
    }

    /// Ends in order.
    pub async fn shutdown(self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
        // What it was at stands in the store, and is gone on with at the next start.
        if let Some((manager, renewal)) = self.renewal {
            renewal.abort();
            let _ = renewal.await;
            manager.hand_over().await;
        }
        self.alarms.abort();
        self.running.shutdown().await;
        self.store.close().await;
    }

    /// Runs until SIGTERM or Ctrl-C, then ends in order. A second one ends it at once.
    pub async fn run(self, signals: Signals) -> Result<(), CliError> {
        self.run_under(&ServiceManager::none(), signals).await
    }

    /// The same, and tells the service manager about it.
    pub async fn run_under(self, manager: &ServiceManager, mut signals: Signals) -> Result<(), CliError> {
        let serving = format!("Serving {}", self.app().settings().stamp.issuer);
        manager.ready(&serving);
        let until_the_end = async {
            while signals.next().await == Wanted::Reload {
                manager.reloading();
                self.reload().await;
                manager.ready(&serving);
            }
        };
        tokio::select! {
            () = until_the_end => {}
            () = manager.watch(self.running.admin_address()) => {}
        }
        manager.stopping();
        tracing::info!("ending: no new connections, those that were accepted are finished");
        let ended = async {
            self.shutdown().await;
            Ok(())
        };
        let impatient = async {
            while signals.next().await == Wanted::Reload {}
            Err(CliError::Refused("ended by a second signal before all requests were finished".to_owned()))
        };
        tokio::select! {
            result = ended => result,
            result = impatient => result,
        }
    }
}

/// The signals that a running issuer listens to.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// An orderly end.
    End,
    /// New certificates.
    Reload,
}

impl Signals {
    /// Begins to listen: from here on a signal does not kill the process.
    pub fn listen() -> Result<Self, CliError> {
        let listen = |kind| signal(kind).map_err(|source| CliError::Io { what: "signals", source });
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Wanted {
        tokio::select! {
            _ = self.terminate.recv() => Wanted::End,
            _ = self.interrupt.recv() => Wanted::End,
            _ = self.hangup.recv() => Wanted::Reload,
        }
    }
}
