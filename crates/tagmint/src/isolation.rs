//! What belongs to an issuer, by its configuration, its files and its database: for the comparison of two worlds.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

use tagmint_core::{
    isolation::{self, Finding, Part, Verdict, World},
    issued_secret::SecretKind,
    rules::{Piece, RuleOutline, Shape},
};
use tagmint_iam::partition;
use tagmint_store::StoreError;

use crate::{
    compose,
    config::{AlarmSinkKind, Config, ListenOn, SecretSource, Tls, WebhookUrl, files},
    error::CliError,
    surroundings,
};

/// What stands for the account in the bucket's name.
const ACCOUNT: &str = "${aws.account}";

/// What a configuration and the files that it names say. `credentials` is systemd's folder of credentials, where it is this issuer's.
pub fn world(config: &Config, credentials: Option<&Path>) -> World {
    let mut world = World::new(config.settings.stamp.clone());
    names(config, &mut world);
    aws(config, &mut world);
    addresses(config, &mut world);
    database_file(config, &mut world);
    key_file(config, credentials, &mut world);
    tls_key(config, &mut world);
    sinks(config, &mut world);
    world
}

fn names(config: &Config, world: &mut World) {
    let environment = config.environment();
    for kind in [SecretKind::Session, SecretKind::Bearer] {
        let prefix = format!("{}_{environment}_", kind.prefix());
        world.owns(Part::Credential, &prefix, &format!("{prefix}…"));
    }
    for name in &config.settings.hosts {
        world.owns(Part::Host, name, name);
    }
    if let Tls::Acme(acme) = &config.tls
        && let Some(eab) = &acme.eab
    {
        let id = format!("{} {}", acme.directory, eab.kid);
        world.owns(Part::AcmeAccount, &id, &format!("external account `{}` of {}", eab.kid, acme.directory));
    }
    for provider in config.issuers.iter().map(|config| &config.issuer) {
        let (name, issuer) = (&provider.name, provider.issuer.as_str());
        world.takes(Part::TrustedIssuer, issuer, &format!("trusts {issuer}"));
        for audience in &provider.audiences {
            let shown = format!("`{name}` takes {audience}");
            world.owns(Part::ProviderAudience, &format!("{issuer} {audience}"), &shown);
            world.takes(Part::ProviderAudience, audience, &shown);
        }
    }
    if config.settings.anonymous_minting.is_some() {
        let open = config.rules.outlines().filter(RuleOutline::is_anonymous);
        let rules: Vec<String> = open.map(|rule| rule.name.to_string()).collect();
        world.owns(Part::AnonymousMinting, "anonymous_minting", &format!("by {}", rules.join(", ")));
    }
    if let Some(backend) = &config.session_backend {
        // Two paths of one server are one server.
        let origin = reqwest::Url::parse(&backend.url).map(|url| url.origin().ascii_serialization());
        world.owns(Part::SessionBackend, &origin.unwrap_or_else(|_| backend.url.clone()), &backend.url);
    }
}

fn aws(config: &Config, world: &mut World) {
    for rule in config.rules.outlines() {
        for role in rule.roles.iter().map(text) {
            world.owns(Part::Role, &role, &role);
        }
        for audience in rule.audiences.iter().map(text).filter(|audience| !partition::is_sts_audience(audience)) {
            world.owns(Part::TokenAudience, &audience, &audience);
        }
    }
    let Some(aws) = &config.aws else { return };
    let account = aws.account.as_deref();
    for role in &aws.roles {
        let arn = format!("arn:{}:iam::{}:role/{}", aws.partition, account.unwrap_or_default(), role.name);
        world.owns(Part::Role, &arn, &arn);
    }
    if let Some(bucket) = &aws.bucket {
        let name = bucket.name.replace(ACCOUNT, account.unwrap_or(ACCOUNT));
        world.owns(Part::Bucket, &name, &name);
    }
    if let Some(account) = account {
        world.owns(Part::Account, account, account);
    }
}

/// A shape as it was written, as far as that is known.
fn text(shape: &Shape) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Claim(name) => format!("${{{name}}}"),
        Piece::Expression => "${…}".to_owned(),
    };
    shape.pieces().iter().map(piece).collect()
}

fn addresses(config: &Config, world: &mut World) {
    match &config.public {
        ListenOn::Tcp(address) => world.listens(*address, &address.to_string()),
        ListenOn::Unix(socket) => world.owns(Part::Listen, &config.public.to_string(), &socket.path.to_string_lossy()),
    }
    world.listens(config.admin, &config.admin.to_string());
    if let Tls::Acme(acme) = &config.tls {
        world.listens(acme.http_listen, &acme.http_listen.to_string());
    }
}

