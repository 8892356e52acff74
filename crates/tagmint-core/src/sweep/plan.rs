//! What goes in one run.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::RunPrefix;

/// How far clocks may be apart without anything being wrong: S3's time comes in whole seconds, and the ledger's is this machine's.
pub const MOST_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What may go, and how much of it in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How long nothing was written below a prefix, and no token minted for it, until it goes.
    pub older_than: SignedDuration,
    /// The same where the pull request is closed, and how long it must have been closed.
    pub closed_for: SignedDuration,
    /// The most versions, delete markers and uploads that go in one run.
    pub most_objects: u64,
    /// The most prefixes that go in one run.
    pub most_prefixes: u64,
    /// Prefixes below which nothing goes, with the slash at their end.
    pub keep: Vec<String>,
}

/// What is below a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The prefix.
    pub prefix: RunPrefix,
    /// Versions and delete markers; in a bucket without versions, objects.
    pub objects: u64,
    /// Of all versions, in bytes. Parts of unfinished uploads are not told by S3.
    pub bytes: u64,
    /// Unfinished uploads.
    pub uploads: u64,
    /// When the newest version or marker was written, or the newest upload begun, by S3.
    pub newest: Timestamp,
    /// When the ledger minted a token for it last, where it did.
    pub minted_at: Option<Timestamp>,
    /// What is known of its pull request.
    pub pull: Pull,
}

/// What is known of a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// Nothing: the prefix is no pull request's, nobody was asked, or the answer was no clear one.
    Unknown,
    /// It is open.
    Open,
    /// It is closed.
    Closed {
        /// Since when.
        at: Timestamp,
    },
}

/// Why a prefix goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It was not used for long enough.
    Old,
    /// Its pull request is closed.
    Closed {
        /// Since when.
        at: Timestamp,
    },
}

/// A prefix that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// What is below it.
    pub found: Found,
    /// Why it goes.
    pub why: Why,
    /// How long it was not used.
    pub age: SignedDuration,
    /// How many of its versions, markers and uploads this run may take; 0 where the limits leave it to the next one.
    pub take: u64,
}

/// Why a prefix stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// It was used lately.
    Young,
    /// It was named to be kept.
    Named,
    /// It seems to have been used in the future: one of the clocks is wrong.
    Future,
}

/// What goes, the longest unused first, and how many prefixes stay for which reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What goes; what the limits leave to the next run is last.
    pub due: Vec<Due>,
    /// What stays.
    pub kept: BTreeMap<Kept, u64>,
}

impl Found {
    /// How many there are to remove.
    pub fn count(&self) -> u64 {
        self.objects.saturating_add(self.uploads)
    }

    /// When it was used last.
    pub fn used_at(&self) -> Timestamp {
        self.minted_at.map_or(self.newest, |minted_at| minted_at.max(self.newest))
    }
}

/// Decides. `now` is the earlier of S3's time and ours: who is in doubt keeps.
pub fn plan(found: Vec<Found>, policy: &Policy, now: Timestamp) -> Plan {
    let mut kept = BTreeMap::new();
    let mut due = Vec::new();
    for found in found {
        match judge(&found, policy, now) {
            Ok((why, age)) => due.push(Due { found, why, age, take: 0 }),
            Err(reason) => *kept.entry(reason).or_insert(0) += 1,
        }
    }
    due.sort_by(|a, b| (b.age, &a.found.prefix).cmp(&(a.age, &b.found.prefix)));
    let mut objects = policy.most_objects;
    let mut prefixes = policy.most_prefixes;
    for one in &mut due {
        if prefixes == 0 || objects == 0 {
            break;
        }
        one.take = one.found.count().min(objects);
        objects -= one.take;
        prefixes -= 1;
    }
    Plan { due, kept }
}

fn judge(found: &Found, policy: &Policy, now: Timestamp) -> Result<(Why, SignedDuration), Kept> {
    if policy.keep.iter().any(|keep| found.prefix.as_str().starts_with(keep) || keep.starts_with(found.prefix.as_str()))
    {
        return Err(Kept::Named);
    }
    let age = now.duration_since(found.used_at());
    if age.is_negative() {
        return Err(if age.abs() > MOST_SKEW { Kept::Future } else { Kept::Young });
    }
    if age >= policy.older_than {
        return Ok((Why::Old, age));
    }
    match found.pull {
        Pull::Closed { at } if now.duration_since(at) >= policy.closed_for && age >= policy.closed_for => {
            Ok((Why::Closed { at }, age))
        }
        Pull::Closed { .. } | Pull::Open | Pull::Unknown => Err(Kept::Young),
    }
}
