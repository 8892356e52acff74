//! The stand-in as a whole: its state, and how requests see and change it.

use std::{
    fs::{self, File, TryLockError},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tagmint_core::{
    clock::Clock,
    random::{Random, RandomUnavailable},
};
use tagmint_iam::{context::Context, policy::Policy};

use crate::{
    account::Account,
    authorize::{self, Denied, Question},
    fetch::Fetcher,
    ids::Ids,
    query::QueryError,
    s3::Storage,
    scope::{OtherScope, Scope, ScopeChoice},
    seed::{Seed, SeedError},
    sessions::Sessions,
};

/// What the stand-in is started with.
#[derive(Debug)]
pub struct Settings {
    /// The folder that keeps everything but sessions; none for one that goes away at the end.
    pub data: Option<PathBuf>,
    /// A PEM bundle of roots, besides the system's, for fetching issuers' documents.
    pub ca_pem: Option<Vec<u8>>,
    /// What to set up at the start.
    pub seed: Option<Seed>,
    /// Whether refusals are logged with their trace.
    pub explain: bool,
    /// What `aws:SecureTransport` says of the requests, which come over plain HTTP.
    pub secure_transport: bool,
    /// Account, region and partition.
    pub scope: ScopeChoice,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids and secrets.
    pub random: Arc<dyn Random>,
}

/// Why the stand-in does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or folder.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file of the account cannot be read.
    #[error("{path} is not a file of this version of localaws: {problem}")]
    Account {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        problem: serde_json::Error,
    },
    /// The client for issuers' documents: a wrong `--ca-file`, or a system without roots.
    #[error("the TLS client for issuers' documents cannot be made (are there root certificates on this system?): {0}")]
    Client(#[from] reqwest::Error),
    /// A bundle of roots without one.
    #[error("the file of root certificates (--ca-file) has no certificate: it has to hold one or more in PEM")]
    NoRoots,
    /// The folder is of another account.
    #[error("{path} was made for the {} {}, not {}: use that one, or another folder with --data", other.what, other.kept, other.asked)]
    Scope {
        /// The folder.
        path: PathBuf,
        /// The difference.
        other: OtherScope,
    },
    /// Another stand-in runs on the folder.
    #[error("a localaws is running on {path} already: end it, or use another folder with --data")]
    Running {
        /// The folder.
        path: PathBuf,
    },
    /// The seed.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// No secret could be made.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
}

/// The running stand-in.
#[derive(Debug)]
pub struct Aws {
    account: Mutex<Account>,
    file: PathBuf,
    /// The sessions that STS opened.
    pub(crate) sessions: Sessions,
    /// Buckets and objects.
    pub(crate) storage: Storage,
    pub(crate) fetcher: Fetcher,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Ids,
    pub(crate) explain: bool,
    pub(crate) secure_transport: bool,
    /// Account, region and partition.
    pub scope: Arc<Scope>,
    /// Held for as long as the stand-in lives.
    _lock: File,
    /// Goes away with the stand-in.
    _temporary: Option<tempfile::TempDir>,
}

impl Aws {
    /// Opens the folder, and sets up what the seed asks for and isn't there yet.
    pub fn open(settings: Settings) -> Result<Self, StartError> {
        let Settings { data, ca_pem, seed, explain, secure_transport, scope, clock, random } = settings;
        let ids = Ids::new(random);
        let (dir, temporary) = if let Some(dir) = data {
            (dir, None)
        } else {
            let dir = tempfile::tempdir().map_err(|source| StartError::Io { path: std::env::temp_dir(), source })?;
            (dir.path().to_owned(), Some(dir))
        };
        let io = |path: &Path| {
            let path = path.to_owned();
            |source| StartError::Io { path, source }
        };
        fs::create_dir_all(&dir).map_err(io(&dir))?;
        let lock = lock(&dir)?;
        let file = dir.join("account.json");
        let account = match fs::read(&file) {
            Ok(text) => {
                let account: Account = serde_json::from_slice(&text)
                    .map_err(|problem| StartError::Account { path: file.clone(), problem })?;
                scope.fits(&account.scope).map_err(|other| StartError::Scope { path: dir.clone(), other })?;
                account
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Account::new(scope.fresh(), &ids)?,
            Err(source) => return Err(StartError::Io { path: file, source }),
        };
        let storage = Storage::open(&dir.join("s3")).map_err(io(&dir))?;
        let aws = Self {
            scope: Arc::clone(&account.scope),
            account: Mutex::new(account),
            file,
            sessions: Sessions::default(),
            storage,
            fetcher: Fetcher::new(ca_pem.as_deref())?,
            clock,
            ids,
            explain,
            secure_transport,
            _lock: lock,
            _temporary: temporary,
        };
        if let Some(seed) = seed {
            seed.apply(&aws)?;
        }
        aws.save(&aws.account()).map_err(io(&aws.file))?;
        Ok(aws)
    }

    /// The account, for reading.
    pub fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the account: all of it, on disk too, or nothing.
    pub fn change<T>(&self, change: impl FnOnce(&mut Account) -> Result<T, QueryError>) -> Result<T, QueryError> {
        let mut account = self.account();
        let mut changed = account.clone();
        let result = change(&mut changed)?;
        self.save(&changed).map_err(|error| {
            QueryError::new(500, "ServiceFailure", format!("{} cannot be written: {error}", self.file.display()))
        })?;
        *account = changed;
        Ok(result)
    }

    /// Asks the engine; a refusal is explained in the log where that is wanted.
    pub(crate) fn allow(&self, question: Question<'_>) -> Result<(), Box<Denied>> {
        self.decided(question, authorize::decide)
    }

    /// Asks the engine whether a role can be taken on; a refusal is explained too.
    pub(crate) fn trust(&self, trust: &Policy, question: Question<'_>) -> Result<(), Box<Denied>> {
        self.decided(question, |account, question| authorize::decide_trust(account, trust, question))
    }

    fn decided(
        &self,
        question: Question<'_>,
        decide: impl Fn(&Account, Question<'_>) -> Result<(), Box<Denied>>,
    ) -> Result<(), Box<Denied>> {
        let account = self.account();
        decide(&account, question).map_err(|mut denied| {
            denied.by_tls = self.over_tls(question.context).is_some_and(|context| {
                match decide(&account, Question { context: &context, ..question }) {
                    Ok(()) => true,
                    Err(over_tls) => denied.is_explicit() && !over_tls.is_explicit(),
                }
            });
            if denied.by_tls {
                // A refusal of HEAD has no words.
                tracing::warn!("{} was refused{}", denied.action, denied.hint());
            }
            self.explain(|| denied.trace());
            denied
        })
    }

    /// The keys that a request would have over TLS; none where it passes for one.
    pub(crate) fn over_tls(&self, context: &Context) -> Option<Context> {
        (!self.secure_transport).then(|| context.clone().with("aws:SecureTransport", "true"))
    }

    /// Logs why something was refused, where that is wanted.
    pub(crate) fn explain(&self, trace: impl FnOnce() -> String) {
        if self.explain {
            tracing::info!(target: "localaws::explain", "{}", trace());
        }
    }

    /// Written beside and renamed, so that a crash leaves the old or the new file. It holds the administrator's secret.
    fn save(&self, account: &Account) -> std::io::Result<()> {
        let text = serde_json::to_vec_pretty(account)?;
        let new = self.file.with_extension("new");
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, &self.file)
    }
}

/// Makes sure that one stand-in alone runs on a folder: each keeps the account in memory and writes all of it.
fn lock(dir: &Path) -> Result<File, StartError> {
    let path = dir.join("lock");
    let opened = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = opened.map_err(|source| StartError::Io { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::Running { path: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(StartError::Io { path, source }),
    }
}
