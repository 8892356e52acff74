//! What the attributes of each platform mean: which of them are names and ids of one thing, and which of them
//! others choose.
//!
//! Sources: "OpenID Connect reference" in GitHub's documentation, "OpenID Connect (OIDC) authentication using ID
//! tokens" in GitLab's.

use super::{
    alternatives::{Alternative, Test},
    paths::Path,
};
use crate::{rules::providers::TrustedIssuers, trusted_issuer::IssuerKind};

/// A platform whose identities a rule may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Platform {
    Github,
    Gitlab,
    Oidc,
}

/// The attributes that name a branch or tag. Whoever may push can make one of nearly any name.
const REFS: &[&str] = &["ref", "branch", "tag", "ref_path", "head_ref", "base_ref"];

impl Platform {
    pub(super) const ALL: [Self; 3] = [Self::Github, Self::Gitlab, Self::Oidc];

    pub(super) const fn kind(self) -> IssuerKind {
        match self {
            Self::Github => IssuerKind::GithubActions,
            Self::Gitlab => IssuerKind::Gitlab,
            Self::Oidc => IssuerKind::Oidc,
        }
    }

    /// For people.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Github => "GitHub",
            Self::Gitlab => "GitLab",
            Self::Oidc => "the provider",
        }
    }

    /// Whether an identity of this platform can be one that `alternative` takes. A rule that names its sources
    /// or providers (`explicit`) means them; another one means a platform only where it asks for no attribute that this one does not have.
    pub(super) fn may_take(self, alternative: &Alternative<'_>, providers: &TrustedIssuers, explicit: bool) -> bool {
        alternative.all().all(|(path, test)| match path {
            Path::Source => test.admits(self.kind().as_str()),
            Path::Provider => match test {
                Test::OneOf(names) => {
                    names.iter().any(|name| providers.find(name).is_none_or(|(_, kind)| kind == self.kind()))
                }
                _ => true,
            },
            Path::Attribute(name) => {
                explicit || *test == Test::Absent || self.has(name) || providers.give_further(name)
            }
            Path::Subject | Path::Value | Path::Attributes => true,
        })
    }

    /// Whether its identities may have this attribute.
    fn has(self, name: &str) -> bool {
        match self {
            Self::Github | Self::Gitlab => {
                self.kind().attributes().any(|known| known == name)
                    || (self == Self::Github && name.starts_with("repo_property_"))
            }
            Self::Oidc => true,
        }
    }

    /// What a repository is called here.
    pub(super) const fn repository(self) -> Thing {
        match self {
            Self::Gitlab => Thing { noun: "project", name: "project_path", id: "project_id" },
            Self::Github | Self::Oidc => Thing { noun: "repository", name: "repository", id: "repository_id" },
        }
    }

    /// What its owner is called here.
    pub(super) const fn owner(self) -> Thing {
        match self {
            Self::Gitlab => Thing { noun: "namespace", name: "namespace_path", id: "namespace_id" },
            Self::Github | Self::Oidc => Thing { noun: "owner", name: "repository_owner", id: "repository_owner_id" },
        }
    }

    /// Who started the job.
    pub(super) const fn user(self) -> Thing {
        match self {
            Self::Gitlab => Thing { noun: "user", name: "user_login", id: "user_id" },
            Self::Github | Self::Oidc => Thing { noun: "actor", name: "actor", id: "actor_id" },
        }
    }

    /// Attributes whose text somebody chooses who may merely push a branch, open a pull request or start a job.
    /// Of another issuer's it is not known, so all of them count.
    pub(super) fn is_free_text(self, path: &Path) -> bool {
        const GITHUB: &[&str] = &["environment", "workflow", "workflow_ref", "job_workflow_ref", "actor", "enterprise"];
        const GITLAB: &[&str] = &["environment", "user_login", "user_email", "ci_config_ref_uri"];
        let also = match self {
            Self::Github => GITHUB,
            Self::Gitlab => GITLAB,
            Self::Oidc => return matches!(path, Path::Subject | Path::Attributes | Path::Attribute(_)),
        };
        match path {
            Path::Subject | Path::Attributes => true,
            Path::Attribute(name) => is_ref(name) || also.contains(&name.as_str()),
            Path::Source | Path::Provider | Path::Value => false,
        }
    }
}

/// Whether the attribute names a branch or tag.
pub(super) fn is_ref(name: &str) -> bool {
    REFS.contains(&name)
}

/// Something with a name and an id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thing {
    /// For people.
    pub(super) noun: &'static str,
    /// The attribute with its name.
    pub(super) name: &'static str,
    /// The attribute with its id.
    pub(super) id: &'static str,
}
