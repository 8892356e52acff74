//! The rules.

use tagmint_core::{
    environment::Environment,
    rules::{RuleConfig, RuleError, RuleSet, TrustedIssuers},
    trusted_issuer::TrustedIssuer,
};

use super::{
    Check,
    aws::{ACCOUNT, of_another_world},
};
use crate::config::{problem::shortened, raw::RawConfig};

impl Check<'_> {
    /// The rules, compiled; with `strict`, only those of which no warning was given.
    pub(super) fn rules<'p>(
        &mut self,
        raw: &RawConfig,
        providers: impl IntoIterator<Item = &'p TrustedIssuer>,
    ) -> Option<RuleSet> {
        let providers: TrustedIssuers = providers.into_iter().collect();
        let configured = self.with_account(raw);
        let errors = match RuleSet::compile(&configured, &providers) {
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

    /// Refuses roles of the other world, as far as their names are known. A test issuer's roles need names of their own where its AWS side is
    /// in `[aws]`; elsewhere, for a look around, a warning is enough. The warnings come back.
    pub(super) fn roles_of_another_world(&mut self, raw: &RawConfig, environment: Environment) -> Vec<String> {
        let has_account = raw.aws.as_ref().is_some_and(|aws| aws.account.is_some());
        let must = environment == Environment::Prod || has_account;
        let mut warnings = Vec::new();
        for (index, rule) in raw.rule.iter().enumerate() {
            for (number, role) in rule.roles.iter().enumerate() {
                let name = role.rsplit('/').next().unwrap_or(role);
                let Some(message) = of_another_world(name, environment).filter(|_| !name.contains("${")) else {
                    continue;
                };
                let path = format!("rule[{index}].roles[{number}]");
                let message = format!("`{}` {message}", shortened(name));
                if must {
                    self.problem(&path, message);
                } else {
                    warnings.push(format!("{path} (rule `{}`): {message}", rule.name));
                }
            }
        }
        warnings
    }

    /// The rules with the account filled into their roles.
    fn with_account(&mut self, raw: &RawConfig) -> Vec<RuleConfig> {
        let account = raw.aws.as_ref().and_then(|aws| aws.account.as_deref());
        let mut rules = raw.rule.clone();
        for (index, rule) in rules.iter_mut().enumerate() {
            for (number, role) in rule.roles.iter_mut().enumerate().filter(|(_, role)| role.contains(ACCOUNT)) {
                if account.is_none() {
                    let path = format!("rule[{index}].roles[{number}]");
                    self.problem(&path, format!("`{ACCOUNT}` is used, and there is no `aws.account`"));
                }
                *role = role.replace(ACCOUNT, account.unwrap_or("000000000000"));
            }
        }
        rules
    }
}
