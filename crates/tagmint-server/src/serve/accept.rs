//! Connections are accepted, each into a task of its own.

use std::{io, sync::Arc, time::Duration};

use tokio::sync::watch::Receiver;

use super::{
    End,
    conversation::{Terms, attend},
    listener::{Accepting, Stream},
    reached,
};
use crate::{client_address::Peer, connections::Seldom};

/// How long nothing is accepted after the system could not accept: without a free file or memory it would fail again at once, for ever.
const PAUSE: Duration = Duration::from_millis(20);

/// How long connections that were told to go are waited for, and how many times.
const MOMENT: Duration = Duration::from_millis(1);
const PATIENCE: u32 = 100;

/// Accepts until the end begins.
pub(super) async fn accept(listener: Accepting, terms: Arc<Terms>, mut end: Receiver<End>) {
    let line = Seldom::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = reached(&mut end, End::Begun) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => take(stream, peer, &terms, &end).await,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                terms.open.figures().failed_accepts.increment(1);
                if let Some(unsaid) = line.say() {
                    tracing::error!(%error, unsaid, "a connection could not be accepted");
                }
                // The files that this sets free are there when its task has run.
                terms.open.make_room();
                tokio::select! {
                    () = reached(&mut end, End::Begun) => break,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
    }
    match listener.close() {
        Ok(rest) => {
            for (stream, peer) in rest {
                take(stream, peer, &terms, &end).await;
            }
        }
        Err(error) => tracing::warn!(%error, "connections that waited to be accepted could not be taken"),
    }
}

/// Whether a connection ended before it was accepted; the next one is none the worse for it (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn take(stream: Stream, peer: Peer, terms: &Arc<Terms>, end: &Receiver<End>) {
    // In a burst connections are told to make room faster than they do. Where they don't, the new one is refused.
    for _ in 0..PATIENCE {
        if !terms.open.is_making_room() {
            break;
        }
        tokio::time::sleep(MOMENT).await;
    }
    if let Some(place) = terms.open.admit(peer, terms.tls.is_some()) {
        tokio::spawn(attend(stream, peer, place, Arc::clone(terms), end.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_went_away_is_not_the_listeners_trouble() {
        // ECONNABORTED and EMFILE, as accept(2) gives them.
        assert!(is_of_one_connection(&io::Error::from_raw_os_error(103)));
        assert!(!is_of_one_connection(&io::Error::from_raw_os_error(24)));
    }
}
