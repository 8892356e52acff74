//! Platforms with one form. Sources: the OpenID Connect pages of Pulumi, Vercel, Semaphore, Codefresh and Fly.io.

use super::{git_ref, other, project, run, tenant};
use crate::subject::{Chars, Form, Platform, Words, always_possible, no_edits};

const fn form(start: &'static [&'static str]) -> Form {
    Form { name: "the default subject", default: true, start, then: &[], how: "" }
}

const NO_REFS: &str = "";

pub(super) static PULUMI: Platform = Platform {
    name: "Pulumi Cloud",
    issuers: &["api.pulumi.com/oidc"],
    shared: &["api.pulumi.com/oidc"],
    by_subject: false,
    forms: &[
        form(&["pulumi:deploy:org:<organization>:project:<project>:stack:<stack>:operation:<operation>:scope:<scope>"]),
        form(&["pulumi:environments:org:<organization>:env:<environment>"]),
    ],
    fields: &[
        tenant("organization", Chars::Slug),
        project("project", Chars::Slug),
        project("stack", Chars::Slug),
        project("environment", Chars::Text),
        run("operation", Chars::Slug),
        other("scope", Chars::Slug),
    ],
    claims: &[],
    projects: &[],
    refs: &[],
    words: Words { project: "project, stack or environment", refs: NO_REFS, name_ref: "stack" },
    impossible: always_possible,
    synonyms: &[("organization", "org"), ("environment", "env")],
    edits: no_edits,
};

pub(super) static VERCEL: Platform = Platform {
    name: "Vercel",
    issuers: &["oidc.vercel.com", "oidc.vercel.com/*"],
    shared: &["oidc.vercel.com"],
    by_subject: false,
    forms: &[form(&["owner:<owner>:project:<project>:environment:<environment>"])],
    fields: &[tenant("owner", Chars::Slug), project("project", Chars::Slug), git_ref("environment", Chars::Slug)],
    claims: &[],
    projects: &[],
    refs: &[],
    words: Words { project: "project", refs: "environment, previews of pull requests too", name_ref: "environment" },
    impossible: always_possible,
    synonyms: &[("team", "owner"), ("env", "environment")],
    edits: no_edits,
};

pub(super) static SEMAPHORE: Platform = Platform {
    name: "Semaphore",
    issuers: &["*.semaphoreci.com"],
    shared: &[],
    by_subject: false,
    forms: &[form(&["org:<organization>:project:<project>:repo:<repo>:ref_type:<ref_type>:ref:<ref>"])],
    fields: &[
        other("organization", Chars::Slug),
        project("project", Chars::Text),
        project("repo", Chars::Slug),
        other("ref_type", Chars::Slug),
        git_ref("ref", Chars::Path),
    ],
    claims: &[],
    projects: &[],
    refs: &[],
    words: Words { project: "project", refs: "branch, tag and pull request", name_ref: "branch" },
    impossible: always_possible,
    synonyms: &[("organization", "org"), ("repository", "repo")],
    edits: no_edits,
};

pub(super) static CODEFRESH: Platform = Platform {
    name: "Codefresh",
    issuers: &["oidc.codefresh.io"],
    shared: &["oidc.codefresh.io"],
    by_subject: false,
    forms: &[
        form(&["account:<account>:pipeline:<pipeline>"]),
        form(&["account:<account>:pipeline:<pipeline>:<initiator>"]),
    ],
    fields: &[tenant("account", Chars::Slug), project("pipeline", Chars::Slug), git_ref("initiator", Chars::Any)],
    claims: &[],
    projects: &[],
    refs: &[],
    words: Words { project: "pipeline", refs: "initiator", name_ref: "initiator" },
    impossible: always_possible,
    synonyms: &[],
    edits: no_edits,
};

pub(super) static FLY: Platform = Platform {
    name: "Fly.io",
    issuers: &["oidc.fly.io/*"],
    shared: &[],
    by_subject: false,
    forms: &[form(&["<organization>:<app>:<machine>"])],
    fields: &[other("organization", Chars::Slug), project("app", Chars::Slug), run("machine", Chars::Slug)],
    claims: &[],
    projects: &[],
    refs: &[],
    words: Words { project: "app", refs: NO_REFS, name_ref: "app" },
    impossible: always_possible,
    synonyms: &[],
    edits: no_edits,
};
