//! Bounds on what callers may ask.

use jiff::SignedDuration;
use tagmint_core::environment::Environment;
use tagmint_server::settings::{HourlyRate, Limits, Rate};

use super::{Check, HOUR, MINUTE};
use crate::config::raw::{DurationText, RawHourlyRate, RawLimits, RawRate};

impl Check<'_> {
    pub(super) fn limits(&mut self, raw: &RawLimits) -> Limits {
        let second = SignedDuration::from_secs(1);
        let mut time = |name: &str, text: &DurationText, most: SignedDuration| {
            self.duration(&format!("limits.{name}"), text, (second, most)).unsigned_abs()
        };
        let header_timeout = time("header_timeout", &raw.header_timeout, MINUTE * 5);
        let request_timeout = time("request_timeout", &raw.request_timeout, MINUTE * 5);
        let idle_timeout = time("idle_timeout", &raw.idle_timeout, HOUR);
        let handshake_timeout = time("handshake_timeout", &raw.handshake_timeout, MINUTE);
        let shutdown_grace = time("shutdown_grace", &raw.shutdown_grace, MINUTE * 10);
        Limits {
            per_credential: self.rate("limits.per_credential", raw.per_credential),
            per_address: self.rate("limits.per_address", raw.per_address),
            failed_per_address: self.rate("limits.failed_per_address", raw.failed_per_address),
            failed_per_network: self.rate("limits.failed_per_network", raw.failed_per_network),
            refusal_rows_per_network: self.hourly("limits.refusal_rows_per_network", raw.refusal_rows_per_network),
            refusal_rows: self.hourly("limits.refusal_rows", raw.refusal_rows),
            sessions_per_subject: raw.sessions_per_subject,
            session_opens_per_subject: self.rate("limits.session_opens_per_subject", raw.session_opens_per_subject),
            connections: self.count("limits.connections", raw.connections),
            connections_per_address: self.count("limits.connections_per_address", raw.connections_per_address),
            handshakes: self.count("limits.handshakes", raw.handshakes),
            body_bytes: self.bytes("limits.body_bytes", raw.body_bytes, (1_024, 1_048_576)),
            header_bytes: self.bytes("limits.header_bytes", raw.header_bytes, (8_192, 1_048_576)),
            header_timeout,
            request_timeout,
            idle_timeout,
            handshake_timeout,
            shutdown_grace,
        }
    }

    pub(super) fn rate(&mut self, path: &str, raw: RawRate) -> Rate {
        if raw.per_second > 0 && raw.burst == 0 {
            self.problem(
                &format!("{path}.burst"),
                "`0` lets nothing through; 1 or more is allowed (no limit: `per_second = 0`)",
            );
        }
        Rate { per_second: raw.per_second, burst: raw.burst }
    }

    fn hourly(&mut self, path: &str, raw: RawHourlyRate) -> HourlyRate {
        if raw.per_hour > 0 && raw.burst == 0 {
            self.problem(
                &format!("{path}.burst"),
                "`0` lets nothing through; 1 or more is allowed (no limit: `per_hour = 0`)",
            );
        }
        HourlyRate { per_hour: raw.per_hour, burst: raw.burst }
    }

    fn count(&mut self, path: &str, value: u64) -> usize {
        if !(16..=1_000_000).contains(&value) {
            self.problem(path, format!("`{value}` is out of bounds; 16 to 1000000 are allowed"));
        }
        usize::try_from(value).unwrap_or(usize::MAX)
    }

    fn bytes(&mut self, path: &str, value: u64, (least, most): (u64, u64)) -> usize {
        if !(least..=most).contains(&value) {
            self.problem(path, format!("`{value}` is out of bounds; {least} to {most} bytes are allowed"));
        }
        usize::try_from(value).unwrap_or(usize::MAX)
    }
}

/// Rates without a limit, where strangers and leaked credentials are to be reckoned with.
pub(super) fn warnings(limits: &Limits, environment: Environment) -> Vec<String> {
    let rates = [
        ("per_credential", limits.per_credential, "one leaked credential can mint without bound"),
        ("per_address", limits.per_address, "one address can keep the issuer busy"),
        (
            "failed_per_address",
            limits.failed_per_address,
            "one address can guess without bound, and each guess leaves a row in the ledger",
        ),
    ];
    let unlimited = rates.into_iter().filter(|(_, rate, _)| environment == Environment::Prod && rate.per_second == 0);
    unlimited
        .map(|(name, _, so)| {
            let default = Limits::default();
            let rate = match name {
                "per_credential" => default.per_credential,
                "per_address" => default.per_address,
                _ => default.failed_per_address,
            };
            format!(
                "`limits.{name}.per_second` is `0` in prod: no limit, so that {so}; remove the key for the default of {} a second, or set one",
                rate.per_second
            )
        })
        .collect()
}
