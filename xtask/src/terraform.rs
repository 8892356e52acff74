//! Terraform's AWS provider, for machines that do not reach Terraform's registry.

use std::{
    env,
    path::{Path, PathBuf},
};

/// Names a directory for `terraform init -plugin-dir`. The end-to-end tests read it.
pub(crate) const PLUGINS: &str = "TAGMINT_TERRAFORM_PLUGINS";
/// Where machines without a network keep providers: Terraform's own places for a whole system, and the one of build images.
const PLACES: [&str; 3] = ["/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins", "/opt/tf-plugins"];
/// The provider below such a directory.
const PROVIDER: &str = "registry.terraform.io/hashicorp/aws";

/// The directory that the variable names, or the first place that has the provider. Without one Terraform asks its registry.
pub(crate) fn plugins() -> Option<PathBuf> {
    let named = env::var_os(PLUGINS).map(PathBuf::from);
    named.or_else(|| PLACES.iter().map(Path::new).find(|place| place.join(PROVIDER).is_dir()).map(Path::to_owned))
}
