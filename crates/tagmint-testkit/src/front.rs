//! Issuers on loopback under their real names: an HTTP proxy (CONNECT, RFC 9110 §9.3.6) that ends TLS for them, as nginx would.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::certificates::{Certificates, under_an_authority};

/// The longest request for a tunnel, in bytes.
const LONGEST: usize = 4096;

type Routes = Arc<Mutex<HashMap<String, SocketAddr>>>;

/// A proxy that knows where some names lead. It ends when it is dropped.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
    ca_pem: String,
    routes: Routes,
    _tasks: JoinSet<()>,
}

impl Front {
    /// Listens, with a certificate for `names`. None of them leads anywhere yet.
    ///
    /// # Panics
    ///
    /// Where there is no loopback port.
    pub async fn start(names: &[&str]) -> Self {
        let Certificates { ca_pem, config, .. } = under_an_authority(names);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("an address");
        let routes = Routes::default();
        let (shared, acceptor) = (Arc::clone(&routes), TlsAcceptor::from(config));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                connections.spawn(tunnel(stream, acceptor.clone(), Arc::clone(&shared)));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, ca_pem, routes, _tasks: tasks }
    }

    /// What to trust for the names, as PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The proxy's URL, for `HTTPS_PROXY`.
    pub fn proxy(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Says which plain HTTP server a name leads to.
    pub fn lead(&self, name: &str, to: SocketAddr) {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), to);
    }
}

async fn tunnel(mut stream: TcpStream, acceptor: TlsAcceptor, routes: Routes) {
    let Ok(name) = asked_for(&mut stream).await else { return };
    let to = routes.lock().unwrap_or_else(PoisonError::into_inner).get(&name).copied();
    let Some(to) = to else {
        let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
        return;
    };
    let through = async {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        let mut secured = acceptor.accept(stream).await?;
        let mut server = TcpStream::connect(to).await?;
        io::copy_bidirectional(&mut secured, &mut server).await
    };
    // Whoever asked sees that it failed.
    let _ = through.await;
}

/// The host of `CONNECT host:443 HTTP/1.1`; the rest of the head is read and passed over.
async fn asked_for(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < LONGEST {
        head.push(stream.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head);
    let host = text.strip_prefix("CONNECT ").and_then(|rest| rest.split_once(':'));
    host.map(|(host, _)| host.to_owned()).ok_or_else(|| io::Error::other("no CONNECT"))
}
