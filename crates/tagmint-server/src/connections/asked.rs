//! A request on a connection.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::Place;

/// A request, until it is answered.
pub(crate) struct Asked {
    place: Arc<Place>,
    whole: AtomicBool,
}

impl Asked {
    /// A request on a connection, not wholly here yet.
    pub(super) fn new(place: Arc<Place>) -> Arc<Self> {
        Arc::new(Self { place, whole: AtomicBool::new(false) })
    }

    /// So many bytes of its body have come.
    pub(crate) fn has_come(&self, bytes: usize) {
        self.place.earn(bytes);
    }

    /// The place of its connection.
    pub(crate) fn place(&self) -> Arc<Place> {
        Arc::clone(&self.place)
    }

    /// Its body is here to the end: the connection does not wait any more.
    pub(crate) fn is_whole(&self) {
        if self.whole.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut counts = self.place.connections.counts();
        let mut stands = self.place.stands();
        stands.whole += 1;
        counts.proceed(stands.turn);
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.place.under_way.fetch_sub(1, Ordering::Relaxed);
        if !self.whole.load(Ordering::Relaxed) {
            return;
        }
        let mut counts = self.place.connections.counts();
        let mut stands = self.place.stands();
        stands.whole -= 1;
        if stands.whole == 0 {
            stands.turn = counts.wait(&self.place.gives_way);
        }
    }
}
