//! The providers that rules may name.

use std::collections::BTreeSet;

use crate::federation::{Provider, ProviderKind, ProviderName};

/// Names and kinds of the configured providers, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Providers {
    known: Vec<(ProviderName, ProviderKind)>,
    /// Claims that some of them give to rules beside their kind's.
    further: BTreeSet<String>,
}

impl Providers {
    /// No provider: identities come from sessions and bearers alone.
    pub const fn none() -> Self {
        Self { known: Vec::new(), further: BTreeSet::new() }
    }

    /// The provider of this name.
    pub(super) fn find(&self, name: &str) -> Option<(&ProviderName, ProviderKind)> {
        self.known.iter().find(|(known, _)| known.as_str() == name).map(|(name, kind)| (name, *kind))
    }

    /// The kinds, each as often as there are providers of it.
    pub(super) fn kinds(&self) -> impl Iterator<Item = ProviderKind> {
        self.known.iter().map(|(_, kind)| *kind)
    }

    /// Whether some provider gives rules this claim beside its kind's.
    pub(super) fn give_further(&self, claim: &str) -> bool {
        self.further.contains(claim)
    }

    /// "are `a`, `b`", for messages.
    pub(super) fn listed(&self) -> String {
        let names: Vec<String> = self.known.iter().map(|(name, _)| format!("`{name}`")).collect();
        match names.as_slice() {
            [] => "are none".to_owned(),
            [one] => format!("is {one}"),
            several => format!("are {}", several.join(", ")),
        }
    }
}

impl FromIterator<(ProviderName, ProviderKind)> for Providers {
    fn from_iter<T: IntoIterator<Item = (ProviderName, ProviderKind)>>(providers: T) -> Self {
        Self { known: providers.into_iter().collect(), further: BTreeSet::new() }
    }
}

impl<'a> FromIterator<&'a Provider> for Providers {
    fn from_iter<T: IntoIterator<Item = &'a Provider>>(providers: T) -> Self {
        let mut all = Self::none();
        for provider in providers {
            all.known.push((provider.name.clone(), provider.kind));
            all.further.extend(provider.claims.iter().flatten().cloned());
        }
        all
    }
}
