//! The issuer's own requests, as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the issuer's own requests leave this machine: for the keys of platforms, to the session backend, to STS, to the ACME server, to
/// webhooks and SNS (docs/operating.md).
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawOutbound {
    /// The HTTP proxy that they go through, `http://HOST:PORT` or `https://HOST:PORT`; `none`: all go directly. Default: what the
    /// environment says, in `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`. A proxy that wants a user and a password is named in the
    /// environment alone. This machine is always asked directly.
    #[schemars(example = "http://proxy.example.org:3128")]
    pub proxy: Option<String>,
    /// What is asked directly although `proxy` names one: hosts, domains with what is below them, networks; each may have a port.
    #[schemars(example = ["10.0.0.0/8", ".corp.example"])]
    pub no_proxy: Vec<String>,
}
