//! Which checks the proof is made of.

use tagmint_core::rules::SessionTerms;

use super::{
    bad_token::BadToken,
    prefix::{Neighbour, Prefix},
};
use crate::token::Token;

/// What the session is to have below its own prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// It lists, reads and writes.
    ReadWrite,
    /// It lists and reads; writing is to be refused.
    ReadOnly {
        /// The key of an object below the own prefix, to be read. None: the first that is listed.
        own_object: Option<String>,
    },
}

/// A token for one of the checks that must be refused.
#[derive(Debug, Clone)]
pub enum Offered {
    /// The token.
    Token(Token),
    /// There is none: why, and what would bring one.
    Missing(String),
}

/// The tokens.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The one that opens the session.
    pub good: Token,
    /// One of the same issuer without the tag.
    pub untagged: Offered,
    /// One of the same issuer for another audience.
    pub other_audience: Offered,
    /// One of the issuer of another environment.
    pub other_environment: Offered,
    /// One of the same issuer that has expired.
    pub expired: Offered,
}

/// What is to be proved, and with what.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The role.
    pub role_arn: String,
    /// What the session is held to, and which role it assumes at once: the checks are then made with the second session.
    pub terms: SessionTerms,
    /// The session's name: 2 to 64 of `[\w+=,.@-]`.
    pub session_name: String,
    /// The bucket.
    pub bucket: String,
    /// The prefix that is the session's.
    pub own: Prefix,
    /// The key of the session tag that the own prefix comes from, where it comes from one.
    pub tag: Option<String>,
    /// Prefixes that are not the session's.
    pub neighbours: Vec<Neighbour>,
    /// The key of an object below a neighbour's prefix that is there. With it, or with the operator's credentials, a refused read proves
    /// something on stores that don't say what they refused.
    pub neighbour_object: Option<String>,
    /// What the session is to have.
    pub access: Access,
    /// The tokens.
    pub tokens: Tokens,
    /// Further certificate authorities for the issuer's documents, as PEM: an explanation fetches them.
    pub issuer_roots: Option<Vec<u8>>,
    /// Whether checks that cannot be made count as failed.
    pub require_all: bool,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) proves: String,
    pub(super) expected: &'static str,
    pub(super) kind: Kind,
}

/// What a check does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The good token opens the session.
    Assume,
    /// The own prefix is listed.
    OwnList,
    /// An object is written below the own prefix.
    OwnWrite,
    /// Writing below the own prefix is refused.
    OwnWriteRefused,
    /// An object below the own prefix is read.
    OwnRead,
    /// The own prefix without its slash is not listed.
    OwnListBare,
    /// Something outside of the own prefix is refused: the neighbour by its place in the plan, or none for the bucket itself.
    Foreign(Option<usize>, Operation),
    /// A token is refused.
    Token(BadToken),
}

/// What is done to an object or a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// List.
    List,
    /// Read.
    Get,
    /// Write.
    Put,
    /// Delete a key that is not there: a broken policy must destroy nothing.
    Delete,
}

impl Operation {
    pub(super) const ALL: [Self; 4] = [Self::List, Self::Get, Self::Put, Self::Delete];

    /// The word in a check's name.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Get => "get",
            Self::Put => "put",
            Self::Delete => "delete",
        }
    }

    /// What a prefix is when this is done with it.
    const fn done(self) -> &'static str {
        match self {
            Self::List => "listed",
            Self::Get => "read",
            Self::Put => "written",
            Self::Delete => "deleted",
        }
    }

    /// The IAM action.
    pub(super) const fn action(self) -> &'static str {
        match self {
            Self::List => "s3:ListBucket",
            Self::Get => "s3:GetObject",
            Self::Put => "s3:PutObject",
            Self::Delete => "s3:DeleteObject",
        }
    }
}

const REFUSED: &str = "403 AccessDenied";

impl Plan {
    /// The checks, in the order in which they are made.
    pub(super) fn checks(&self) -> Vec<Check> {
        let check =
            |name: &str, proves: String, expected, kind| Check { name: name.to_owned(), proves, expected, kind };
        let own = self.own.listed();
        let mut checks = vec![
            check("assume", "the token opens a session of the role".to_owned(), "a session", Kind::Assume),
            check("own-list", format!("the own prefix {own} is listed"), "200", Kind::OwnList),
        ];
        checks.push(match self.access {
            Access::ReadWrite => check("own-write", format!("{own} is written"), "200", Kind::OwnWrite),
            Access::ReadOnly { .. } => {
                check("own-write-refused", format!("{own} is not written"), REFUSED, Kind::OwnWriteRefused)
            }
        });
        checks.push(check("own-read", format!("{own} is read"), "200", Kind::OwnRead));
        let bare = format!("{} without its slash is not listed", self.own.as_str());
        checks.push(check("own-list-without-slash", bare, REFUSED, Kind::OwnListBare));
        let neighbours = self.neighbours.iter().enumerate();
        let places = neighbours
            .map(|(index, neighbour)| (Some(index), neighbour.label.as_str(), neighbour.prefix.listed()))
            .chain([(None, "bucket", "the bare bucket".to_owned())]);
        for (place, label, prefix) in places {
            for operation in Operation::ALL {
                let name = format!("{label}-{}", operation.word());
                let proves = format!("{prefix} is not {}", operation.done());
                checks.push(check(&name, proves, REFUSED, Kind::Foreign(place, operation)));
            }
        }
        for token in BadToken::ALL {
            let (name, proves, expected) = token.described();
            checks.push(check(name, proves.to_owned(), expected, Kind::Token(token)));
        }
        checks
    }

    /// How wide the columns of a table are, in characters: the checks' names, and what they prove.
    pub fn widths(&self) -> (usize, usize) {
        let checks = self.checks();
        let widest = |of: fn(&Check) -> &str| checks.iter().map(|check| of(check).chars().count()).max().unwrap_or(0);
        (widest(|check| &check.name), widest(|check| &check.proves))
    }

    /// The token for a check.
    pub(super) fn token(&self, which: BadToken) -> Offered {
        match which {
            BadToken::Altered => Offered::Token(self.tokens.good.altered("tagmint-prove-altered")),
            BadToken::Untagged => self.tokens.untagged.clone(),
            BadToken::OtherAudience => self.tokens.other_audience.clone(),
            BadToken::OtherEnvironment => self.tokens.other_environment.clone(),
            BadToken::Expired => self.tokens.expired.clone(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
