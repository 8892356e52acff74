//! What is below which prefix.

use std::{
    collections::{BTreeMap, HashMap},
    ops::ControlFlow,
};

use jiff::Timestamp;
use tagmint_core::sweep::{Found, NAMESPACES, Pull, RunPrefix};

use super::{Bucket, Progress};
use crate::failure::Failure;

/// Keys outside of the grammar that are named.
const EXAMPLES: usize = 5;

/// What the ledger knows of a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mint {
    /// When a token was minted for it last.
    pub at: Timestamp,
    /// The tag `repository` of that token.
    pub repository: Option<String>,
}

/// The prefixes that the ledger minted.
#[derive(Debug, Clone, Default)]
pub struct Minted {
    mints: HashMap<RunPrefix, Mint>,
}

impl Minted {
    /// From the values of tags; those that are no prefix which may be swept are left out.
    pub fn new(values: impl IntoIterator<Item = (String, Mint)>) -> Self {
        let mut mints: HashMap<RunPrefix, Mint> = HashMap::new();
        for (value, mint) in values {
            let Some(prefix) = RunPrefix::minted(&value) else { continue };
            let latest = mints.entry(prefix).or_insert_with(|| mint.clone());
            if latest.at < mint.at {
                *latest = mint;
            }
        }
        Self { mints }
    }

    /// What is known of a prefix.
    pub fn of(&self, prefix: &RunPrefix) -> Option<&Mint> {
        self.mints.get(prefix)
    }
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Prefixes that may be swept, if they are due.
    pub found: Vec<Found>,
    /// Versions, markers and uploads that begin like a namespace and are not in one: they stay.
    pub outside: u64,
    /// Some of their keys.
    pub examples: Vec<String>,
    /// Whether it was interrupted: there may be more.
    pub interrupted: bool,
}

/// Which prefix a key belongs to.
#[derive(Debug)]
pub(super) struct Owners<'a> {
    minted: &'a Minted,
    /// Whether prefixes outside of the namespaces are swept.
    all_minted: bool,
}

impl<'a> Owners<'a> {
    pub(super) fn new(minted: &'a Minted, all_minted: bool) -> Self {
        Self { minted, all_minted }
    }

    /// The prefix of the namespaces; else the longest that the ledger minted, where those are swept.
    pub(super) fn of(&self, key: &str) -> Option<RunPrefix> {
        if let Some(prefix) = RunPrefix::of_key(key) {
            return Some(prefix);
        }
        if !self.all_minted {
            return None;
        }
        let mut end = key.len();
        while let Some(slash) = key[..end].rfind('/') {
            let prefix = RunPrefix::minted(&key[..slash]).filter(|prefix| self.minted.mints.contains_key(prefix));
            if prefix.is_some() {
                return prefix;
            }
            end = slash;
        }
        None
    }

    /// What is listed: never the whole bucket. No two of them hold the same key.
    fn areas(&self) -> Vec<String> {
        let mut areas: Vec<String> = NAMESPACES.map(str::to_owned).to_vec();
        if self.all_minted {
            areas.extend(self.minted.mints.keys().map(ToString::to_string));
        }
        areas.sort();
        areas.dedup_by(|area, before| area.starts_with(before.as_str()));
        areas
    }
}

