//! Tokens of CI platforms that were exchanged: each works once, or as often as its provider's settings say.
//!
//! Claims that wait are judged and written in one transaction, under the lock that keeps other processes out. An answer means that the
//! claim is on disk.

use std::collections::{HashMap, hash_map::Entry};

use jiff::{SignedDuration, Timestamp};

use crate::{
    batch::BatchWork,
    credential::moment,
    engine::{Connection, Engine, expect_rows, on_engine},
    error::StoreError,
    store::Store,
};

/// Rows that one statement deletes: other writers wait no longer than that.
const DELETE_BATCH: i64 = 1000;

/// The use of a token. Times are kept in whole seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUse {
    /// The provider's name. The same hash under another provider is another token.
    pub provider: String,
    /// What tells the token from the provider's others, hashed: never the token.
    pub token_hash: String,
    /// Until when the token itself would be good: its expiry and the leeway.
    pub keep_until: Timestamp,
    /// Now.
    pub now: Timestamp,
    /// A hash of what is asked for: audience and role.
    pub request_hash: String,
    /// The network that the caller is in, such as `192.0.2.0/24`.
    pub network: String,
    /// How often the token may be used.
    pub allowance: Allowance,
}

/// How often a token may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// So many times within a time, for clients that retry.
    Times {
        /// Uses in all, the first one included; 0 is taken as 1.
        uses: u32,
        /// How long after the first use another one may come, in seconds.
        within_seconds: u32,
    },
    /// As long as the token is good.
    UntilExpiry {
        /// The most uses in a minute of the clock.
        per_minute: u32,
        /// Whether all uses must come from the first one's network.
        one_network: bool,
    },
}

impl Allowance {
    /// One use.
    pub const ONCE: Self = Self::Times { uses: 1, within_seconds: 0 };
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The token's first use: one caller alone gets this, in whatever process.
    First,
    /// Another use that the allowance covers, for the same request as the first; the second is `Again(2)`.
    Again(u32),
    /// The same, and the token comes from a network from which it had not come before.
    AgainElsewhere(u32),
    /// The token may not be used now.
    Spent {
        /// When it was used first.
        first_used_at: Timestamp,
        /// Why not again.
        why: Exhausted,
    },
}

/// Why a token that was used may not be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhausted {
    /// It has been used as often as it may be.
    UsedUp,
    /// Its first use is too long ago.
    TooLate,
    /// Something else is asked for than at its first use.
    OtherRequest,
    /// It comes from another network than at its first use.
    OtherNetwork {
        /// Whether it is seen there for the first time.
        new: bool,
    },
    /// It has been used as often as it may be in this minute.
    TooOften {
        /// When the next minute begins.
        next_in_seconds: u32,
    },
}

/// The most networks that are kept of a token. More of them would add nothing.
const MOST_NETWORKS: usize = 16;

/// The used tokens of a store.
#[derive(Debug, Clone, Copy)]
pub struct UsedTokens<'s> {
    pub(crate) store: &'s Store,
}

const FIND: &str = "SELECT provider, token_hash, first_used_at, keep_until, uses, request_hash, networks, minute, minute_uses FROM used_tokens \
     WHERE (provider, token_hash) IN (SELECT value ->> 0, value ->> 1 FROM json_each($1))";
const WRITE: &str = "INSERT INTO used_tokens \
     (provider, token_hash, first_used_at, keep_until, uses, request_hash, networks, minute, minute_uses) \
     SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS BIGINT), CAST(value ->> 3 AS BIGINT), CAST(value ->> 4 AS BIGINT), value ->> 5, \
     value ->> 6, CAST(value ->> 7 AS BIGINT), CAST(value ->> 8 AS BIGINT) \
     FROM json_each($1) WHERE true \
     ON CONFLICT (provider, token_hash) DO UPDATE SET keep_until = excluded.keep_until, uses = excluded.uses, \
     networks = excluded.networks, minute = excluded.minute, minute_uses = excluded.minute_uses";
const RELEASE_FIRST: &str =
    "DELETE FROM used_tokens WHERE provider = $1 AND token_hash = $2 AND uses = $3 AND first_used_at = $4";
const RELEASE_LATER: &str = "UPDATE used_tokens SET uses = uses - 1 WHERE provider = $1 AND token_hash = $2 AND uses = $3 AND first_used_at <= $4";
const DELETE: &str = "DELETE FROM used_tokens WHERE (provider, token_hash) IN \
     (SELECT provider, token_hash FROM used_tokens WHERE keep_until <= $1 AND keep_until - first_used_at <= $2 LIMIT $3)";

const DOING: &str = "claim a token";

