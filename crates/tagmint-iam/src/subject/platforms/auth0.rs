//! Auth0. Source: Auth0's "Identify users" (`user_id`) and "Client Credentials Flow".

use super::{git_ref, project};
use crate::subject::{Chars, Form, Platform, Words, always_possible, no_edits};

pub(super) static AUTH0: Platform = Platform {
    name: "Auth0",
    issuers: &["*.auth0.com", "*.auth0.com/"],
    // The issuer is one tenant's.
    shared: &[],
    by_subject: false,
    forms: &[
        Form { name: "the subject of a user", default: true, start: &["<connection>|<user>"], then: &[], how: "" },
        Form { name: "the subject of an application", default: true, start: &["<client>@clients"], then: &[], how: "" },
    ],
    fields: &[project("connection", Chars::Slug), git_ref("user", Chars::Any), project("client", Chars::Slug)],
    claims: &[],
    projects: &[],
    refs: &[],
    words: Words { project: "user or application", refs: "user of the connection", name_ref: "user" },
    impossible: always_possible,
    synonyms: &[],
    edits: no_edits,
};
