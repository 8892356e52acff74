//! What a service manager such as systemd passes in and is told: sockets, readiness, the watchdog.
//!
//! Sources: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3). Without a service manager nothing here does anything.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::net::UnixDatagram,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tagmint_server::serve::{Address, Listener};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{bind, listen};
use crate::{
    config::{Config, ListenOn, Tls},
    error::CliError,
    surroundings::{self, PassedListener},
};

/// The longest time that a message may wait for room in the service manager's queue.
const SEND_LIMIT: Duration = Duration::from_secs(1);
/// Answered by the process alone: no database, no upstream, no limit.
const PROBE: &[u8] = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
/// How the answer to the probe begins.
const ALIVE: &[u8] = b"HTTP/1.1 200 ";

/// The listeners of an issuer, passed or bound.
#[derive(Debug)]
pub struct Sockets {
    /// For everybody.
    pub public: Listener,
    /// For the operator.
    pub admin: Listener,
    /// Port 80, where certificates are ordered here.
    pub http: Option<Listener>,
}

impl Sockets {
    /// Takes the sockets that the service manager passes, by their names `public`, `admin` and `http`, and binds those that it does not.
    ///
    /// # Errors
    ///
    /// When a passed socket has another name, has a name twice, does not listen, or is reachable from where the configuration forbids; and
    /// when an address cannot be bound.
    pub fn take(config: &Config) -> Result<Self, CliError> {
        let passed = surroundings::passed_listeners()
            .map_err(|source| CliError::Io { what: "the sockets that the service manager passes", source })?;
        let (mut public, mut admin, mut http) = (None, None, None);
        for PassedListener { name, listener } in passed {
            let address = listener.address().map_err(|source| CliError::Io { what: "a listening socket", source })?;
            let slot = match name.as_str() {
                "public" => &mut public,
                "admin" => &mut admin,
                "http" => &mut http,
                _ => {
                    return Err(refused(
                        &name,
                        &address,
                        "its name is not known: say `FileDescriptorName=public`, `admin` or `http`",
                    ));
                }
            };
            let allowed = allowed(&name, &address, config).and(match slot {
                Some(_) => Err("there is another one of that name: give one `ListenStream=`"),
                None => Ok(()),
            });
            allowed.map_err(|reason| refused(&name, &address, reason))?;
            let configured = match (name.as_str(), &config.tls) {
                ("http", Tls::Acme(acme)) => ListenOn::Tcp(acme.http_listen),
                ("public", _) => config.public.clone(),
                _ => ListenOn::Tcp(config.admin),
            };
            tracing::info!(name, %address, not_used = %configured, "the socket was passed by the service manager; the configured address is not used");
            *slot = Some(listener.held_by_another());
        }
        if let (None, Tls::Acme(acme)) = (&http, &config.tls) {
            http = Some(bind(acme.http_listen)?.into());
        }
        Ok(Self {
            http,
            public: public.map_or_else(|| listen(&config.public), Ok)?,
            admin: admin.map_or_else(|| bind(config.admin).map(Into::into), Ok)?,
        })
    }
}

/// What the configuration says about addresses holds for passed sockets too.
fn allowed(name: &str, address: &Address, config: &Config) -> Result<(), &'static str> {
    let Some(tcp) = address.tcp() else {
        return match name {
            "public" if config.tls == Tls::Proxy => Ok(()),
            "public" => Err("a unix socket is for a proxy: it needs `tls.mode = \"proxy\"`"),
            _ => Err("it is a unix socket: set `ListenStream=` to an address and port"),
        };
    };
    let outside = !tcp.ip().to_canonical().is_loopback();
    match name {
        "public" if outside && config.tls == Tls::Proxy => {
            Err("with `tls.mode = \"proxy\"` it speaks plain HTTP: set `ListenStream=` to a loopback address or a path")
        }
        // The configuration has such an address with `admin_anywhere` alone.
        "admin" if outside && config.admin.ip().is_loopback() => Err(
            "it is reached from outside: set `ListenStream=` to a loopback address, or `listen.admin` to one that is not",
        ),
        "http" if !matches!(config.tls, Tls::Acme(_)) => {
            Err("port 80 is served with `tls.mode = \"acme\"` alone: disable its socket unit")
        }
        _ => Ok(()),
    }
}

