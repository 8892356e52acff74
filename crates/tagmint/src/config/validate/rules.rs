//! The rules.

use tagmint_core::{
    environment::Environment,
    rules::{RuleConfig, RuleError, RuleSet, TrustedIssuers},
    trusted_issuer::TrustedIssuer,
};
use tagmint_iam::{
    partition,
    policy::{Kind, Policy},
};

use super::{
    Check,
    aws::{ACCOUNT, SOME_ACCOUNT, of_another_world},
};
use crate::config::{problem::shortened, raw::RawConfig};

impl Check<'_> {
    /// The rules, compiled; with `strict`, only those of which no warning was given.
    pub(super) fn rules<'p>(
        &mut self,
        raw: &RawConfig,
        issuers: impl IntoIterator<Item = &'p TrustedIssuer>,
    ) -> Option<RuleSet> {
        let issuers: TrustedIssuers = issuers.into_iter().collect();
        let configured = self.with_account(raw);
        self.session_policies(raw);
        let errors = match RuleSet::compile(&configured, &issuers) {
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
            for (field, role) in roles(rule) {
                let name = role.rsplit('/').next().unwrap_or(role);
                let Some(message) = of_another_world(name, environment).filter(|_| !name.contains("${")) else {
                    continue;
                };
                let path = format!("rule[{index}].{field}");
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

    /// Session policies as AWS reads them.
    fn session_policies(&mut self, raw: &RawConfig) {
        for (index, rule) in raw.rule.iter().enumerate() {
            let parsed = rule.session_policy.as_deref().map(|text| Policy::parse_as(Kind::Session, text));
            if let Some(Err(error)) = parsed {
                self.problem(
                    &format!("rule[{index}].session_policy"),
                    format!("(rule `{}`) {error}", shortened(&rule.name)),
                );
            }
        }
    }

    /// The rules with ARNs for the names of roles, and the account filled into them.
    fn with_account(&mut self, raw: &RawConfig) -> Vec<RuleConfig> {
        let account = raw.aws.as_ref().and_then(|aws| aws.account.as_deref());
        let partition = raw
            .aws
            .as_ref()
            .map_or("aws", |aws| aws.partition.as_deref().unwrap_or(partition::of_region(&aws.region).name));
        let mut rules = raw.rule.clone();
        for (index, rule) in rules.iter_mut().enumerate() {
            let fields: Vec<String> = roles(rule).map(|(field, _)| field).collect();
            for (field, role) in fields.iter().zip(rule.role.iter_mut().chain(&mut rule.roles)) {
                let named = !role.starts_with("arn:") && !role.starts_with("${");
                if account.is_none() && (named || role.contains(ACCOUNT)) {
                    let shown = shortened(role);
                    let message = if named {
                        format!(
                            "`{shown}` is the name of a role, and there is no `aws.account`: write the ARN, or add the account to `[aws]`"
                        )
                    } else {
                        format!("`{ACCOUNT}` is used, and there is no `aws.account`")
                    };
                    self.problem(&format!("rule[{index}].{field}"), message);
                }
                let account = account.unwrap_or(SOME_ACCOUNT);
                *role = role.replace(ACCOUNT, account);
                if named {
                    *role = format!("arn:{partition}:iam::{account}:role/{role}");
                }
            }
        }
        rules
    }
}

/// The fields that name roles, and the roles as they are written.
fn roles(rule: &RuleConfig) -> impl Iterator<Item = (String, &String)> {
    let one = rule.role.iter().map(|role| ("role".to_owned(), role));
    one.chain(rule.roles.iter().enumerate().map(|(number, role)| (format!("roles[{number}]"), role)))
}
