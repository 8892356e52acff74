//! The configuration of a local issuer.

use std::net::SocketAddr;

use tagmint_core::signing_key::Algorithm;

use super::{AUDIENCE, OTHER_AUDIENCE, ROLE_ARN, WALLET_TAG};
use crate::generate::{Document, Item, RuleText, table};

/// Where a local issuer and what it needs listen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) public: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) backend: SocketAddr,
}

/// Everything but the rules. The database belongs to one URL, so its name has the port.
pub(super) fn settings(addresses: Addresses, algorithm: Algorithm) -> String {
    let port = addresses.public.port();
    let no_limit = || table([("per_second", 0), ("burst", 0)]);
    let mut document = Document::default();
    document.comment("The configuration of a local issuer, written by `tagmint dev`.").blank();
    document.set("environment", "test").set("issuer", format!("https://localhost:{port}"));
    document.table("listen").set("public", addresses.public.to_string()).set("admin", addresses.admin.to_string());
    document.table("tls").set("mode", "files").set("certificate", "server.pem").set("key", "server-key.pem");
    document.table("database").set("path", format!("issuer-{port}.db"));
    document
        .table("keys")
        .set("key_file", "key")
        .set("algorithm", algorithm.to_string())
        .comment("Short, so that a rotation can be watched.")
        .set("publish_ahead", "2m")
        .set("refresh", "2s");
    document
        .table("jwks")
        .set("max_age", "60s")
        .comment("Ceph RGW takes no key without a certificate.")
        .set("x5c", true);
    document.table("session_backend").set("url", format!("http://{}", addresses.backend));
    document.table("session").set("lifetime", "12h");
    document
        .table("limits")
        .comment("0: no limit, so that load tests see the issuer and not its limits. Real issuers keep the defaults.")
        .set("per_credential", no_limit())
        .set("per_address", no_limit())
        .set("shutdown_grace", "5s");
    document.table("log").set("format", "text").blank();
    document.finish()
}

/// The rules of a new local issuer.
pub(super) fn rules() -> String {
    let mut document = Document::default();
    document.rule(&wallet()).rule(&ci());
    document.finish()
}

fn wallet() -> RuleText {
    RuleText {
        comment: Some(
            "A session may have a token for its own wallet's prefix. The second audience is for relying parties of your own; AWS refuses it."
                .to_owned(),
        ),
        name: "wallet".to_owned(),
        description: "A wallet reads and writes below its own prefix.".to_owned(),
        from: "session".to_owned(),
        when: Some(r#"sub.matches("^0x[0-9a-f]{40}$")"#.to_owned()),
        subject: "wallet:${sub}".to_owned(),
        audiences: vec![AUDIENCE.to_owned(), OTHER_AUDIENCE.to_owned()],
        role: ROLE_ARN.to_owned(),
        max_lifetime: Some("15m".to_owned()),
        transitive: vec![WALLET_TAG.to_owned()],
        tags: vec![(WALLET_TAG.to_owned(), "${sub}".into())],
        ..RuleText::default()
    }
}

fn ci() -> RuleText {
    let below_own_name = table([("matches", r#"value == sub || value.startsWith(sub + "/")"#), ("default", "${sub}")]);
    RuleText {
        comment: Some("A bearer chooses a prefix below its own name, and names its run.".to_owned()),
        name: "ci".to_owned(),
        description: "CI works below a prefix of its own.".to_owned(),
        from: "bearer".to_owned(),
        subject: "bearer:${sub}".to_owned(),
        role: ROLE_ARN.to_owned(),
        max_lifetime: Some("15m".to_owned()),
        transitive: vec!["prefix".to_owned()],
        tags: vec![("prefix".to_owned(), below_own_name), ("run".to_owned(), open())],
        ..RuleText::default()
    }
}

fn open() -> Item {
    table([("open", true)])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{config::Config, local::ROLE_NAME};

    #[test]
    fn the_configuration_is_good_and_its_rules_are_those_of_the_demo() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let addresses = Addresses { public: at(8443), admin: at(9464), backend: at(9500) };
        let text = settings(addresses, Algorithm::Es256) + &rules();
        let config =
            Config::parse(&text, Path::new("/dev/tagmint.toml")).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(config.rules.names().map(ToString::to_string).collect::<Vec<_>>(), ["wallet", "ci"]);
        assert_eq!(config.rules.tag_keys(), [WALLET_TAG, "prefix", "run"]);
        assert_eq!(config.database, Path::new("/dev/issuer-8443.db"));
        assert!(ROLE_ARN.ends_with(&format!(":role/{ROLE_NAME}")));
        for named in [OTHER_AUDIENCE, ROLE_ARN, WALLET_TAG] {
            assert!(text.contains(&format!("\"{named}\"")), "{named}");
        }
    }
}
