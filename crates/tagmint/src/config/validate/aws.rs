//! AWS.

use tagmint_core::environment::Environment;

use super::{Check, backend::check_service_url};
use crate::config::{AwsConfig, problem::shortened, raw::RawAws};

/// The longest name of a region, in characters.
const LONGEST_REGION: usize = 64;

impl Check<'_> {
    pub(super) fn aws(&mut self, raw: &RawAws, environment: Environment) -> Option<AwsConfig> {
        let region = &raw.region;
        let fits = (1..=LONGEST_REGION).contains(&region.len())
            && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !region.starts_with('-')
            && !region.ends_with('-');
        if !fits {
            self.problem("aws.region", format!("`{}` is not a region such as `eu-central-1`", shortened(region)));
        }
        let wrong = raw.sts_endpoint.as_ref().and_then(|url| Some((url, check_service_url(url, environment).err()?)));
        if let Some((url, message)) = wrong {
            // What follows an `@` or `?` may be a secret.
            let shown = if url.contains(['@', '?']) { "the URL".to_owned() } else { format!("`{}`", shortened(url)) };
            self.problem("aws.sts_endpoint", format!("{shown} {message}"));
            return None;
        }
        fits.then(|| AwsConfig {
            region: region.clone(),
            sts_endpoint: raw.sts_endpoint.clone(),
            ca_file: raw.ca_file.as_ref().map(|file| self.path(file)),
        })
    }
}