/// Looks at everything below the namespaces, and with `all_minted` below every prefix that the ledger minted.
///
/// # Errors
///
/// When a list is refused or does not come: then nothing is known of what may go.
pub async fn scan(
    bucket: &Bucket,
    minted: &Minted,
    all_minted: bool,
    mut on_page: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Inventory, Failure> {
    let owners = Owners::new(minted, all_minted);
    let mut tally = Tally { owners: &owners, found: BTreeMap::new(), inventory: Inventory::default(), seen: 0 };
    for area in owners.areas() {
        let mut after = None;
        loop {
            let page = bucket.versions(&area, after.as_ref()).await?;
            for item in &page.items {
                tally.count(&item.key, item.modified, |found| {
                    found.objects += 1;
                    found.bytes = found.bytes.saturating_add(item.size);
                });
            }
            if on_page(Progress { done: tally.seen, total: None }).is_break() {
                return Ok(tally.end(minted, true));
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let page = bucket.uploads(&area, after.as_ref()).await?;
            for upload in &page.items {
                tally.count(&upload.key, upload.initiated, |found| found.uploads += 1);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(tally.end(minted, false))
}

struct Tally<'a> {
    owners: &'a Owners<'a>,
    found: BTreeMap<RunPrefix, Found>,
    inventory: Inventory,
    seen: u64,
}

impl Tally<'_> {
    fn count(&mut self, key: &str, at: Timestamp, add: impl FnOnce(&mut Found)) {
        self.seen += 1;
        let Some(prefix) = self.owners.of(key) else {
            self.inventory.outside += 1;
            if self.inventory.examples.len() < EXAMPLES {
                self.inventory.examples.push(key.to_owned());
            }
            return;
        };
        let found = self.found.entry(prefix.clone()).or_insert_with(|| Found {
            prefix,
            objects: 0,
            bytes: 0,
            uploads: 0,
            newest: at,
            minted_at: None,
            pull: Pull::Unknown,
        });
        found.newest = found.newest.max(at);
        add(found);
    }

    fn end(mut self, minted: &Minted, interrupted: bool) -> Inventory {
        self.inventory.interrupted = interrupted;
        self.inventory.found = self.found.into_values().collect();
        for found in &mut self.inventory.found {
            found.minted_at = minted.of(&found.prefix).map(|mint| mint.at);
        }
        self.inventory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minted(values: &[&str]) -> Minted {
        let mint = Mint { at: Timestamp::UNIX_EPOCH, repository: None };
        Minted::new(values.iter().map(|value| ((*value).to_owned(), mint.clone())))
    }

    #[test]
    fn a_key_belongs_to_the_namespace_or_to_the_longest_minted_prefix() {
        let minted = minted(&["team", "team/blue", "0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1", "", "../x", "pr-1"]);
        let owner = |all, key: &str| Owners::new(&minted, all).of(key).map(|prefix| prefix.to_string());
        for (key, expected) in [
            ("pr-1/run-2/x", Some("pr-1/run-2/")),
            ("team/x", Some("team/")),
            ("team/blue/x/y", Some("team/blue/")),
            ("team/blue", Some("team/")),
            ("team2/x", None),
            ("team", None),
            ("pr-1/x", None),
            ("0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1/x", None),
            ("/x", None),
            ("x", None),
        ] {
            assert_eq!(owner(true, key).as_deref(), expected, "{key}");
        }
        assert_eq!(owner(false, "pr-1/run-2/x").as_deref(), Some("pr-1/run-2/"));
        assert_eq!(owner(false, "team/x"), None);
    }

    #[test]
    fn the_whole_bucket_is_never_listed_and_nothing_twice() {
        let minted = minted(&["team", "team/blue", "teams", "pr-1/run-2", ""]);
        assert_eq!(Owners::new(&minted, false).areas(), ["bearer-", "branch-", "mr-", "pr-", "ref-"]);
        let all = Owners::new(&minted, true).areas();
        assert_eq!(all, ["bearer-", "branch-", "mr-", "pr-", "ref-", "team/", "teams/"]);
    }

    #[test]
    fn the_last_mint_counts() {
        let mint = |second, repository: &str| Mint {
            at: Timestamp::from_second(second).unwrap(),
            repository: Some(repository.to_owned()),
        };
        let values = [("pr-1/run-2", mint(5, "a")), ("pr-1/run-2", mint(9, "b")), ("pr-1/run-2", mint(7, "c"))];
        let minted = Minted::new(values.map(|(value, mint)| (value.to_owned(), mint)));
        assert_eq!(minted.of(&RunPrefix::of_key("pr-1/run-2/x").unwrap()), Some(&mint(9, "b")));
    }
}
