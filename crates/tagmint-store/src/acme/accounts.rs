//! Accounts at ACME servers, and their keys.

use jiff::Timestamp;
use tagmint_core::{random::Random, sealing::MasterKey};
use zeroize::Zeroizing;

use super::{Acme, texts, to_json, write};
use crate::{
    engine::{expect_rows, on_engine},
    error::StoreError,
    store::Inner,
};

/// An account at an ACME server.
#[derive(Debug)]
pub struct AcmeAccount {
    /// The directory URL of the server.
    pub directory: String,
    /// The account's URL, once the server has told it.
    pub url: Option<String>,
    /// What the server was told.
    pub contact: Vec<String>,
    /// Its private key, PKCS#8.
    pub private_key: Zeroizing<Vec<u8>>,
    /// The key of a rollover that has begun, PKCS#8. Which of both the server knows must be asked.
    pub pending_key: Option<Zeroizing<Vec<u8>>>,
}

const ACCOUNT: &str = "SELECT url, contact, private_key, pending_key FROM acme_accounts WHERE directory = $1";
const ACCOUNT_URLS: &str = "SELECT directory, url FROM acme_accounts WHERE url IS NOT NULL ORDER BY directory";
const ADD_ACCOUNT: &str = "INSERT INTO acme_accounts (directory, private_key, contact, created_at_ms) VALUES ($1, $2, '[]', $3) \
     ON CONFLICT (directory) DO NOTHING";
const REGISTERED: &str = "UPDATE acme_accounts SET url = $2, contact = $3 WHERE directory = $1";
const BEGIN_ROLLOVER: &str = "UPDATE acme_accounts SET pending_key = $2 WHERE directory = $1 AND pending_key IS NULL";
const FINISH_ROLLOVER: &str = "UPDATE acme_accounts SET private_key = pending_key, pending_key = NULL \
     WHERE directory = $1 AND pending_key IS NOT NULL";
const ABANDON_ROLLOVER: &str = "UPDATE acme_accounts SET pending_key = NULL WHERE directory = $1";

type AccountRow = (Option<String>, String, Vec<u8>, Option<Vec<u8>>);

fn account_owner(directory: &str) -> String {
    format!("account {directory}")
}

impl Acme<'_> {
    /// The account at the server of this directory, if one was begun.
    pub async fn account(self, directory: &str, master_key: &MasterKey) -> Result<Option<AcmeAccount>, StoreError> {
        let doing = "read the ACME account";
        let Inner { engine, .. } = &*self.store.inner;
        let mut reader = engine.reader(doing).await?;
        let row: Result<Option<AccountRow>, _> = on_engine!(reader.executor(), connection => {
            sqlx::query_as(ACCOUNT).bind(directory).fetch_optional(connection).await
        });
        let Some((url, contact, private_key, pending_key)) = row.map_err(engine.failed(doing))? else {
            return Ok(None);
        };
        let owner = account_owner(directory);
        Ok(Some(AcmeAccount {
            directory: directory.to_owned(),
            url,
            contact: texts(&contact, "contact").map_err(|column| self.unusable("acme_accounts", directory, column))?,
            private_key: self.open(&private_key, &owner, master_key)?,
            pending_key: pending_key.map(|sealed| self.open(&sealed, &owner, master_key)).transpose()?,
        }))
    }

    /// The directory and the URL of each account that a server has told one of. Opens no key.
    pub async fn account_urls(self) -> Result<Vec<(String, String)>, StoreError> {
        let doing = "list the ACME accounts";
        let engine = &self.store.inner.engine;
        let mut reader = engine.reader(doing).await?;
        let rows: Result<Vec<(String, String)>, _> =
            on_engine!(reader.executor(), connection => sqlx::query_as(ACCOUNT_URLS).fetch_all(connection).await);
        rows.map_err(engine.failed(doing))
    }

    /// Keeps the key of a new account, before the server hears of it. Where there is one already nothing is changed.
    pub async fn add_account(
        self,
        directory: &str,
        private_key: &[u8],
        now: Timestamp,
        master_key: &MasterKey,
        random: &dyn Random,
    ) -> Result<(), StoreError> {
        let doing = "keep the key of a new ACME account";
        let Inner { engine, .. } = &*self.store.inner;
        let sealed = self.seal(private_key, &account_owner(directory), master_key, random)?;
        let mut writer = engine.writer(doing).await?;
        write!(engine, writer.executor(), doing, ADD_ACCOUNT, directory, sealed, now.as_millisecond()).map(|_| ())
    }

    /// The server has told the account's URL, or does not know it any more (`None`), and these contacts.
    pub async fn account_registered(
        self,
        directory: &str,
        url: Option<&str>,
        contact: &[String],
    ) -> Result<(), StoreError> {
        let doing = "note the URL of the ACME account";
        let Inner { engine, .. } = &*self.store.inner;
        let mut writer = engine.writer(doing).await?;
        let touched = write!(engine, writer.executor(), doing, REGISTERED, directory, url, to_json(contact))?;
        expect_rows(engine.name(), doing, 1, touched)
    }

    /// Keeps the key that shall follow the account's, before the server hears of it. One rollover is under way at a time.
    pub async fn begin_rollover(
        self,
        directory: &str,
        new_key: &[u8],
        master_key: &MasterKey,
        random: &dyn Random,
    ) -> Result<(), StoreError> {
        let doing = "keep the next key of the ACME account";
        let Inner { engine, .. } = &*self.store.inner;
        let sealed = self.seal(new_key, &account_owner(directory), master_key, random)?;
        let mut writer = engine.writer(doing).await?;
        let touched = write!(engine, writer.executor(), doing, BEGIN_ROLLOVER, directory, sealed)?;
        expect_rows(engine.name(), doing, 1, touched)
    }

    /// The server knows the next key: it is the account's now.
    pub async fn finish_rollover(self, directory: &str) -> Result<(), StoreError> {
        let doing = "change the key of the ACME account";
        let Inner { engine, .. } = &*self.store.inner;
        let mut writer = engine.writer(doing).await?;
        let touched = write!(engine, writer.executor(), doing, FINISH_ROLLOVER, directory)?;
        expect_rows(engine.name(), doing, 1, touched)
    }

    /// The server does not know the next key, and shall not: it is forgotten.
    pub async fn abandon_rollover(self, directory: &str) -> Result<(), StoreError> {
        let doing = "forget the next key of the ACME account";
        let Inner { engine, .. } = &*self.store.inner;
        let mut writer = engine.writer(doing).await?;
        let touched = write!(engine, writer.executor(), doing, ABANDON_ROLLOVER, directory)?;
        expect_rows(engine.name(), doing, 1, touched)
    }
}
