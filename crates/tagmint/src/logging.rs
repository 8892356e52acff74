//! Log lines, always on stderr: stdout is for data.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::Log;

/// The crates whose lines a bare level is about.
const OWN: [&str; 4] = ["tagmint", "tagmint_server", "tagmint_store", "tagmint_core"];

/// The filter that a level means. A bare level is about Tagmint's own lines: below `info`, others write down what they send and receive,
/// credentials included. Who wants that names them.
fn filter(level: &str) -> EnvFilter {
    let chatty = ["debug", "trace"].contains(&level.trim().to_ascii_lowercase().as_str());
    let own = OWN.map(|name| format!("{name}={level}")).join(",");
    let text = if chatty { format!("info,{own}") } else { level.to_owned() };
    EnvFilter::try_new(text).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Begins to log as a running issuer does. A second call in one process changes nothing.
pub fn init(log: &Log) {
    let filter = filter(&log.level);
    let registry = tracing_subscriber::registry().with(filter);
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
        && std::io::stderr().is_terminal();
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

/// Begins to log as a command does that runs for a moment: warnings and errors alone.
pub fn init_quiet(json: bool) {
    init(&Log { level: "warn".to_owned(), json });
}
