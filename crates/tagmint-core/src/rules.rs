//! Rules.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
/// x
pub struct RuleName(String);