fn database_file(config: &Config, world: &mut World) {
    let file = &config.database;
    path(world, Part::Database, file);
    if let Some(folder) = file.parent() {
        path(world, Part::StateFolder, if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    }
}

fn key_file(config: &Config, credentials: Option<&Path>, world: &mut World) {
    match &config.key_file {
        SecretSource::File(file) => path(world, Part::KeyFile, file),
        // The names of credentials are each unit's own.
        source @ SecretSource::Credential(_) => {
            let id = format!("{source} of {}", config.settings.stamp.issuer);
            world.owns(Part::KeyFile, &id, &source.to_string());
        }
    }
    match files::master_key(&config.key_file, credentials) {
        Ok(key) => {
            let fingerprint = key.fingerprint();
            let shown = format!("fingerprint {}", fingerprint.get(..8).unwrap_or_default());
            world.owns(Part::KeyFile, &fingerprint, &shown);
        }
        Err(error) => world.not_seen(Part::KeyFile, error.to_string()),
    }
}

fn tls_key(config: &Config, world: &mut World) {
    let Tls::Files { certificate, key } = &config.tls else { return };
    path(world, Part::TlsKey, key);
    match files::tls(certificate, key) {
        Ok(found) => {
            let facts = found.facts();
            for name in &facts.names {
                world.owns(Part::Host, name, &format!("{name} (certificate)"));
            }
            let id = format!("{} {}", facts.issuer, facts.serial);
            world.owns(Part::TlsKey, &id, &format!("certificate {} of {}", facts.serial, facts.issuer));
        }
        Err(error) => world.not_seen(Part::TlsKey, error.to_string()),
    }
}

fn sinks(config: &Config, world: &mut World) {
    for sink in &config.alarm_sinks {
        let (id, shown) = match &sink.kind {
            AlarmSinkKind::Webhook { url: WebhookUrl::Plain(url) } => (url.clone(), url.clone()),
            AlarmSinkKind::Webhook { url: WebhookUrl::Secret(SecretSource::File(file)) } => {
                path(world, Part::AlarmSink, file);
                continue;
            }
            AlarmSinkKind::Sns { topic_arn, .. } => (topic_arn.clone(), topic_arn.clone()),
            // What a program does with a notice is its own affair.
            AlarmSinkKind::Webhook { url: WebhookUrl::Secret(SecretSource::Credential(_)) }
            | AlarmSinkKind::Command { .. } => continue,
        };
        world.owns(Part::AlarmSink, &id, &shown);
    }
}

/// A file or folder, by its path without links and, where it is there, by what it is on the disk: another path or a hard link is the same.
fn path(world: &mut World, part: Part, file: &Path) {
    let real = real_path(&surroundings::absolute(file));
    world.owns(part, &format!("path {}", real.display()), &file.display().to_string());
    if let Ok(metadata) = fs::metadata(file) {
        let inode = format!("inode {} {}", metadata.dev(), metadata.ino());
        world.owns(part, &inode, &file.display().to_string());
    }
}

/// The path without links as far as it exists; what does not exist yet is added as it is written.
fn real_path(file: &Path) -> PathBuf {
    if let Ok(real) = fs::canonicalize(file) {
        return real;
    }
    let Some(folder) = file.parent() else { return file.to_owned() };
    match file.components().next_back() {
        Some(Component::ParentDir) => real_path(folder).parent().map(Path::to_owned).unwrap_or_default(),
        Some(last) => real_path(folder).join(last),
        None => file.to_owned(),
    }
}

/// Adds what the issuer's database says: its stamp, its keys, its account at the ACME server. Makes and changes nothing.
pub async fn add_database(world: &mut World, config: &Config) {
    let parts = [Part::SigningKey, Part::AcmeAccount];
    let stored = async {
        let store = compose::open_existing(config).await?;
        let read = async { Ok((store.keys().list().await?, store.acme().account_urls().await?)) };
        let read: Result<_, StoreError> = read.await;
        store.close().await;
        read.map_err(CliError::from)
    };
    match stored.await {
        Ok((keys, accounts)) => {
            let stamp = world.stamp().clone();
            world.database_is_stamped(stamp.issuer.as_str(), stamp.environment.as_str());
            for key in keys {
                let kid = key.state.kid.as_str();
                world.owns(Part::SigningKey, kid, kid);
            }
            for (_, url) in accounts {
                world.owns(Part::AcmeAccount, &url, &url);
            }
        }
        Err(CliError::Store(StoreError::OtherStamp { found, .. })) => world.database_is_stamped(&found.0, &found.1),
        // Nothing is in it yet.
        Err(CliError::Store(StoreError::Missing { .. })) => {}
        Err(error) => {
            for part in parts {
                world.not_seen(part, error.to_string());
            }
        }
    }
}

/// Refuses an issuer that shares with the one of `[isolation]` what must belong to one of them. Their databases are not looked at.
pub fn refuse_shared(config: &Config) -> Result<(), CliError> {
    let Some(file) = &config.isolated_from else { return Ok(()) };
    let other = Config::load(file)?;
    // The credentials are this unit's, not the other's.
    let findings =
        isolation::compare(&world(config, surroundings::credentials_directory().as_deref()), &world(&other, None));
    if isolation::is_isolated(&findings) {
        return Ok(());
    }
    Err(CliError::Shared { other: file.clone(), parts: shared_in_words(&findings) })
}

/// "host (broker.example.org), role (arn:…)".
pub fn shared_in_words(findings: &[Finding]) -> String {
    let shared = findings.iter().filter(|finding| finding.verdict == Verdict::Shared);
    shared.map(|finding| format!("{} ({})", finding.part, finding.shared.join(", "))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_does_not_exist_yet_is_told_by_what_does() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir(root.join("prod")).unwrap();
        fs::create_dir(root.join("test")).unwrap();
        std::os::unix::fs::symlink(root.join("prod"), root.join("link")).unwrap();
        for text in ["prod/a.db", "test/../prod/a.db", "link/a.db", "prod/none/../a.db", "none/../prod/a.db"] {
            assert_eq!(real_path(&root.join(text)), root.join("prod/a.db"), "{text}");
        }
    }
}
