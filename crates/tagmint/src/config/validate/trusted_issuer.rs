//! The issuers whose tokens are accepted.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use jiff::SignedDuration;
use tagmint_core::{
    environment::Environment,
    trusted_issuer::{
        IssuerKind, Reuse, TokenAlgorithm, TrustedIssuer, TrustedIssuerName, TrustedIssuerUrl, discovery::JwksUri,
    },
};
use tagmint_server::{
    settings::KeySource,
    upstream::address::{Reach, reach},
};

use super::{Check, DAY, HOUR, MINUTE, SECOND};
use crate::config::{
    TrustedIssuerConfig,
    problem::shortened,
    raw::{DurationText, RawIssuerKind, RawReuse, RawReuseFrom, RawTrustedIssuer},
};

/// The names that mean something else in a rule's `from`, or are to.
const RESERVED: [&str; 4] = ["session", "bearer", "anonymous", "people"];
/// The most trusted issuers.
const MAX_ISSUERS: usize = 50;
/// The most audiences of a trusted issuer, and the most characters of one.
const MAX_AUDIENCES: (usize, usize) = (20, 255);
/// The most claims that a trusted issuer's `claims` may list, and the most characters of one.
const MAX_CLAIMS: (usize, usize) = (100, 128);
/// The most uses of one token in a minute that can be configured, where it may be reused, and those where none are.
const MAX_REUSE_PER_MINUTE: u32 = 600;
const REUSE_PER_MINUTE: u32 = 6;

