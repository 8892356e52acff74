//! GitLab CI: what the claims of its ID tokens say, and that they agree.
//!
//! Attributes are the platform's own claims under their own names; ids are texts of digits, whichever way GitLab writes them (`runner_id` is a number),
//! `ref_protected` and `environment_protected` booleans. Derived from them are
//! - `branch` and `tag`: `ref`, by `ref_type`;
//! - `merge_request`: N of a `ref` or `ref_path` that is `refs/merge-requests/N/head`, `/merge` or `/train`. Most merge-request pipelines
//!   have the source branch there instead, and are known by `pipeline_source == "merge_request_event"`.
//!
//! In a merge-request pipeline of a fork `project_id`, `project_path` and `ref` are the fork's, even where the pipeline runs in the
//! parent project; `job_project_id` is then the parent's. So `project_id` is what to bind.
//!
//! A token is refused whose subject disagrees with its claims: `project_path:P` with `project_path`, and `ref_type:T` and `ref:R`, where the
//! subject has them, with the claims of those names. A project may have chosen other parts for its subject; they are not looked at.

use serde_json::{Map, Value};

use super::{
    TokenError,
    claims::{Reader, number_in_ref},
};

/// The attributes that are made here.
pub(super) const DERIVED: &[&str] = &["branch", "tag", "merge_request"];

const TEXTS: &[&str] = &[
    "project_path",
    "project_visibility",
    "namespace_path",
    "job_project_path",
    "job_namespace_path",
    "user_login",
    "user_access_level",
    "pipeline_source",
    "ref",
    "ref_type",
    "ref_path",
    "environment",
    "environment_action",
    "deployment_tier",
    "runner_environment",
    "sha",
    "ci_config_ref_uri",
    "ci_config_sha",
];
const IDS: &[&str] = &[
    "project_id",
    "namespace_id",
    "job_project_id",
    "job_namespace_id",
    "user_id",
    "pipeline_id",
    "job_id",
    "runner_id",
];
const FLAGS: &[&str] = &["ref_protected", "environment_protected"];

/// The attributes that a token may have; those of custom claims aside.
pub(super) fn attribute_names() -> impl Iterator<Item = &'static str> {
    [TEXTS, IDS, FLAGS, DERIVED].into_iter().flatten().copied()
}

/// What rules see of a token. `further` names claims beside those known here.
pub(super) fn attributes(
    claims: &Map<String, Value>,
    subject: &str,
    further: Option<&[String]>,
) -> Result<Map<String, Value>, TokenError> {
    let mut reader = Reader::new(claims);
    for name in ["project_path", "namespace_path"] {
        reader.required(name)?;
    }
    for name in ["project_id", "namespace_id"] {
        reader.required_id(name)?;
    }
    reader.add_texts(TEXTS)?;
    reader.add_ids(IDS)?;
    reader.add_flags(FLAGS)?;
    reader.add_unchanged(|name| further.is_some_and(|names| names.iter().any(|n| n == name)));
    check(&reader, subject)?;
    let git_ref = reader.text("ref")?.unwrap_or_default();
    let merge_request = [git_ref, reader.text("ref_path")?.unwrap_or_default()]
        .into_iter()
        .find_map(|text| number_in_ref(text, "refs/merge-requests/", &["head", "merge", "train"]));
    match (merge_request, reader.text("ref_type")?) {
        (Some(number), _) => reader.add("merge_request", number),
        (None, Some("branch")) if !git_ref.is_empty() => reader.add("branch", git_ref),
        (None, Some("tag")) if !git_ref.is_empty() => reader.add("tag", git_ref),
        (None, _) => {}
    }
    Ok(reader.finish())
}

/// Checks that subject and claims agree.
fn check(reader: &Reader<'_>, subject: &str) -> Result<(), TokenError> {
    let mut parts = subject.split(':');
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        // What comes after a part that is not known here may be out of step.
        let Some(claim) = ["project_path", "ref_type", "ref"].into_iter().find(|known| *known == name) else { break };
        if reader.text(claim)? != Some(value) {
            return Err(TokenError::Contradiction { first: "sub", second: claim });
        }
    }
    Ok(())
}
