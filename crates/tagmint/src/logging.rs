//! Log lines, always on stderr: stdout is for data.

use std::io::{self, IsTerminal, Write};

use anstyle::Style;
use tagmint_core::sanitize;
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt,
    fmt::{
        self, FormatFields,
        format::{Writer, debug_fn},
    },
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

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
    let colour =
        anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never && io::stderr().is_terminal();
    let started = if log.json {
        let lines = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
        registry.with(lines.with_writer(|| CleanJson(io::stderr()))).try_init()
    } else {
        let lines = fmt::layer().with_ansi(colour).with_target(false).fmt_fields(clean_fields());
        registry.with(lines.with_writer(io::stderr)).try_init()
    };
    if started.is_err() {
        tracing::debug!("logging was set up before");
    }
}

/// The fields of a line for people. A value may quote a stranger: it stays within its line, moves no cursor, and holds no credential.
fn clean_fields() -> impl for<'writer> FormatFields<'writer> + 'static {
    debug_fn(|writer: &mut Writer<'_>, field, value| {
        let value = format!("{value:?}");
        let value = sanitize::text(&value);
        if field.name() == "message" {
            return write!(writer, "{value}");
        }
        let style = if writer.has_ansi_escapes() { Style::new().italic() } else { Style::new() };
        write!(writer, "{style}{}{style:#}={value}", field.name())
    })
    .delimited(" ")
}

/// Lines of JSON, each written at once. A terminal may act on characters that a JSON writer keeps: see [`sanitize::escape_json`].
struct CleanJson<W>(W);

impl<W: Write> Write for CleanJson<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        self.0.write_all(sanitize::escape_json(&sanitize::redact(&text)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Begins to log as a command does that runs for a moment: warnings and errors alone.
pub fn init_quiet(json: bool) {
    init(&Log { level: "warn".to_owned(), json });
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A line with a stranger's text in its message, in a field that is displayed, and in one that is a string.
    fn log(hostile: &str) {
        tracing::warn!(error = %hostile, agent = hostile, "refused {hostile}");
    }

    #[test]
    fn a_line_stays_one_line_without_credentials_in_both_forms() {
        let secret = format!("tmb_test_{}", "a1".repeat(24));
        for hostile in
            ["\u{1b}[2J", "a\nERROR forged", "a\r\u{9b}2J", "\u{202e}gpj", "a\u{7f}\u{2028}b", secret.as_str()]
        {
            let (text, json) = (Lines::default(), Lines::default());
            let (to_text, to_json) = (text.clone(), json.clone());
            let lines = fmt::layer().with_ansi(false).fmt_fields(clean_fields()).with_writer(move || to_text.clone());
            let parsed = fmt::layer().json().flatten_event(true).with_writer(move || CleanJson(to_json.clone()));
            tracing::subscriber::with_default(tracing_subscriber::registry().with(lines).with(parsed), || log(hostile));
            for lines in [text, json.clone()] {
                let line = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
                let line = line.strip_suffix('\n').unwrap();
                assert_eq!(sanitize::first_invisible(line), None, "{line:?}");
                assert!(line.contains("error") && !line.contains("a1a1a1a1"), "{line}");
            }
            let line: serde_json::Value = serde_json::from_slice(&json.0.lock().unwrap()).unwrap();
            let expected = sanitize::redact(hostile);
            assert_eq!((line["error"].as_str(), line["agent"].as_str()), (Some(&*expected), Some(&*expected)));
        }
    }
}
