//! HCP Terraform and Terraform Enterprise: what the claims of their workload identity tokens say, and that they agree.
//!
//! Attributes are the platform's own claims under their own names. A run of a workspace has `terraform_workspace_id`, a deployment of a
//! stack `terraform_stack_id`. A test of a module has only the organization.
//!
//! A token is refused whose subject disagrees with its claims, because a rule would get another answer from `sub` than from the claim
//! beside it: each part of `sub` is the claim of that name, where the token has it, and `sub` begins with `terraform_full_workspace`. A
//! subject that does not begin with `organization:` is refused: Terraform has no others.

use super::{Claim, Kind, OtherClaims, Scope};
use crate::trusted_issuer::{TokenAlgorithm, TokenError, claims::Reader};

/// Source: HashiCorp Developer, "Workload identity in HCP Terraform". What is said of stacks is read off trust configurations for Google
/// Cloud in public repositories.
pub(super) const KIND: Kind = Kind {
    name: "terraform",
    title: "HCP Terraform and Terraform Enterprise",
    default_issuer: Some("https://app.terraform.io"),
    issuers: &["https://app.terraform.io", "https://<host of Terraform Enterprise>"],
    algorithms: &[TokenAlgorithm::Rs256],
    has_nbf: true,
    audience_list: false,
    subjects: &[
        "organization:<organization>:project:<project>:workspace:<workspace>:run_phase:<plan or apply>",
        "organization:<organization>:project:<project>:stack:<stack>:deployment:<deployment>:operation:<plan or apply>",
        "organization:<organization>:module:<module>:operation:test_run",
    ],
    claims: &[
        Claim::text_id("terraform_workspace_id", Scope::Repository, "`ws-mbsd5E3Ktt5Rg2Xm`"),
        Claim::text_id("terraform_stack_id", Scope::Repository, "The stack's id"),
        Claim::text_id("terraform_project_id", Scope::Owner, "`prj-vegSA59s1XPwMr2t`"),
        Claim::text_id("terraform_organization_id", Scope::Owner, "`org-GRNbCjYNpBB6NEH9`").required(),
        Claim::named("terraform_workspace_name", Scope::Repository, Some("terraform_workspace_id"), "`my-workspace`"),
        Claim::named("terraform_stack_name", Scope::Repository, Some("terraform_stack_id"), "The stack's name"),
        Claim::named("terraform_project_name", Scope::Owner, Some("terraform_project_id"), "`Default Project`"),
        Claim::named("terraform_organization_name", Scope::Owner, Some("terraform_organization_id"), "`my-org`")
            .required(),
        Claim::named(
            "terraform_full_workspace",
            Scope::Repository,
            Some("terraform_workspace_id"),
            "The part of `sub` before `:run_phase:`",
        ),
        Claim::fixed("terraform_run_phase", "`plan` or `apply`. A pull request can start a plan"),
        Claim::shapeable("terraform_stack_deployment_name", "The deployment, as the stack's configuration names it"),
        Claim::fixed("terraform_operation", "`plan` or `apply`, of a stack"),
        Claim::text_id("terraform_run_id", Scope::Other, "The run's id"),
        Claim::text_id("terraform_plan_id", Scope::Other, "The plan's id, of a stack"),
    ],
    others: OtherClaims::Dropped,
    derive,
    sample: include_str!("samples/terraform.json"),
};

/// The parts of a subject, and the claims with the same value.
const PARTS: [(&str, &str); 7] = [
    ("organization", "terraform_organization_name"),
    ("project", "terraform_project_name"),
    ("workspace", "terraform_workspace_name"),
    ("run_phase", "terraform_run_phase"),
    ("stack", "terraform_stack_name"),
    ("deployment", "terraform_stack_deployment_name"),
    ("operation", "terraform_operation"),
];

fn derive(reader: &mut Reader<'_>, subject: &str) -> Result<(), TokenError> {
    let contradiction = |second| Err(TokenError::Contradiction { first: "sub", second });
    if !subject.starts_with("organization:") {
        return Err(TokenError::claim("sub", "does not begin with `organization:`"));
    }
    let mut parts = subject.split(':');
    while let (Some(part), Some(value)) = (parts.next(), parts.next()) {
        // Other parts, such as `module`, have no claim.
        let Some((_, claim)) = PARTS.into_iter().find(|(name, _)| *name == part) else { continue };
        if reader.text(claim)?.is_some_and(|claimed| claimed != value) {
            return contradiction(claim);
        }
    }
    let full_workspace = reader.text("terraform_full_workspace")?.unwrap_or_default();
    let agrees = subject.strip_prefix(full_workspace).is_some_and(|rest| rest.starts_with(":run_phase:"));
    if agrees || full_workspace.is_empty() { Ok(()) } else { contradiction("terraform_full_workspace") }
}
