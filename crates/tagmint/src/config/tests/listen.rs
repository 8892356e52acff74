use std::path::Path;

use super::{GOOD, problems};
use crate::config::{Config, ListenOn, UnixSocket};

const FILES: &str = "mode = \"files\"\ncertificate = \"tls/chain.pem\"\nkey = \"/etc/tls/key.pem\"";
const PROXY: &str = "mode = \"proxy\"";
const PUBLIC: &str = "public = \"0.0.0.0:8443\"";

fn behind_a_proxy(listen: &str) -> Result<Config, super::ConfigError> {
    let text = GOOD.replace(FILES, PROXY).replace(PUBLIC, listen);
    Config::parse(&text, Path::new("/etc/tagmint/tagmint.toml"))
}

#[test]
fn a_unix_socket_is_for_a_proxy_which_needs_no_address_then() {
    let config = behind_a_proxy("public = \"unix:/run/tagmint/prod.sock\"\nsocket_group = \"www-data\"").unwrap();
    let group = Some("www-data".to_owned());
    let socket = UnixSocket { path: "/run/tagmint/prod.sock".into(), mode: 0o660, group };
    assert_eq!(config.public, ListenOn::Unix(socket));
    assert_eq!(config.public.to_string(), "unix:/run/tagmint/prod.sock");
    assert!(!config.warnings.iter().any(|warning| warning.contains("trusted_proxies")), "{:?}", config.warnings);
    let config = behind_a_proxy("public = \"127.0.0.1:8080\"").unwrap();
    assert!(config.warnings.iter().any(|warning| warning.contains("trusted_proxies")), "{:?}", config.warnings);
}

#[test]
fn what_is_wrong_with_a_unix_socket_is_named() {
    let unix = "public = \"unix:/run/tagmint/prod.sock\"";
    let said = problems(&[(PUBLIC, unix)]);
    assert!(said.contains("`listen.public`: a unix socket is for a proxy"), "{said}");
    let long = format!("public = \"unix:/{}\"", "x".repeat(120));
    for (listen, expected) in [
        ("public = \"unix:run/prod.sock\"", "`listen.public`: `unix:run/prod.sock` is no full path"),
        (long.as_str(), "has 121 bytes; 107 are the most"),
        (&format!("{unix}\nsocket_mode = \"0999\""), "`listen.socket_mode`: `0999` is no mode"),
        (&format!("{unix}\nsocket_mode = \"0060\""), "`listen.socket_mode`: `0060` is no mode"),
        (&format!("{unix}\nsocket_group = \"\""), "`listen.socket_group`: is empty"),
        ("public = \"127.0.0.1:8080\"\nsocket_group = \"x\"", "`listen.socket_group`: is of no use"),
        ("public = \"0.0.0.0:8080\"", "use a loopback address or `unix:/PATH`"),
    ] {
        let said = behind_a_proxy(listen).unwrap_err().to_string();
        assert!(said.contains(expected), "{expected} in {said}");
    }
}

#[test]
fn the_names_by_which_it_may_be_called() {
    let config = behind_a_proxy("public = \"127.0.0.1:8080\"\nnames = [\"origin.example\"]").unwrap();
    assert_eq!(config.settings.hosts, [config.settings.stamp.issuer.host(), "origin.example"]);
    for wrong in ["127.0.0.1", "Origin.example", "*.example.org", "https://origin.example", "origin.example:443", ""] {
        let said = problems(&[(PUBLIC, &format!("{PUBLIC}\nnames = [\"a.example\", \"{wrong}\"]"))]);
        assert!(said.contains(&format!("`listen.names[1]`: `{wrong}` is not a DNS name")), "{said}");
    }
}
