mod acme;
mod alarms;
mod anonymous_minting;
mod aws;
mod aws_render;
mod ci_rules;
mod limits;
mod listen;
mod outbound;
mod rules;
mod trusted_issuer;
mod witness;

use std::{fmt::Write, path::Path};

use tagmint_core::signing_key::Algorithm;

use super::*;

const GOOD: &str = r#"
environment = "test"
issuer = "https://broker.example.org"
[listen]
public = "0.0.0.0:8443"
[tls]
mode = "files"
certificate = "tls/chain.pem"
key = "/etc/tls/key.pem"
[database]
path = "tagmint.db"
[keys]
key_file = "key"
[session_backend]
url = "https://backend.example.org/base"
[[rule]]
name = "wallet"
from = "session"
subject = "wallet:${sub}"
[rule.tags]
wallet = "${sub}"
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("/etc/tagmint/tagmint.toml"))
}

/// The problems of the good configuration after replacing parts of it.
fn problems(changes: &[(&str, &str)]) -> String {
    let mut text = GOOD.to_owned();
    for (old, new) in changes {
        assert!(text.contains(old), "{old}");
        text = text.replacen(old, new, 1);
    }
    parse(&text).expect_err("a problem was expected").to_string()
}

#[test]
fn a_good_configuration_becomes_settings() {
    let config = parse(GOOD).unwrap();
    assert_eq!(config.settings.stamp.issuer.as_str(), "https://broker.example.org");
    assert_eq!(config.environment(), Environment::Test);
    let certificate = "/etc/tagmint/tls/chain.pem".into();
    assert_eq!(config.tls, Tls::Files { certificate, key: "/etc/tls/key.pem".into() });
    assert_eq!(config.database, Path::new("/etc/tagmint/tagmint.db"));
    assert_eq!(config.key_file, SecretSource::File("/etc/tagmint/key".into()));
    assert_eq!(config.admin.to_string(), "127.0.0.1:9464");
    let rotation = config.settings.rotation;
    assert_eq!(rotation.algorithm, Algorithm::Es256);
    assert_eq!(rotation.propagation.as_secs(), 30);
    assert_eq!((rotation.rotate_every.as_hours(), rotation.publish_ahead.as_hours()), (720, 24));
    assert_eq!(config.settings.key_refresh, Duration::from_secs(10));
    assert!(config.settings.optional_claims.roles && config.settings.optional_claims.source_identity);
    assert_eq!(config.settings.limits.per_address, tagmint_server::settings::Limits::default().per_address);
    assert_eq!(config.rules.names().map(ToString::to_string).collect::<Vec<_>>(), ["wallet"]);
    let pinned = GOOD.replace("[rule.tags]", "role = \"arn:aws:iam::111122223333:role/data-test\"\n[rule.tags]");
    assert_eq!(parse(&pinned).unwrap().warnings, Vec::<String>::new());
}

