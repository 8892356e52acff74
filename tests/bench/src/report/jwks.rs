//! The key set over TLS against nginx.

use std::time::Duration;

use serde::Serialize;

use super::aim;
use crate::{
    cpu::Spent,
    numbers::{count, per, quotient, rate, table},
};

/// The least requests for the key set, in nginx's.
const JWKS_AIM: f64 = 1.0;

/// The key set over TLS against nginx.
#[derive(Debug, Serialize)]
pub(crate) struct Jwks {
    /// Connections kept open.
    pub(crate) connections: u32,
    /// The length of the key set.
    pub(crate) body_bytes: usize,
    /// The issuer.
    pub(crate) tagmint: JwksRow,
    /// nginx.
    pub(crate) nginx: JwksRow,
}

/// One server's answers, all turns together.
#[derive(Debug, Serialize)]
pub(crate) struct JwksRow {
    server: &'static str,
    requests: u64,
    requests_per_second: f64,
    cpu_us_per_request: f64,
    server_cores: f64,
    pub(super) other_programs_cores: f64,
    #[serde(skip)]
    took: Duration,
    #[serde(skip)]
    spent: Spent,
}

impl JwksRow {
    /// Nothing measured yet.
    pub(crate) fn new(server: &'static str) -> Self {
        Self {
            server,
            requests: 0,
            requests_per_second: 0.0,
            cpu_us_per_request: 0.0,
            server_cores: 0.0,
            other_programs_cores: 0.0,
            took: Duration::ZERO,
            spent: Spent::default(),
        }
    }

    /// Adds a turn.
    pub(crate) fn add(&mut self, requests: u64, took: Duration, spent: Spent) {
        self.requests += requests;
        self.took += took;
        self.spent += spent;
        let wall = self.spent.wall.as_secs_f64();
        self.requests_per_second = rate(self.requests, self.took);
        self.cpu_us_per_request = per(self.spent.server, self.requests);
        self.server_cores = quotient(self.spent.server.as_secs_f64(), wall);
        self.other_programs_cores = quotient(self.spent.others.as_secs_f64(), wall);
    }
}

impl Jwks {
    pub(super) fn table(&self) -> String {
        let header = ["key set over TLS", "/s", "CPU µs", "/CPU s", "cores"];
        let line = |row: &JwksRow| {
            [
                row.server.to_owned(),
                count(row.requests_per_second),
                format!("{:.1}", row.cpu_us_per_request),
                count(rate(row.requests, row.spent.server)),
                format!("{:.2}", row.server_cores),
            ]
        };
        let wall = quotient(self.tagmint.requests_per_second, self.nginx.requests_per_second);
        let cpu = quotient(self.nginx.cpu_us_per_request, self.tagmint.cpu_us_per_request);
        let ratio =
            ["tagmint : nginx".to_owned(), format!("{wall:.2}"), String::new(), format!("{cpu:.2}"), String::new()];
        let text = table(header, [line(&self.tagmint), line(&self.nginx), ratio]);
        let aim = aim(wall >= JWKS_AIM, &format!("≥ {JWKS_AIM:.2} × nginx"));
        format!("{text}\n{} bytes, {} connections; aim: {aim}", self.body_bytes, self.connections)
    }
}
