//! The subjects (`sub`) of well-known issuers, and what a pattern of a trust policy binds of them.
//!
//! Each platform is a table ([`platforms`]): the forms that its subjects have, and what each segment names. A pattern is judged by the texts
//! that fit both it and a form ([`automaton`]): whether there is one at all ([`flaw`]), and whether a stranger's is among them ([`breadth`]).
//!
//! Sources: the platforms' own pages on OpenID Connect, named at each table.

mod automaton;
mod breadth;
mod edits;
mod flaw;
mod platforms;
mod reading;

pub(crate) use self::{
    breadth::{Breadth, breadth, breadth_of_claim},
    flaw::{Flaw, Spelling, flaw, never_matches},
};
use crate::pattern::{self, Token};

/// Longer patterns are not judged by a grammar: a subject has at most 255 characters at most issuers.
const MAX_LEN: usize = 400;

/// A platform that issues tokens.
#[derive(Debug)]
pub(crate) struct Platform {
    /// Its name, as `GitHub Actions`.
    pub(crate) name: &'static str,
    /// Its issuers without the scheme; `*` stands for any text.
    issuers: &'static [&'static str],
    /// The issuers whose tokens go to many customers: a stranger gets one for a tenant of his own.
    shared: &'static [&'static str],
    /// Whether a subject of one of the forms is enough to recognize the platform at an issuer of another name (self-managed servers).
    by_subject: bool,
    /// The forms of the subjects.
    forms: &'static [Form],
    /// The segments that the forms name.
    fields: &'static [Field],
    /// Claims that AWS makes condition keys of and that bind as the subject does, with the form of their value.
    claims: &'static [(&'static str, &'static str)],
    /// Claims that bind a project within a tenant that another condition binds.
    projects: &'static [&'static str],
    /// Claims that bind the ref, the environment or what else says which runs of a project are meant.
    refs: &'static [&'static str],
    /// The terms that the warnings use.
    pub(crate) words: Words,
    /// Why no subject is like a value although its form allows it.
    impossible: fn(&str) -> Option<&'static str>,
    /// Words that people write for the one that stands in the subject.
    synonyms: &'static [(&'static str, &'static str)],
    /// Corrections that only this platform needs, for a value and a token's subject.
    edits: fn(&str, &str) -> Vec<Edit>,
}

/// The terms for a platform's things in a warning.
#[derive(Debug)]
pub(crate) struct Words {
    /// The things of which a broad pattern admits several, as `repository or project`.
    pub(crate) project: &'static str,
    /// The things that a pattern without a ref admits, as `branch, tag, environment and pull request`.
    pub(crate) refs: &'static str,
    /// The things to name instead, as `branch or environment`.
    pub(crate) name_ref: &'static str,
}

/// One template of a platform's subjects.
#[derive(Debug)]
struct Form {
    /// Its name, as `the subject of $CIRCLE_OIDC_TOKEN_V2`.
    name: &'static str,
    /// Whether tokens have it without anybody's choice.
    default: bool,
    /// The texts that it begins with, `<name>` for a segment.
    start: &'static [&'static str],
    /// The parts that may follow any number of times, each behind a `:`.
    then: &'static [&'static str],
    /// How to get tokens with this form; empty where there is nothing to say.
    how: &'static str,
}

/// A segment of a subject.
#[derive(Debug, PartialEq, Eq)]
struct Field {
    name: &'static str,
    level: Level,
    /// Whether the value names one thing among all customers, as a numeric id or a UUID does.
    unique: bool,
    chars: Chars,
}

/// The scope to which a bound segment limits a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The customer's organization.
    Tenant,
    /// A repository, project, stack or namespace.
    Project,
    /// Which runs of it.
    Ref,
    /// Nothing that parts customers or projects.
    Other,
    /// Another for each run, as a commit: a corrected pattern has `*` for it.
    Run,
}

/// The characters of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chars {
    /// Letters, digits and `-_.`.
    Slug,
    /// Letters, digits, blanks and `-_.`.
    Name,
    /// Small letters, digits and `-.` (RFC 1123).
    Label,
    /// Digits.
    Digits,
    /// Hexadecimal digits and `-`.
    Uuid,
    /// A git ref, or a path: neither blanks nor `:`.
    Path,
    /// A path without `/`.
    Segment,
    /// Everything but `:`.
    Text,
    /// Everything.
    Any,
}

/// A corrected value, and what was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    text: String,
    why: &'static str,
}

/// A character that no policy has: it stands for what the policy does not name.
const FRESH: char = '\u{e000}';

impl Chars {
    fn has(self, character: char) -> bool {
        let slug = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        match self {
            Self::Slug => slug(character),
            Self::Name => slug(character) || character == ' ',
            Self::Label => slug(character) && character != '_' && !character.is_ascii_uppercase(),
            Self::Digits => character.is_ascii_digit(),
            Self::Uuid => character.is_ascii_hexdigit() || character == '-',
            Self::Path => !character.is_whitespace() && !character.is_control() && !":*?^~[\\".contains(character),
            Self::Segment => Self::Path.has(character) && character != '/',
            Self::Text => !character.is_control() && !":*?".contains(character),
            Self::Any => !character.is_control(),
        }
    }
}

impl Edit {
    fn new(text: impl Into<String>, why: &'static str) -> Self {
        Self { text: text.into(), why }
    }
}

impl Platform {
    /// The platform of an issuer (host and path, without scheme); for an issuer of another name the one whose subjects look like the token's.
    pub(crate) fn of(url: &str, subject: &str) -> Option<&'static Self> {
        let named =
            |platform: &&&Self| platform.issuers.iter().any(|issuer| pattern::matches_ignoring_case(issuer, url));
        let known = platforms::ALL.iter().find(named);
        let alike = || {
            let mut by_subject = platforms::ALL.iter().filter(|platform| platform.by_subject);
            by_subject.find(|platform| platform.forms.iter().any(|form| form.default && platform.reads(form, subject)))
        };
        known.or_else(alike).copied()
    }

    /// Whether the issuer's tokens go to many customers.
    fn is_shared(&self, url: &str) -> bool {
        self.shared.iter().any(|shared| shared.eq_ignore_ascii_case(url))
    }

    /// Whether a subject has this form.
    fn reads(&self, form: &Form, subject: &str) -> bool {
        subject.chars().count() <= MAX_LEN && automaton::Question::of(self, form).meets(&plain(subject))
    }

    /// The form that a token's subject has.
    fn form_of(&self, subject: &str) -> Option<&'static Form> {
        self.forms.iter().find(|form| self.reads(form, subject))
    }

    fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// A text's characters, none of which is a wildcard.
fn plain(text: &str) -> Vec<Token> {
    text.chars().map(Token::Char).collect()
}

/// A policy's value as its operator reads it.
fn read(value: &str, like: bool) -> Vec<Token> {
    if like { pattern::parse(value) } else { plain(value) }
}

/// Every value of the right form is possible.
fn always_possible(_: &str) -> Option<&'static str> {
    None
}

/// No corrections of a platform's own.
fn no_edits(_: &str, _: &str) -> Vec<Edit> {
    Vec::new()
}

#[cfg(test)]
mod tests;
