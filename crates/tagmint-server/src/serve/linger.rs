//! Bodies that are no longer wanted, because their request was answered before they had come.
//!
//! Where a socket is closed while its peer is still sending, the system answers with a reset, and the peer loses the answer that it has not read
//! yet. So the rest of the body is read and thrown away, for a while, as nginx's lingering close does. The answer is on its way meanwhile.

use std::{future::poll_fn, pin::Pin, sync::Arc, time::Duration};

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, Incoming};
use tokio::time::{Instant, timeout_at};

use crate::connections::Place;

/// The longest pause between two pieces (nginx's `lingering_timeout`).
pub(crate) const PAUSE: Duration = Duration::from_secs(5);
/// The longest time that it takes in all (nginx's `lingering_time`).
pub(crate) const WHOLE: Duration = Duration::from_secs(30);
/// How much of one body is read.
const MOST_BYTES: usize = 64 << 20;

/// Reads a body to its end, or to one of the bounds. Then it is dropped, and the connection closed (HTTP/1.1) or the stream reset (HTTP/2).
pub(super) async fn drain(mut body: Incoming, place: Arc<Place>) {
    let until = Instant::now() + WHOLE;
    let mut left = MOST_BYTES;
    loop {
        let deadline = until.min(Instant::now() + PAUSE);
        let frame = timeout_at(deadline, poll_fn(|context| Pin::new(&mut body).poll_frame(context))).await;
        let bytes = match frame {
            Ok(Some(Ok(frame))) => data_len(&frame),
            Ok(None) => return place.has_read_all(),
            Ok(Some(Err(_))) | Err(_) => return,
        };
        place.earn(bytes);
        match left.checked_sub(bytes) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

fn data_len(frame: &Frame<Bytes>) -> usize {
    frame.data_ref().map_or(0, Bytes::len)
}
