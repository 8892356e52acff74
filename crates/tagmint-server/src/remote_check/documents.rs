//! The two documents, as STS reads them.

use std::collections::BTreeSet;

use http::{Version, header};
use serde_json::{Map, Value};
use tagmint_core::{issuer::IssuerUrl, json};

use super::{fetch::Fetched, rows::Row};

/// The largest document that is none of a mistake, in bytes.
const LARGE: usize = 64 * 1024;
/// Keys of one type that STS reads; with more, tokens of that type fail (recorded answers of the live STS).
const MOST_KEYS: usize = 100;
/// Algorithms that STS takes.
const ALGORITHMS: [&str; 6] = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"];
/// The members of a private or symmetric key (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// What the discovery document says.
pub(super) struct Discovered {
    pub rows: Vec<Row>,
    pub jwks_uri: Option<String>,
}

pub(super) fn discovery(url: &IssuerUrl, answer: &Result<Fetched, String>) -> Discovered {
    let (row, document) = received("discovery", answer);
    let mut rows = vec![row];
    let Some(document) = document else {
        rows.push(Row::skipped("discovery_issuer", "there is no discovery document"));
        return Discovered { rows, jwks_uri: None };
    };
    rows.push(issuer(url, &document));
    rows.push(members(&document));
    let jwks_uri = document.get("jwks_uri").and_then(Value::as_str);
    rows.push(key_set_address(url, jwks_uri));
    // A key set at another place is looked at where it is said to be, as STS does; nothing but https is asked.
    let jwks_uri = jwks_uri.filter(|uri| uri.starts_with("https://")).map(str::to_owned);
    Discovered { rows, jwks_uri }
}

fn issuer(url: &IssuerUrl, document: &Map<String, Value>) -> Row {
    let expected = format!("`issuer` is `{url}`, byte for byte");
    match document.get("issuer").and_then(Value::as_str) {
        Some(issuer) if issuer == url.as_str() => Row::good("discovery_issuer", format!("`{issuer}`"), &expected),
        issuer => {
            let seen = issuer.map_or("no `issuer`".to_owned(), |issuer| format!("`{issuer}`"));
            let fix = "set `issuer` in the configuration to the registered URL; to AWS even a slash at the end makes another provider";
            Row::failure("discovery_issuer", seen, &expected, fix)
        }
    }
}

/// The members that OpenID Connect Discovery 1.0 §3 requires of every issuer, but for `authorization_endpoint`, which AWS does not read.
fn members(document: &Map<String, Value>) -> Row {
    let required = [
        "issuer",
        "jwks_uri",
        "response_types_supported",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
    ];
    let expected = "the required members";
    let missing: Vec<&str> = required.into_iter().filter(|name| !document.contains_key(*name)).collect();
    if missing.is_empty() {
        Row::good("discovery_members", "all are there", expected)
    } else {
        let fix = "serve the issuer's own discovery document, unchanged";
        Row::failure("discovery_members", format!("missing: {}", missing.join(", ")), expected, fix)
    }
}

fn key_set_address(url: &IssuerUrl, jwks_uri: Option<&str>) -> Row {
    let expected = "`jwks_uri` is on the issuer's host, with https";
    let fix = "serve the issuer's own discovery document, unchanged";
    let Some(uri) = jwks_uri else { return Row::failure("discovery_jwks_uri", "no `jwks_uri`", expected, fix) };
    let authority = |url: &str| {
        let rest = url.strip_prefix("https://")?;
        Some(rest.split('/').next().unwrap_or_default().to_owned())
    };
    if authority(uri).is_some() && authority(uri) == authority(url.as_str()) {
        Row::good("discovery_jwks_uri", uri, expected)
    } else {
        Row::failure("discovery_jwks_uri", uri, expected, fix)
    }
}

/// What the key set says.
pub(super) struct KeySet {
    pub rows: Vec<Row>,
    /// The keys' ids.
    pub kids: Vec<String>,
}

pub(super) fn jwks(answer: &Result<Fetched, String>) -> KeySet {
    let (row, document) = received("jwks", answer);
    let mut rows = vec![row];
    let keys = document.as_ref().and_then(|document| document.get("keys")).and_then(Value::as_array);
    let (Some(keys), Ok(answer)) = (keys, answer) else {
        let why = if document.is_some() { "it has no array `keys`" } else { "there is no key set" };
        let fix = "serve the issuer's own key set, unchanged";
        rows.push(Row::failure("jwks_keys", why, "a key set with one key at least", fix));
        return KeySet { rows, kids: vec![] };
    };
    let kids: Vec<String> = keys.iter().filter_map(|key| key["kid"].as_str()).map(str::to_owned).collect();
    rows.push(usable_keys(keys));
    rows.push(no_private_members(keys));
    rows.push(unique_kids(keys.len(), &kids));
    rows.push(caching(answer));
    KeySet { rows, kids }
}

