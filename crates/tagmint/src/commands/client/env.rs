//! `tagmint env`.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    args::{EnvArgs, given},
    session,
    token::write_private,
};
use crate::{
    error::CliError,
    output::{self, Output},
    surroundings,
};

/// Where the lines go.
enum Target {
    /// A file of its own, written anew.
    File(PathBuf),
    /// The runner's file, which other steps have written to.
    GithubEnv(PathBuf),
    /// Stdout.
    Stdout,
}

/// Masks, then writes.
pub async fn run(args: EnvArgs, output: Output) -> Result<(), CliError> {
    let github_env = surroundings::github_env();
    let masked = github_env.is_some() || surroundings::is_github_job();
    let target = match (args.out, github_env) {
        (Some(file), _) if output::is_stdout(&file) => Target::Stdout,
        (Some(file), _) => Target::File(file),
        (None, Some(file)) => Target::GithubEnv(file),
        (None, None) => {
            let message = "where to? Give --out FILE (GITHUB_ENV is not set, so this is no GitHub job)";
            return Err(CliError::Usage(message.to_owned()));
        }
    };
    let credentials = session::open(&args.role, output).await?;
    let variables = session::variables(&credentials, given(args.role.region.as_ref()));
    if masked {
        // Before anything is written that a later step could print.
        for (_, value, _) in variables.iter().filter(|(_, _, secret)| *secret) {
            let mask = format!("::add-mask::{value}");
            // The runner reads both streams. Stdout has the variables then, which may be captured.
            if matches!(target, Target::Stdout) { output::write_note(&mask) } else { output::write_line(&mask)? }
        }
    }
    let mut lines = Zeroizing::new(String::new());
    for (name, value, _) in &variables {
        for part in [*name, "=", value, "\n"] {
            lines.push_str(part);
        }
    }
    let (file, written) = match &target {
        Target::File(file) => (file, write_private(file, lines.as_bytes())),
        Target::GithubEnv(file) => (file, append(file, lines.as_bytes())),
        Target::Stdout => return output::write_line(&lines),
    };
    written.map_err(|source| CliError::file("write", file, source))?;
    output.talk(&format!("the credentials are in {}, good until {}", file.display(), credentials.expires_at));
    Ok(())
}

fn append(file: &Path, lines: &[u8]) -> std::io::Result<()> {
    let mut file = File::options().append(true).create(true).open(file)?;
    // A line that a step left open would swallow the first of these.
    file.write_all(b"\n")?;
    file.write_all(lines)
}
