//! How far a replay is, on a terminal.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use super::text::count;
use crate::output::Output;

/// How often the line is written.
const EVERY: Duration = Duration::from_millis(200);
/// Rows between two looks at the clock.
const ROWS: u64 = 256;

/// A line on stderr that is written over. Nothing where stderr is no terminal.
pub(super) struct Progress {
    rows: u64,
    /// None: nothing is shown.
    next: Option<Instant>,
    begun: Instant,
    shown: bool,
}

impl Progress {
    pub(super) fn new(output: Output) -> Self {
        let begun = Instant::now();
        let shows = !output.is_json() && io::stderr().is_terminal();
        Self { rows: 0, next: shows.then(|| begun + EVERY), begun, shown: false }
    }

    /// Counts a row.
    pub(super) fn step(&mut self) {
        self.rows += 1;
        let Some(next) = self.next.filter(|_| self.rows.is_multiple_of(ROWS)) else { return };
        let now = Instant::now();
        if now >= next {
            // A closed stderr must not end the command.
            let _ =
                write!(io::stderr(), "\r{} rows in {} s", count(self.rows), now.duration_since(self.begun).as_secs());
            self.next = Some(now + EVERY);
            self.shown = true;
        }
    }

    /// Removes the line.
    pub(super) fn clear(&self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}
