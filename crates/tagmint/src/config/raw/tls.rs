//! TLS, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PathText;

/// How TLS is done.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTls {
    /// Who ends TLS.
    pub mode: RawTlsMode,
    /// The certificate chain, PEM, the server's certificate first. Needed with `mode = "files"`. A change is taken
    /// up within some ten seconds, or at once on SIGHUP.
    #[schemars(example = "/etc/tagmint/tls/fullchain.pem")]
    pub certificate: Option<PathText>,
    /// Its private key, PEM. Others must not be able to read it. Needed with `mode = "files"`.
    #[schemars(example = "/etc/tagmint/tls/privkey.pem")]
    pub key: Option<PathText>,
    /// How certificates are ordered. Needed with `mode = "acme"`.
    pub acme: Option<RawAcme>,
    /// Proxies whose `X-Forwarded-For` is believed: addresses, or networks in CIDR form. From anybody else the header is ignored. Not
    /// needed for a proxy that comes over the unix socket.
    #[serde(default)]
    #[schemars(example = ["127.0.0.1", "10.0.0.0/8"])]
    pub trusted_proxies: Vec<String>,
}

/// Who ends TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum RawTlsMode {
    /// Tagmint, with `certificate` and `key`.
    Files,
    /// Tagmint, with certificates that it orders and renews by itself, as `[tls.acme]` says.
    Acme,
    /// A proxy on this machine; Tagmint speaks plain HTTP on a loopback address or a unix socket.
    Proxy,
}

/// How certificates are ordered from an ACME server such as Let's Encrypt. It validates over port 80 (HTTP-01).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAcme {
    /// The directory URL of the ACME server. Try with Let's Encrypt's staging server first:
    /// `https://acme-staging-v02.api.letsencrypt.org/directory`; its certificates are trusted by nobody, its rate limits are wide.
    #[serde(default = "default_directory")]
    pub directory: String,
    /// Where the ACME server's operator may write to: `mailto:` addresses. Let's Encrypt keeps none and sends no warnings.
    #[serde(default)]
    #[schemars(example = ["mailto:ops@example.org"])]
    pub contact: Vec<String>,
    /// That you agree to the terms of service of the ACME server. Must be `true`.
    #[serde(default)]
    pub terms_of_service_agreed: bool,
    /// More DNS names for the certificate, beside the issuer's host. Each is validated, so each must lead to this issuer.
    #[serde(default)]
    pub names: Vec<String>,
    /// The profile of the certificate, where the server offers several. With Let's Encrypt: `classic` (90 days and less over the
    /// years), `tlsserver`, `shortlived` (6 days). Default: the server's choice.
    pub profile: Option<String>,
    /// Where challenges are answered. The ACME server asks on port 80; anything else is for a port forward, or for tests. Everything
    /// but challenges is redirected to the issuer's host over `https`.
    #[serde(default = "default_http_listen")]
    pub http_listen: String,
    /// A PEM file with certificates to trust at the ACME server beside the system's: for a CA of your own.
    #[schemars(example = "/etc/tagmint/acme-ca.pem")]
    pub ca_file: Option<PathText>,
    /// What ties the account to a customer (RFC 8555 §7.3.4), for servers that want it. Let's Encrypt does not.
    pub eab: Option<RawEab>,
}

/// What ties an ACME account to a customer of the CA.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawEab {
    /// The key's id, as the CA gave it.
    pub kid: String,
    /// The file with the HMAC key, in base64url as the CA gave it, readable by its owner alone. `credential:NAME` takes the systemd
    /// credential of that name.
    #[schemars(example = "credential:tagmint-eab")]
    pub hmac_key_file: PathText,
}

fn default_directory() -> String {
    "https://acme-v02.api.letsencrypt.org/directory".to_owned()
}

fn default_http_listen() -> String {
    "0.0.0.0:80".to_owned()
}
