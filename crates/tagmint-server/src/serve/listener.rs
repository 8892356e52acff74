//! Sockets that listen, and what they accept.

use std::{
    fmt, io,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

use crate::client_address::Peer;

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    outlives_us: bool,
}

#[derive(Debug)]
enum Socket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// Where a socket listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Address and port.
    Tcp(SocketAddr),
    /// A unix socket's file.
    Unix(PathBuf),
}

impl Address {
    /// Address and port, where it is not a unix socket.
    pub const fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl From<std::net::TcpListener> for Listener {
    fn from(listener: std::net::TcpListener) -> Self {
        Self { socket: Socket::Tcp(listener), outlives_us: false }
    }
}

impl From<std::os::unix::net::UnixListener> for Listener {
    fn from(listener: std::os::unix::net::UnixListener) -> Self {
        Self { socket: Socket::Unix(listener), outlives_us: false }
    }
}

impl Listener {
    /// Somebody else holds the socket too, as a service manager does: at the end, connections that wait in it are left to the next process.
    /// Otherwise they are taken, because the system would cut them.
    #[must_use]
    pub const fn held_by_another(mut self) -> Self {
        self.outlives_us = true;
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// When the system does not say, or the unix socket has no file.
    pub fn address(&self) -> io::Result<Address> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Socket::Unix(listener) => {
                let address = listener.local_addr()?;
                let path = address.as_pathname().ok_or_else(|| io::Error::other("a unix socket without a file"))?;
                Ok(Address::Unix(path.to_owned()))
            }
        }
    }

    /// Begins to hear of connections.
    pub(super) fn start(self) -> io::Result<Accepting> {
        let socket = match self.socket {
            Socket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                AsyncSocket::Tcp(tokio::net::TcpListener::from_std(listener)?)
            }
            Socket::Unix(listener) => {
                listener.set_nonblocking(true)?;
                AsyncSocket::Unix(tokio::net::UnixListener::from_std(listener)?)
            }
        };
        Ok(Accepting { socket, outlives_us: self.outlives_us })
    }
}

/// A listener that hears of connections.
pub(super) struct Accepting {
    socket: AsyncSocket,
    outlives_us: bool,
}

enum AsyncSocket {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Accepting {
    /// The next connection. Nothing is lost when this is dropped before it returns.
    pub(super) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match &self.socket {
            AsyncSocket::Tcp(listener) => listener.accept().await.and_then(|(stream, address)| tcp(stream, address)),
            AsyncSocket::Unix(listener) => {
                listener.accept().await.map(|(stream, _)| (Stream::Unix(stream), Peer::Unix))
            }
        }
    }

    /// Closes the socket and returns the connections that wait in it, unless they are for the next process.
    pub(super) fn close(self) -> io::Result<Vec<(Stream, Peer)>> {
        let mut rest = Vec::new();
        if self.outlives_us {
            return Ok(rest);
        }
        match self.socket {
            AsyncSocket::Tcp(listener) => {
                let listener = listener.into_std()?;
                while let Ok((stream, address)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    rest.push(tcp(TcpStream::from_std(stream)?, address)?);
                }
            }
            AsyncSocket::Unix(listener) => {
                let listener = listener.into_std()?;
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    rest.push((Stream::Unix(UnixStream::from_std(stream)?), Peer::Unix));
                }
            }
        }
        Ok(rest)
    }
}

fn tcp(stream: TcpStream, address: SocketAddr) -> io::Result<(Stream, Peer)> {
    // Answers are small and whole: waiting to fill a segment only adds to the latency.
    stream.set_nodelay(true)?;
    Ok((Stream::Tcp(stream), Peer::Tcp(address)))
}

/// An accepted connection.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }
}
