//! `tagmint check --against`.

use std::{fmt::Write as _, path::Path};

use serde_json::{Value, json};
use tagmint_aws::documents;
use tagmint_core::isolation::{self, Finding, Part, Verdict};

use crate::{
    cli::CheckArgs,
    config::{Config, files},
    error::CliError,
    isolation::{add_database, shared_in_words, world},
    output::{Output, table},
    surroundings,
};

/// Compares the configuration with that of the other world's issuer.
pub async fn run(args: &CheckArgs, other: &Path, file: &Path, output: Output) -> Result<(), CliError> {
    let (this, other) = (Config::load(file)?, Config::load(other)?);
    let roots = args.ca_file.as_deref().map(|file| files::read("the CA file", file)).transpose()?;
    let (mut worlds, mut silent) = (Vec::new(), Vec::new());
    for (config, credentials) in
        [(&this, surroundings::credentials_directory()), (&other, args.against_credentials.clone())]
    {
        let mut world = world(config, credentials.as_deref());
        add_database(&mut world, config).await;
        if args.remote.is_some() {
            let seen = served(config, roots.as_deref()).await?;
            match seen {
                Ok(kids) => kids.iter().for_each(|kid| world.owns(Part::SigningKey, kid, kid)),
                Err(why) => {
                    let why = format!("the keys that {} serves: {why}", config.settings.stamp.issuer);
                    world.not_seen(Part::SigningKey, why.clone());
                    silent.push(why);
                }
            }
        }
        worlds.push(world);
    }
    let findings = match worlds.as_slice() {
        [this, other] => isolation::compare(this, other),
        _ => Vec::new(),
    };
    let isolated = isolation::is_isolated(&findings);
    let of = |config: &Config| {
        let stamp = &config.settings.stamp;
        json!({"config": config.file, "issuer": stamp.issuer, "environment": stamp.environment})
    };
    let data = json!({"isolated": isolated, "this": of(&this), "other": of(&other), "findings": findings});
    output.data(&data, || text(&this, &other, &findings))?;
    match (isolated, silent.as_slice()) {
        (true, []) => Ok(()),
        (true, silent) => Err(CliError::Unreachable(format!("not compared: {}", silent.join("; ")))),
        (false, _) => {
            let shared = shared_in_words(&findings);
            Err(CliError::Refused(format!("the two share what must belong to one of them: {shared}")))
        }
    }
}

/// The keys that the issuer serves, or why they were not seen.
async fn served(config: &Config, roots: Option<&[u8]>) -> Result<Result<Vec<String>, String>, CliError> {
    let fetched = documents::fetch(config.settings.stamp.issuer.as_str(), roots).await;
    let documents = fetched.map_err(|error| CliError::Refused(error.to_string()))?;
    Ok(documents.discovery.and(documents.jwks).and_then(|jwks| {
        let set: Value = serde_json::from_slice(&jwks).map_err(|error| format!("the key set is not JSON: {error}"))?;
        let keys = set["keys"].as_array().ok_or("the key set has no `keys`")?;
        Ok(keys.iter().filter_map(|key| key["kid"].as_str().map(str::to_owned)).collect())
    }))
}

fn text(this: &Config, other: &Config, findings: &[Finding]) -> String {
    let name = |config: &Config| {
        let stamp = &config.settings.stamp;
        format!("{} ({}, {})", stamp.issuer, stamp.environment, config.file.display())
    };
    let rows = findings.iter().map(|finding| {
        let list = |things: &[String]| if things.is_empty() { "–".to_owned() } else { things.join(", ") };
        [mark(finding.verdict).to_owned(), finding.part.to_string(), list(&finding.this), list(&finding.other)]
    });
    let mut text =
        format!("this:  {}\nother: {}\n\n{}", name(this), name(other), table(["", "part", "this", "other"], rows));
    for finding in findings.iter().filter(|finding| matches!(finding.verdict, Verdict::Shared | Verdict::Warned)) {
        let shared = finding.shared.join(", ");
        let _ = write!(text, "\n\n{} {}: {shared}\n  {}", mark(finding.verdict), finding.part, finding.why);
    }
    for (finding, why) in findings.iter().flat_map(|finding| finding.not_seen.iter().map(move |why| (finding, why))) {
        let _ = write!(text, "\n\n? {}: not looked at. {why}", finding.part);
    }
    text
}

const fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Isolated => "✓",
        Verdict::Shared => "✗",
        Verdict::Warned => "!",
        Verdict::Unknown => "?",
    }
}
