//! Looking after the signing keys: by the schedule, and by the operator's hand. Both go through the same checked transitions.

use std::{collections::HashMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use tagmint_core::{
    alarm::conditions,
    clock::Clock,
    jwk::Jwk,
    key_schedule::{
        KeyChange, KeyPhase, KeyRing, KeyState, RotationError,
        clock::{ClockJump, NOTE_EVERY},
    },
    random::Random,
    sealing::MasterKey,
    signing_key::{KeyId, Signer, SigningError, SigningKey},
    witness::Witnesses,
};
use tagmint_store::{FetchQuery, FetchSum, KeyCandidate, KeyChangeError, KeyFetches, KeyRecord, Store, StoreError};

use crate::{
    key_cache::{LoadedKey, ReadAt, ReadKeys},
    settings::Settings,
    x509::{self, CertificateError},
};

/// Why the keys could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The change is not allowed now.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The database failed, or a stored key does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No key could be made.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// No certificate could be made for `x5c`.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl From<KeyChangeError<RotationError>> for KeysError {
    fn from(error: KeyChangeError<RotationError>) -> Self {
        match error {
            KeyChangeError::Plan(error) => Self::Rotation(error),
            KeyChangeError::Store(error) => Self::Store(error),
        }
    }
}

/// The findings about the clock.
#[derive(Debug, Clone, Copy)]
pub struct FollowedClock {
    /// The moment to which what is stored belongs now, by both clocks.
    pub at: ReadAt,
    /// How this process saw the clock jump.
    pub jump: Option<ClockJump>,
    /// The latest moment that was noted before.
    noted: Timestamp,
}

/// What looking after keys needs; the server and the admin commands have it both.
#[derive(Debug, Clone)]
pub struct KeyContext {
    /// The issuer's database.
    pub store: Store,
    /// Opens and seals private keys.
    pub master_key: Arc<MasterKey>,
    /// The policy, the issuer, and whether certificates are published.
    pub settings: Settings,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Nonces.
    pub random: Arc<dyn Random>,
}

impl KeyContext {
    /// Moves what is stored with a clock that was set, so that each key is where it was. `known` is the last moment that this process
    /// knows; none at its start, where the latest moment that was noted stands in.
    pub async fn follow_clock(&self, known: Option<ReadAt>) -> Result<FollowedClock, KeysError> {
        let stored = self.store.clock();
        let mark = stored.mark().await?;
        // Both clocks at once, after the wait for the database.
        let (now, monotonic) = (self.clock.now(), self.clock.monotonic());
        let known = known.and_then(|known| Some((known.expected(monotonic), known.steps?)));
        let jump = match known {
            Some((expected, _)) => ClockJump::while_running(expected, now),
            None => ClockJump::at_start(mark.seen_at, now),
        };
        let followed = |steps| {
            let at = ReadAt { now, monotonic, steps: Some(steps) };
            FollowedClock { at, jump, noted: mark.seen_at }
        };
        // Another process has moved it since.
        let moved_already = known.is_some_and(|(_, steps)| steps != mark.steps);
        let Some(jump) = jump.filter(|_| !moved_already) else { return Ok(followed(mark.steps)) };
        let policy = self.settings.rotation;
        let plan = |keys: &[KeyState]| KeyRing(keys).follow_clock(&jump, &policy);
        if !jump.is_back() && plan(&self.states().await?).is_empty() {
            return Ok(followed(mark.steps));
        }
        let Some(moved) = stored.follow(&jump, mark.steps, plan).await? else {
            return Ok(followed(stored.mark().await?.steps));
        };
        let by = conditions::about(jump.by());
        if jump.is_back() {
            tracing::warn!(expected = %jump.reached, %now, keys = moved.len(), "the clock was set back by {by}: keys, sessions and bearer tokens keep the spans that were left to them");
        } else if jump.certain {
            tracing::warn!(expected = %jump.reached, %now, keys = moved.len(), "the clock was set ahead by {by}: no key signs sooner for it");
        } else {
            tracing::info!(last = %jump.reached, %now, keys = moved.len(), "no issuer looked at the keys for {by}: none signs before it was seen published for long enough");
        }
        self.tell(&moved);
        Ok(followed(mark.steps + 1))
    }

