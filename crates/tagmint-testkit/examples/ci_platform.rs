//! Runs a CI platform for tests in other languages, until it is ended.
//!
//! `ci_platform [--listen 127.0.0.1:0] [--path /_services/token] [--claims FILE] [--dir DIR]` prints one line of JSON when it is ready:
//! `{"issuer", "ca_file", "request_url", "request_token", "job_url", "token_url"}`.
//!
//! - `GET request_url&audience=…` with `Authorization: Bearer request_token` is what GitHub's runner answers: `{"value": "<jwt>"}`.
//! - `PUT job_url` sets the job's claims, `POST token_url` makes a token with the given claims over them (`{"value": "<jwt>"}`); both take
//!   JSON and the same bearer.
//!
//! `--claims` is a JSON file with the job's claims, else they are those of a push on GitHub; `--dir` is where the CA's certificate is written, else a temporary folder.

use std::{error::Error, io::Write, net::SocketAddr, path::PathBuf, sync::Arc};

use serde_json::json;
use tagmint_core::clock::SystemClock;
use tagmint_testkit::ci_platform::CiPlatform;

struct Options {
    listen: SocketAddr,
    path: String,
    claims: Option<PathBuf>,
    dir: Option<PathBuf>,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options =
        Options { listen: SocketAddr::from(([127, 0, 0, 1], 0)), path: String::new(), claims: None, dir: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("`{word}` needs a value"))?;
        match word.as_str() {
            "--listen" => options.listen = value.parse()?,
            "--path" => options.path = value,
            "--claims" => options.claims = Some(value.into()),
            "--dir" => options.dir = Some(value.into()),
            _ => return Err(format!("`{word}` is no option: use --listen, --path, --claims or --dir").into()),
        }
    }
    Ok(options)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let platform = CiPlatform::start_at(options.listen, &options.path, Arc::new(SystemClock)).await;
    if let Some(file) = options.claims {
        platform.set_job(serde_json::from_slice(&std::fs::read(file)?)?);
    }
    let temporary = tempfile::tempdir()?;
    let ca_file = options.dir.unwrap_or_else(|| temporary.path().to_owned()).join("ci-platform-ca.pem");
    std::fs::write(&ca_file, platform.ca_pem())?;
    let line = json!({
        "issuer": platform.issuer(),
        "ca_file": ca_file,
        "request_url": platform.request_url(),
        "request_token": platform.request_token(),
        "job_url": format!("{}/control/job", platform.issuer()),
        "token_url": format!("{}/control/token", platform.issuer()),
    });
    writeln!(std::io::stdout(), "{line}")?;
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    Ok(())
}
