//! Who ends TLS.

use std::net::{IpAddr, SocketAddr};

use tagmint_core::{environment::Environment, issuer::IssuerUrl, witness::Networks};

use super::{Check, backend::check_service_url};
use crate::config::{
    AcmeConfig, EabConfig, Tls,
    problem::shortened,
    raw::{RawAcme, RawEab, RawTls, RawTlsMode},
};

/// The most names of a certificate: Let's Encrypt's most with most profiles.
const MOST_NAMES: usize = 25;

/// Whether it is a DNS name in lower case: what an issuer's host may be, and is no address.
pub(super) fn is_dns_name(name: &str) -> bool {
    let is_host = IssuerUrl::parse(&format!("https://{name}")).is_ok_and(|url| url.host() == name);
    is_host && name.parse::<IpAddr>().is_err()
}

impl Check<'_> {
    pub(super) fn tls(&mut self, raw: &RawTls, issuer: Option<&IssuerUrl>, environment: Environment) -> Option<Tls> {
        let given = [("tls.certificate", &raw.certificate), ("tls.key", &raw.key)];
        if raw.acme.is_some() && raw.mode != RawTlsMode::Acme {
            self.problem("tls.acme", "is of no use without `tls.mode = \"acme\"`: set that, or remove it");
        }
        match raw.mode {
            RawTlsMode::Acme => {
                for (path, value) in given {
                    if value.is_some() {
                        self.problem(
                            path,
                            "is of no use with `tls.mode = \"acme\"`: certificates are ordered; remove it",
                        );
                    }
                }
                let Some(acme) = &raw.acme else {
                    self.problem("tls.acme", "is missing; `tls.mode = \"acme\"` needs it");
                    return None;
                };
                self.acme(acme, issuer, environment).map(|acme| Tls::Acme(Box::new(acme)))
            }
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

    fn acme(&mut self, raw: &RawAcme, issuer: Option<&IssuerUrl>, environment: Environment) -> Option<AcmeConfig> {
        let before = self.problems.len();
        if let Err(message) = check_service_url(&raw.directory, environment) {
            let shown = if raw.directory.contains(['@', '?']) {
                "the URL".to_owned()
            } else {
                format!("`{}`", shortened(&raw.directory))
            };
            self.problem("tls.acme.directory", format!("{shown} {message}"));
        }
        if !raw.terms_of_service_agreed {
            self.problem(
                "tls.acme.terms_of_service_agreed",
                "is not `true`: read the terms of service of the ACME server and set it; nothing is ordered without",
            );
        }
        for (index, contact) in raw.contact.iter().enumerate() {
            let address = contact.strip_prefix("mailto:").unwrap_or_default();
            let plain = |c: char| c.is_ascii_graphic() && !",?;<>".contains(c);
            if !address.contains('@') || !address.chars().all(plain) {
                let contact = shortened(contact);
                self.problem(
                    &format!("tls.acme.contact[{index}]"),
                    format!("`{contact}` is not an address such as `mailto:ops@example.org`"),
                );
            }
        }
        let mut names: Vec<String> = issuer.map(|issuer| issuer.host().to_owned()).into_iter().collect();
        for (index, name) in raw.names.iter().enumerate() {
            if !is_dns_name(name) {
                let name = shortened(name);
                let path = format!("tls.acme.names[{index}]");
                self.problem(
                    &path,
                    format!("`{name}` is not a DNS name in lower case; wildcards cannot be validated over port 80"),
                );
            } else if !names.contains(name) {
                names.push(name.clone());
            }
        }
        if names.len() > MOST_NAMES {
            self.problem("tls.acme.names", format!("makes {} names; {MOST_NAMES} are the most", names.len()));
        }
        if issuer.is_some_and(|issuer| issuer.host().parse::<IpAddr>().is_ok()) {
            self.problem("tls.mode", "`acme` needs an issuer whose host is a DNS name, not an address");
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if let Some(profile) = raw.profile.as_ref().filter(|text| text.is_empty() || !text.chars().all(plain)) {
            let profile = shortened(profile);
            self.problem("tls.acme.profile", format!("`{profile}` is not a profile such as `tlsserver`"));
        }
        let http_listen = self.address("tls.acme.http_listen", &raw.http_listen);
        let eab = raw.eab.as_ref().map(|eab| self.eab(eab));
        if self.problems.len() > before {
            return None;
        }
        Some(AcmeConfig {
            directory: raw.directory.clone(),
            contact: raw.contact.clone(),
            names,
            profile: raw.profile.clone(),
            http_listen: http_listen?,
            ca_file: raw.ca_file.as_ref().map(|file| self.path(file)),
            eab: eab.flatten(),
        })
    }

    fn eab(&mut self, raw: &RawEab) -> Option<EabConfig> {
        if raw.kid.is_empty() || raw.kid.chars().any(char::is_control) {
            self.problem("tls.acme.eab.kid", "is empty or holds control characters: copy the id that the CA gave you");
        }
        let hmac_key = self.secret_source("tls.acme.eab.hmac_key_file", &raw.hmac_key_file)?;
        Some(EabConfig { kid: raw.kid.clone(), hmac_key })
    }

    pub(super) fn proxies(&mut self, texts: &[String]) -> Networks {
        let mut proxies = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match proxy(text) {
                Ok(network) => proxies.push(network),
                Err(why) => {
                    let text = shortened(text);
                    self.problem(&format!("tls.trusted_proxies[{index}]"), format!("`{text}` {why}"));
                }
            }
        }
        Networks::union(proxies)
    }
}

/// The address or network of a trusted proxy, or what is wrong with the text.
fn proxy(text: &str) -> Result<Networks, String> {
    const FORM: &str = "use an address such as `127.0.0.1` or a network such as `10.0.0.0/8`";
    if text.contains(char::is_whitespace) {
        return Err(format!("has white space in it: remove it; {FORM}"));
    }
    let (written, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let Ok(address) = written.parse::<IpAddr>() else {
        let bare = written.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or(written);
        let what = if written.parse::<SocketAddr>().is_ok() {
            "has a port, and a proxy's connections come from any port: remove it"
        } else if bare != written && bare.parse::<IpAddr>().is_ok() {
            "has brackets: remove them"
        } else if bare.split('%').next().is_some_and(|address| address.parse::<IpAddr>().is_ok()) {
            "has an IPv6 zone: remove it"
        } else {
            "is not a valid IP address or CIDR block; names are not looked up"
        };
        return Err(format!("{what}; {FORM}"));
    };
    let width: u32 = if address.is_ipv4() { 32 } else { 128 };
    let bits = match length {
        None => width,
        Some(length) => {
            let digits = (1..=3).contains(&length.len()) && length.bytes().all(|byte| byte.is_ascii_digit());
            let bits = digits.then(|| length.parse().ok()).flatten().filter(|bits| *bits <= width);
            bits.ok_or_else(|| format!("is not a valid CIDR block: a prefix has 0 to {width} bits; {FORM}"))?
        }
    };
    // 8 is the largest private network of IPv4, 7 that of IPv6 (RFC 1918, RFC 4193); 96 bits before an IPv4 address are none of it.
    let least = match address {
        IpAddr::V4(_) => 8,
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => 96 + 8,
        IpAddr::V6(_) => 7,
    };
    if bits < least {
        return Err(format!(
            "trusts a large part of the internet: everybody there could write `X-Forwarded-For`; name the proxies' own addresses or networks, with \
             a prefix of {least} bits or more"
        ));
    }
    text.parse().map_err(|_| {
        let host = |address: u128, width: u32| address & u128::MAX.checked_shl(width - bits).unwrap_or(0);
        let network = match address {
            IpAddr::V4(address) => IpAddr::from(std::net::Ipv4Addr::from_bits(
                u32::try_from(host(u128::from(address.to_bits()), 32)).unwrap_or_default(),
            )),
            IpAddr::V6(address) => IpAddr::from(std::net::Ipv6Addr::from_bits(host(address.to_bits(), 128))),
        };
        format!("is an address within a network: write the network as `{network}/{bits}`, or the address alone as `{address}`")
    })
}

/// Warns of an ACME server in prod whose certificates AWS will not trust. No more: to begin with such a server is good advice, and STS refuses
/// the issuer meanwhile. The well-known servers for trials say so in their names.
pub(super) fn warning(raw: &RawTls, environment: Environment) -> Option<String> {
    const FOR_TRIALS: [&str; 4] = ["staging", "test", "test4", "try"];
    let directory = raw.acme.as_ref().filter(|_| environment == Environment::Prod)?.directory.as_str();
    let url = reqwest::Url::parse(directory).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let mut words = host.split(|character: char| !character.is_ascii_alphanumeric());
    let what = if here {
        "is this machine"
    } else if words.any(|word| FOR_TRIALS.contains(&word)) {
        "is for trials"
    } else {
        return None;
    };
    Some(format!(
        "`tls.acme.directory` (`{directory}`) {what}: AWS does not trust its certificates, and STS takes no token of this prod issuer"
    ))
}
