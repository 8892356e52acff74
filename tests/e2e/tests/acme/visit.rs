//! What a client of the issuer sees: a TLS connection that stays open.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{HOST, TestResult};

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection, whose certificate chains to the root that was given.
pub struct Visit {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    leaf: Vec<u8>,
}

impl Visit {
    /// Connects and shakes hands.
    pub fn open(port: u16, root: &str) -> TestResult<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(root.as_bytes()).map_err(|e| format!("{e:?}"))?)?;
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut connection = ClientConnection::new(Arc::new(config), ServerName::try_from(HOST)?)?;
        let mut socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        let leaf = connection.peer_certificates().and_then(|chain| chain.first()).ok_or("no certificate")?.to_vec();
        Ok(Self { stream: BufReader::new(StreamOwned::new(connection, socket)), leaf })
    }

    /// Asks for a path on this connection and gives the status.
    pub fn get(&mut self, path: &str) -> TestResult<u16> {
        write!(self.stream.get_mut(), "GET {path} HTTP/1.1\r\nhost: {HOST}\r\n\r\n")?;
        let (mut status, mut length) = (None, 0);
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err("the connection has ended".into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if status.is_none() {
                status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        self.stream.read_exact(&mut vec![0; length])?;
        Ok(status.ok_or("no status line")?)
    }

    /// The public key of the certificate, DER.
    pub fn public_key(&self) -> TestResult<Vec<u8>> {
        Ok(X509Certificate::from_der(&self.leaf)?.1.public_key().raw.to_vec())
    }

    /// The serial number of the certificate, in hex.
    pub fn serial(&self) -> TestResult<String> {
        let serial = X509Certificate::from_der(&self.leaf)?.1.raw_serial().to_vec();
        Ok(serial.iter().fold(String::new(), |text, byte| text + &format!("{byte:02X}")))
    }
}
