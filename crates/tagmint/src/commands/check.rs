//! `tagmint check`.

use serde_json::json;

use crate::{
    config::{Config, Tls, files},
    durations,
    error::CliError,
    output::{Output, pairs, table},
    surroundings,
};

/// Says what a configuration means and whether its files can be used.
pub fn run(config: &Config, output: Output) -> Result<(), CliError> {
    let files = files::inspect(config, surroundings::credentials_directory().as_deref());
    let bad = files.iter().filter(|file| !file.ok).count();
    let settings = &config.settings;
    let rotation = &settings.rotation;
    let tls = match &config.tls {
        Tls::Files { .. } => "files",
        Tls::Proxy => "proxy",
    };
    let backend = config.session_backend.as_ref().map(|backend| backend.url.as_str());
    let data = json!({
        "ok": bad == 0,
        "config": config.file,
        "issuer": settings.stamp.issuer,
        "environment": settings.stamp.environment,
        "public": config.public.to_string(),
        "admin": config.admin.to_string(),
        "tls": tls,
        "session_backend": backend,
        "algorithm": rotation.algorithm,
        "rules": config.rule_notes,
        "files": files,
        "warnings": config.warnings,
    });
    output.data(&data, || {
        let row = |name: &str, value: String| (name.to_owned(), value);
        let summary = pairs([
            row("issuer", settings.stamp.issuer.to_string()),
            row("environment", settings.stamp.environment.to_string()),
            row("listens on", format!("{} (tls: {tls}), admin {}", config.public, config.admin)),
            row("session backend", backend.unwrap_or("none").to_owned()),
            row(
                "keys",
                format!(
                    "{}, a new one every {}, published {} ahead",
                    rotation.algorithm,
                    durations::in_words(rotation.rotate_every),
                    durations::in_words(rotation.publish_ahead)
                ),
            ),
        ]);
        let rules =
            config.rule_notes.iter().map(|rule| [rule.name.clone(), rule.description.clone().unwrap_or_default()]);
        let mark = |ok| if ok { "ok" } else { "WRONG" }.to_owned();
        let states =
            files.iter().map(|file| [mark(file.ok), file.what.to_owned(), file.file.clone(), file.state.clone()]);
        format!("{summary}\n\n{}\n\n{}", table(["rule", "for"], rules), table(["", "file", "where", "state"], states))
    })?;
    for warning in &config.warnings {
        output.warn(warning);
    }
    match bad {
        0 => Ok(()),
        1 => Err(CliError::Check("one file cannot be used".to_owned())),
        several => Err(CliError::Check(format!("{several} files cannot be used"))),
    }
}
