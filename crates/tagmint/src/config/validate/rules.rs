//! The rules.

use tagmint_core::{
    federation::Provider,
    rules::{Providers, RuleError, RuleSet},
};

use super::Check;
use crate::config::{problem::shortened, raw::RawConfig};

impl Check<'_> {
    /// The rules, compiled; with `strict`, only those of which no warning was given.
    pub(super) fn rules<'p>(
        &mut self,
        raw: &RawConfig,
        providers: impl IntoIterator<Item = &'p Provider>,
    ) -> Option<RuleSet> {
        let providers: Providers = providers.into_iter().collect();
        let errors = match RuleSet::compile(&raw.rule, &providers) {
            Ok(rules) if raw.strict && !rules.warnings().is_empty() => {
                rules.warnings().iter().map(RuleError::from).collect()
            }
            Ok(rules) => return Some(rules),
            Err(errors) => errors,
        };
        for error in errors {
            let label = error.rule.map(|name| format!("(rule `{}`) ", shortened(&name))).unwrap_or_default();
            self.problem(&error.path, format!("{label}{}", error.message));
        }
        None
    }
}
