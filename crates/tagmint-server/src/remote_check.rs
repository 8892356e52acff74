//! A running issuer, looked at from outside as STS would: DNS, port 80, TLS, discovery document, key set, latency, clock. With what is known
//! from inside, what is served is compared with what is stored.
//!
//! Nothing secret is sent, so the documents are looked at over a bad certificate too: everything that is wrong is found at once.

mod documents;
mod fetch;
mod inside;
mod port80;
mod rows;
mod tls;

use std::{net::SocketAddr, time::Duration};

use jiff::Timestamp;
use tagmint_core::{clock::Clock, issuer::IssuerUrl};

use self::fetch::Fetched;
pub use self::{
    inside::{Inside, StoredLeaf, ordered},
    rows::{Level, Report, Row},
};
use crate::upstream::address;

/// How often each document is fetched to tell how long that takes.
const TRIES: usize = 5;
/// STS gives up after about five seconds; the documents shall be there within one, from a place that is far away.
const MOST_LATENCY: Duration = Duration::from_secs(1);

/// What is looked at.
#[derive(Debug)]
pub struct RemoteCheck {
    /// The issuer.
    pub url: IssuerUrl,
    /// The certificates to trust, PEM, instead of the system's. AWS trusts none of them.
    pub ca_pem: Option<Vec<u8>>,
    /// How long each connection and each answer may take.
    pub timeout: Duration,
    /// The port that is asked over plain HTTP; none to leave it out.
    pub http_port: Option<u16>,
    /// Whether the certificate is renewed over that port, so that it must be open.
    pub needs_http: bool,
    /// What is known from inside.
    pub inside: Option<Inside>,
}

/// What an issuer showed; nothing where it was not reached.
#[derive(Debug, Default)]
struct Served {
    /// Its certificate, in DER.
    leaf: Option<Vec<u8>>,
    /// The keys of its key set.
    kids: Vec<String>,
}

/// Why nothing could be looked at.
#[derive(Debug, thiserror::Error)]
pub enum CannotCheck {
    /// No TLS client can be made.
    #[error("no TLS client can be made: {0}; check the CA file and the system's root certificates")]
    Tls(String),
}

impl RemoteCheck {
    /// Looks. What is wrong stands in the report.
    ///
    /// # Errors
    ///
    /// When there is nothing to look with.
    pub async fn run(&self, clock: &dyn Clock) -> Result<Report, CannotCheck> {
        let mut report = Report::new(self.url.as_str());
        let served = self.outside(clock, &mut report).await?;
        // Where nobody answers it is what is left to look at.
        if let Some(inside) = &self.inside {
            report.extend(inside::compare(inside, served.leaf.as_deref(), &served.kids, clock.now()));
        }
        Ok(report)
    }

    async fn outside(&self, clock: &dyn Clock, report: &mut Report) -> Result<Served, CannotCheck> {
        let port = self.port();
        let host = self.url.host();
        let found = tokio::time::timeout(self.timeout, tokio::net::lookup_host((host, port))).await;
        let addresses: Vec<SocketAddr> = match found {
            Ok(Ok(found)) => found.collect(),
            Ok(Err(error)) => {
                report.unreachable("dns", error.to_string(), "set an A record for the host");
                return Ok(Served::default());
            }
            Err(_) => {
                report.unreachable("dns", "no answer in time".to_owned(), "look at the host's name servers");
                return Ok(Served::default());
            }
        };
        report.add(dns(host, &addresses));
        let client = tls::Client::new(self.ca_pem.as_deref()).map_err(CannotCheck::Tls)?;
        let Some(reached) = self.connect(&addresses, report).await else { return Ok(Served::default()) };
        if let Some(http_port) = self.http_port {
            report.extend(port80::look(self, reached.ip(), http_port).await);
        }
        let looked = client.look(host, reached, self.timeout, clock.now()).await;
        report.extend(looked.rows.iter().cloned());
        let mut kids = Vec::new();
        if looked.speaks {
            kids = self.documents(&client, clock, report).await;
        } else {
            for check in ["discovery", "jwks", "latency", "clock"] {
                report.add(Row::skipped(check, "there is no TLS connection to ask over"));
            }
        }
        Ok(Served { leaf: looked.leaf, kids })
    }

    fn port(&self) -> u16 {
        let authority = self.url.without_scheme().split('/').next().unwrap_or_default();
        authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(443)
    }