impl Check<'_> {
    pub(super) fn trusted_issuers(
        &mut self,
        raw: &[RawTrustedIssuer],
        own_issuer: &str,
        environment: Environment,
    ) -> Vec<TrustedIssuerConfig> {
        if raw.len() > MAX_ISSUERS {
            self.problem("trusted_issuer", format!("{} trusted issuers; {MAX_ISSUERS} are allowed", raw.len()));
        }
        let mut known: Vec<TrustedIssuerConfig> = Vec::new();
        for (index, raw) in raw.iter().enumerate() {
            let at = |key: &str| format!("trusted_issuer[{index}].{key}");
            let Some(config) = self.trusted_issuer(raw, &at, environment) else { continue };
            let issuer = &config.issuer;
            if issuer.issuer.as_str() == own_issuer {
                // Single use and the longest lifetime would mean nothing.
                self.problem(&at("issuer"), "is this issuer itself: its tokens would be good for new ones without end");
            }
            if known.iter().any(|other| other.issuer.name == issuer.name) {
                self.problem(
                    &at("name"),
                    format!("`{}` is another trusted issuer's name too; names are unique", issuer.name),
                );
            }
            let shared = known.iter().filter(|other| other.issuer.issuer == issuer.issuer).find_map(|other| {
                let audience = other.issuer.audiences.iter().find(|audience| issuer.audiences.contains(audience))?;
                Some((&other.issuer.name, audience))
            });
            if let Some((other, audience)) = shared {
                let message = format!(
                    "`{}` is an audience of `{other}` too, which has the same issuer URL: a token for it would be of both; \
                     give each its own",
                    shortened(audience)
                );
                self.problem(&at("audiences"), message);
            }
            known.push(config);
        }
        known
    }

    fn trusted_issuer(
        &mut self,
        raw: &RawTrustedIssuer,
        at: &dyn Fn(&str) -> String,
        environment: Environment,
    ) -> Option<TrustedIssuerConfig> {
        let RawIssuerKind(kind) = raw.kind;
        let name = TrustedIssuerName::parse(&raw.name);
        if RESERVED.contains(&raw.name.as_str()) {
            let message = format!("`{}` means something else in a rule's `from`; give another name", raw.name);
            self.problem(&at("name"), message);
        }
        if let Err(error) = &name {
            self.problem(&at("name"), format!("`{}`: {error}", shortened(&raw.name)));
        }
        let source = self.key_source(raw, at, environment);
        let url = self.issuer_url(raw, kind, at, environment);
        self.audiences(raw, at);
        let algorithms = self.algorithms(raw, kind, at);
        self.listed_claims(raw, kind, at);
        let leeway = self.duration(&at("leeway"), &raw.leeway, (SignedDuration::ZERO, TrustedIssuer::MAX_LEEWAY));
        let max_age = self.duration(&at("max_age"), &raw.max_age, (MINUTE, DAY * 30));
        let reuse = self.reuse(raw, at);
        let mut time = |key: &str, text: &DurationText, most: SignedDuration| -> Duration {
            self.duration(&at(key), text, (SECOND, most)).unsigned_abs()
        };
        let refresh = time("refresh", &raw.refresh, DAY);
        let stale_after = time("stale_after", &raw.stale_after, DAY * 30);
        let unknown_key_interval = time("unknown_key_interval", &raw.unknown_key_interval, HOUR);
        if stale_after <= refresh {
            self.problem(
                &at("stale_after"),
                format!("`{}` is too short: keys would be too old before they are fetched anew; it must be longer than `refresh`", raw.stale_after.0),
            );
        }
        let (audiences, claims) = (raw.audiences.clone(), raw.claims.clone());
        let issuer = TrustedIssuer {
            audience_list: raw.audience_list.unwrap_or(kind.table().audience_list),
            algorithms,
            leeway,
            max_age: Some(max_age),
            claims,
            reuse,
            ..TrustedIssuer::new(name.ok()?, kind, url?, audiences)
        };
        Some(TrustedIssuerConfig {
            issuer,
            source: source?,
            bearer_token_file: raw.bearer_token_file.as_ref().map(|file| self.path(file)),
            ca_file: raw.ca_file.as_ref().map(|file| self.path(file)),
            allow_private_addresses: raw.allow_private_addresses,
            refresh,
            stale_after,
            unknown_key_interval,
        })
    }

    fn issuer_url(
        &mut self,
        raw: &RawTrustedIssuer,
        kind: IssuerKind,
        at: &dyn Fn(&str) -> String,
        environment: Environment,
    ) -> Option<TrustedIssuerUrl> {
        let Some(text) = raw.issuer.as_deref().or(kind.default_issuer()) else {
            let forms = kind.table().issuers.join("`, `");
            self.problem(
                &at("issuer"),
                format!("is missing; the kind `{kind}` has no URL that is everybody's: it is `{forms}`"),
            );
            return None;
        };
        let issuer = match TrustedIssuerUrl::parse(text) {
            Ok(issuer) => issuer,
            Err(error) => {
                // What follows an `@` or `?` may be a secret.
                let shown =
                    if text.contains(['@', '?']) { "the URL".to_owned() } else { format!("`{}`", shortened(text)) };
                self.problem(&at("issuer"), format!("{shown}: {error}"));
                return None;
            }
        };
        if issuer.is_plain_http() && environment == Environment::Prod {
            self.problem(&at("issuer"), format!("`{text}` is plain HTTP, which prod does not use: use `https://`"));
            return None;
        }
        // Where the keys come from elsewhere nothing is asked of the issuer: its URL is a name.
        if raw.jwks_uri.is_none()
            && raw.jwks_file.is_none()
            && let Err(message) = may_be_asked(issuer.host(), raw.allow_private_addresses)
        {
            self.problem(&at("issuer"), format!("`{text}` is at {message}"));
            return None;
        }
        Some(issuer)
    }

    /// Where the keys come from: one place.
    fn key_source(
        &mut self,
        raw: &RawTrustedIssuer,
        at: &dyn Fn(&str) -> String,
        environment: Environment,
    ) -> Option<KeySource> {
        let Some(file) = &raw.jwks_file else {
            let Some(text) = raw.jwks_uri.as_deref() else { return Some(KeySource::Discovery) };
            let uri = match JwksUri::parse(text) {
                Ok(uri) => uri,
                Err(error) => {
                    // What follows an `@` or `?` may be a secret.
                    let shown =
                        if text.contains(['@', '?']) { "the URL".to_owned() } else { format!("`{}`", shortened(text)) };
                    self.problem(&at("jwks_uri"), format!("{shown}: {error}"));
                    return None;
                }
            };
            if uri.is_plain_http() && environment == Environment::Prod {
                self.problem(&at("jwks_uri"), "is plain HTTP, which prod does not use: use `https://`");
                return None;
            }
            if let Err(message) = may_be_asked(uri.host(), raw.allow_private_addresses) {
                self.problem(&at("jwks_uri"), format!("`{}` is at {message}", uri.host()));
                return None;
            }
            return Some(KeySource::Uri(uri));
        };
        if raw.jwks_uri.is_some() {
            let message = "is given beside `jwks_file`, and keys come from one place: remove one of the two";
            self.problem(&at("jwks_uri"), message);
        }
        if raw.bearer_token_file.is_some() {
            let message = "is of no use with `jwks_file`: nothing is fetched. Remove one of the two";
            self.problem(&at("bearer_token_file"), message);
        }
        Some(KeySource::File(self.path(file)))
    }

    fn audiences(&mut self, raw: &RawTrustedIssuer, at: &dyn Fn(&str) -> String) {
        let (most, longest) = MAX_AUDIENCES;
        if raw.audiences.is_empty() || raw.audiences.len() > most {
            self.problem(
                &at("audiences"),
                format!("{} audiences; 1 to {most} are allowed, the best is the issuer's own URL", raw.audiences.len()),
            );
        }
        let mut seen = BTreeSet::new();
        for (index, audience) in raw.audiences.iter().enumerate() {
            let path = at(&format!("audiences[{index}]"));
            let len = audience.chars().count();
            if !(1..=longest).contains(&len) || audience.chars().any(|c| c.is_control() || c.is_whitespace()) {
                let audience = shortened(audience);
                self.problem(
                    &path,
                    format!("`{audience}` is not an audience: 1 to {longest} characters without white space are"),
                );
            } else if !seen.insert(audience) {
                self.problem(&path, format!("`{}` stands there twice", shortened(audience)));
            }
        }
    }

    fn algorithms(
        &mut self,
        raw: &RawTrustedIssuer,
        kind: IssuerKind,
        at: &dyn Fn(&str) -> String,
    ) -> Vec<TokenAlgorithm> {
        let Some(names) = &raw.algorithms else { return kind.table().algorithms.to_vec() };
        if names.is_empty() {
            self.problem(&at("algorithms"), "empty; no token could be verified. Leave it out for the kind's default");
        }
        let mut algorithms = Vec::new();
        for (index, name) in names.iter().enumerate() {
            match name.parse::<TokenAlgorithm>() {
                Ok(algorithm) => algorithms.push(algorithm),
                Err(error) => self.problem(&at(&format!("algorithms[{index}]")), error.to_string()),
            }
        }
        algorithms
    }

    fn listed_claims(&mut self, raw: &RawTrustedIssuer, kind: IssuerKind, at: &dyn Fn(&str) -> String) {
        let names = raw.claims.as_deref().unwrap_or_default();
        let (most, longest) = MAX_CLAIMS;
        if names.len() > most {
            self.problem(&at("claims"), format!("{} claims; {most} are allowed", names.len()));
        }
        for (index, name) in names.iter().enumerate() {
            let path = at(&format!("claims[{index}]"));
            if !(1..=longest).contains(&name.chars().count()) {
                self.problem(
                    &path,
                    format!("`{}` is not a claim's name: 1 to {longest} characters are", shortened(name)),
                );
            } else if kind.derived_names().any(|derived| derived == name) {
                self.problem(&path, format!("`{name}` is made from other claims for the kind `{kind}`; remove it"));
            }
        }
    }

    fn reuse(&mut self, raw: &RawTrustedIssuer, at: &dyn Fn(&str) -> String) -> Reuse {
        if let Some(RawReuse::UntilExpiry) = raw.reuse {
            for (key, given) in [("uses", raw.uses != 1), ("uses_within", raw.uses_within.is_some())] {
                if given {
                    let message =
                        "is of no use with `reuse`: a token is then good until it expires. Remove one of the two";
                    self.problem(&at(key), message);
                }
            }
            let per_minute = raw.reuse_per_minute.unwrap_or(REUSE_PER_MINUTE);
            if !(1..=MAX_REUSE_PER_MINUTE).contains(&per_minute) {
                let message = format!("`{per_minute}` is out of bounds; 1 to {MAX_REUSE_PER_MINUTE} are allowed");
                self.problem(&at("reuse_per_minute"), message);
            }
            let one_network = raw.reuse_from != Some(RawReuseFrom::Anywhere);
            return Reuse::UntilExpiry { per_minute, one_network };
        }
        for (key, given) in
            [("reuse_per_minute", raw.reuse_per_minute.is_some()), ("reuse_from", raw.reuse_from.is_some())]
        {
            if given {
                self.problem(&at(key), "is of no use without `reuse = \"until-expiry\"`: set it, or remove this");
            }
        }
        let most = Reuse::MAX_USES;
        if !(1..=most).contains(&raw.uses) {
            let message = format!(
                "`{}` is out of bounds; 1 to {most} are allowed. For a token that is used as long as it lives set `reuse = \"until-expiry\"`",
                raw.uses
            );
            self.problem(&at("uses"), message);
            return Reuse::ONCE;
        }
        match &raw.uses_within {
            None if raw.uses == 1 => Reuse::ONCE,
            None => {
                self.problem(
                    &at("uses_within"),
                    "is missing; with `uses` above 1 say for how long after the first use, for example `30s`",
                );
                Reuse::ONCE
            }
            Some(_) if raw.uses == 1 => {
                self.problem(&at("uses_within"), "is of no use with `uses = 1`: remove it");
                Reuse::ONCE
            }
            Some(text) => {
                let within = self.duration(&at("uses_within"), text, (SECOND, DAY));
                Reuse::Times { uses: raw.uses, within }
            }
        }
    }
}

