//! A web server beside the stage, for what it does not have: packages, GitHub's API, an issuer that something is wrong with.

use std::{collections::BTreeMap, fs, net::TcpListener};

use axum::{
    Router,
    http::{HeaderName, StatusCode, Uri, header},
};
use axum_server::tls_rustls::RustlsConfig;
use jiff::{Timestamp, tz::TimeZone};
use tagmint_core::clock::{Clock, SystemClock};

use super::{Stage, TestResult};

/// A file of the stage: what a runner trusts, the authorities of the stage and of all its shelves.
pub const TRUSTED: &str = "trusted.pem";
/// As an issuer's documents have them; nobody else looks at them.
const HEADERS: [(HeaderName, &str); 2] =
    [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=600")];

/// Runs until it is dropped.
pub struct Shelf {
    /// `https://localhost:PORT`
    pub url: String,
    _runtime: tokio::runtime::Runtime,
}

impl Shelf {
    /// Serves what is made for its URL, by path; of everything else it says that it is not there. Its certificate began and ends so many
    /// days from now.
    pub fn start(
        stage: &Stage,
        days: (i64, i64),
        files: impl FnOnce(&str) -> BTreeMap<String, Vec<u8>>,
    ) -> TestResult<Self> {
        let ca_key = rcgen::KeyPair::generate()?;
        let mut ca = rcgen::CertificateParams::new(Vec::new())?;
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name.push(rcgen::DnType::CommonName, "CA of the shelf");
        let ca_pem = ca.self_signed(&ca_key)?.pem();
        let key = rcgen::KeyPair::generate()?;
        let mut server = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?;
        let now = SystemClock.now().as_second();
        let at = |days: i64| -> TestResult<_> {
            let day = Timestamp::from_second(now + days * 86_400)?.to_zoned(TimeZone::UTC).date();
            let number = |part: i8| u8::try_from(part);
            Ok(rcgen::date_time_ymd(i32::from(day.year()), number(day.month())?, number(day.day())?))
        };
        (server.not_before, server.not_after) = (at(days.0)?, at(days.1)?);
        let certificate = server.signed_by(&key, &rcgen::Issuer::new(ca, ca_key))?;

        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let url = format!("https://localhost:{}", listener.local_addr()?.port());
        let trusted = stage.path(TRUSTED);
        let before = if trusted.exists() { trusted.clone() } else { stage.path("all.pem") };
        fs::write(&trusted, fs::read_to_string(before)? + &ca_pem)?;
        let files = files(&url);
        let app = Router::new().fallback(async move |uri: Uri| match files.get(uri.path()) {
            Some(body) => (StatusCode::OK, HEADERS, body.clone()),
            None => (StatusCode::NOT_FOUND, HEADERS, b"there is no such thing".to_vec()),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        runtime.block_on(async {
            let pem = (certificate.pem().into_bytes(), key.serialize_pem().into_bytes());
            let tls = RustlsConfig::from_pem(pem.0, pem.1).await?;
            let server = axum_server::from_tcp_rustls(listener, tls)?;
            tokio::spawn(async move { server.serve(app.into_make_service()).await });
            Ok::<(), std::io::Error>(())
        })?;
        Ok(Self { url, _runtime: runtime })
    }
}
