//! The AWS side of an issuer, from its configuration: OIDC provider, roles with their trust policies, bucket with its policy.
//!
//! One plan ([`SetUp`]) is made of the configuration and written in three ways; [`crate::diff`] compares it with what an account holds.
//!
//! | module | holds |
//! |---|---|
//! | `settings` | what the configuration says of the AWS side |
//! | `plan` | the plan: from settings and rules to provider, roles, bucket |
//! | `groups` | which rules a statement of a trust policy can be for |
//! | `policies` | trust policy, bucket policy, a role's own policy |
//! | `cloudformation`, `terraform`, `script` | the three renderings |
//! | `blocks` | what the renderings have in common: comments, texts that hold the account |

mod blocks;
mod cloudformation;
mod groups;
mod hcl;
mod plan;
mod policies;
mod script;
mod settings;
mod terraform;

pub use self::{
    plan::{BucketPlan, Names, PlanError, ProviderPlan, RolePlan, SetUp},
    policies::GUARD_POLICY,
    settings::{ACCOUNT_VARIABLE, Access, BucketSettings, Expiry, Mode, RoleSettings, Settings},
};

/// What a set-up is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendering {
    /// A CloudFormation template, in YAML.
    Cloudformation,
    /// A Terraform module with its test.
    Terraform,
    /// A shell script of AWS CLI commands.
    Cli,
}

/// A part of the set-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The OIDC provider.
    Provider,
    /// The roles.
    Role,
    /// The bucket.
    Bucket,
}

impl Part {
    /// All of them, in the order in which they are made.
    pub const ALL: [Self; 3] = [Self::Provider, Self::Role, Self::Bucket];
}

/// A file of a rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedFile {
    /// Where it belongs, below the folder for the rendering.
    pub path: &'static str,
    /// What is in it.
    pub text: String,
    /// Whether it is a program.
    pub executable: bool,
}

/// Writes a set-up, whose account is a placeholder ([`Names::Placeholder`]). The first file is the main one. `account` is the default of the
/// rendering's own account variable.
pub fn render(set_up: &SetUp, account: &str, rendering: Rendering, parts: &[Part]) -> Vec<RenderedFile> {
    match rendering {
        Rendering::Cloudformation => cloudformation::render(set_up, parts),
        Rendering::Terraform => terraform::render(set_up, account, parts),
        Rendering::Cli => script::render(set_up, account, parts),
    }
}
