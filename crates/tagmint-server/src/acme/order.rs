//! From an order to a certificate (RFC 8555 §7.4), in steps that a killed process can be followed in.

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeStatus, ChallengeType, Identifier, NewOrder, Order,
    OrderStatus,
};
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use tagmint_core::id::CertificateId;
use tagmint_store::{AcmeOrder, NewOrder as StoredOrder};
use tokio::time::Instant;

use super::{
    CertificateManager, FailureKind,
    account::{new_key, with_nonces},
    error::{AcmeError, ServerProblem, bounded},
    http::{is_bad_nonce, understood},
    jose::{Directory, NONCES},
};
use crate::tls::Certificate;

/// An order that is older is given up: authorizations end, and a fresh order costs little.
const ORDER_AGE: SignedDuration = SignedDuration::from_hours(12);
/// How long an order may stand still before it counts as failed.
const STUCK: SignedDuration = SignedDuration::from_mins(15);
/// The longest pause between two looks at an order; the server's `Retry-After` counts more.
const LONGEST_POLL: Duration = Duration::from_secs(8);
/// When an order is looked at again that was not ready within the patience of one step.
const LATER: SignedDuration = SignedDuration::from_secs(30);

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The certificate is stored.
    Stored,
    /// The server needs more time; look again then.
    Waiting(Timestamp),
}

impl CertificateManager {
    /// Gets a certificate, or a step nearer to one. What was begun before is continued.
    ///
    /// `replaces` is the leaf of the certificate that it will replace.
    pub(super) async fn obtain(&self, replaces: Option<&[u8]>) -> Result<Progress, AcmeError> {
        let directory = Directory::fetch(&self.http, &self.settings.directory).await?;
        self.check_profile(&directory)?;
        let account = self.account(&directory).await?;
        let stored = match self.usable_order().await? {
            Some(stored) => stored,
            None => self.new_order(&account, &directory, replaces).await?,
        };
        let mut order = with_nonces!(&stored.url, account.order(stored.url.clone()))?;
        self.follow(&mut order, &stored).await
    }

    /// A profile that the server does not know would be refused or, worse, ignored.
    fn check_profile(&self, directory: &Directory) -> Result<(), AcmeError> {
        let (Some(wanted), profiles) = (&self.settings.profile, &directory.meta.profiles) else { return Ok(()) };
        if profiles.contains_key(wanted) {
            return Ok(());
        }
        let names: Vec<&str> = profiles.keys().map(String::as_str).collect();
        let offered = if names.is_empty() { "none".to_owned() } else { bounded(&names.join(", ")) };
        Err(AcmeError::Profile { wanted: wanted.clone(), offered })
    }

    /// The order under way, if it is for what is wanted now.
    async fn usable_order(&self) -> Result<Option<AcmeOrder>, AcmeError> {
        let acme = self.store.acme();
        let Some(order) = acme.order(&self.master_key).await? else { return Ok(None) };
        let age = self.clock.now().duration_since(order.created_at);
        if order.directory == self.settings.directory && order.names == self.settings.names && age.abs() < ORDER_AGE {
            return Ok(Some(order));
        }
        acme.drop_order().await?;
        Ok(None)
    }

    async fn new_order(
        &self,
        account: &Account,
        directory: &Directory,
        replaces: Option<&[u8]>,
    ) -> Result<AcmeOrder, AcmeError> {
        let url = &self.settings.directory;
        let names: Vec<Identifier> = self.settings.names.iter().cloned().map(Identifier::Dns).collect();
        let plain = || match &self.settings.profile {
            Some(profile) => NewOrder::new(&names).profile(profile),
            None => NewOrder::new(&names),
        };
        let predecessor = replaces.filter(|_| directory.renewal_info.is_some()).and_then(ari_identifier);
        let mut made = None;
        if let Some(predecessor) = predecessor {
            let order = plain().replaces(predecessor);
            made = match with_nonces!(url, account.new_order(&order)) {
                Ok(order) => Some(order),
                // `alreadyReplaced` (RFC 9773 §5), a predecessor that the server does not know, a server that does not echo it: the
                // predecessor is a courtesy, the certificate is not.
                Err(error @ (AcmeError::Problem { .. } | AcmeError::Answer { .. }))
                    if error.kind() != FailureKind::RateLimited =>
                {
                    tracing::warn!(%error, "the order that names its predecessor was refused; ordering without");
                    None
                }
                Err(error) => return Err(error),
            };
        }
        let made = match made {
            Some(made) => made,
            None => with_nonces!(url, account.new_order(&plain()))?,
        };
        let (id, key) = (CertificateId::generate(self.clock.now(), self.random.as_ref())?, new_key()?);
        let now = self.clock.now();
        let stored =
            StoredOrder { id, directory: url, names: &self.settings.names, url: made.url(), private_key: &key, now };
        self.store.acme().put_order(&stored, &self.master_key, self.random.as_ref()).await?;
        tracing::info!(%id, names = self.settings.names.join(", "), order = made.url(), "a certificate is ordered");
        Ok(AcmeOrder {
            id,
            directory: url.clone(),
            names: self.settings.names.clone(),
            url: made.url().to_owned(),
            private_key: key,
            created_at: now,
        })
    }

