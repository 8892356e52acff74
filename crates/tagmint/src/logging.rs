//! Log lines, always on stderr: stdout is for data.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::Log;

/// Begins to log as a running issuer does. A second call in one process changes nothing.
pub fn init(log: &Log) {
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never && std::io::stderr().is_terminal();
    let started = if log.json {
        let lines = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
        registry.with(lines.with_writer(std::io::stderr)).try_init()
    } else {
        registry.with(fmt::layer().with_ansi(colour).with_target(false).with_writer(std::io::stderr)).try_init()
    };
    if started.is_err() {
        tracing::debug!("logging was set up before");
    }
}

/// Begins to log as a command does that runs for a moment: warnings and errors, as text.
pub fn init_quiet() {
    init(&Log { level: "warn".to_owned(), json: false });
}
