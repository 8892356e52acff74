//! Configurations that the program writes: for `init` from a few answers, for `dev` for its local issuer.
//!
//! | module | holds |
//! |---|---|
//! | `document` | TOML with comments |
//! | `rule` | rules |
//! | [`answers`] | what `init` asks, and which answers it takes |
//! | [`platform`] | by kind of trusted issuer: what identifies a repository, good first rules, and tests of them |
//! | `issuer` | from answers to a configuration and the tests of its rules |

pub mod answers;
mod document;
mod issuer;
pub mod platform;
mod rule;

pub(crate) use self::{
    document::{Document, Item, table},
    issuer::{CONFIG, Generated, KEY, RULES_TESTS, issuer, role_name},
    rule::RuleText,
};
