//! The certificate: how long it lives, whether it is renewed, whether the stored one is the served one.

use jiff::{SignedDuration, Timestamp};

use super::{Observations, about};
use crate::alarm::{Alarm, AlarmKind, Severity};

/// From when until when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateLife {
    /// From when.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
}

/// How much of its life a certificate has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Enough.
    Good,
    /// A renewal is late.
    Late,
    /// It ends so soon that somebody must act now.
    Urgent,
    /// It is not valid yet.
    NotYet,
    /// It has ended.
    Expired,
}

impl CertificateLife {
    /// A certificate of a year is renewed by hand: three weeks are time enough, and a quarter of a year is noise.
    const MOST_LATE: SignedDuration = SignedDuration::from_hours(21 * 24);
    /// A week: a working day is in it whenever it begins.
    const MOST_URGENT: SignedDuration = SignedDuration::from_hours(7 * 24);

    /// Below which rest of its life a renewal is late. ACME clients renew when a third is left, or a half of less than ten days: at a quarter
    /// several attempts have failed.
    pub fn late_below(&self) -> SignedDuration {
        (self.length() / 4).min(Self::MOST_LATE)
    }

    /// Below which rest somebody must act now: a tenth, and a week at most. 90 days: 7; 45 days: 4.5; 6 days: 14 hours.
    pub fn urgent_below(&self) -> SignedDuration {
        (self.length() / 10).min(Self::MOST_URGENT)
    }

    /// How long it lives.
    pub fn length(&self) -> SignedDuration {
        self.not_after.duration_since(self.not_before)
    }

    /// How much of its life it has left at `now`.
    pub fn at(&self, now: Timestamp) -> Lifetime {
        let left = self.not_after.duration_since(now);
        if now < self.not_before {
            Lifetime::NotYet
        } else if left <= SignedDuration::ZERO {
            Lifetime::Expired
        } else if left < self.urgent_below() {
            Lifetime::Urgent
        } else if left < self.late_below() {
            Lifetime::Late
        } else {
            Lifetime::Good
        }
    }
}

/// What is seen of the certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateView {
    /// The one that new connections are shown; none while there is nothing to serve.
    pub served: Option<CertificateLife>,
    /// The one on disk or in the store.
    pub stored: StoredCertificate,
    /// How renewals go; none where somebody else renews.
    pub renewal: Option<RenewalView>,
}

/// The certificate on disk or in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredCertificate {
    /// The one that is served.
    Served,
    /// Another one, valid until then.
    Other {
        /// Until when.
        not_after: Timestamp,
    },
    /// It cannot be used.
    Unusable(String),
    /// Nobody looked.
    Unknown,
}

/// How renewals go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalView {
    /// How many failed since the last that went well.
    pub failures: u32,
    /// Why the last one failed.
    pub last_error: Option<String>,
    /// When the next is tried.
    pub next_at: Option<Timestamp>,
}

/// How long a first order may take before a missing certificate raises an alarm. An attempt that fails raises it at once.
const FIRST_ORDER: SignedDuration = SignedDuration::from_mins(5);

/// So many renewals in a row are no passing trouble of the CA or the network.
const RENEWALS: u32 = 3;

pub(super) fn alarms(seen: &Observations) -> Vec<Alarm> {
    let Some(CertificateView { served, stored, renewal }) = &seen.certificate else { return vec![] };
    // The stored certificate is not taken up yet, or the first one is being ordered: whether that works is not known yet.
    let begins =
        served.is_none() && seen.running_for < FIRST_ORDER && renewal.as_ref().is_some_and(|it| it.failures == 0);
    if begins {
        return vec![];
    }
    let mut alarms: Vec<Alarm> = lifetime(served.as_ref(), renewal.is_some(), seen.now).into_iter().collect();
    if let Some(RenewalView { failures, last_error, next_at }) =
        renewal.as_ref().filter(|renewal| renewal.failures >= RENEWALS)
    {
        let why = last_error.as_deref().unwrap_or("the log says why");
        let next = next_at.map(|at| format!("; the next attempt is at {at:.0}")).unwrap_or_default();
        alarms.push(Alarm {
            kind: AlarmKind::CertificateRenewalFailing,
            subject: None,
            severity: Severity::Warning,
            text: format!("the last {failures} renewals of the certificate failed: {why}{next}"),
            fix: "run `tagmint check --remote`: DNS and port 80 must lead to this issuer".to_owned(),
        });
    }
    match stored {
        StoredCertificate::Unusable(why) => alarms.push(Alarm {
            kind: AlarmKind::CertificateUnusable,
            subject: None,
            severity: Severity::Warning,
            text: format!("the stored certificate cannot be used, and the issuer would not start with it: {why}"),
            fix: "put a certificate and its key in place, then reload (SIGHUP)".to_owned(),
        }),
        StoredCertificate::Other { not_after } => alarms.push(Alarm {
            kind: AlarmKind::CertificateNotTakenUp,
            subject: None,
            severity: Severity::Warning,
            text: format!("another certificate is stored (until {not_after:.0}) than is served"),
            fix: "reload the issuer: `systemctl reload`, or SIGHUP".to_owned(),
        }),
        StoredCertificate::Served | StoredCertificate::Unknown => {}
    }
    alarms
}

fn lifetime(served: Option<&CertificateLife>, renews: bool, now: Timestamp) -> Option<Alarm> {
    let fix = if renews {
        "run `tagmint check --remote`, and see the log for why renewals fail"
    } else {
        "renew the certificate, put it in place and reload (SIGHUP)"
    };
    let alarm = |kind, severity, text| Some(Alarm { kind, subject: None, severity, text, fix: fix.to_owned() });
    let unservable = |text| alarm(AlarmKind::CertificateUnservable, Severity::Critical, text);
    let Some(life) = served else {
        return unservable("there is no certificate to serve: nobody can connect".to_owned());
    };
    let (until, left) = (life.not_after, about(life.not_after.duration_since(now)));
    match life.at(now) {
        Lifetime::Good => None,
        Lifetime::NotYet => unservable(format!("the certificate is not valid before {:.0}", life.not_before)),
        Lifetime::Expired => {
            unservable(format!("the certificate expired {left} ago, at {until:.0}: STS cannot fetch the key set"))
        }
        lifetime => {
            let severity = if lifetime == Lifetime::Urgent { Severity::Critical } else { Severity::Warning };
            let text = format!("the certificate expires in {left}, at {until:.0}, and was not renewed");
            alarm(AlarmKind::CertificateExpiring, severity, text)
        }
    }
}
