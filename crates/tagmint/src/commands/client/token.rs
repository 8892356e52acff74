//! `tagmint token`.

use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use tagmint_aws::token::Token;
use tagmint_core::clock::{Clock, SystemClock};

use super::{
    args::{TokenArgs, given},
    issuer::Issuer,
};
use crate::{
    compose::{Signals, Wanted},
    config::Log,
    error::CliError,
    logging,
    output::{Output, is_stdout},
};

/// The pause after a first failure; each further one doubles it.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(1);
/// How often the clock is looked at: a machine that slept must not sleep on.
const GLANCE: Duration = Duration::from_secs(5);
/// A token is renewed when this part of its life is over.
const RENEW_AFTER: i32 = 2;

/// Gets a token, and goes on doing so where that is asked for.
pub async fn run(args: TokenArgs, output: Output) -> Result<(), CliError> {
    let issuer = Issuer::new(&args.issuer)?;
    if args.refresh && issuer.is_single_use() {
        let message = "--refresh: the ID token in TAGMINT_ID_TOKEN is good for one exchange; use a bearer, or GitHub's own runtime";
        return Err(CliError::Usage(message.to_owned()));
    }
    let to_stdout = args.out.as_deref().is_some_and(is_stdout);
    if args.refresh && to_stdout {
        return Err(CliError::Usage("--refresh keeps a file fresh: give --out FILE, not `-`".to_owned()));
    }
    let mut signals = if args.refresh { Some(Signals::listen()?) } else { None };
    let mint = async || issuer.mint(&args.wish, given(args.role.as_ref())).await.map(|(token, _)| token);
    let token = mint().await?;
    if let Some(remark) = issuer.remark() {
        output.warn(remark);
    }
    let Some(file) = args.out.as_ref().filter(|_| !to_stdout) else { return print(&token, output) };
    write(file, &token)?;
    let expires_at = token.expires_at().map(|at| at.to_string());
    let Some(signals) = &mut signals else {
        output.talk(&format!("the token is in {}", file.display()));
        return if output.is_json() { ready(file, expires_at, output) } else { Ok(()) };
    };
    logging::init(&Log { level: "info".to_owned(), json: output.is_json() });
    ready(file, expires_at, output)?;
    let mut schedule = Schedule::new(&token);
    loop {
        tokio::select! {
            wanted = signals.next() => match wanted {
                Wanted::End => return Ok(()),
                Wanted::Reload => schedule.due = Timestamp::MIN,
            },
            () = tokio::time::sleep(schedule.next_glance()) => {}
        }
        if SystemClock.now() < schedule.due {
            continue;
        }
        match mint().await.and_then(|token| write(file, &token).map(|()| token)) {
            Ok(token) => {
                tracing::info!(file = %file.display(), "the token was renewed");
                schedule = Schedule::new(&token);
            }
            Err(error) => {
                let pause = schedule.failed();
                tracing::warn!(%error, retry_in_seconds = pause.as_secs(), "the token could not be renewed; the old one stays");
            }
        }
    }
}

/// When the token is renewed next.
struct Schedule {
    due: Timestamp,
    pause: SignedDuration,
}

impl Schedule {
    /// After half of the token's life: by its own times, so that a clock that differs from the issuer's does no harm.
    fn new(token: &Token) -> Self {
        let life = token.lifetime().filter(SignedDuration::is_positive).unwrap_or(LONGEST_PAUSE);
        Self { due: SystemClock.now() + life / RENEW_AFTER, pause: FIRST_PAUSE }
    }

    fn failed(&mut self) -> SignedDuration {
        let pause = self.pause;
        self.due = SystemClock.now() + pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }

    fn next_glance(&self) -> Duration {
        let until_due = Duration::try_from(self.due.duration_since(SystemClock.now())).unwrap_or(Duration::ZERO);
        until_due.min(GLANCE)
    }
}

fn print(token: &Token, output: Output) -> Result<(), CliError> {
    let tags: Map<String, Value> =
        token.tags().into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect();
    let data = json!({
        "token": token.expose(),
        "mint_id": token.id(),
        "subject": token.subject(),
        "audience": token.audience(),
        "tags": tags,
        "expires_at": token.expires_at().map(|at| at.to_string()),
    });
    output.data(&data, || token.expose().to_owned())
}

fn ready(file: &Path, expires_at: Option<String>, output: Output) -> Result<(), CliError> {
    let text = || format!("the token is in {}, and is kept fresh until this ends", file.display());
    output.data(&json!({"file": file, "expires_at": expires_at}), text)
}

fn write(file: &Path, token: &Token) -> Result<(), CliError> {
    // Without a line break: the SDKs send the file as it is.
    write_private(file, token.expose().as_bytes()).map_err(|source| CliError::file("write", file, source))
}

/// Replaces a file in one step. Its owner alone can read it, from the beginning.
pub(crate) fn write_private(file: &Path, content: &[u8]) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Mode 0600, as everything that tempfile makes.
    let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
    fresh.write_all(content)?;
    fresh.as_file().sync_all()?;
    fresh.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn pauses_grow_to_a_minute() {
        let mut schedule = Schedule { due: Timestamp::MIN, pause: FIRST_PAUSE };
        let pauses: Vec<i64> = (0..9).map(|_| schedule.failed().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(schedule.next_glance() <= GLANCE);
    }

    #[test]
    fn a_private_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        write_private(&file, b"new").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write_private(&folder.path().join("none/token"), b"new").is_err());
    }
}
