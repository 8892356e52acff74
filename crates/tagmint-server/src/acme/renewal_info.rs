//! ACME Renewal Information (RFC 9773 §4.2).

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tagmint_core::renewal::RenewalWindow;

use super::error::{AcmeError, bounded};

/// What a server says about renewing a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RenewalInfo {
    /// The window; none where it does not end after its start.
    pub(super) window: Option<RenewalWindow>,
    /// A page that explains the window.
    pub(super) explanation_url: Option<String>,
    /// When to ask again.
    pub(super) retry_after: Option<SignedDuration>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    suggested_window: Window,
    #[serde(rename = "explanationURL")]
    explanation_url: Option<String>,
}

#[derive(Deserialize)]
struct Window {
    start: Timestamp,
    end: Timestamp,
}

pub(super) fn read(url: &str, body: &[u8], retry_after: Option<SignedDuration>) -> Result<RenewalInfo, AcmeError> {
    let document: Document = serde_json::from_slice(body).map_err(|error| AcmeError::Answer {
        url: bounded(url),
        cause: format!("it is no renewal information: {error}"),
    })?;
    Ok(RenewalInfo {
        window: RenewalWindow::new(document.suggested_window.start, document.suggested_window.end),
        explanation_url: document.explanation_url.as_deref().map(bounded),
        retry_after,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_read_and_one_that_does_not_end_ignored() {
        let body = |start: &str, end: &str| {
            format!(
                r#"{{"suggestedWindow":{{"start":"{start}","end":"{end}"}},"explanationURL":"https://ca.example/a","more":1}}"#
            )
        };
        let good = read("u", body("2025-01-02T04:00:00Z", "2025-01-03T04:00:00+01:00").as_bytes(), None).unwrap();
        let window = good.window.unwrap();
        assert_eq!(window.start().to_string(), "2025-01-02T04:00:00Z");
        assert_eq!(window.end().to_string(), "2025-01-03T03:00:00Z");
        assert_eq!(good.explanation_url.as_deref(), Some("https://ca.example/a"));
        let backwards = read("u", body("2025-01-03T04:00:00Z", "2025-01-02T04:00:00Z").as_bytes(), None).unwrap();
        assert_eq!(backwards.window, None);
        for bad in ["", "{}", "[]", &body("soon", "later")] {
            assert!(read("u", bad.as_bytes(), None).is_err(), "{bad}");
        }
    }
}