impl UsedTokens<'_> {
    /// Claims a use of a token. What was claimed is on disk when this returns, and every process knows it.
    ///
    /// When this fails, or the caller stops waiting, the token may be claimed or not: give nothing out.
    pub async fn claim(self, token: &TokenUse) -> Result<Claim, StoreError> {
        self.store.inner.token_claims.ask(token.clone()).await
    }

    /// Takes back a claim for which nothing was given out. Tells whether it did: the last use alone can be taken back.
    pub async fn release(self, token: &TokenUse, claim: Claim) -> Result<bool, StoreError> {
        let (statement, nth) = match claim {
            Claim::First => (RELEASE_FIRST, 1),
            Claim::Again(nth) | Claim::AgainElsewhere(nth) => (RELEASE_LATER, nth),
            Claim::Spent { .. } => return Ok(false),
        };
        let doing = "take back the claim of a token";
        let engine = &self.store.inner.engine;
        let mut writer = engine.writer(doing).await?;
        let touched = on_engine!(writer.executor(), connection => {
            sqlx::query(statement)
                .bind(&token.provider)
                .bind(&token.token_hash)
                .bind(i64::from(nth))
                .bind(token.now.as_second())
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
        });
        match touched.map_err(engine.failed(doing))? {
            0 => Ok(false),
            touched => expect_rows(engine.name(), doing, 1, touched).map(|()| true),
        }
    }

    /// Deletes what need not be remembered any more: tokens that were good until `before` at most, and for at most `lifetime` after their
    /// first use. Returns how many.
    ///
    /// A token whose row is gone works once more, and a clock that is ahead shows tokens as expired that are good. So `lifetime` must be
    /// less than the time for which the clock ran without being set: then each of these tokens has expired by any clock.
    pub async fn delete_expired(self, before: Timestamp, lifetime: SignedDuration) -> Result<u64, StoreError> {
        let doing = "delete used tokens that have expired";
        let engine = &self.store.inner.engine;
        let mut deleted = 0;
        loop {
            let mut writer = engine.writer(doing).await?;
            let touched = on_engine!(writer.executor(), connection => {
                sqlx::query(DELETE)
                    .bind(before.as_second())
                    .bind(lifetime.as_secs())
                    .bind(DELETE_BATCH)
                    .execute(connection)
                    .await
                    .map(|done| done.rows_affected())
            });
            let touched = touched.map_err(engine.failed(doing))?;
            deleted += touched;
            if touched < DELETE_BATCH.unsigned_abs() {
                return Ok(deleted);
            }
        }
    }
}

/// A row.
#[derive(Debug)]
struct Used {
    first_used_at: i64,
    keep_until: i64,
    uses: i64,
    request_hash: String,
    networks: Vec<String>,
    minute: i64,
    minute_uses: i64,
    /// Whether this batch has changed it.
    changed: bool,
}

/// A provider's name, and the hash of one of its tokens.
type TokenKey<'t> = (&'t str, &'t str);

type Row = (String, String, i64, i64, i64, String, String, i64, i64);

/// Judges and writes a batch of claims.
pub(crate) struct ClaimWork;

impl BatchWork for ClaimWork {
    type Request = TokenUse;
    type Answer = Claim;

    async fn run(
        engine: &Engine,
        connection: &mut Connection,
        requests: &[TokenUse],
    ) -> Result<Vec<Result<Claim, StoreError>>, StoreError> {
        let keys: Vec<TokenKey<'_>> = requests.iter().map(key).collect();
        let keys = serde_json::to_string(&keys).expect("texts are JSON");
        connection.begin_write().await.map_err(engine.failed(DOING))?;
        let rows: Result<Vec<Row>, _> = on_engine!(connection.executor(), connection => {
            sqlx::query_as(FIND).bind(keys).fetch_all(connection).await
        });
        let rows = rows.map_err(engine.failed(DOING))?;
        let mut used: HashMap<TokenKey<'_>, Used> =
            rows.iter().map(|row| read(row, engine)).collect::<Result<_, _>>()?;
        let claims = requests.iter().map(|token| claim(token, &mut used, engine)).collect();

        let changed = used.iter().filter(|(_, row)| row.changed).map(|((provider, hash), row)| {
            let networks = serde_json::to_string(&row.networks).expect("texts are JSON");
            let Used { first_used_at, keep_until, uses, request_hash, minute, minute_uses, .. } = row;
            (provider, hash, first_used_at, keep_until, uses, request_hash, networks, minute, minute_uses)
        });
        let changed: Vec<_> = changed.collect();
        if !changed.is_empty() {
            let count = changed.len() as u64;
            let rows = serde_json::to_string(&changed).expect("texts and integers are JSON");
            let written = on_engine!(connection.executor(), connection => {
                sqlx::query(WRITE).bind(rows).execute(connection).await.map(|done| done.rows_affected())
            });
            expect_rows(engine.name(), DOING, count, written.map_err(engine.failed(DOING))?)?;
        }
        connection.commit().await.map_err(engine.failed(DOING))?;
        // A claim in a file that was replaced meanwhile is none.
        engine.check_in_place()?;
        Ok(claims)
    }
}