fn refused(name: &str, address: &Address, reason: &str) -> CliError {
    CliError::Check(format!("the service manager passes the socket `{name}` on {address}: {reason}"))
}

/// Who started the process and wants to know how it is.
#[derive(Debug)]
pub struct ServiceManager {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// Nobody: an issuer that was started by hand.
    pub const fn none() -> Self {
        Self { socket: None, watchdog: None }
    }

    /// The one that the environment names (`NOTIFY_SOCKET`), if it does.
    pub fn connect() -> Self {
        let connected = surroundings::notify_address().and_then(|address| {
            let Some(address) = address else { return Ok(None) };
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address)?;
            socket.set_write_timeout(Some(SEND_LIMIT))?;
            Ok(Some(socket))
        });
        let socket = connected.unwrap_or_else(|error| {
            tracing::warn!(%error, "NOTIFY_SOCKET cannot be used: the service manager is told nothing");
            None
        });
        let watchdog = surroundings::watchdog().filter(|_| socket.is_some());
        Self { socket, watchdog }
    }

    /// The listeners serve.
    pub(super) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", status.replace('\n', " ")));
    }

    /// The certificate is being read anew; [`Self::ready`] tells the end.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// The end has begun.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=Finishing the requests that have begun");
    }

    fn tell(&self, message: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(message.as_bytes()) {
            tracing::warn!(%error, message, "the service manager could not be told");
        }
    }

    /// Tells the watchdog, twice in its time, that the issuer answers; never returns. Where it does not answer, the watchdog is left to bite.
    ///
    /// The admin listener is asked: it has its own count of connections, so whoever fills the public one does not get the issuer killed.
    pub(super) async fn watch(&self, admin: &Address) {
        let Some((within, admin)) = self.watchdog.zip(admin.tcp()) else { return std::future::pending().await };
        let half = within / 2;
        let mut ticks = interval(half);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let answered = timeout(half, answers(admin)).await;
            match answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(()) => self.tell("WATCHDOG=1"),
                Err(error) => {
                    tracing::error!(%error, %admin, "the admin listener does not answer, so the watchdog is not told");
                }
            }
        }
    }
}

/// Asks the admin listener over a connection of its own.
async fn answers(admin: SocketAddr) -> io::Result<()> {
    let mut connection = TcpStream::connect(reachable(admin)).await?;
    connection.write_all(PROBE).await?;
    let mut answer = [0; ALIVE.len()];
    connection.read_exact(&mut answer).await?;
    if answer == ALIVE { Ok(()) } else { Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned())) }
}