#[test]
fn what_is_allowed_but_hardly_meant_is_warned_of() {
    let text = GOOD
        .replace("[listen]", "[listen]\nadmin = \"0.0.0.0:1\"\nadmin_anywhere = true")
        .replace("https://broker.example.org", "https://localhost:8443")
        .replace("[session_backend]\nurl = \"https://backend.example.org/base\"", "");
    let unpinned = parse(&text).unwrap().warnings;
    assert!(unpinned.iter().any(|warning| warning.starts_with("the rule `wallet` names no `role`")), "{unpinned:?}");
    let proxied = GOOD.replace("0.0.0.0:8443", "127.0.0.1:8443").replace("\"files\"", "\"proxy\"");
    let proxied = proxied.replace("certificate = \"tls/chain.pem\"\nkey = \"/etc/tls/key.pem\"\n", "");
    let one = "all callers look like one";
    assert!(parse(&proxied).unwrap().warnings.iter().any(|warning| warning.contains(one)));
    let named = proxied.replace("\"proxy\"", "\"proxy\"\ntrusted_proxies = [\"127.0.0.1\"]");
    assert!(!parse(&named).unwrap().warnings.iter().any(|warning| warning.contains(one)));
    let (text, _) = text.split_once("[[rule]]").unwrap();
    insta::assert_snapshot!(parse(text).unwrap().warnings.join("\n"), @r"
    there is no [[rule]]: no rule, no token
    `listen.admin_anywhere` is set: whoever reaches that address reads the metrics
    the issuer https://localhost:8443 is this machine: AWS cannot register it
    there is no [session_backend]: the issuer opens no sessions and serves bearers and CI jobs alone
    ");
}

#[test]
fn every_kind_of_bad_input_is_named() {
    let public = "public = \"0.0.0.0:8443\"";
    let files = "mode = \"files\"\ncertificate = \"tls/chain.pem\"\nkey = \"/etc/tls/key.pem\"";
    let backend = "url = \"https://backend.example.org/base\"";
    let keys = "key_file = \"key\"";
    let tags = "wallet = \"${sub}\"";
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("not TOML", &[("[listen]", "[listen")]),
        ("unknown key, near", &[(public, "publik = \"0.0.0.0:8443\"")]),
        ("unknown key, far", &[(public, "zzz = 1")]),
        ("unknown table", &[("[listen]", "[listn]")]),
        ("unknown key in a rule's tag", &[(tags, "wallet = { opn = true }")]),
        ("missing keys", &[("environment = \"test\"\nissuer = \"https://broker.example.org\"", ""), (keys, "")]),
        ("missing table", &[("[database]\npath = \"tagmint.db\"", "")]),
        ("missing key of a rule", &[("subject = \"wallet:${sub}\"\n", "")]),
        ("wrong types", &[(public, "public = 8443\nadmin_anywhere = \"yes\""), (keys, "key_file = [\"key\"]")]),
        ("wrong type of a lifetime", &[("[rule.tags]", "lifetime = 1.5\n[rule.tags]")]),
        (
            "a value outside the set",
            &[("\"test\"", "\"staging\""), (keys, "key_file = \"key\"\nalgorithm = \"HS256\"")],
        ),
        ("a negative number", &[(backend, "url = \"https://a.example\"\n[limits]\nbody_bytes = -1")]),
        (
            "a number out of bounds",
            &[(backend, "url = \"https://a.example\"\n[limits]\nbody_bytes = 5\nheader_bytes = 5")],
        ),
        (
            "a rate that lets nothing through",
            &[(backend, "url = \"https://a.example\"\n[limits]\nper_address = { per_second = 1, burst = 0 }")],
        ),
        ("issuer", &[("https://broker.example.org", "http://broker.example.org/")]),
        (
            "loopback issuer in prod",
            &[("\"test\"", "\"prod\""), ("https://broker.example.org", "https://localhost:8443")],
        ),
        ("addresses", &[(public, "public = \"8443\"\nadmin = \"localhost:1\"")]),
        ("admin from outside", &[(public, "admin = \"0.0.0.0:9464\"")]),
        ("one address twice", &[(public, "public = \"127.0.0.1:9464\"")]),
        ("proxy that is reached from outside", &[(files, "mode = \"proxy\"")]),
        ("proxy with a certificate", &[(public, "public = \"127.0.0.1:1\""), ("\"files\"", "\"proxy\"")]),
        (
            "files without certificate",
            &[(
                "certificate = \"tls/chain.pem\"\nkey = \"/etc/tls/key.pem\"",
                "trusted_proxies = [\"::1\", \"nginx\"]",
            )],
        ),
        ("credential name", &[(keys, "key_file = \"credential:../key\"")]),
        ("no duration", &[(keys, "key_file = \"key\"\nrotate_every = \"monthly\"\nrefresh = \"-1s\"")]),
        ("duration out of bounds", &[(keys, "key_file = \"key\"\nrotate_every = \"5m\"\nrefresh = \"1h\"")]),
        ("published too late", &[(keys, "key_file = \"key\"\npublish_ahead = \"1h\"")]),
        ("rotated before published", &[(keys, "key_file = \"key\"\npublish_ahead = \"40d\"")]),
        (
            "key set cached too long",
            &[("[session_backend]", "[jwks]\nmax_age = \"2d\"\n[session]\nlifetime = \"1s\"\n[session_backend]")],
        ),
        ("backend in clear", &[(backend, "url = \"http://backend.example.org\"")]),
        ("backend in clear, prod", &[("\"test\"", "\"prod\""), (backend, "url = \"http://127.0.0.1:1\"")]),
        ("backend with a password", &[(backend, "url = \"https://user:password@backend.example.org\"")]),
        ("backend with a query", &[(backend, "url = \"https://backend.example.org/?a=b\"")]),
        ("no backend URL", &[(backend, "url = \"backend\"\ntimeout = \"5h\"")]),
        ("log", &[("[session_backend]", "[log]\nlevel = \"info,=x=\"\n[session_backend]")]),
        ("log format", &[("[session_backend]", "[log]\nformat = \"xml\"\n[session_backend]")]),
        ("rule", &[("\"wallet:${sub}\"", "\"${subjct +}\""), ("\"session\"", "\"sesion\"")]),
    ];
    let mut all = String::new();
    for (title, changes) in cases {
        writeln!(all, "# {title}\n{}\n", problems(changes)).unwrap();
    }
    insta::assert_snapshot!(all);
}

#[test]
fn plain_http_to_a_loopback_backend_is_for_test_alone() {
    for url in ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1/x"] {
        let text = GOOD.replace("https://backend.example.org/base", url);
        assert_eq!(parse(&text).unwrap().session_backend.unwrap().url, url);
        assert!(parse(&text.replace("\"test\"", "\"prod\"")).is_err(), "{url}");
    }
}

#[test]
fn a_backends_password_is_not_repeated() {
    let message = problems(&[("https://backend.example.org/base", "https://user:hunter22@backend.example.org")]);
    assert!(!message.contains("hunter22"), "{message}");
}

#[test]
fn the_examples_are_good() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/examples"));
    for (name, environment) in [("test.toml", Environment::Test), ("prod.toml", Environment::Prod)] {
        let file = folder.join(name);
        let config = Config::load(&file).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.environment(), environment, "{name}");
        assert_eq!(config.warnings, Vec::<String>::new(), "{name}");
    }
}