fn usable_keys(keys: &[Value]) -> Row {
    let expected = "one key at least, each for signatures with RS or ES 256, 384 or 512; 100 of a type at most";
    let fix = "`tagmint keys list`; serve the issuer's own key set, unchanged";
    let mut wrong = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let name = key["kid"].as_str().map_or_else(|| format!("key {index}"), |kid| format!("`{kid}`"));
        let kind = key["kty"].as_str().unwrap_or_default();
        if !matches!(kind, "RSA" | "EC") {
            wrong.push(format!("{name} is of the type `{kind}`"));
        }
        if key["alg"].as_str().is_some_and(|alg| !ALGORITHMS.contains(&alg)) {
            wrong.push(format!("{name} is for {}", key["alg"]));
        }
        if key["use"].as_str().is_some_and(|used| used != "sig") || key.get("key_ops").is_some() {
            wrong.push(format!("{name} is not for signatures alone (`use`, `key_ops`): STS takes no such key"));
        }
    }
    for kind in ["RSA", "EC"] {
        let count = keys.iter().filter(|key| key["kty"] == kind).count();
        if count > MOST_KEYS {
            wrong.push(format!("{count} keys of the type {kind}"));
        }
    }
    if keys.is_empty() {
        Row::failure("jwks_keys", "no key", expected, fix)
    } else if wrong.is_empty() {
        let shown: BTreeSet<String> = keys.iter().filter_map(|key| key["alg"].as_str()).map(str::to_owned).collect();
        let shown: Vec<String> = shown.into_iter().collect();
        Row::good("jwks_keys", format!("{} ({})", keys.len(), shown.join(", ")), expected)
    } else {
        Row::failure("jwks_keys", wrong.join("; "), expected, fix)
    }
}

fn no_private_members(keys: &[Value]) -> Row {
    let expected = "public members alone";
    let found: BTreeSet<&str> =
        PRIVATE.into_iter().filter(|name| keys.iter().any(|key| key.get(*name).is_some())).collect();
    if found.is_empty() {
        return Row::good("jwks_private", "none is private", expected);
    }
    let found: Vec<&str> = found.into_iter().collect();
    let fix = "A PRIVATE KEY IS PUBLIC: `tagmint keys withdraw KID --compromised` now, then find who serves this";
    Row::failure("jwks_private", format!("private members: {}", found.join(", ")), expected, fix)
}

fn unique_kids(count: usize, kids: &[String]) -> Row {
    let expected = "each key has a `kid` of its own";
    let fix = "serve the issuer's own key set, unchanged: of two keys with one `kid` STS takes the last";
    let unique: BTreeSet<&String> = kids.iter().collect();
    if kids.len() < count {
        Row::failure("jwks_kids", format!("{} of {count} keys have no `kid`", count - kids.len()), expected, fix)
    } else if unique.len() < kids.len() {
        Row::failure("jwks_kids", format!("{} of {count} are there twice", kids.len() - unique.len()), expected, fix)
    } else {
        Row::good("jwks_kids", kids.join(", "), expected)
    }
}

fn caching(answer: &Fetched) -> Row {
    let expected = "`Cache-Control` with a `max-age`, and an `ETag`";
    let control = answer.header(header::CACHE_CONTROL).unwrap_or_default();
    let etag = answer.header(header::ETAG);
    let seen = format!("`{control}`, {}", etag.unwrap_or("no ETag"));
    if control.contains("max-age=") && !control.contains("no-store") && etag.is_some() {
        Row::good("jwks_caching", seen, expected)
    } else {
        let fix = "pass the issuer's own headers on: without them caches keep old keys for as long as they like";
        Row::warning("jwks_caching", seen, expected, fix)
    }
}

/// Whether the answer is a document that STS reads, and its members.
fn received(check: &'static str, answer: &Result<Fetched, String>) -> (Row, Option<Map<String, Value>>) {
    let expected = "200 directly, with a JSON object of type application/json";
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let fix = "look at the issuer's log, and at the proxy before it";
            return (Row::failure(check, error.clone(), expected, fix), None);
        }
    };
    if answer.status.is_redirection() {
        let to = answer.header(header::LOCATION).unwrap_or("nowhere");
        let seen = format!("{}, to {to}", answer.status);
        return (
            Row::failure(check, seen, expected, "serve the document at its own address: STS follows no redirect"),
            None,
        );
    }
    if answer.status != http::StatusCode::OK {
        let fix = "look at the issuer's log, and at the proxy before it";
        return (Row::failure(check, answer.status.to_string(), expected, fix), None);
    }
    let document = match json::parse(&answer.body) {
        Ok(Value::Object(document)) => document,
        Ok(_) => {
            return (Row::failure(check, "JSON, but no object", expected, "serve the issuer's own document"), None);
        }
        Err(error) => {
            return (
                Row::failure(check, format!("not JSON: {error}"), expected, "serve the issuer's own document"),
                None,
            );
        }
    };
    let media_type = answer.header(header::CONTENT_TYPE).unwrap_or("no content type");
    let seen = format!("200, {media_type}, {} bytes", answer.body.len());
    let plain = media_type.split(';').next().unwrap_or_default().trim();
    let row = if answer.body.len() > LARGE {
        Row::warning(check, seen, expected, "a document of this size is hardly meant")
    } else if plain == "application/json" || plain == "application/jwk-set+json" {
        Row::good(check, seen, expected)
    } else {
        Row::warning(check, seen, expected, "pass the issuer's own headers on")
    };
    (row, Some(document))
}

/// Whether HTTP/1.1 is spoken.
pub(super) fn http1(answer: &Result<Fetched, String>) -> Row {
    let expected = "HTTP/1.1 is spoken";
    match answer {
        Ok(answer) if answer.version == Version::HTTP_11 => Row::good("http_1_1", "spoken", expected),
        Ok(answer) => {
            Row::failure("http_1_1", format!("{:?}", answer.version), expected, "let the proxy speak HTTP/1.1")
        }
        Err(_) => Row::skipped("http_1_1", "no document could be fetched"),
    }
}
