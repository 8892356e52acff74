//! HCP Terraform (Terraform Cloud) and Terraform Enterprise. Source: HashiCorp's "Workload identity".

use super::{project, run, tenant};
use crate::subject::{Chars, Edit, Form, Platform, Words, always_possible};

pub(super) static TERRAFORM: Platform = Platform {
    name: "HCP Terraform",
    issuers: &["app.terraform.io", "app.eu.terraform.io"],
    shared: &["app.terraform.io", "app.eu.terraform.io"],
    by_subject: true,
    forms: &[
        Form {
            name: "the subject with a project",
            default: true,
            start: &["organization:<organization>:project:<project>:workspace:<workspace>:run_phase:<run_phase>"],
            then: &[],
            how: "",
        },
        Form {
            name: "the older subject without a project",
            default: false,
            start: &["organization:<organization>:workspace:<workspace>:run_phase:<run_phase>"],
            then: &[],
            how: "",
        },
        Form {
            name: "the subject of a Stack",
            default: false,
            start: &[
                "organization:<organization>:project:<project>:stack:<stack>:deployment:<deployment>:operation:<run_phase>",
            ],
            then: &[],
            how: "",
        },
    ],
    fields: &[
        tenant("organization", Chars::Slug),
        project("project", Chars::Name),
        project("workspace", Chars::Slug),
        project("stack", Chars::Name),
        project("deployment", Chars::Name),
        run("run_phase", Chars::Slug),
    ],
    claims: &[],
    projects: &[],
    refs: &[],
    words: Words { project: "project or workspace", refs: "", name_ref: "workspace" },
    impossible: always_possible,
    synonyms: &[
        ("org", "organization"),
        ("organisation", "organization"),
        ("organizations", "organization"),
        ("projects", "project"),
        ("workspaces", "workspace"),
        ("ws", "workspace"),
        ("run-phase", "run_phase"),
        ("runphase", "run_phase"),
        ("phase", "run_phase"),
    ],
    edits,
};

fn edits(value: &str, _: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    if value.contains("workspace:") && !value.contains("run_phase") {
        edits.push(Edit::new(
            format!("{}:run_phase:*", value.trim_end_matches(':')),
            "a subject goes on after the workspace",
        ));
    }
    for phase in [":plan", ":apply", "/plan", "/apply"] {
        if let Some(rest) = value.strip_suffix(phase).filter(|rest| !rest.ends_with("run_phase")) {
            edits.push(Edit::new(
                format!("{rest}:run_phase:{}", &phase[1..]),
                "`run_phase:` is missing before the phase",
            ));
        }
    }
    edits
}
