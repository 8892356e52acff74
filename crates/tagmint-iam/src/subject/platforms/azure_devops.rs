//! Azure DevOps service connections. Source: Microsoft's "Connect to Azure with an Azure Resource Manager service connection".

use super::{project, tenant};
use crate::subject::{Chars, Form, Platform, Words, always_possible, no_edits};

pub(super) static AZURE_DEVOPS: Platform = Platform {
    name: "Azure DevOps",
    issuers: &["vstoken.dev.azure.com/*"],
    // The issuer is one organization's.
    shared: &[],
    by_subject: true,
    forms: &[Form {
        name: "the subject of a service connection",
        default: true,
        start: &["sc://<organization>/<project>/<connection>"],
        then: &[],
        how: "",
    }],
    fields: &[
        tenant("organization", Chars::Segment),
        project("project", Chars::Name),
        project("connection", Chars::Name),
    ],
    claims: &[],
    projects: &[],
    refs: &[],
    words: Words { project: "project or service connection", refs: "", name_ref: "service connection" },
    impossible: always_possible,
    synonyms: &[],
    edits: no_edits,
};
