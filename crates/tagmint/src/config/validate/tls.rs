//! Who ends TLS.

use std::net::IpAddr;

use super::Check;
use crate::config::{
    Tls,
    problem::shortened,
    raw::{RawTls, RawTlsMode},
};

impl Check<'_> {
    pub(super) fn tls(&mut self, raw: &RawTls) -> Option<Tls> {
        let given = [("tls.certificate", &raw.certificate), ("tls.key", &raw.key)];
        match raw.mode {
            RawTlsMode::Proxy => {
                for (path, value) in given {
                    if value.is_some() {
                        self.problem(
                            path,
                            "is of no use with `tls.mode = \"proxy\"`: the proxy has the certificate; remove it",
                        );
                    }
                }
                Some(Tls::Proxy)
            }
            RawTlsMode::Files => {
                for (path, value) in given {
                    if value.is_none() {
                        self.problem(path, "is missing; `tls.mode = \"files\"` needs it");
                    }
                }
                let (certificate, key) = raw.certificate.as_ref().zip(raw.key.as_ref())?;
                Some(Tls::Files { certificate: self.path(certificate), key: self.path(key) })
            }
        }
    }

    pub(super) fn proxies(&mut self, texts: &[String]) -> Vec<IpAddr> {
        let mut proxies = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let Ok(address) = text.parse::<IpAddr>() else {
                let text = shortened(text);
                let path = format!("tls.trusted_proxies[{index}]");
                self.problem(&path, format!("`{text}` is not an IP address such as `127.0.0.1`"));
                continue;
            };
            proxies.push(address.to_canonical());
        }
        proxies
    }
}
