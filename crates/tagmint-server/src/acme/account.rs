//! The account at the ACME server: made once, found again after a crash, its key changed on wish.

use instant_acme::Account;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tagmint_core::signing_key::{Algorithm, SigningKey};
use tagmint_store::AcmeAccount;

use super::{
    CertificateManager,
    error::AcmeError,
    http::{is_bad_nonce, understood},
    jose::{self, Directory, NONCES},
};

/// Repeats a call of the library as long as the server rejects nonces; the library itself does so twice.
macro_rules! with_nonces {
    ($url:expr, $call:expr) => {{
        let mut left = NONCES;
        loop {
            match $call.await {
                Err(error) if left > 0 && is_bad_nonce(&error) => left -= 1,
                other => break other.map_err(|error| understood(error, $url)),
            }
        }
    }};
}
pub(super) use with_nonces;

/// A new P-256 key, PKCS#8.
pub(super) fn new_key() -> Result<zeroize::Zeroizing<Vec<u8>>, AcmeError> {
    Ok(SigningKey::generate(Algorithm::Es256)?.to_pkcs8()?)
}

impl CertificateManager {
    /// The account, registered, with the contacts of the configuration.
    pub(super) async fn account(&self, directory: &Directory) -> Result<Account, AcmeError> {
        let url = &self.settings.directory;
        let mut stored = self.stored_account().await?;
        if stored.pending_key.is_some() {
            stored = self.settle_rollover(directory, stored).await?;
        }
        let account_url = if let Some(account_url) = stored.url {
            account_url
        } else {
            let key = jose::account_key(&stored.private_key)?;
            let (contact, binding) = (&self.settings.contact, self.settings.external_account.as_ref());
            let account_url = jose::new_account(&self.http, directory, &key, contact, binding, false).await?;
            self.store.acme().account_registered(url, Some(&account_url), contact).await?;
            tracing::info!(directory = %url, account = %account_url, "the ACME account is registered");
            stored.contact.clone_from(contact);
            account_url
        };
        let key = PrivatePkcs8KeyDer::from(stored.private_key.as_slice());
        let builder = Account::builder_with_http(Box::new(self.http.clone()));
        let account = builder.from_parts(account_url.clone(), key, url.clone()).await;
        let account = account.map_err(|error| understood(error, url))?;
        if stored.contact != self.settings.contact {
            let contact: Vec<&str> = self.settings.contact.iter().map(String::as_str).collect();
            with_nonces!(&account_url, account.update_contacts(&contact))?;
            self.store.acme().account_registered(url, Some(&account_url), &self.settings.contact).await?;
        }
        Ok(account)
    }

    /// The account as it is stored; a new one gets its key, which is on disk before the server hears of it.
    async fn stored_account(&self) -> Result<AcmeAccount, AcmeError> {
        let (acme, url) = (self.store.acme(), &self.settings.directory);
        if let Some(account) = acme.account(url, &self.master_key).await? {
            return Ok(account);
        }
        let now = self.clock.now();
        acme.add_account(url, &new_key()?, now, &self.master_key, self.random.as_ref()).await?;
        let stored = acme.account(url, &self.master_key).await?;
        stored.ok_or_else(|| AcmeError::Key("the key of the new account is not in the database".to_owned()))
    }

    /// Finds out which key the server knows after a rollover that was broken off, and keeps that one.
    async fn settle_rollover(&self, directory: &Directory, stored: AcmeAccount) -> Result<AcmeAccount, AcmeError> {
        let (acme, url) = (self.store.acme(), &self.settings.directory);
        let Some(pending) = &stored.pending_key else { return Ok(stored) };
        let key = jose::account_key(pending)?;
        match jose::new_account(&self.http, directory, &key, &[], None, true).await {
            Ok(_) => {
                acme.finish_rollover(url).await?;
                tracing::info!(directory = %url, "the ACME server knows the new account key: it is kept");
            }
            Err(error) if error.is_unknown_account() => {
                acme.abandon_rollover(url).await?;
                tracing::info!(directory = %url, "the ACME server does not know the new account key: the old one stays");
            }
            Err(error) => return Err(error),
        }
        self.stored_account().await
    }

    /// Gives the account another key. The new one is on disk before the server hears of it.
    pub(super) async fn roll_account_key(&self) -> Result<(), AcmeError> {
        let (acme, url) = (self.store.acme(), &self.settings.directory);
        let directory = Directory::fetch(&self.http, url).await?;
        self.account(&directory).await?;
        let stored = self.stored_account().await?;
        let Some(account_url) = &stored.url else { return Ok(()) };
        let new = new_key()?;
        acme.begin_rollover(url, &new, &self.master_key, self.random.as_ref()).await?;
        let (old, new) = (jose::account_key(&stored.private_key)?, jose::account_key(&new)?);
        jose::change_key(&self.http, &directory, account_url, &old, &new).await?;
        acme.finish_rollover(url).await?;
        tracing::info!(directory = %url, account = %account_url, "the ACME account has another key");
        Ok(())
    }
}
