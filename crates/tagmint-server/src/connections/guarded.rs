//! A connection's bytes, with its place and a limit on silence.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_io_timeout::TimeoutStream;

use super::Place;

/// After so many bytes other connections go first: of small frames of HTTP/2 a megabyte keeps a core busy for a good part of a second.
const SLICE: usize = 8 << 10;

/// A stream that notes when bytes go to and fro.
pub(crate) struct Guarded<S> {
    stream: S,
    place: Arc<Place>,
    /// Bytes that were read without letting others go first.
    in_one_go: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guarded<S> {
    /// A stream that fails when its peer has been silent for so long, or has read nothing for so long: who says nothing holds no socket for
    /// ever.
    pub(crate) fn new(stream: S, place: Arc<Place>, idle_timeout: Duration) -> Pin<Box<TimeoutStream<Self>>> {
        let mut stream = TimeoutStream::new(Self { stream, place, in_one_go: 0 });
        stream.set_read_timeout(Some(idle_timeout));
        stream.set_write_timeout(Some(idle_timeout));
        Box::pin(stream)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.in_one_go >= SLICE {
            self.in_one_go = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) else {
            self.in_one_go = 0;
            return Poll::Pending;
        };
        read?;
        let bytes = buffer.filled().len() - before;
        if bytes > 0 {
            self.in_one_go += bytes;
            if !self.place.read(bytes) {
                return Poll::Ready(Err(io::Error::other("too much was said and nothing asked")));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.place.touch();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices))?;
        self.place.touch();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
