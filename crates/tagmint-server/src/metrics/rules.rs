//! Figures about the rules in force.

use metrics::{Counter, Gauge, Label, Recorder as _};

use super::{Figures, METADATA, labelled};

/// The result of a reload of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleReload {
    /// Other rules are in force.
    Replaced,
    /// They are the same.
    Unchanged,
    /// The new rules are invalid: the old ones stay in force.
    Failed,
}

impl RuleReload {
    const ALL: [Self; 3] = [Self::Replaced, Self::Unchanged, Self::Failed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}

impl Figures {
    /// Makes the rules known that are in force from the start on.
    pub fn rules_started(&self, hash: &str) {
        self.rule_set(hash).set(1.0);
        for result in RuleReload::ALL {
            self.rule_reload_counter(result).increment(0);
        }
    }

    /// Other rules are in force.
    pub fn rules_replaced(&self, old: &str, new: &str) {
        self.rule_set(old).set(0.0);
        self.rule_set(new).set(1.0);
    }

    /// The rules were reloaded.
    pub fn rules_read(&self, result: RuleReload) {
        self.rule_reload_counter(result).increment(1);
    }

    /// A shadow rule took a request.
    pub fn shadowed(&self, rule: &str, granted: bool) {
        let outcome = if granted { "granted" } else { "refused" };
        let labels = vec![Label::new("rule", rule.to_owned()), Label::from_static_parts("outcome", outcome)];
        let key = labelled("tagmint_shadow_decisions_total", labels);
        self.metrics.recorder.register_counter(&key, &METADATA).increment(1);
    }

    fn rule_set(&self, hash: &str) -> Gauge {
        let key = labelled("tagmint_rule_set_info", vec![Label::new("hash", hash.to_owned())]);
        self.metrics.recorder.register_gauge(&key, &METADATA)
    }

    fn rule_reload_counter(&self, result: RuleReload) -> Counter {
        self.metrics.counter("tagmint_rule_reloads_total", &[("result", result.as_str())])
    }
}
