//! A connection's bytes, with its place and a limit on silence.

use std::{
    future::Future,
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};
use tokio_io_timeout::TimeoutStream;

use super::Place;
use crate::serve::linger::{PAUSE, WHOLE};

/// After so many bytes other connections go first: of small frames of HTTP/2 a megabyte keeps a core busy for a good part of a second.
const SLICE: usize = 8 << 10;

/// A stream that notes when bytes go to and fro.
pub(crate) struct Guarded<S> {
    stream: S,
    place: Arc<Place>,
    /// Bytes that were read without letting others go first.
    in_one_go: usize,
    /// Since the last byte was written, how long the peer's may still come.
    lingering: Option<Lingering>,
}

/// The end of a connection: nothing more is written, and what the peer still sends is thrown away.
struct Lingering {
    /// Something came, so that more may.
    is_needed: bool,
    ends: Pin<Box<Sleep>>,
    pause: Pin<Box<Sleep>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guarded<S> {
    /// A stream that fails when its peer has been silent for so long, or has read nothing for so long: who says nothing holds no socket for
    /// ever.
    pub(crate) fn new(stream: S, place: Arc<Place>, idle_timeout: Duration) -> Pin<Box<TimeoutStream<Self>>> {
        let mut stream = TimeoutStream::new(Self { stream, place, in_one_go: 0, lingering: None });
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

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.place.touch();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Ends what is written, and reads on for a while where the peer has not read the last answer yet: a socket that is closed over unread bytes is
    /// reset, and the answer lost.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, place, in_one_go, lingering } = &mut *self;
        if lingering.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(context))?;
        }
        let lingering = lingering.get_or_insert_with(|| Lingering {
            is_needed: place.leaves_unread(),
            ends: Box::pin(sleep(WHOLE)),
            pause: Box::pin(sleep(PAUSE)),
        });
        let mut bytes = [MaybeUninit::uninit(); SLICE];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        match Pin::new(stream).poll_read(context, &mut buffer) {
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                place.touch();
                *in_one_go = 0;
                lingering.is_needed = true;
                lingering.pause.as_mut().reset(Instant::now() + PAUSE);
                if lingering.ends.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Ok(()));
                }
                // Other connections go first.
                context.waker().wake_by_ref();
                Poll::Pending
            }
            // The peer has read all of it, or is gone.
            Poll::Ready(_) => Poll::Ready(Ok(())),
            Poll::Pending if !lingering.is_needed => Poll::Ready(Ok(())),
            Poll::Pending => {
                let over = lingering.ends.as_mut().poll(context).is_ready()
                    || lingering.pause.as_mut().poll(context).is_ready();
                if over { Poll::Ready(Ok(())) } else { Poll::Pending }
            }
        }
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
