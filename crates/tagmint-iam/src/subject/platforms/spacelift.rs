//! Spacelift. Source: Spacelift's "OpenID Connect (OIDC)" and "Customizing the OIDC subject claim".

use super::{other, project};
use crate::subject::{Chars, Edit, Form, Platform, Words, always_possible};

pub(super) static SPACELIFT: Platform = Platform {
    name: "Spacelift",
    issuers: &["*.app.spacelift.io", "*.app.us.spacelift.io", "*.spacelift.io"],
    shared: &[],
    by_subject: true,
    forms: &[
        Form {
            name: "the default subject",
            default: true,
            start: &[
                "space:<space>:stack:<stack>:run_type:<run_type>:scope:<scope>",
                "space:<space>:module:<module>:run_type:<run_type>:scope:<scope>",
            ],
            then: &[],
            how: "",
        },
        Form {
            name: "a subject with the space's path",
            default: false,
            start: &[
                "space:<space>:space_path:<space_path>:stack:<stack>:run_type:<run_type>:scope:<scope>",
                "space:<space>:space_path:<space_path>:module:<module>:run_type:<run_type>:scope:<scope>",
            ],
            then: &[],
            how: "set the account's OIDC subject template to one with {spacePath}",
        },
    ],
    fields: &[
        project("space", Chars::Slug),
        project("space_path", Chars::Path),
        project("stack", Chars::Slug),
        project("module", Chars::Slug),
        other("run_type", Chars::Slug),
        other("scope", Chars::Slug),
    ],
    claims: &[],
    projects: &[],
    refs: &[],
    words: Words { project: "stack or module", refs: "", name_ref: "stack" },
    impossible: always_possible,
    synonyms: &[
        ("spaces", "space"),
        ("spaceId", "space"),
        ("space_id", "space"),
        ("stacks", "stack"),
        ("stack_id", "stack"),
        ("modules", "module"),
        ("run-type", "run_type"),
        ("runtype", "run_type"),
        ("type", "run_type"),
    ],
    edits,
};

fn edits(value: &str, subject: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    if value.starts_with("stack:") || value.starts_with("module:") {
        let space = subject.split(':').nth(1).unwrap_or("*");
        edits.push(Edit::new(format!("space:{space}:{value}"), "its beginning is missing"));
    }
    if let Some(at) = value.find(":run_type:").filter(|_| !value.contains(":scope:") && !value.ends_with('*')) {
        edits.push(Edit::new(
            format!("{}{}:scope:*", &value[..at], &value[at..]),
            "a subject goes on after the run type",
        ));
    }
    edits
}
