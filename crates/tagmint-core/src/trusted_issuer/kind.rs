//! The kinds of trusted issuers, as data: the claims of their tokens, the meaning of each claim, and who controls its value.
//!
//! A kind is one file below `kind/` with one [`Kind`] table. To add one, write that file, add it to [`IssuerKind::ALL`], write a sample
//! token to `kind/samples/NAME.json` and a section `### NAME` to docs/trusted-issuers.md. `kind/tests.rs` lists what each must have.

mod aws;
mod bitbucket;
mod buildkite;
mod circleci;
mod github;
mod gitlab;
mod jenkins;
mod kubernetes;
mod oidc;
mod terraform;

#[cfg(test)]
mod tests;

use std::{fmt, hash, str::FromStr};

use serde_json::{Map, Value};

use super::{TokenAlgorithm, TokenError, claims::Reader};

/// A kind of trusted issuer: which claims its tokens have, and what they mean.
#[derive(Clone, Copy)]
pub struct IssuerKind(&'static Kind);

/// The table of a kind.
#[derive(Debug)]
pub struct Kind {
    /// The value of `kind` in the configuration.
    pub name: &'static str,
    /// The product's name.
    pub title: &'static str,
    /// The issuer URL of the public service, if every customer has the same one.
    pub default_issuer: Option<&'static str>,
    /// The forms of its issuer URLs, with placeholders in angle brackets.
    pub issuers: &'static [&'static str],
    /// The algorithms that it signs with.
    pub algorithms: &'static [TokenAlgorithm],
    /// Whether every token has `nbf`.
    pub has_nbf: bool,
    /// Whether `aud` is written as a list of one.
    pub audience_list: bool,
    /// The forms of `sub`, with placeholders in angle brackets.
    pub subjects: &'static [&'static str],
    /// The claims, and the attributes that are derived from them.
    pub claims: &'static [Claim],
    /// Which claims become attributes that `claims` does not list.
    pub others: OtherClaims,
    /// Checks that claims agree with each other, and adds derived attributes. Called with `sub`.
    pub derive: fn(&mut Reader<'_>, &str) -> Result<(), TokenError>,
    /// The payload of a typical token, as JSON.
    pub sample: &'static str,
}

/// Which claims that the table does not list become attributes. `claims` of the configuration adds to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherClaims {
    /// None.
    Dropped,
    /// Those whose name begins so.
    Prefixed(&'static str),
    /// All but those that verification consumes (`iss`, `aud`, `exp`, `nbf`, `iat`, `jti`). A list in the configuration replaces them.
    Kept,
}

/// A claim, or an attribute that is derived from claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Its name.
    pub name: &'static str,
    /// The type of its value.
    pub value: ClaimType,
    /// Its meaning, and who controls its value.
    pub meaning: Meaning,
    /// Whether every token has it.
    pub required: bool,
    /// Whether [`Kind::derive`] makes it from other claims.
    pub derived: bool,
    /// Whether a rule may match a part of it: `*` then stands for a part without `/`.
    pub glob: bool,
    /// A description of its value.
    pub about: &'static str,
}

/// The type of an attribute's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimType {
    /// A string.
    String,
    /// A number in decimal digits, as a string. Issuers write it as a string or as a number.
    Id,
    /// An integer.
    Integer,
    /// A boolean. Some issuers write it as the string `true` or `false`.
    Boolean,
    /// Any JSON value.
    Json,
}

/// The meaning of a claim, and who controls its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Identifies a thing, and is never given to another one.
    Id(Scope),
    /// Names a thing. Another one can get the name later.
    Name {
        /// The thing that it names.
        scope: Scope,
        /// The claim with the thing's id, if there is one.
        id: Option<&'static str>,
    },
    /// A string that anyone can choose who can push a branch, open a pull request or start a job.
    Shapeable,
    /// A reusable workflow or pipeline definition. Jobs of other repositories can use it.
    Workflow,
    /// A value that the issuer decides: a word of a fixed list, a number, a hash.
    Issuer,
}

/// The thing that a claim identifies or names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The thing that runs jobs: a repository, project, pipeline, workspace, service account or role.
    Repository,
    /// The owner of such things: an organization, group, account or cluster.
    Owner,
    /// Something else: a person, a run.
    Other,
}

impl Claim {
    const fn new(name: &'static str, value: ClaimType, meaning: Meaning, about: &'static str) -> Self {
        Self { name, value, meaning, required: false, derived: false, glob: false, about }
    }

    /// A number that identifies a thing.
    pub(super) const fn id(name: &'static str, scope: Scope, about: &'static str) -> Self {
        Self::new(name, ClaimType::Id, Meaning::Id(scope), about)
    }

    /// A string, such as a UUID, that identifies a thing.
    pub(super) const fn text_id(name: &'static str, scope: Scope, about: &'static str) -> Self {
        Self::new(name, ClaimType::String, Meaning::Id(scope), about)
    }

    /// A name that another thing can get later.
    pub(super) const fn named(name: &'static str, scope: Scope, id: Option<&'static str>, about: &'static str) -> Self {
        Self::new(name, ClaimType::String, Meaning::Name { scope, id }, about)
    }