    /// Follows an order through its states, within the patience of one step.
    async fn follow(&self, order: &mut Order, stored: &AcmeOrder) -> Result<Progress, AcmeError> {
        let url = &stored.url;
        let deadline = Instant::now() + self.settings.patience;
        let (mut pause, mut asked) = (self.settings.pace.poll, false);
        loop {
            let status = order.state().status;
            match status {
                OrderStatus::Pending => {
                    if !asked {
                        self.answer_challenges(order, url).await?;
                        asked = true;
                    }
                }
                OrderStatus::Ready => {
                    let csr = request(stored)?;
                    match with_nonces!(url, order.finalize_csr(&csr)) {
                        // So it is refused when it was done before and the answer was lost: the next look at the order tells.
                        Err(AcmeError::Problem { problem, .. }) if problem.is("orderNotReady") => {}
                        finalized => finalized?,
                    }
                    if order.state().status != OrderStatus::Ready {
                        continue;
                    }
                }
                OrderStatus::Processing => {}
                OrderStatus::Valid => {
                    let chain = with_nonces!(url, order.certificate())?;
                    let chain = chain.ok_or_else(|| AcmeError::Certificate("it is not there".to_owned()))?;
                    return self.keep(stored, &chain).await;
                }
                OrderStatus::Invalid => return Err(self.why_invalid(order, url).await),
            }
            let wished = self.http.take_retry_after().and_then(|wait| Duration::try_from(wait).ok());
            let wait = wished.unwrap_or(pause).max(self.settings.pace.poll);
            if Instant::now() + wait > deadline {
                let now = self.clock.now();
                let age = now.duration_since(stored.created_at);
                if age > STUCK {
                    let status = format!("{status:?}").to_lowercase();
                    return Err(AcmeError::Stuck { status, minutes: age.as_secs() / 60 });
                }
                let wished = wished.and_then(|wait| SignedDuration::try_from(wait).ok()).unwrap_or_default();
                return Ok(Progress::Waiting(now + wished.clamp(LATER, STUCK)));
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_POLL);
            with_nonces!(url, order.refresh())?;
        }
    }

