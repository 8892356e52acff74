//! Rules, as they are written.

use super::{Document, Item};

impl Document {
    /// A rule, after an empty line.
    pub(crate) fn rule(&mut self, rule: &RuleText) -> &mut Self {
        self.blank();
        if let Some(comment) = &rule.comment {
            self.comment(comment);
        }
        self.line("[[rule]]").set("name", &rule.name).set("description", &rule.description).set("from", &rule.from);
        if !rule.matches.is_empty() {
            self.set("match", Item::Table(rule.matches.clone()));
        }
        if let Some(when) = &rule.when {
            self.set("when", when);
        }
        self.set("subject", &rule.subject);
        if !rule.audiences.is_empty() {
            self.set("audiences", Item::List(rule.audiences.iter().map(Item::from).collect()));
        }
        self.set("role", &rule.role);
        if let Some(most) = &rule.max_lifetime {
            self.set("max_lifetime", most);
        }
        self.set("transitive", Item::List(rule.transitive.iter().map(Item::from).collect()));
        self.table("rule.tags");
        for (key, value) in &rule.tags {
            self.set(key, value.clone());
        }
        self
    }
}

/// A rule that is to be written.
#[derive(Debug, Clone, Default)]
pub(crate) struct RuleText {
    /// What stands above it.
    pub(crate) comment: Option<String>,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) from: String,
    pub(crate) matches: Vec<(String, Item)>,
    pub(crate) when: Option<String>,
    pub(crate) subject: String,
    /// Empty: STS's.
    pub(crate) audiences: Vec<String>,
    pub(crate) role: String,
    pub(crate) max_lifetime: Option<String>,
    pub(crate) transitive: Vec<String>,
    pub(crate) tags: Vec<(String, Item)>,
}
