//! GitHub's and GitLab's subjects, and patterns of them.

/// The day from which GitHub puts ids into the subjects of repositories that are created, renamed or transferred.
pub(super) const IDS_SINCE: &str = "15 July 2026";

/// `repo:OWNER/NAME:REST` or `repo:OWNER@ID/NAME@ID:REST`, wildcards included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RepositorySubject<'a> {
    pub(super) owner: &'a str,
    pub(super) name: &'a str,
    /// Whether owner and name have their ids.
    pub(super) with_ids: bool,
    /// `ref:refs/heads/main`, `environment:prod`, `pull_request`, `*`…
    pub(super) rest: &'a str,
}

impl<'a> RepositorySubject<'a> {
    pub(super) fn parse(subject: &'a str) -> Option<Self> {
        let (owner, rest) = subject.strip_prefix("repo:")?.split_once('/')?;
        let (name, rest) = rest.split_once(':').unwrap_or((rest, ""));
        let (plain_owner, plain_name) = (owner.split('@').next()?, name.split('@').next()?);
        let with_ids = plain_owner.len() < owner.len() && plain_name.len() < name.len();
        Some(Self { owner: plain_owner, name: plain_name, with_ids, rest })
    }

    /// Whether both are of the same repository by name.
    pub(super) fn same_names(&self, other: &Self) -> bool {
        self.owner.eq_ignore_ascii_case(other.owner) && self.name.eq_ignore_ascii_case(other.name)
    }

    pub(super) fn environment(&self) -> Option<&'a str> {
        self.rest.strip_prefix("environment:")
    }

    pub(super) fn git_ref(&self) -> Option<&'a str> {
        self.rest.strip_prefix("ref:")
    }
}

/// How much a subject's pattern lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breadth {
    /// Everything.
    All,
    /// Several repositories or projects.
    Several,
    /// One repository with all its branches, tags, environments and pull requests.
    AnyRef,
    /// Less.
    Narrow,
}

/// Judges a value of a condition on the subject. `like` says whether wildcards are wildcards.
pub(super) fn breadth(value: &str, like: bool) -> Breadth {
    if !like {
        return Breadth::Narrow;
    }
    if value.starts_with('*') || value.chars().all(|c| c == '*' || c == '?') {
        return Breadth::All;
    }
    let wild = |text: &str| text.contains(['*', '?']);
    for prefix in ["repo:", "project_path:"] {
        let Some(path) = value.strip_prefix(prefix) else { continue };
        let (path, rest) = path.split_once(':').unwrap_or((path, ""));
        if path.starts_with('*') {
            return Breadth::All;
        }
        if wild(path) {
            return Breadth::Several;
        }
        if rest == "*" {
            return Breadth::AnyRef;
        }
    }
    Breadth::Narrow
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read() {
        let old = RepositorySubject::parse("repo:acme/app:ref:refs/heads/main").unwrap();
        assert_eq!((old.owner, old.name, old.with_ids, old.git_ref()), ("acme", "app", false, Some("refs/heads/main")));
        let new = RepositorySubject::parse("repo:Acme@12/app@34:environment:prod").unwrap();
        assert_eq!((new.owner, new.name, new.with_ids, new.environment()), ("Acme", "app", true, Some("prod")));
        assert!(old.same_names(&new));
        assert_eq!(RepositorySubject::parse("project_path:a/b"), None);
        assert_eq!(RepositorySubject::parse("repo:acme"), None);
    }

    #[test]
    fn breadths() {
        let cases = [
            ("*", Breadth::All),
            ("??*", Breadth::All),
            ("*:acme", Breadth::All),
            ("repo:*", Breadth::All),
            ("repo:acme/*", Breadth::Several),
            ("repo:acme/*:ref:refs/heads/main", Breadth::Several),
            ("repo:acme/app*", Breadth::Several),
            ("repo:acme*/app:*", Breadth::Several),
            ("project_path:group/*", Breadth::Several),
            ("repo:acme/app:*", Breadth::AnyRef),
            ("repo:acme/app:ref:refs/heads/*", Breadth::Narrow),
            ("wallet:*", Breadth::Narrow),
        ];
        for (value, expected) in cases {
            assert_eq!(breadth(value, true), expected, "{value}");
            assert_eq!(breadth(value, false), Breadth::Narrow);
        }
    }
}