/// What is allowed, but hardly meant.
pub(super) fn warnings(issuers: &[TrustedIssuerConfig], environment: Environment) -> impl Iterator<Item = String> {
    issuers.iter().flat_map(move |config| {
        let TrustedIssuer { name, issuer, audiences, .. } = &config.issuer;
        let aws = audiences.iter().any(|audience| audience == "sts.amazonaws.com").then(|| {
            format!(
                "the trusted issuer `{name}` takes the audience `sts.amazonaws.com`: whoever gets hold of such a token can try it at AWS \
                 itself; an audience of your own, such as the issuer's URL, is good here alone"
            )
        });
        let fetched = !matches!(config.source, KeySource::File(_));
        let private = (config.allow_private_addresses && fetched && environment == Environment::Prod).then(|| {
            format!(
                "the trusted issuer `{name}` may stand at a private address: who can answer for {issuer} inside your network, or \
                 change its name there, can vouch for any job"
            )
        });
        let unused = matches!(config.source, KeySource::File(_)) && config.ca_file.is_some();
        let unused = unused.then(|| format!("the trusted issuer `{name}` has a `jwks_file`, so its `ca_file` is not used: nothing is fetched"));
        let anywhere = matches!(config.issuer.reuse, Reuse::UntilExpiry { one_network: false, .. }).then(|| {
            format!(
                "the trusted issuer `{name}` has `reuse_from = \"anywhere\"`: whoever gets hold of one of its tokens can exchange it too until it \
                 expires, from wherever they are; an alarm says so afterwards"
            )
        });
        aws.into_iter().chain(private).chain(unused).chain(anywhere)
    })
}

/// Whether a host that stands there as an address may be asked. Names are looked at when they are resolved.
fn may_be_asked(host: &str, allow_private: bool) -> Result<(), String> {
    let address = if host == "localhost" { Some(IpAddr::V4(Ipv4Addr::LOCALHOST)) } else { host.parse().ok() };
    match address.map(reach) {
        Some(Reach::Private(_)) if !allow_private => {
            Err("a loopback or private address: say `allow_private_addresses = true` if that is meant".to_owned())
        }
        Some(Reach::Never(kind)) => Err(format!("an address that is {kind}: no issuer can be there")),
        Some(Reach::Private(_) | Reach::Public) | None => Ok(()),
    }
}
