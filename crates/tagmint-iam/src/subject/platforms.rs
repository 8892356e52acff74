//! The platforms, one table each.

mod auth0;
mod azure_devops;
mod bitbucket;
mod buildkite;
mod circleci;
mod github;
mod gitlab;
mod kubernetes;
mod others;
mod spacelift;
mod terraform;

use super::{Chars, Field, Level, Platform};

/// All of them. Those whose subjects are known by their beginning stand before those that are not.
pub(super) static ALL: [&Platform; 15] = [
    &github::GITHUB,
    &gitlab::GITLAB,
    &terraform::TERRAFORM,
    &buildkite::BUILDKITE,
    &spacelift::SPACELIFT,
    &circleci::CIRCLECI,
    &kubernetes::KUBERNETES,
    &bitbucket::BITBUCKET,
    &azure_devops::AZURE_DEVOPS,
    &others::PULUMI,
    &others::VERCEL,
    &others::SEMAPHORE,
    &others::CODEFRESH,
    &others::FLY,
    &auth0::AUTH0,
];

const fn tenant(name: &'static str, chars: Chars) -> Field {
    Field { name, level: Level::Tenant, unique: false, chars }
}

const fn project(name: &'static str, chars: Chars) -> Field {
    Field { name, level: Level::Project, unique: false, chars }
}

const fn git_ref(name: &'static str, chars: Chars) -> Field {
    Field { name, level: Level::Ref, unique: false, chars }
}

const fn other(name: &'static str, chars: Chars) -> Field {
    Field { name, level: Level::Other, unique: false, chars }
}

const fn run(name: &'static str, chars: Chars) -> Field {
    Field { name, level: Level::Run, unique: false, chars }
}

/// The same with values that name one thing among all customers.
const fn id(field: Field) -> Field {
    Field { unique: true, ..field }
}