/// An address at which a listener is reached from this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(mode: &str, admin: &str) -> Config {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/examples/test.toml"));
        let text = text
            .expect("the example")
            .replace("0.0.0.0:8443", "127.0.0.1:8443")
            .replace("mode = \"files\"", &format!("mode = \"{mode}\""))
            .replace("admin = \"127.0.0.1:9464\"", &format!("admin = \"{admin}\"\nadmin_anywhere = true"));
        let text = match mode {
            "files" => text,
            _ => text.replace("\ncertificate = ", "\n# ").replace("\nkey = ", "\n# "),
        };
        let acme = "\n[tls.acme]\nterms_of_service_agreed = true\n";
        let text = if mode == "acme" { format!("{text}{acme}") } else { text };
        Config::parse(&text, Path::new("test.toml")).expect("a config")
    }

    #[test]
    fn a_passed_socket_is_held_to_the_rules_for_addresses() {
        let [outside, loopback] =
            ["[::]:443", "[::ffff:127.0.0.1]:8080"].map(|address| Address::Tcp(address.parse().unwrap()));
        let unix = Address::Unix("/run/tagmint/prod.sock".into());
        let files = config("files", "127.0.0.1:9464");
        let proxy = config("proxy", "127.0.0.1:9464");
        assert!(allowed("public", &outside, &files).is_ok());
        assert!(allowed("public", &outside, &proxy).is_err());
        assert!(allowed("http", &outside, &files).is_err());
        assert!(allowed("http", &outside, &config("acme", "127.0.0.1:9464")).is_ok());
        assert!(allowed("http", &unix, &config("acme", "127.0.0.1:9464")).is_err());
        assert!(allowed("public", &loopback, &proxy).is_ok());
        assert!(allowed("admin", &outside, &files).is_err());
        assert!(allowed("admin", &loopback, &files).is_ok());
        assert!(allowed("admin", &outside, &config("files", "0.0.0.0:9464")).is_ok());
        assert!(allowed("public", &unix, &proxy).is_ok());
        assert!(allowed("public", &unix, &files).is_err());
        assert!(allowed("admin", &unix, &proxy).is_err());
    }

    #[test]
    fn a_listener_on_every_address_is_reached_on_loopback() {
        for (listens, asked) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("127.0.0.2:1", "127.0.0.2:1"),
            ("[fd00::1]:1", "[fd00::1]:1"),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()), asked.parse().unwrap());
        }
    }

    #[tokio::test]
    async fn only_an_answer_with_200_counts() {
        for (answer, good) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", false),
            ("HTTP/1.1", false),
            ("", false),
        ] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = async {
                let (mut connection, _) = listener.accept().await.unwrap();
                let mut question = vec![0; PROBE.len()];
                connection.read_exact(&mut question).await.unwrap();
                assert_eq!(question, PROBE);
                connection.write_all(answer.as_bytes()).await.unwrap();
            };
            let (found, ()) = tokio::join!(answers(address), server);
            assert_eq!(found.is_ok(), good, "{answer:?}");
        }
    }

    /// What the service manager hears within five halves of the watchdog's time from an issuer that answers so.
    async fn heard(answer: &'static str) -> Vec<String> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        let server = async {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                connection.read_exact(&mut vec![0; PROBE.len()]).await.unwrap();
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
        };
        let (socket, told) = UnixDatagram::pair().unwrap();
        told.set_nonblocking(true).unwrap();
        let manager = ServiceManager { socket: Some(socket), watchdog: Some(Duration::from_millis(200)) };
        tokio::select! {
            () = manager.watch(&address) => {}
            () = server => {}
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
        let mut message = [0; 64];
        std::iter::from_fn(|| {
            told.recv(&mut message).ok().map(|size| String::from_utf8_lossy(&message[..size]).into_owned())
        })
        .collect()
    }

    #[tokio::test]
    async fn the_watchdog_hears_of_an_issuer_that_answers_alone() {
        let good = heard("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        assert!(good.len() >= 2 && good.iter().all(|message| message == "WATCHDOG=1"), "{good:?}");
        assert!(heard("HTTP/1.1 503 Service Unavailable\r\n\r\n").await.is_empty());
    }

    #[test]
    fn a_service_manager_hears_how_it_goes() {
        let (socket, told) = UnixDatagram::pair().unwrap();
        let manager = ServiceManager { socket: Some(socket), watchdog: None };
        let mut message = [0; 256];
        let mut next = || {
            let size = told.recv(&mut message).unwrap();
            String::from_utf8_lossy(&message[..size]).into_owned()
        };
        manager.ready("one\ntwo");
        assert_eq!(next(), "READY=1\nSTATUS=one two");
        manager.reloading();
        let text = next();
        let microseconds = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").and_then(|text| text.parse::<u64>().ok());
        assert!(microseconds.is_some_and(|microseconds| microseconds > 0), "{text}");
        manager.stopping();
        assert!(next().starts_with("STOPPING=1\n"));
        ServiceManager::none().ready("nobody listens");
    }
}
