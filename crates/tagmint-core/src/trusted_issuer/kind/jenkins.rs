//! Jenkins, with its OpenID Connect Provider plugin: what the claims of its tokens say, and that they agree.
//!
//! Besides `sub` and `build_number` the claims are those for which the administrator wrote a template, so all of them are attributes.
//! Derived is `job_path`: the job's folders and name, `folder/job`, where `sub` is the job's URL below the URL of the issuer's Jenkins. In
//! a multibranch project the last part is the branch.
//!
//! The credentials of a folder have an issuer of their own, and only jobs in the folder can use them. A token of such an issuer is
//! refused whose `sub` is the URL of a job elsewhere: up to version 96 of the plugin a build could set the variables that its claims are
//! made of.

use super::{Claim, Kind, OtherClaims, Scope};
use crate::trusted_issuer::{TokenAlgorithm, TokenError, claims::Reader};

/// Source: the plugin's README, its `IdTokenConfiguration`, `FolderIssuer` and `Keys`, and its security advisory "Insufficient
/// validation of claims". Templates are made of build variables, some of which the build's source decides.
pub(super) const KIND: Kind = Kind {
    name: "jenkins",
    title: "Jenkins with the OpenID Connect Provider plugin",
    default_issuer: None,
    issuers: &[
        "https://<host of Jenkins>/oidc",
        "https://<host of Jenkins>/oidc/job/<folder>",
        "https://<where the administrator publishes the keys>",
    ],
    algorithms: &[
        TokenAlgorithm::Rs256,
        TokenAlgorithm::Rs384,
        TokenAlgorithm::Rs512,
        TokenAlgorithm::Es256,
        TokenAlgorithm::Es384,
        TokenAlgorithm::Es512,
    ],
    has_nbf: false,
    audience_list: false,
    subjects: &["https://<host of Jenkins>/job/<job>/", "<the administrator's template for sub>"],
    claims: &[
        Claim::named("sub", Scope::Repository, None, "The job's URL, or what the administrator chose").required(),
        Claim::named("job_path", Scope::Repository, None, "The job's folders and name: `folder/job`").derived().glob(),
        Claim::number("build_number", "The build's number in its job, unless the administrator removed the claim"),
    ],
    others: OtherClaims::Kept,
    derive,
    sample: include_str!("samples/jenkins.json"),
};

fn derive(reader: &mut Reader<'_>, subject: &str) -> Result<(), TokenError> {
    let issuer = reader.required("iss")?;
    let (root, folder) = match (issuer.split_once("/oidc/job/"), issuer.strip_suffix("/oidc")) {
        (Some((root, folder)), _) => (root, Some(folder)),
        (None, Some(root)) => (root, None),
        // Keys that are published elsewhere do not say where Jenkins is.
        (None, None) => return Ok(()),
    };
    let job = subject.strip_prefix(root).and_then(|rest| rest.strip_prefix("/job/"));
    let Some(job) = job else { return Ok(()) };
    let is_inside = |folder: &str| job.strip_prefix(folder).is_some_and(|rest| rest.starts_with("/job/"));
    if folder.is_some_and(|folder| !is_inside(folder)) {
        return Err(TokenError::Contradiction { first: "iss", second: "sub" });
    }
    reader.add("job_path", job.strip_suffix('/').unwrap_or(job).replace("/job/", "/"));
    Ok(())
}
