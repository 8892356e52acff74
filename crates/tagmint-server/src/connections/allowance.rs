//! How much a connection of HTTP/2 may say without asking anything.
//!
//! SETTINGS and PING must be answered (RFC 9113 §6.5.3, §6.7) and cost a peer nine bytes and more: whoever sends nothing else keeps a core busy
//! for as long as the network carries (CVE-2019-9512, CVE-2019-9515).

use std::time::Duration;

/// Bytes that need no reason, in each [`SPAN`]: a hundred times what clients say with WINDOW_UPDATE, PING and acknowledgements.
const BASE: u64 = 512 << 10;
/// How often the base is given anew.
const SPAN: Duration = Duration::from_secs(10);
/// Bytes that come with a request, beside its body.
const REQUEST: u64 = 8 << 10;
/// Bytes that come with each byte of a body: frames and records have heads.
const BODY: u64 = 2;

/// What is left of it.
#[derive(Debug)]
pub(super) struct Allowance {
    left: u64,
    /// When the base was last given, since the connection began.
    given: Duration,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { left: BASE, given: Duration::ZERO }
    }
}

impl Allowance {
    /// So many bytes were read at this time since the connection began. Whether that was allowed.
    pub(super) fn spend(&mut self, bytes: u64, now: Duration) -> bool {
        if now.saturating_sub(self.given) >= SPAN {
            self.given = now;
            self.left = self.left.max(BASE);
        }
        let enough = self.left.checked_sub(bytes);
        self.left = enough.unwrap_or(0);
        enough.is_some()
    }

    /// A request has come.
    pub(super) fn earn_by_request(&mut self) {
        self.left = self.left.saturating_add(REQUEST);
    }

    /// So many bytes of a body have come.
    pub(super) fn earn_by_body(&mut self, bytes: u64) {
        self.left = self.left.saturating_add(bytes.saturating_mul(BODY));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_may_be_said_in_vain_and_again_later() {
        let mut allowance = Allowance::default();
        assert!(allowance.spend(BASE, Duration::ZERO));
        assert!(!allowance.spend(1, SPAN.mul_f64(0.999)));
        assert!(allowance.spend(BASE, SPAN));
        assert!(!allowance.spend(1, SPAN.mul_f64(1.999)));
    }

    #[test]
    fn requests_and_bodies_pay_for_themselves() {
        let mut allowance = Allowance::default();
        for _ in 0..10_000 {
            allowance.earn_by_request();
            assert!(allowance.spend(REQUEST, Duration::ZERO));
            allowance.earn_by_body(64 << 10);
            assert!(allowance.spend(70 << 10, Duration::ZERO));
        }
        let silent = Duration::from_hours(1);
        assert!(allowance.spend(BASE, silent), "a long silence takes nothing away");
    }
}