    /// Keeps the answer to each challenge, then tells the server to look.
    async fn answer_challenges(&self, order: &mut Order, url: &str) -> Result<(), AcmeError> {
        let mut nonces = NONCES;
        // A refusal may be the answer to a request that was made twice, the first answer having been lost: the authorization tells.
        let mut refused: Option<(String, AcmeError)> = None;
        'anew: loop {
            let mut authorizations = order.authorizations();
            while let Some(next) = authorizations.next().await {
                let mut authorization = match next {
                    Ok(authorization) => authorization,
                    // The library has gone on to the next one: begin again. Those that were read are kept.
                    Err(error) if nonces > 0 && is_bad_nonce(&error) => {
                        nonces -= 1;
                        continue 'anew;
                    }
                    Err(error) => return Err(understood(error, url)),
                };
                let name = authorization.identifier().to_string();
                let before = refused.take_if(|(of, _)| *of == name).map(|(_, error)| error);
                if before.is_some() {
                    with_nonces!(url, authorization.refresh())?;
                }
                if authorization.status != AuthorizationStatus::Pending {
                    continue;
                }
                let Some(mut challenge) = authorization.challenge(ChallengeType::Http01) else {
                    return Err(AcmeError::NoHttp01(name));
                };
                let answer = challenge.key_authorization();
                self.store.acme().put_challenge(&challenge.token, answer.as_str()).await?;
                if challenge.status != ChallengeStatus::Pending {
                    continue;
                }
                if let Some(error) = before {
                    return Err(error);
                }
                match with_nonces!(url, challenge.set_ready()) {
                    Err(error) if error.ends_order() => {
                        refused = Some((name, error));
                        continue 'anew;
                    }
                    asked => asked?,
                }
                tracing::info!(name, "the ACME server was asked to validate the name over port 80");
            }
            return Ok(());
        }
    }

    /// What made an order invalid: a name that was not validated, or the order itself.
    async fn why_invalid(&self, order: &mut Order, url: &str) -> AcmeError {
        let mut nonces = NONCES;
        'anew: loop {
            let mut authorizations = order.authorizations();
            while let Some(next) = authorizations.next().await {
                match next {
                    Ok(authorization) => {
                        let problem = authorization.challenges.iter().find_map(|challenge| challenge.error.as_ref());
                        if let Some(problem) = problem {
                            let name = authorization.identifier().to_string();
                            return AcmeError::Validation { name, problem: problem.into() };
                        }
                    }
                    Err(error) if nonces > 0 && is_bad_nonce(&error) => {
                        nonces -= 1;
                        continue 'anew;
                    }
                    Err(error) => return understood(error, url),
                }
            }
            break;
        }
        let without = || ServerProblem {
            status: 0,
            kind: None,
            detail: "the server does not say why".to_owned(),
            retry_after: None,
        };
        AcmeError::Order(order.state().error.as_ref().map_or_else(without, ServerProblem::from))
    }

    /// Checks a certificate and stores it. Only then it is served.
    async fn keep(&self, stored: &AcmeOrder, chain: &str) -> Result<Progress, AcmeError> {
        let now = self.clock.now();
        let certificate = usable(chain, &stored.private_key)?;
        let facts = certificate.facts();
        if let Some(missing) = stored.names.iter().find(|name| !facts.names.contains(name)) {
            let names = bounded(&facts.names.join(", "));
            return Err(AcmeError::Certificate(format!("it is not for `{missing}` but for {names}")));
        }
        if facts.not_after <= now {
            let not_after = facts.not_after;
            return Err(AcmeError::Certificate(format!(
                "it ended at {not_after}; is this machine's clock right ({now})?"
            )));
        }
        self.store.acme().store_certificate(stored.id, chain, facts.not_after, now).await?;
        tracing::info!(
            id = %stored.id, serial = facts.serial, issuer = facts.issuer, not_after = %facts.not_after,
            "there is a new certificate"
        );
        Ok(Progress::Stored)
    }
}

/// A chain with the key of its order.
pub(super) fn usable(chain: &str, pkcs8: &[u8]) -> Result<Certificate, AcmeError> {
    let wrong = |error: &dyn std::fmt::Display| AcmeError::Certificate(error.to_string());
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.to_vec()));
    Certificate::new(chain.map_err(|error| wrong(&error))?, key).map_err(|error| wrong(&error))
}

/// The certificate signing request, DER: names alone, under the order's own key.
fn request(stored: &AcmeOrder) -> Result<Vec<u8>, AcmeError> {
    let key = KeyPair::try_from(stored.private_key.as_slice())?;
    let mut params = CertificateParams::new(stored.names.clone())?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(&key)?.der().to_vec())
}

/// What tells a certificate from others in renewal information (RFC 9773 §4.1); none where it has no authority key identifier.
pub(super) fn ari_identifier(leaf: &[u8]) -> Option<CertificateIdentifier<'static>> {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use x509_parser::prelude::{FromDer as _, ParsedExtension, X509Certificate};
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let authority = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(found) => found.key_identifier.as_ref().map(|identifier| identifier.0),
        _ => None,
    })?;
    Some(CertificateIdentifier {
        authority_key_identifier: BASE64_URL_SAFE_NO_PAD.encode(authority).into(),
        serial: BASE64_URL_SAFE_NO_PAD.encode(certificate.raw_serial()).into(),
    })
}