    /// Notes the moment now and then, so that a start sees whether the clock was set, or how long no issuer ran.
    pub async fn note_clock(&self, followed: &FollowedClock) -> Result<(), KeysError> {
        if followed.at.now.duration_since(followed.noted) < NOTE_EVERY {
            return Ok(());
        }
        Ok(self.store.clock().note(followed.at.now).await?)
    }

    /// Does what the schedule wants done now: the first key, a successor in time. Returns whether anything changed.
    pub async fn follow_schedule(&self) -> Result<bool, KeysError> {
        let policy = self.settings.rotation;
        let now = self.clock.now();
        let states = self.states().await?;
        // Written by any node. What is read here cannot be less true when the plan is made again.
        let somebody_waits = states.iter().any(|key| key.schedule.waits(now));
        let witnesses = if somebody_waits { self.store.witness().by_sts().await? } else { Witnesses::default() };
        let ring = KeyRing(&states);
        let unwiped = self.store.keys().has_withdrawn_private(now).await?;
        if ring.due(now, &policy, &witnesses).is_empty() && !unwiped {
            return Ok(false);
        }
        // Another process may have done it meanwhile: the plan is made again inside the transaction.
        self.change(|keys| Ok(KeyRing(keys).due(now, &policy, &witnesses))).await?;
        Ok(true)
    }

    /// All keys, withdrawn ones included, in the order of their publication.
    pub async fn list(&self) -> Result<Vec<KeyRecord>, KeysError> {
        Ok(self.store.keys().list().await?)
    }

    /// Who was shown each key, on all nodes.
    pub async fn fetches_of_keys(&self) -> Result<Vec<KeyFetches>, KeysError> {
        Ok(self.store.witness().keys().await?)
    }

    /// The recorded fetches of discovery and the key set, the latest first.
    pub async fn fetches(&self, query: FetchQuery) -> Result<Vec<FetchSum>, KeysError> {
        Ok(self.store.witness().list(query).await?)
    }

    /// When STS last fetched each key.
    pub async fn witnesses(&self) -> Result<Witnesses, KeysError> {
        Ok(self.store.witness().by_sts().await?)
    }

    /// Begins a rotation by hand; the successor signs after `after`, by default the policy's `publish_ahead`.
    pub async fn rotate(&self, after: Option<SignedDuration>) -> Result<Vec<KeyState>, KeysError> {
        self.follow_clock_back().await?;
        let (policy, now) = (self.settings.rotation, self.clock.now());
        self.change(|keys| KeyRing(keys).rotate(now, after, &policy)).await
    }

    /// Withdraws a key by hand. `compromised` does so whatever its phase, and ends its tokens.
    pub async fn withdraw(&self, kid: &KeyId, compromised: bool) -> Result<Vec<KeyState>, KeysError> {
        self.follow_clock_back().await?;
        let (policy, now) = (self.settings.rotation, self.clock.now());
        self.change(|keys| KeyRing(keys).withdraw(now, kid, compromised, &policy)).await
    }

    /// A plan by hand must not be made among moments of a clock that was ahead. How long no issuer ran is for the issuer to find out.
    async fn follow_clock_back(&self) -> Result<(), KeysError> {
        let mark = self.store.clock().mark().await?;
        if ClockJump::at_start(mark.seen_at, self.clock.now()).is_some_and(|jump| jump.is_back()) {
            self.follow_clock(None).await?;
        }
        Ok(())
    }

    /// The keys as [`list`](Self::list) has them, and where the clock was set back and no issuer has moved the schedule yet, as it will be
    /// moved, with how far the clock is behind the latest moment that was noted.
    pub async fn list_by_clock(&self) -> Result<(Vec<KeyState>, Option<SignedDuration>), KeysError> {
        let (mut states, mark) = (self.states().await?, self.store.clock().mark().await?);
        let jump = ClockJump::at_start(mark.seen_at, self.clock.now()).filter(ClockJump::is_back);
        let Some(jump) = jump else { return Ok((states, None)) };
        for change in KeyRing(&states).follow_clock(&jump, &self.settings.rotation) {
            let KeyChange::Reschedule { kid, schedule } = change else { continue };
            states.iter_mut().filter(|state| state.kid == kid).for_each(|state| state.schedule = schedule);
        }
        Ok((states, Some(jump.by().abs())))
    }

