//! A line of the log that strangers can cause is written seldom.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long the same line is not repeated.
const PAUSE: Duration = Duration::from_secs(10);

/// Says when a line is due.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    at: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// How many times the line was held back, where it is due now.
    pub(crate) fn say(&self) -> Option<u64> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.at.is_some_and(|at| at.elapsed() < PAUSE) {
            said.unsaid += 1;
            return None;
        }
        said.at = Some(Instant::now());
        Some(std::mem::take(&mut said.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_is_said_once_in_a_while_with_how_often_it_was_not() {
        let line = Seldom::default();
        assert_eq!([line.say(), line.say(), line.say()], [Some(0), None, None]);
        tokio::time::advance(PAUSE).await;
        assert_eq!([line.say(), line.say()], [Some(2), None]);
    }
}
