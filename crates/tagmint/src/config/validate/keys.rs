//! The signing keys.

use std::time::Duration;

use jiff::SignedDuration;
use tagmint_core::{key_schedule::RotationPolicy, signing_key::Algorithm};

use super::{Check, DAY, MINUTE};
use crate::{
    config::{
        SecretSource,
        problem::shortened,
        raw::{PathText, RawAlgorithm, RawKeys},
    },
    durations,
};

/// How many times the keys are read before a change counts as known to every process.
const READS_UNTIL_KNOWN: i32 = 3;

impl Check<'_> {
    pub(super) fn key_file(&mut self, raw: &PathText) -> Option<SecretSource> {
        self.secret_source("keys.key_file", raw)
    }

    /// Where a secret is read from: a file, or with `credential:` before its name a systemd credential.
    pub(super) fn secret_source(&mut self, path: &str, raw: &PathText) -> Option<SecretSource> {
        let Some(name) = raw.0.strip_prefix("credential:") else {
            return Some(SecretSource::File(self.path(raw)));
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(allowed) {
            let name = shortened(name);
            self.problem(
                path,
                format!("`{name}` is not the name of a systemd credential: use letters, digits and `._-`"),
            );
            return None;
        }
        Some(SecretSource::Credential(name.to_owned()))
    }

    pub(super) fn rotation(&mut self, raw: &RawKeys, jwks_max_age: SignedDuration) -> (RotationPolicy, Duration) {
        let before = self.problems.len();
        let refresh = self.duration("keys.refresh", &raw.refresh, (SignedDuration::from_secs(1), MINUTE * 10));
        let rotation = RotationPolicy {
            algorithm: match raw.algorithm {
                RawAlgorithm::Es256 => Algorithm::Es256,
                RawAlgorithm::Rs256 => Algorithm::Rs256,
            },
            jwks_max_age,
            propagation: refresh * READS_UNTIL_KNOWN,
            rotate_every: self.duration("keys.rotate_every", &raw.rotate_every, (DAY, DAY * 730)),
            publish_ahead: self.duration("keys.publish_ahead", &raw.publish_ahead, (MINUTE, DAY * 365)),
            witness_deadline: Some(self.duration("keys.witness_deadline", &raw.witness_deadline, (MINUTE, DAY * 30)))
                .filter(|_| raw.wait_for_witness),
        };
        if self.problems.len() == before {
            let least = rotation.min_publish_ahead();
            if rotation.publish_ahead < least {
                let message = format!(
                    "`{}` is too short: others may cache a key set without the new key; `jwks.max_age` and {READS_UNTIL_KNOWN} times \
                     `keys.refresh` make {} at least",
                    raw.publish_ahead.0,
                    durations::in_words(least)
                );
                self.problem("keys.publish_ahead", message);
            }
            if rotation.rotate_every <= rotation.publish_ahead {
                let message =
                    format!("`{}` is too short: it must be longer than `keys.publish_ahead`", raw.rotate_every.0);
                self.problem("keys.rotate_every", message);
            }
        }
        (rotation, refresh.unsigned_abs())
    }
}
