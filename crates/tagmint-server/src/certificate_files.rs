//! A certificate that others renew (`tls.mode = "files"`): its files are looked at now and then, and taken up when they have changed.
//!
//! Whoever renews writes two files, one after the other, perhaps in place, perhaps by turning a symlink (certbot's `live/`). So a change is
//! taken up once it has stood still for a moment, and only if certificate and key belong together. Until then the old pair is served.

use std::{
    error::Error,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use metrics::Counter;

use crate::tls::{Certificate, ServedCertificate};

/// How much sooner than usual files that have just changed are looked at again.
const SOONER: u32 = 10;

/// Why a pair cannot be used, as the reader says it.
pub type ReadError = Box<dyn Error + Send + Sync>;
/// Reads the pair. The binary knows what else must hold, such as the key's mode.
type Reader = Box<dyn Fn(&Path, &Path) -> Result<Certificate, ReadError> + Send + Sync>;

/// The files of a certificate and its key, and what became of them.
pub struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    read: Reader,
    served: Arc<ServedCertificate>,
    state: Mutex<State>,
}

/// What is counted about the files.
#[derive(Debug, Clone)]
pub struct CertificateFileFigures {
    /// Pairs that were taken up.
    pub taken_up: Counter,
    /// Pairs that could not be used.
    pub unusable: Counter,
}

#[derive(Debug)]
struct State {
    /// As the files were when they were last looked at.
    seen: Prints,
    /// As they were when they were last taken up.
    taken_up: Prints,
    /// As they were when it was last said that they cannot be used.
    complained: Option<Prints>,
}

type Prints = [Print; 2];

/// What changes when a file does. None where it cannot be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Print(Option<(PathBuf, [i64; 5], [u64; 3])>);

impl Print {
    fn of(file: &Path) -> Self {
        let look = || {
            // The file behind symlinks: turned to another one of the same content it is still another.
            let target = fs::canonicalize(file)?;
            let found = fs::metadata(&target)?;
            let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec(), found.mode().into()];
            Ok::<_, io::Error>((target, times, [found.dev(), found.ino(), found.size()]))
        };
        Self(look().ok())
    }
}

/// What a look at the files came to.
#[derive(Debug)]
pub enum Seen {
    /// They are as they were.
    Unchanged,
    /// They have changed since the last look: somebody may be writing them still.
    Changing,
    /// They were taken up.
    TakenUp(Arc<Certificate>),
    /// They cannot be used, and are looked at again. `new` where that was not so at an earlier look.
    Unusable {
        /// Why.
        error: ReadError,
        /// Whether they have changed since that was last found.
        new: bool,
    },
}

impl CertificateFiles {
    /// Reads the pair for the first time.
    ///
    /// # Errors
    ///
    /// What the reader says.
    pub fn open<E: Into<ReadError> + 'static>(
        certificate: PathBuf,
        key: PathBuf,
        read: impl Fn(&Path, &Path) -> Result<Certificate, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        let prints = [&certificate, &key].map(|file| Print::of(file));
        let served = ServedCertificate::new(read(&certificate, &key)?);
        let read: Reader = Box::new(move |certificate, key| read(certificate, key).map_err(Into::into));
        let state = State { seen: prints.clone(), taken_up: prints, complained: None };
        Ok(Self { certificate, key, read, served, state: Mutex::new(state) })
    }

    /// What is served.
    pub const fn served(&self) -> &Arc<ServedCertificate> {
        &self.served
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prints(&self) -> Prints {
        [Print::of(&self.certificate), Print::of(&self.key)]
    }

    /// Looks at the files, and takes up a pair that has changed and then stood still since the last look.
    pub fn look(&self) -> Seen {
        let now = self.prints();
        let mut state = self.state();
        if now == state.taken_up {
            state.seen = now;
            state.complained = None;
            return Seen::Unchanged;
        }
        if now != state.seen {
            state.seen = now;
            return Seen::Changing;
        }
        self.take_up(&mut state, now)
    }

    /// Takes up the pair at once, changed or not.
    pub fn reload(&self) -> Seen {
        let now = self.prints();
        self.take_up(&mut self.state(), now)
    }

    fn take_up(&self, state: &mut State, now: Prints) -> Seen {
        match (self.read)(&self.certificate, &self.key) {
            Ok(_) if self.prints() != now => {
                state.seen = now;
                Seen::Changing
            }
            Ok(read) => {
                let read = Arc::new(read);
                self.served.put(Arc::clone(&read));
                *state = State { seen: now.clone(), taken_up: now, complained: None };
                Seen::TakenUp(read)
            }
            Err(error) => {
                let new = state.complained.as_ref() != Some(&now);
                state.complained = Some(now);
                Seen::Unusable { error, new }
            }
        }
    }

    /// Looks at the files that often, for ever. What it finds is logged and counted once.
    pub async fn watch(self: Arc<Self>, every: Duration, figures: CertificateFileFigures) {
        let mut pause = every;
        loop {
            tokio::time::sleep(pause).await;
            let files = Arc::clone(&self);
            let Ok(seen) = tokio::task::spawn_blocking(move || files.look()).await else { continue };
            pause = if matches!(seen, Seen::Changing) { every / SOONER } else { every };
            self.note(&seen, &figures);
        }
    }

    /// Logs and counts what a look came to.
    pub fn note(&self, seen: &Seen, figures: &CertificateFileFigures) {
        let file = self.certificate.display();
        match seen {
            Seen::TakenUp(read) => {
                figures.taken_up.increment(1);
                let facts = read.facts();
                tracing::info!(
                    %file, names = ?facts.names, serial = facts.serial, issuer = facts.issuer, until = %facts.not_after,
                    "the certificate was taken up"
                );
            }
            Seen::Unusable { error, new: true } => {
                figures.unusable.increment(1);
                tracing::error!(%error, "the new certificate cannot be used; the old one stays until the files are mended");
            }
            Seen::Unchanged | Seen::Changing | Seen::Unusable { new: false, .. } => {}
        }
    }
}

impl std::fmt::Debug for CertificateFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateFiles")
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