    /// The keys that are or will be published, ready to sign. `known` signers are taken over instead of opened again. A key whose private
    /// half does not open comes without a signer: what the others signed must stay verifiable.
    pub async fn load(&self, known: &HashMap<KeyId, Arc<dyn Signer>>) -> Result<ReadKeys, KeysError> {
        let now = self.clock.now();
        let mut read = ReadKeys::default();
        for record in self.store.keys().list().await? {
            if record.state.schedule.phase(now) == KeyPhase::Withdrawn {
                read.withdrawn.push(record.state.kid);
                continue;
            }
            let kid = &record.state.kid;
            let signer = match known.get(kid) {
                Some(signer) => Some(Arc::clone(signer)),
                None => self.open(&record).await?,
            };
            let certificate = record.certificate_der.as_deref().filter(|_| self.settings.x5c);
            read.keys.push(LoadedKey { jwk: Jwk::new(&record.public, certificate), state: record.state, signer });
        }
        Ok(read)
    }

    /// The key's signer; none where its private half is of no use. A database that fails is an error: it may answer the next time.
    async fn open(&self, record: &KeyRecord) -> Result<Option<Arc<dyn Signer>>, KeysError> {
        let KeyState { kid, schedule, .. } = &record.state;
        let error = match self.store.keys().load_signing_key(kid, &self.master_key).await {
            Ok(key) => return Ok(Some(Arc::new(key))),
            Err(error) if is_for_good(&error, record) => error,
            Err(error) => return Err(error.into()),
        };
        tracing::error!(
            %kid, phase = %schedule.phase(self.clock.now()), %error,
            "a signing key does not open: it stays published, and nothing is signed in its turn"
        );
        Ok(None)
    }

    async fn states(&self) -> Result<Vec<KeyState>, KeysError> {
        Ok(self.list().await?.into_iter().map(|record| record.state).collect())
    }

    /// Makes the candidate first: generating an RSA key takes too long for a transaction.
    async fn change(
        &self,
        plan: impl FnOnce(&[KeyState]) -> Result<Vec<KeyChange>, RotationError> + Send,
    ) -> Result<Vec<KeyState>, KeysError> {
        let algorithm = self.settings.rotation.algorithm;
        let key = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm))
            .await
            .map_err(|_| SigningError::Generate)??;
        let now = self.clock.now();
        let certificate_der = x509::self_signed(&key, &self.settings.stamp.issuer, now)?;
        let candidate = KeyCandidate { key: &key, certificate_der: Some(certificate_der) };
        let changed = self.store.keys().change(now, &candidate, &self.master_key, &*self.random, plan).await?;
        self.tell(&changed);
        Ok(changed)
    }

    fn tell(&self, changed: &[KeyState]) {
        let now = self.clock.now();
        for state in changed {
            let KeyState { kid, algorithm, schedule } = state;
            tracing::info!(
                %kid, %algorithm, phase = %schedule.phase(now), active_at = %schedule.active_at,
                retiring_at = schedule.retiring_at.map(tracing::field::display),
                withdrawn_at = schedule.withdrawn_at.map(tracing::field::display),
                waits_since = schedule.due_at.map(tracing::field::display),
                "signing key changed"
            );
        }
    }
}

/// Whether the same key will fail the same way the next time.
const fn is_for_good(error: &StoreError, record: &KeyRecord) -> bool {
    match error {
        StoreError::Sealing { .. } | StoreError::Signing { .. } | StoreError::Row { .. } => true,
        // Wiped since it was listed: withdrawn, so it must not be published again.
        StoreError::KeyWiped(_) => !record.has_private,
        _ => false,
    }
}
