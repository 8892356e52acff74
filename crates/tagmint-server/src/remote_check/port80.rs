//! Port 80: the certificate authority asks there (RFC 8555 §8.3), and people who leave the scheme out.

use std::net::{IpAddr, SocketAddr};

use http::header;
use reqwest::redirect::Policy;

use super::{
    RemoteCheck,
    fetch::{self, Fetched},
    rows::Row,
};

/// A challenge that nobody has made.
const CHALLENGE: &str = "/.well-known/acme-challenge/tagmint-check";

pub(super) async fn look(check: &RemoteCheck, address: IpAddr, port: u16) -> Vec<Row> {
    let open = "port 80 is open, for ACME challenges";
    let host = check.url.host();
    let client = reqwest::Client::builder()
        .user_agent(concat!("tagmint-check/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .no_proxy()
        .timeout(check.timeout)
        .tls_certs_only([])
        // The same machine that answers on port 443.
        .resolve(host, SocketAddr::new(address, port))
        .build();
    let Ok(client) = client else { return vec![Row::skipped("port_80", "no HTTP client can be made")] };
    let ask = |path: &str| fetch::read(client.get(format!("http://{host}:{port}{path}")), check.timeout);
    let challenge = match ask(CHALLENGE).await {
        Ok(answer) => answer,
        Err(error) if check.needs_http => {
            let fix = "open port 80 to the issuer: the certificate authority asks there, from several places at once";
            return vec![Row::failure("port_80", error, open, fix)];
        }
        Err(error) => {
            return vec![Row::note(
                "port_80",
                format!("{error}; no matter, unless certificates come by HTTP-01"),
                open,
            )];
        }
    };
    let mut rows = vec![acme(&challenge, check.needs_http)];
    if let Ok(answer) = ask("/").await {
        rows.push(redirect(&answer, check));
    }
    rows
}

fn acme(answer: &Fetched, needed: bool) -> Row {
    let expected = "404 for a challenge that nobody made, without a redirect";
    let fix = "send /.well-known/acme-challenge/ to the issuer (or the ACME client) before any redirect to https";
    match answer.status.as_u16() {
        404 => Row::good("port_80_acme", "404", expected),
        300..=399 => {
            let to = answer.header(header::LOCATION).unwrap_or("nowhere");
            let seen = format!("{}, to {to}", answer.status);
            if needed {
                Row::failure("port_80_acme", seen, expected, fix)
            } else {
                Row::warning("port_80_acme", seen, expected, fix)
            }
        }
        _ => Row::warning("port_80_acme", answer.status.to_string(), expected, fix),
    }
}

fn redirect(answer: &Fetched, check: &RemoteCheck) -> Row {
    let expected = "other paths redirect to https";
    let to = answer.header(header::LOCATION).unwrap_or_default();
    let home = format!("https://{}", check.url.host());
    let rest = to.strip_prefix(&home).filter(|rest| rest.is_empty() || rest.starts_with(['/', ':', '?']));
    if answer.status.is_redirection() && rest.is_some() {
        Row::good("port_80_redirect", format!("{}, to {to}", answer.status), expected)
    } else {
        let seen = format!("{} {to}", answer.status);
        let fix = "redirect to https on the same host, so that nobody sends a secret in clear";
        Row::warning("port_80_redirect", seen.trim_end(), expected, fix)
    }
}