    /// Tries each address, as STS may take any.
    async fn connect(&self, addresses: &[SocketAddr], report: &mut Report) -> Option<SocketAddr> {
        let mut reached = None;
        let mut silent = Vec::new();
        for address in addresses {
            let tried = tokio::time::timeout(self.timeout, tokio::net::TcpStream::connect(address)).await;
            match tried {
                Ok(Ok(_)) => reached = reached.or(Some(*address)),
                Ok(Err(error)) => silent.push(format!("{address}: {error}")),
                Err(_) => silent.push(format!("{address}: no answer in time")),
            }
        }
        let expected = "every address takes connections";
        let fix = "start the issuer, open the port in firewall and security group, or remove the address from DNS";
        match reached {
            Some(_) if silent.is_empty() => report.add(Row::good("connect", "each address answers", expected)),
            Some(_) => report.add(Row::warning("connect", silent.join("; "), expected, fix)),
            None => {
                report.add(Row::failure("connect", silent.join("; "), expected, fix));
                report.reached = false;
            }
        }
        reached
    }

    /// Looks at both documents, and tells which keys are served.
    async fn documents(&self, client: &tls::Client, clock: &dyn Clock, report: &mut Report) -> Vec<String> {
        let discovery_url = self.url.join("/.well-known/openid-configuration");
        let mut latencies = Vec::new();
        let discovery = fetch::several(client, &discovery_url, self.timeout, TRIES).await;
        let rows = documents::discovery(&self.url, &discovery.answer);
        report.extend(rows.rows);
        latencies.extend(discovery.median());
        let jwks_url = rows.jwks_uri.unwrap_or_else(|| self.url.join("/.well-known/jwks.json"));
        let jwks = fetch::several(client, &jwks_url, self.timeout, TRIES).await;
        let keys = documents::jwks(&jwks.answer);
        report.extend(keys.rows);
        latencies.extend(jwks.median());
        report.add(latency(&latencies));
        let now = clock.now();
        report.add(date(discovery.answer.as_ref().ok(), now));
        report.add(documents::http1(&discovery.answer));
        keys.kids
    }
}

fn dns(host: &str, addresses: &[SocketAddr]) -> Row {
    let expected = "public addresses";
    let mut shown: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    shown.dedup();
    let shown = shown.join(", ");
    if addresses.is_empty() {
        return Row::failure("dns", format!("`{host}` has no address"), expected, "set an A record for the host");
    }
    if addresses.iter().all(|found| address::check(found.ip(), false).is_ok()) {
        Row::good("dns", shown, expected)
    } else {
        let fix = "set the public address in DNS: STS reaches no private one";
        Row::warning("dns", format!("{shown}: not all are public"), expected, fix)
    }
}

fn latency(medians: &[Duration]) -> Row {
    let expected = "below 1 s, over a new connection (STS gives up after about 5 s)";
    let Some(worst) = medians.iter().max() else {
        return Row::skipped("latency", "no document could be fetched");
    };
    let seen = format!("{} ms, the median of {TRIES} tries of the slower document", worst.as_millis());
    if *worst < MOST_LATENCY {
        Row::good("latency", seen, expected)
    } else {
        Row::failure(
            "latency",
            seen,
            expected,
            "look at the host's load and at the way to it; serve the documents from a cache (nginx)",
        )
    }
}

/// The `Date` header against this machine's clock. It has whole seconds, and the answer took its time.
fn date(answer: Option<&Fetched>, now: Timestamp) -> Row {
    let expected = "within 10 s of this machine's clock (STS takes tokens that are up to 5 minutes off)";
    let Some(answer) = answer else { return Row::skipped("clock", "no document could be fetched") };
    let Some(told) = answer.date() else {
        return Row::note("clock", "the answer has no usable `Date`", expected);
    };
    let ago = jiff::SignedDuration::try_from(answer.came.elapsed()).unwrap_or_default();
    let off = told.duration_since(now - ago);
    let direction = if off.is_negative() { "behind" } else { "ahead" };
    let seen = format!("{} s {direction}", off.as_secs().abs());
    let fix = "run a time service (`timedatectl`) on the issuer, and look at this machine's own clock";
    match off.as_secs().abs() {
        0..=10 => Row::good("clock", seen, expected),
        11..=60 => Row::warning("clock", seen, expected, fix),
        _ => Row::failure("clock", seen, expected, fix),
    }
}