    /// Text that strangers or contributors can choose.
    pub(super) const fn shapeable(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ClaimType::String, Meaning::Shapeable, about)
    }

    /// A reusable workflow.
    pub(super) const fn workflow(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ClaimType::String, Meaning::Workflow, about)
    }

    /// A string that the issuer decides.
    pub(super) const fn fixed(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ClaimType::String, Meaning::Issuer, about)
    }

    /// A number in decimal digits that the issuer decides, as a string.
    pub(super) const fn number(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ClaimType::Id, Meaning::Issuer, about)
    }

    /// An integer that the issuer decides.
    pub(super) const fn integer(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ClaimType::Integer, Meaning::Issuer, about)
    }

    /// A boolean that the issuer decides.
    pub(super) const fn flag(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ClaimType::Boolean, Meaning::Issuer, about)
    }

    /// A JSON value of any type, which strangers may be able to choose.
    pub(super) const fn json(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ClaimType::Json, Meaning::Shapeable, about)
    }

    /// The same claim, which every token has.
    pub(super) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// The same as an attribute that is derived from claims.
    pub(super) const fn derived(self) -> Self {
        Self { derived: true, ..self }
    }

    /// The same claim, of which a rule may match a part.
    pub(super) const fn glob(self) -> Self {
        Self { glob: true, ..self }
    }
}

/// The claims that verification consumes: they are no attributes where a kind keeps other claims.
const CONSUMED: [&str; 6] = ["iss", "aud", "exp", "nbf", "iat", "jti"];

impl IssuerKind {
    /// GitHub Actions.
    pub const GITHUB: Self = Self(&github::KIND);
    /// GitLab CI/CD.
    pub const GITLAB: Self = Self(&gitlab::KIND);
    /// Any other OpenID Connect issuer.
    pub const OIDC: Self = Self(&oidc::KIND);

    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::GITHUB,
        Self::GITLAB,
        Self(&buildkite::KIND),
        Self(&circleci::KIND),
        Self(&bitbucket::KIND),
        Self(&terraform::KIND),
        Self(&kubernetes::KIND),
        Self(&jenkins::KIND),
        Self(&aws::KIND),
        Self::OIDC,
    ];

    /// The table of this kind.
    pub const fn table(self) -> &'static Kind {
        self.0
    }

    /// The value of `kind` in the configuration.
    pub const fn as_str(self) -> &'static str {
        self.0.name
    }

    /// The issuer URL of the public service, if every customer has the same one.
    pub const fn default_issuer(self) -> Option<&'static str> {
        self.0.default_issuer
    }

    /// The claim or derived attribute of this name.
    pub fn claim(self, name: &str) -> Option<&'static Claim> {
        self.0.claims.iter().find(|claim| claim.name == name)
    }

    /// The names of the attributes that are derived from claims.
    pub fn derived_names(self) -> impl Iterator<Item = &'static str> {
        self.0.claims.iter().filter(|claim| claim.derived).map(|claim| claim.name)
    }

    /// The attributes of a token that was verified. `listed` is `claims` of the configuration.
    pub(super) fn attributes(
        self,
        claims: &Map<String, Value>,
        subject: &str,
        listed: Option<&[String]>,
    ) -> Result<Map<String, Value>, TokenError> {
        let table = self.0;
        let mut reader = Reader::new(claims);
        let is_listed = |name: &str| listed.is_some_and(|names| names.iter().any(|listed| listed == name));
        // Where the list says which claims there are, it holds of known ones too.
        let is_wanted = |claim: &Claim| table.others != OtherClaims::Kept || listed.is_none() || is_listed(claim.name);
        for claim in table.claims.iter().filter(|claim| !claim.derived && is_wanted(claim)) {
            reader.add_claim(claim)?;
        }
        reader.add_unchanged(|name| match table.others {
            OtherClaims::Dropped => is_listed(name),
            OtherClaims::Prefixed(prefix) => name.starts_with(prefix) || is_listed(name),
            OtherClaims::Kept if listed.is_some() => is_listed(name),
            OtherClaims::Kept => !CONSUMED.contains(&name),
        });
        (table.derive)(&mut reader, subject)?;
        Ok(reader.finish())
    }
}

impl PartialEq for IssuerKind {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for IssuerKind {}

impl hash::Hash for IssuerKind {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

/// The text names no kind of trusted issuer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kind of trusted issuer. Use one of {list}", list = kind_list())]
pub struct UnknownIssuerKind(pub String);

fn kind_list() -> String {
    let names: Vec<String> = IssuerKind::ALL.iter().map(|kind| format!("`{kind}`")).collect();
    names.join(", ")
}

impl FromStr for IssuerKind {
    type Err = UnknownIssuerKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| UnknownIssuerKind(text.chars().take(40).collect()))
    }
}

impl fmt::Display for IssuerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for IssuerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether `text` is of a form in which angle brackets stand for what varies: one character at least. The last placeholder takes all
/// that is left, and `…` at the end anything.
pub(crate) fn is_of_form(form: &str, text: &str) -> bool {
    let Some((start, rest)) = form.split_once('<') else {
        return form.strip_suffix('…').map_or(form == text, |start| text.starts_with(start));
    };
    let (Some(text), Some((placeholder, rest))) = (text.strip_prefix(start), rest.split_once('>')) else {
        return false;
    };
    // An id is digits; a name ends where the form goes on.
    let is_id = placeholder.ends_with(" id") || placeholder.ends_with(" UUID");
    let ends = text.char_indices().map(|(at, c)| (at + c.len_utf8(), c));
    ends.take_while(|(_, c)| !is_id || c.is_ascii_alphanumeric() || *c == '-')
        .any(|(end, _)| is_of_form(rest, &text[end..]))
}

impl serde::Serialize for IssuerKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
