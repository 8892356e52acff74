//! What is stored, and what follows from it: which certificate is served, when which thing is due.

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tagmint_core::renewal::{Validity, not_again_before, renewal_at, validation_allowed_at};
use tagmint_store::{AcmeFailure, AcmeState, CertificateRecord, Store, StoreError};

use super::{FailureKind, RenewalFailure};
use crate::tls::CertificateFacts;

/// When what is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// When a certificate is to be ordered.
    pub(super) order_at: Timestamp,
    /// When renewal information is to be looked up.
    pub(super) lookup_at: Option<Timestamp>,
    /// Whether the account is to get another key now.
    pub(super) rollover: bool,
}

impl Plan {
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.rollover || self.next() <= now
    }

    pub(super) fn next(&self) -> Timestamp {
        self.lookup_at.map_or(self.order_at, |at| at.min(self.order_at))
    }
}

/// A stored certificate that is the wanted one, with what is read from it.
#[derive(Debug, Clone)]
pub(super) struct Current<'a> {
    pub(super) record: &'a CertificateRecord,
    pub(super) leaf: CertificateDer<'static>,
    pub(super) facts: CertificateFacts,
}

fn read(record: &CertificateRecord) -> Option<Current<'_>> {
    let leaf = CertificateDer::from_pem_slice(record.chain.as_bytes()).ok()?;
    let facts = CertificateFacts::read(&leaf).ok()?;
    Some(Current { record, leaf, facts })
}

/// The newest certificate that is what the configuration wants: from this server, for all these names.
pub(super) fn current<'a>(records: &'a [CertificateRecord], directory: &str, names: &[String]) -> Option<Current<'a>> {
    let wanted = |current: &Current<'_>| {
        current.record.has_private
            && current.record.directory == directory
            && names.iter().all(|name| current.facts.names.contains(name))
    };
    records.iter().filter_map(read).find(wanted)
}

/// The certificate to serve: the wanted one, or while there is none another one for the issuer's host, which is the first name.
pub(super) fn to_serve<'a>(
    records: &'a [CertificateRecord],
    directory: &str,
    names: &[String],
) -> Option<&'a CertificateRecord> {
    let for_host = |current: &Current<'_>| {
        current.record.has_private && names.first().is_some_and(|host| current.facts.names.contains(host))
    };
    let wanted = current(records, directory, names);
    wanted.or_else(|| records.iter().filter_map(read).find(for_host)).map(|found| found.record)
}

/// When what is due, by what is stored.
pub(super) fn plan(current: Option<&Current<'_>>, state: &AcmeState, now: Timestamp) -> Plan {
    let scheduled = |current: &Current<'_>| {
        let validity = Validity { not_before: current.facts.not_before, not_after: current.facts.not_after };
        let moment = renewal_at(&current.facts.serial, validity, current.record.window);
        moment.max(not_again_before(current.record.stored_at, validity))
    };
    let wanted_at = state.renew_requested_at.unwrap_or_else(|| current.map_or(now, scheduled));
    let order_at = state.retry_at.map_or(wanted_at, |at| wanted_at.max(at));
    // The server counts failed validations, whatever the operator asks for.
    let order_at = validation_allowed_at(&state.failed_validations).map_or(order_at, |at| order_at.max(at));
    let lookup_at = current.map(|current| current.record.lookup_at.unwrap_or(current.record.stored_at));
    Plan { order_at, lookup_at, rollover: state.rollover_requested_at.is_some() }
}

/// A failure as it is stored, for people and machines.
pub(super) fn renewal_failure(failure: &AcmeFailure) -> RenewalFailure {
    RenewalFailure {
        at: failure.at,
        kind: FailureKind::parse(&failure.kind).unwrap_or(FailureKind::Internal),
        problem: failure.problem.clone(),
        consecutive: failure.consecutive,
    }
}

/// A stored certificate, as `tagmint certificates list` shows it.
#[derive(Debug, Clone)]
pub struct StoredCertificate {
    /// What is stored.
    pub record: CertificateRecord,
    /// What it says of itself; none where it cannot be read.
    pub facts: Option<CertificateFacts>,
    /// Whether the issuer serves it.
    pub to_serve: bool,
}

/// What a store says about the certificate, for commands beside a running issuer.
#[derive(Debug, Clone)]
pub struct Overview {
    /// All certificates that are kept, the newest first.
    pub certificates: Vec<StoredCertificate>,
    /// When the next one is ordered.
    pub next_renewal_at: Timestamp,
    /// Why none came of the last attempt.
    pub last_failure: Option<RenewalFailure>,
    /// When an operator asked for a renewal that is not there yet.
    pub renew_requested_at: Option<Timestamp>,
}

impl Overview {
    /// Reads a store; `directory` and `names` are what the configuration wants.
    pub async fn read(store: &Store, directory: &str, names: &[String], now: Timestamp) -> Result<Self, StoreError> {
        let acme = store.acme();
        let (records, state) = (acme.certificates().await?, acme.state().await?);
        let plan = plan(current(&records, directory, names).as_ref(), &state, now);
        let served = to_serve(&records, directory, names).map(|record| record.id);
        let stored = |record: &CertificateRecord| StoredCertificate {
            record: record.clone(),
            facts: read(record).map(|found| found.facts),
            to_serve: served == Some(record.id),
        };
        Ok(Self {
            certificates: records.iter().map(stored).collect(),
            next_renewal_at: plan.order_at,
            last_failure: state.failure.as_ref().map(renewal_failure),
            renew_requested_at: state.renew_requested_at,
        })
    }
}
