//! What a rule may cost. CEL itself bounds nothing: a long chain of operators overflows the stack and
//! ends the process, and macros over long lists take as long as they take. Everything here is checked
//! when the rules are compiled or, for identities, before any expression runs.

/// Most rules in a set.
pub const MAX_RULES: usize = 200;
/// Most tags in a rule: as many as AWS takes in a session.
pub const MAX_TAGS: usize = crate::tags::MAX_TAGS;
/// Most audiences in a rule.
pub const MAX_AUDIENCES: usize = 20;
/// Most roles in a rule.
pub const MAX_ROLES: usize = 50;
/// Most values in a tag's `one_of`.
pub const MAX_ONE_OF: usize = 100;
/// Most claims in a rule's `match`.
pub const MAX_MATCHES: usize = 50;
/// Most values of one claim in a rule's `match`.
pub const MAX_MATCH_VALUES: usize = 500;
/// Longest text in a rule's `match`, in bytes.
pub const MAX_MATCH_VALUE: usize = 1024;
/// Longest expression and longest template, in bytes.
pub const MAX_SOURCE: usize = 2048;
/// Most `${…}` in a template.
pub const MAX_TEMPLATE_PARTS: usize = 16;
/// How deep brackets may nest in an expression.
pub const MAX_BRACKETS: usize = 16;
/// Most words, literals, operators and brackets in an expression: some 200 operators.
pub const MAX_TOKENS: usize = 400;
/// How deep an expression's tree may be, macros expanded. An unoptimised build takes some 37 KiB of
/// stack for a level, so this stays within half of a worker thread's 2 MiB.
pub const MAX_TREE_DEPTH: usize = 24;
/// Most macros (`all`, `exists`, `exists_one`, `map`, `filter`) in an expression. They may not nest.
pub const MAX_MACROS: usize = 4;
/// Most that one expression may cost for the largest identity, in steps: one for each node and value
/// looked at and for each 64 bytes of text (some 50 ns).
pub const MAX_EXPRESSION_STEPS: u64 = 200_000;
/// Most that all expressions of a set may cost together, in steps.
pub const MAX_TOTAL_STEPS: u64 = 2_000_000;
/// Largest compiled regular expression, in bytes.
pub const MAX_REGEX_SIZE: usize = 256 * 1024;
/// Longest text that `matches` looks at, in bytes.
pub const MAX_REGEX_INPUT: usize = 4096;
/// Longest text that a template may give, in bytes.
pub const MAX_RENDERED: usize = 4096;

/// Longest subject of an identity, in bytes.
pub const MAX_IDENTITY_SUBJECT: usize = 1024;
/// Largest attributes of an identity, in bytes of JSON.
pub const MAX_ATTRIBUTE_BYTES: usize = 64 * 1024;
/// Most values in the attributes of an identity, those inside lists and objects counted.
pub const MAX_ATTRIBUTE_VALUES: usize = 1000;
/// How deep lists and objects may nest in the attributes of an identity.
pub const MAX_ATTRIBUTE_DEPTH: usize = 8;

/// Stack of the thread that compiles rules, in bytes. 2 KiB of nothing but `(` takes 8 to 32 MiB.
pub(super) const COMPILE_STACK: usize = 64 * 1024 * 1024;
