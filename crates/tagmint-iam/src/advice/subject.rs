//! GitHub's subjects with names and ids, and patterns of them.

use crate::{condition::Test, pattern, subject::Spelling};

/// The day from which GitHub puts ids into the subjects of repositories that are created, renamed or transferred.
pub(super) const IDS_SINCE: &str = "15 July 2026";

/// `repo:OWNER/NAME:REST` or `repo:OWNER@ID/NAME@ID:REST`, wildcards included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RepositorySubject<'a> {
    pub(super) owner: &'a str,
    pub(super) owner_id: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) name_id: Option<&'a str>,
    /// `ref:refs/heads/main`, `environment:prod`, `pull_request`, `*`…
    pub(super) rest: &'a str,
}

impl<'a> RepositorySubject<'a> {
    pub(super) fn parse(subject: &'a str) -> Option<Self> {
        let (owner, rest) = subject.strip_prefix("repo:")?.split_once('/')?;
        let (name, rest) = rest.split_once(':').unwrap_or((rest, ""));
        // No repository's name has a slash: such a text has another form.
        if name.contains('/') {
            return None;
        }
        let ((owner, owner_id), (name, name_id)) = (name_and_id(owner), name_and_id(name));
        Some(Self { owner, owner_id, name, name_id, rest })
    }

    /// Whether owner and name have their ids.
    pub(super) fn with_ids(&self) -> bool {
        self.owner_id.is_some() && self.name_id.is_some()
    }

    /// Whether owner and name have ids without wildcards.
    pub(super) fn binds_ids(&self) -> bool {
        [self.owner_id, self.name_id].iter().all(|id| id.is_some_and(is_id))
    }

    /// Whether a name stands without its id. A wildcard at its end takes the id, too.
    pub(super) fn lacks_ids(&self) -> bool {
        let lacks = |name: &str, id: Option<&str>| id.is_none() && !name.ends_with('*');
        lacks(self.owner, self.owner_id) || lacks(self.name, self.name_id)
    }

    /// Whether the names of a token's subject are these; `like` says whether wildcards are wildcards.
    pub(super) fn fits_names(&self, token: &Self, like: bool) -> bool {
        let fits = |pattern: &str, name: &str| {
            if like { pattern::matches_ignoring_case(pattern, name) } else { pattern.eq_ignore_ascii_case(name) }
        };
        fits(self.owner, token.owner) && fits(self.name, token.name)
    }

    /// Whether both have an id of the owner or of the repository, and it is another one.
    pub(super) fn other_ids(&self, token: &Self, like: bool) -> bool {
        let other = |pattern: Option<&str>, id: Option<&str>| {
            let both = pattern.zip(id);
            both.is_some_and(
                |(pattern, id)| {
                    if like { !pattern::matches_ignoring_case(pattern, id) } else { pattern != id }
                },
            )
        };
        other(self.owner_id, token.owner_id) || other(self.name_id, token.name_id)
    }

    /// Owner and repository with their ids, where there are any.
    pub(super) fn ids(&self) -> String {
        let id = |id: Option<&str>| id.map(|id| format!("@{id}")).unwrap_or_default();
        format!("{}{}/{}{}", self.owner, id(self.owner_id), self.name, id(self.name_id))
    }

    /// This pattern with the ids of a token's subject.
    pub(super) fn with_ids_of(&self, token: &Self) -> String {
        let with = |name: &str, own: Option<&str>, id: Option<&str>| match own.or(id) {
            Some(id) if own.is_some() || !name.ends_with('*') => format!("{name}@{id}"),
            _ => name.to_owned(),
        };
        let owner = with(self.owner, self.owner_id, token.owner_id);
        let name = with(self.name, self.name_id, token.name_id);
        let rest = if self.rest.is_empty() { String::new() } else { format!(":{}", self.rest) };
        format!("repo:{owner}/{name}{rest}")
    }

    pub(super) fn environment(&self) -> Option<&'a str> {
        self.rest.strip_prefix("environment:")
    }

    pub(super) fn git_ref(&self) -> Option<&'a str> {
        self.rest.strip_prefix("ref:")
    }
}

/// `NAME` or `NAME@ID`.
fn name_and_id(text: &str) -> (&str, Option<&str>) {
    text.split_once('@').map_or((text, None), |(name, id)| (name, Some(id)))
}

/// Whether it is an id without wildcards.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())
}

/// How a condition's test compares texts; none where it compares something else.
pub(super) const fn spelling(test: Test) -> Option<Spelling> {
    match test {
        Test::StringEquals => Some(Spelling { like: false, fold: false }),
        Test::StringEqualsIgnoreCase => Some(Spelling { like: false, fold: true }),
        Test::StringLike => Some(Spelling { like: true, fold: false }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read() {
        let old = RepositorySubject::parse("repo:acme/app:ref:refs/heads/main").unwrap();
        assert_eq!(
            (old.owner, old.name, old.with_ids(), old.git_ref()),
            ("acme", "app", false, Some("refs/heads/main"))
        );
        let new = RepositorySubject::parse("repo:Acme@12/app@34:environment:prod").unwrap();
        assert_eq!((new.owner, new.name, new.with_ids(), new.environment()), ("Acme", "app", true, Some("prod")));
        assert_eq!((new.owner_id, new.name_id), (Some("12"), Some("34")));
        assert!(old.fits_names(&new, false) && !old.other_ids(&new, false));
        let wide = RepositorySubject::parse("repo:acme/*").unwrap();
        assert!(wide.fits_names(&new, true) && !wide.fits_names(&new, false) && wide.lacks_ids() && !new.lacks_ids());
        assert_eq!(wide.with_ids_of(&new), "repo:acme@12/*");
        assert_eq!(old.with_ids_of(&new), "repo:acme@12/app@34:ref:refs/heads/main");
        let recreated = RepositorySubject::parse("repo:acme@12/app@35:*").unwrap();
        assert!(recreated.other_ids(&new, true));
        assert!(!RepositorySubject::parse("repo:acme@12/app@*:*").unwrap().other_ids(&new, true));
        assert_eq!(RepositorySubject::parse("project_path:a/b"), None);
        assert_eq!(RepositorySubject::parse("repo:acme"), None);
        assert_eq!(RepositorySubject::parse("repo:acme/app/*"), None);
    }
}