fn key(token: &TokenUse) -> TokenKey<'_> {
    (&token.provider, &token.token_hash)
}

fn read<'r>(row: &'r Row, engine: &Engine) -> Result<(TokenKey<'r>, Used), StoreError> {
    let (provider, hash, first_used_at, keep_until, uses, request_hash, networks, minute, minute_uses) = row;
    let networks = serde_json::from_str(networks).map_err(|_| unreadable(engine, provider, hash, "networks"))?;
    let row = Used {
        first_used_at: *first_used_at,
        keep_until: *keep_until,
        uses: *uses,
        request_hash: request_hash.clone(),
        networks,
        minute: *minute,
        minute_uses: *minute_uses,
        changed: false,
    };
    Ok(((provider, hash), row))
}

fn unreadable(engine: &Engine, provider: &str, hash: &str, column: &'static str) -> StoreError {
    StoreError::Row { database: engine.name().clone(), table: "used_tokens", row: format!("{provider}/{hash}"), column }
}

/// Judges one claim by what is known, and notes it.
fn claim<'t>(
    token: &'t TokenUse,
    used: &mut HashMap<TokenKey<'t>, Used>,
    engine: &Engine,
) -> Result<Claim, StoreError> {
    let (now, keep_until) = (token.now.as_second(), token.keep_until.as_second());
    let row = match used.entry(key(token)) {
        Entry::Vacant(free) => {
            free.insert(Used {
                first_used_at: now,
                keep_until,
                uses: 1,
                request_hash: token.request_hash.clone(),
                networks: vec![token.network.clone()],
                minute: now.div_euclid(60),
                minute_uses: 1,
                changed: true,
            });
            return Ok(Claim::First);
        }
        Entry::Occupied(row) => row.into_mut(),
    };
    let first_used_at = moment(row.first_used_at, "first_used_at")
        .map_err(|column| unreadable(engine, &token.provider, &token.token_hash, column))?;
    match row.admit(token, now) {
        Ok(elsewhere) => {
            row.uses += 1;
            row.keep_until = row.keep_until.max(keep_until);
            row.changed = true;
            let nth = u32::try_from(row.uses).unwrap_or(u32::MAX);
            Ok(if elsewhere { Claim::AgainElsewhere(nth) } else { Claim::Again(nth) })
        }
        Err(why) => Ok(Claim::Spent { first_used_at, why }),
    }
}

impl Used {
    /// Whether the token may be used again now. Tells whether it comes from a network that was not seen before.
    fn admit(&mut self, token: &TokenUse, now: i64) -> Result<bool, Exhausted> {
        if self.request_hash != token.request_hash {
            return Err(Exhausted::OtherRequest);
        }
        match token.allowance {
            Allowance::Times { uses, within_seconds } => {
                if self.uses >= i64::from(uses) {
                    return Err(Exhausted::UsedUp);
                }
                // The clocks of two nodes differ: the second use may seem to come before the first.
                let in_time = now.abs_diff(self.first_used_at) <= u64::from(within_seconds);
                if in_time { Ok(false) } else { Err(Exhausted::TooLate) }
            }
            Allowance::UntilExpiry { per_minute, one_network } => {
                let new = self.see(&token.network);
                if one_network && self.networks.first() != Some(&token.network) {
                    return Err(Exhausted::OtherNetwork { new });
                }
                // A clock that steps back begins another minute: at worst the rate is had twice.
                let minute = now.div_euclid(60);
                if minute != self.minute {
                    (self.minute, self.minute_uses) = (minute, 0);
                }
                if self.minute_uses >= i64::from(per_minute) {
                    let next_in_seconds = u32::try_from((minute + 1) * 60 - now).unwrap_or(60);
                    return Err(Exhausted::TooOften { next_in_seconds });
                }
                self.minute_uses += 1;
                Ok(new)
            }
        }
    }

    /// Notes a network. Tells whether it is a further one.
    fn see(&mut self, network: &str) -> bool {
        if self.networks.len() >= MOST_NETWORKS || self.networks.iter().any(|known| known == network) {
            return false;
        }
        // A token that was used before its provider allowed reuse has none yet.
        let further = !self.networks.is_empty();
        self.networks.push(network.to_owned());
        self.changed = true;
        further
    }
}

#[cfg(test)]
mod tests;
