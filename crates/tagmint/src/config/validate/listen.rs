//! Where the issuer listens.

use std::{net::SocketAddr, path::Path};

use tagmint_core::issuer::IssuerUrl;

use super::{Check, tls::is_dns_name};
use crate::config::{
    ListenOn, Tls, UnixSocket,
    problem::shortened,
    raw::{RawListen, RawTlsMode},
};

/// How a unix socket begins.
const UNIX: &str = "unix:";
/// The longest path of a unix socket, in bytes (unix(7)).
const LONGEST_PATH: usize = 107;

/// Whether the text means a unix socket.
pub(super) fn is_unix(text: &str) -> bool {
    text.starts_with(UNIX)
}

impl Check<'_> {
    pub(super) fn listen(&mut self, raw: &RawListen, mode: RawTlsMode) -> (Option<ListenOn>, Option<SocketAddr>) {
        let public = match raw.public.strip_prefix(UNIX) {
            Some(path) => self.unix_socket(raw, path, mode).map(ListenOn::Unix),
            None => self.address("listen.public", &raw.public).map(ListenOn::Tcp),
        };
        let admin = self.address("listen.admin", &raw.admin);
        if let Some(ListenOn::Tcp(public)) = &public {
            if mode == RawTlsMode::Proxy && !public.ip().is_loopback() {
                self.problem(
                    "listen.public",
                    format!("`{public}` is reached from outside, and with `tls.mode = \"proxy\"` it speaks plain HTTP: use a loopback address or `unix:/PATH`"),
                );
            }
            if raw.socket_group.is_some() {
                self.problem("listen.socket_group", "is of no use: `listen.public` is no unix socket; remove it");
            }
        }
        if let Some(admin) = admin.filter(|admin| !admin.ip().is_loopback() && !raw.admin_anywhere) {
            self.problem(
                "listen.admin",
                format!("`{admin}` is reached from outside: use a loopback address, or say `admin_anywhere = true`"),
            );
        }
        if let Some(admin) = admin.filter(|admin| public == Some(ListenOn::Tcp(*admin)) && admin.port() != 0) {
            self.problem("listen.admin", format!("`{admin}` is the public address too: use another port"));
        }
        (public, admin)
    }

    /// The names by which requests may call the issuer.
    pub(super) fn hosts(&mut self, raw: &RawListen, issuer: Option<&IssuerUrl>, tls: Option<&Tls>) -> Vec<String> {
        let mut hosts: Vec<String> = issuer.map(|issuer| issuer.host().to_owned()).into_iter().collect();
        if let Some(Tls::Acme(acme)) = tls {
            hosts.extend(acme.names.iter().skip(1).cloned());
        }
        for (index, name) in raw.names.iter().enumerate() {
            if is_dns_name(name) {
                hosts.push(name.clone());
            } else {
                let name = shortened(name);
                self.problem(
                    &format!("listen.names[{index}]"),
                    format!("`{name}` is not a DNS name in lower case; addresses and `localhost` need not be named"),
                );
            }
        }
        hosts
    }

    pub(super) fn address(&mut self, path: &str, text: &str) -> Option<SocketAddr> {
        let address = text.parse().ok();
        if address.is_none() {
            let text = shortened(text);
            self.problem(path, format!("`{text}` is not an address and port such as `127.0.0.1:8443` or `[::]:8443`"));
        }
        address
    }

    fn unix_socket(&mut self, raw: &RawListen, path: &str, mode: RawTlsMode) -> Option<UnixSocket> {
        let before = self.problems.len();
        let shown = shortened(path);
        if mode != RawTlsMode::Proxy {
            self.problem("listen.public", "a unix socket is for a proxy: it needs `tls.mode = \"proxy\"`");
        }
        if !Path::new(path).is_absolute() {
            self.problem(
                "listen.public",
                format!("`{UNIX}{shown}` is no full path such as `unix:/run/tagmint/prod.sock`"),
            );
        } else if path.len() > LONGEST_PATH {
            self.problem(
                "listen.public",
                format!("the path `{shown}` has {} bytes; {LONGEST_PATH} are the most for a unix socket", path.len()),
            );
        }
        let bits = u32::from_str_radix(&raw.socket_mode, 8).ok().filter(|bits| *bits <= 0o777 && bits & 0o600 == 0o600);
        if bits.is_none() {
            let text = shortened(&raw.socket_mode);
            self.problem(
                "listen.socket_mode",
                format!("`{text}` is no mode that lets the owner read and write; `0600`, `0660` and `0666` are some"),
            );
        }
        if raw.socket_group.as_deref() == Some("") {
            self.problem("listen.socket_group", "is empty: name a group, or remove it");
        }
        if self.problems.len() > before {
            return None;
        }
        Some(UnixSocket { path: path.into(), mode: bits?, group: raw.socket_group.clone() })
    }
}
