//! What a test wants to happen.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use super::message::{AcmeRequest, AcmeStep};

/// How a request goes wrong.
#[derive(Debug, Clone)]
pub enum AcmeFault {
    /// The server behind is not asked; this is the answer.
    Answer {
        /// The status.
        status: u16,
        /// The `Retry-After` header, as it stands in the answer.
        retry_after: Option<String>,
        /// The `Content-Type` header.
        content_type: &'static str,
        /// The body.
        body: String,
    },
    /// The connection is cut before the server behind is asked.
    Cut,
    /// The server behind does what it is asked, and the connection is cut before the answer is out.
    LoseAnswer,
}

impl AcmeFault {
    /// A problem document of this ACME kind (RFC 8555 §6.7), such as `rateLimited`.
    pub fn problem(status: u16, kind: &str, retry_after: Option<&str>) -> Self {
        let body = serde_json::json!({
            "type": format!("urn:ietf:params:acme:error:{kind}"),
            "detail": "the test wants it so",
            "status": status,
        });
        Self::Answer {
            status,
            retry_after: retry_after.map(str::to_owned),
            content_type: "application/problem+json",
            body: body.to_string(),
        }
    }

    /// What a load balancer says, which knows nothing of ACME.
    pub fn page(status: u16, retry_after: Option<&str>) -> Self {
        Self::Answer {
            status,
            retry_after: retry_after.map(str::to_owned),
            content_type: "text/html",
            body: format!("<html><body><h1>{status}</h1></body></html>\n"),
        }
    }
}

/// When something happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the server behind sees it.
    Before,
    /// After the server behind has done what it asks.
    After,
}

/// When certificates are to be renewed, and how long that may be remembered (RFC 9773 §4.2, §4.3).
#[derive(Debug, Clone, Default)]
pub struct RenewalWindow {
    /// The window's start, as RFC 3339 has it.
    pub start: String,
    /// The window's end.
    pub end: String,
    /// The `Retry-After` header; none leaves it out, which the standard does not allow.
    pub retry_after: Option<String>,
    /// An `explanationURL`.
    pub explanation: Option<String>,
}

/// An action that was armed.
pub(super) struct Interruption {
    step: AcmeStep,
    moment: Moment,
    action: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Interruption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interruption").field("step", &self.step).field("moment", &self.moment).finish_non_exhaustive()
    }
}

/// What happened, and what is to happen.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) seen: Vec<AcmeRequest>,
    pub(super) window: Option<RenewalWindow>,
    pub(super) profiles: Vec<String>,
    /// What each order was asked for with that the server behind does not know, by the last part of its URL.
    wishes: HashMap<String, Vec<(&'static str, Value)>>,
    faults: VecDeque<(AcmeStep, AcmeFault)>,
    interruption: Option<Interruption>,
}

impl Script {
    pub(super) fn inject(&mut self, step: AcmeStep, times: usize, fault: AcmeFault) {
        self.faults.extend(std::iter::repeat_n((step, fault), times));
    }

    /// Notes what an order that was made just now was asked for with.
    pub(super) fn note_wishes(&mut self, order: &str, payload: &Value) {
        let wishes = ["replaces", "profile"].map(|name| (name, payload[name].clone()));
        let wishes = wishes.into_iter().filter(|(_, value)| !value.is_null()).collect();
        self.wishes.insert(last_part(order).to_owned(), wishes);
    }

    /// Puts the wishes of an order into the object that tells of it, as a server does that knows them (RFC 9773 §5).
    pub(super) fn reflect_wishes(&self, order: &str, object: &mut Value) {
        for (name, value) in self.wishes.get(last_part(order)).into_iter().flatten() {
            object[*name] = value.clone();
        }
    }

    pub(super) fn heal(&mut self) {
        self.faults.clear();
    }

    pub(super) fn interrupt(&mut self, step: AcmeStep, moment: Moment, action: Box<dyn FnOnce() + Send>) {
        self.interruption = Some(Interruption { step, moment, action });
    }

    pub(super) fn is_armed(&self) -> bool {
        self.interruption.is_some()
    }

    /// The fault of this request, which is spent by it.
    pub(super) fn take_fault(&mut self, step: AcmeStep) -> Option<AcmeFault> {
        let at = self.faults.iter().position(|(of, _)| *of == step)?;
        self.faults.remove(at).map(|(_, fault)| fault)
    }

    /// The action for this request at this moment.
    pub(super) fn take_interruption(&mut self, step: AcmeStep, moment: Moment) -> Option<Box<dyn FnOnce() + Send>> {
        let due = self.interruption.as_ref().is_some_and(|armed| armed.step == step && armed.moment == moment);
        if due { self.interruption.take().map(|armed| armed.action) } else { None }
    }
}

/// The id of an order, which its own URL and the one to finalize it share.
fn last_part(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_spent_by_requests_of_their_kind() {
        let mut script = Script::default();
        script.inject(AcmeStep::NewOrder, 2, AcmeFault::Cut);
        assert!(script.take_fault(AcmeStep::Order).is_none());
        assert!(script.take_fault(AcmeStep::NewOrder).is_some());
        assert!(script.take_fault(AcmeStep::NewOrder).is_some());
        assert!(script.take_fault(AcmeStep::NewOrder).is_none());
    }

    #[test]
    fn an_order_keeps_its_wishes() {
        let mut script = Script::default();
        script.note_wishes("https://ca.test/my-order/abc", &serde_json::json!({"replaces": "a.b", "identifiers": []}));
        let mut object = serde_json::json!({"status": "valid"});
        script.reflect_wishes("/finalize-order/abc", &mut object);
        assert_eq!(object, serde_json::json!({"status": "valid", "replaces": "a.b"}));
    }

    #[test]
    fn an_interruption_comes_once_and_at_its_moment() {
        let mut script = Script::default();
        script.interrupt(AcmeStep::Finalize, Moment::After, Box::new(|| ()));
        assert!(script.take_interruption(AcmeStep::Finalize, Moment::Before).is_none());
        assert!(script.is_armed());
        assert!(script.take_interruption(AcmeStep::Finalize, Moment::After).is_some());
        assert!(!script.is_armed());
    }
}
