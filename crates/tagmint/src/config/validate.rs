//! Checks what the values of a configuration mean, and makes settings of them.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::SignedDuration;
use tagmint_core::{
    claims::OptionalClaims,
    environment::{Environment, Stamp},
    issuer::IssuerUrl,
    key_schedule::RotationPolicy,
    rules::RuleSet,
    signing_key::Algorithm,
};
use tagmint_server::settings::{Limits, Rate, Settings};

use super::{
    Config, Log, RuleNote, SecretSource, SessionBackendConfig, Tls,
    problem::{ConfigProblem, shortened},
    raw::{
        DurationText, PathText, RawAlgorithm, RawConfig, RawEnvironment, RawKeys, RawLimits, RawListen, RawLogFormat,
        RawRate, RawSessionBackend, RawTls, RawTlsMode,
    },
};
use crate::durations;

/// How many times the keys are read before a change counts as known to every process.
const READS_UNTIL_KNOWN: i32 = 3;
/// The longest URL of a session backend, in characters.
const MAX_BACKEND_URL: usize = 2_000;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The settings that a configuration means, or everything that is wrong with it. Relative paths are taken from `folder`.
pub(super) fn validate(raw: &RawConfig, folder: &Path) -> Result<Config, Vec<ConfigProblem>> {
    let mut check = Check { folder, problems: Vec::new() };
    let environment = match raw.environment {
        RawEnvironment::Prod => Environment::Prod,
        RawEnvironment::Test => Environment::Test,
    };
    let issuer = check.issuer(&raw.issuer, environment);
    let (public, admin) = check.listen(&raw.listen, raw.tls.mode);
    let tls = check.tls(&raw.tls);
    let trusted_proxies = check.proxies(&raw.tls.trusted_proxies);
    let jwks_max_age = check.duration("jwks.max_age", &raw.jwks.max_age, (MINUTE, DAY));
    let key_file = check.key_file(&raw.keys.key_file);
    let (rotation, key_refresh) = check.rotation(&raw.keys, jwks_max_age);
    let session_lifetime = check.duration("session.lifetime", &raw.session.lifetime, (MINUTE, DAY * 30));
    let limits = check.limits(&raw.limits);
    let session_backend = raw.session_backend.as_ref().and_then(|backend| check.session_backend(backend, environment));
    let log = check.log(&raw.log.level, raw.log.format);
    let rules = check.rules(raw);

    let (Some(issuer), Some(public), Some(admin), Some(tls), Some(key_file), Some(rules), []) =
        (issuer, public, admin, tls, key_file, rules, check.problems.as_slice())
    else {
        return Err(check.problems);
    };
    let settings = Settings {
        stamp: Stamp { issuer, environment },
        optional_claims: OptionalClaims { source_identity: raw.token.source_identity, roles: raw.token.roles },
        rotation,
        key_refresh,
        x5c: raw.jwks.x5c,
        session_lifetime,
        limits,
        trusted_proxies,
    };
    let note = |rule: &tagmint_core::rules::RuleConfig| RuleNote {
        name: rule.name.clone(),
        description: rule.description.clone(),
    };
    Ok(Config {
        file: PathBuf::new(),
        warnings: warnings(raw, &settings),
        settings,
        rules,
        rule_notes: raw.rule.iter().map(note).collect(),
        public,
        admin,
        tls,
        database: folder.join(&raw.database.path.0),
        key_file,
        session_backend,
        log,
    })
}

/// What is allowed, but hardly meant.
fn warnings(raw: &RawConfig, settings: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    if raw.rule.is_empty() {
        warnings.push("there is no [[rule]]: no rule, no token".to_owned());
    }
    for rule in raw.rule.iter().filter(|rule| rule.roles.is_empty()) {
        warnings.push(format!(
            "the rule `{}` names no `roles`: its tokens are good for every role whose trust policy takes them",
            rule.name
        ));
    }
    if raw.tls.mode == RawTlsMode::Proxy && raw.tls.trusted_proxies.is_empty() {
        warnings.push(
            "`tls.mode` is `proxy` and `tls.trusted_proxies` is empty: all callers look like one, and share one rate limit"
                .to_owned(),
        );
    }
    if raw.listen.admin_anywhere {
        warnings.push("`listen.admin_anywhere` is set: whoever reaches that address reads the metrics".to_owned());
    }
    if settings.stamp.issuer.is_loopback() {
        warnings.push(format!("the issuer {} is this machine: AWS cannot register it", settings.stamp.issuer));
    }
    if raw.session_backend.is_none() {
        warnings
            .push("there is no [session_backend]: the issuer opens no sessions and serves bearers alone".to_owned());
    }
    warnings
}

struct Check<'a> {
    folder: &'a Path,
    problems: Vec<ConfigProblem>,
}

impl Check<'_> {
    fn problem(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(ConfigProblem::new(path, message));
    }

    fn issuer(&mut self, text: &str, environment: Environment) -> Option<IssuerUrl> {
        match IssuerUrl::parse(text) {
            Ok(issuer) if environment == Environment::Prod && issuer.is_loopback() => {
                self.problem(
                    "issuer",
                    format!("`{text}` is this machine, and the environment is `prod`: use the public URL, or `test`"),
                );
                None
            }
            Ok(issuer) => Some(issuer),
            Err(error) => {
                self.problem("issuer", format!("`{}`: {error}", shortened(text)));
                None
            }
        }
    }

    fn address(&mut self, path: &str, text: &str) -> Option<SocketAddr> {
        let address = text.parse().ok();
        if address.is_none() {
            let text = shortened(text);
            self.problem(path, format!("`{text}` is not an address and port such as `127.0.0.1:8443` or `[::]:8443`"));
        }
        address
    }

    fn listen(&mut self, raw: &RawListen, mode: RawTlsMode) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let public = self.address("listen.public", &raw.public);
        let admin = self.address("listen.admin", &raw.admin);
        if let Some(public) = public.filter(|public| mode == RawTlsMode::Proxy && !public.ip().is_loopback()) {
            self.problem(
                "listen.public",
                format!("`{public}` is reached from outside, and with `tls.mode = \"proxy\"` it speaks plain HTTP: use a loopback address"),
            );
        }
        if let Some(admin) = admin.filter(|admin| !admin.ip().is_loopback() && !raw.admin_anywhere) {
            self.problem(
                "listen.admin",
                format!("`{admin}` is reached from outside: use a loopback address, or say `admin_anywhere = true`"),
            );
        }
        if let Some(admin) = admin.filter(|admin| public == Some(*admin) && admin.port() != 0) {
            self.problem("listen.admin", format!("`{admin}` is the public address too: use another port"));
        }
        (public, admin)
    }

    fn path(&self, path: &PathText) -> PathBuf {
        self.folder.join(&path.0)
    }

    fn tls(&mut self, raw: &RawTls) -> Option<Tls> {
        let given = [("tls.certificate", &raw.certificate), ("tls.key", &raw.key)];
        match raw.mode {
            RawTlsMode::Proxy => {
                for (path, value) in given {
                    if value.is_some() {
                        self.problem(
                            path,
                            "is of no use with `tls.mode = \"proxy\"`: the proxy has the certificate; remove it",
                        );
                    }
                }
                Some(Tls::Proxy)
            }
            RawTlsMode::Files => {
                for (path, value) in given {
                    if value.is_none() {
                        self.problem(path, "is missing; `tls.mode = \"files\"` needs it");
                    }
                }
                let (certificate, key) = raw.certificate.as_ref().zip(raw.key.as_ref())?;
                Some(Tls::Files { certificate: self.path(certificate), key: self.path(key) })
            }
        }
    }

    fn proxies(&mut self, texts: &[String]) -> Vec<IpAddr> {
        let mut proxies = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let Ok(address) = text.parse::<IpAddr>() else {
                let text = shortened(text);
                let path = format!("tls.trusted_proxies[{index}]");
                self.problem(&path, format!("`{text}` is not an IP address such as `127.0.0.1`"));
                continue;
            };
            proxies.push(address.to_canonical());
        }
        proxies
    }

    fn key_file(&mut self, raw: &PathText) -> Option<SecretSource> {
        let Some(name) = raw.0.strip_prefix("credential:") else {
            return Some(SecretSource::File(self.path(raw)));
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(allowed) {
            let name = shortened(name);
            self.problem(
                "keys.key_file",
                format!("`{name}` is not the name of a systemd credential: use letters, digits and `._-`"),
            );
            return None;
        }
        Some(SecretSource::Credential(name.to_owned()))
    }

    /// A duration within bounds, or its least after a problem was noted.
    fn duration(
        &mut self,
        path: &str,
        text: &DurationText,
        (least, most): (SignedDuration, SignedDuration),
    ) -> SignedDuration {
        match durations::parse(&text.0) {
            Some(duration) if (least..=most).contains(&duration) => return duration,
            Some(_) => {
                let bounds = format!("{} to {}", durations::in_words(least), durations::in_words(most));
                self.problem(path, format!("`{}` is out of bounds; {bounds} are allowed", shortened(&text.0)));
            }
            None => {
                let text = shortened(&text.0);
                self.problem(path, format!("`{text}` is not a duration such as `90s`, `5m`, `1h30m` or `30d`"));
            }
        }
        least
    }

    fn rotation(&mut self, raw: &RawKeys, jwks_max_age: SignedDuration) -> (RotationPolicy, Duration) {
        let before = self.problems.len();
        let refresh = self.duration("keys.refresh", &raw.refresh, (SignedDuration::from_secs(1), MINUTE * 10));
        let rotation = RotationPolicy {
            algorithm: match raw.algorithm {
                RawAlgorithm::Es256 => Algorithm::Es256,
                RawAlgorithm::Rs256 => Algorithm::Rs256,
            },
            jwks_max_age,
            propagation: refresh * READS_UNTIL_KNOWN,
            rotate_every: self.duration("keys.rotate_every", &raw.rotate_every, (DAY, DAY * 730)),
            publish_ahead: self.duration("keys.publish_ahead", &raw.publish_ahead, (MINUTE, DAY * 365)),
        };
        if self.problems.len() == before {
            let least = rotation.min_publish_ahead();
            if rotation.publish_ahead < least {
                let message = format!(
                    "`{}` is too short: others may cache a key set without the new key; `jwks.max_age` and {READS_UNTIL_KNOWN} times \
                     `keys.refresh` make {} at least",
                    raw.publish_ahead.0,
                    durations::in_words(least)
                );
                self.problem("keys.publish_ahead", message);
            }
            if rotation.rotate_every <= rotation.publish_ahead {
                let message =
                    format!("`{}` is too short: it must be longer than `keys.publish_ahead`", raw.rotate_every.0);
                self.problem("keys.rotate_every", message);
            }
        }
        (rotation, refresh.unsigned_abs())
    }

    fn limits(&mut self, raw: &RawLimits) -> Limits {
        let second = SignedDuration::from_secs(1);
        let mut time = |name: &str, text: &DurationText, most: SignedDuration| {
            self.duration(&format!("limits.{name}"), text, (second, most)).unsigned_abs()
        };
        let header_timeout = time("header_timeout", &raw.header_timeout, MINUTE * 5);
        let request_timeout = time("request_timeout", &raw.request_timeout, MINUTE * 5);
        let idle_timeout = time("idle_timeout", &raw.idle_timeout, HOUR);
        let handshake_timeout = time("handshake_timeout", &raw.handshake_timeout, MINUTE);
        let shutdown_grace = time("shutdown_grace", &raw.shutdown_grace, MINUTE * 10);
        Limits {
            per_credential: self.rate("limits.per_credential", raw.per_credential),
            per_address: self.rate("limits.per_address", raw.per_address),
            failed_per_address: self.rate("limits.failed_per_address", raw.failed_per_address),
            connections: self.count("limits.connections", raw.connections),
            connections_per_address: self.count("limits.connections_per_address", raw.connections_per_address),
            body_bytes: self.bytes("limits.body_bytes", raw.body_bytes, (1_024, 1_048_576)),
            header_bytes: self.bytes("limits.header_bytes", raw.header_bytes, (8_192, 1_048_576)),
            header_timeout,
            request_timeout,
            idle_timeout,
            handshake_timeout,
            shutdown_grace,
        }
    }

    fn rate(&mut self, path: &str, raw: RawRate) -> Rate {
        if raw.per_second > 0 && raw.burst == 0 {
            self.problem(
                &format!("{path}.burst"),
                "`0` lets nothing through; 1 or more is allowed (no limit: `per_second = 0`)",
            );
        }
        Rate { per_second: raw.per_second, burst: raw.burst }
    }

    fn count(&mut self, path: &str, value: u64) -> usize {
        if !(16..=1_000_000).contains(&value) {
            self.problem(path, format!("`{value}` is out of bounds; 16 to 1000000 are allowed"));
        }
        usize::try_from(value).unwrap_or(usize::MAX)
    }

    fn bytes(&mut self, path: &str, value: u64, (least, most): (u64, u64)) -> usize {
        if !(least..=most).contains(&value) {
            self.problem(path, format!("`{value}` is out of bounds; {least} to {most} bytes are allowed"));
        }
        usize::try_from(value).unwrap_or(usize::MAX)
    }

    fn session_backend(&mut self, raw: &RawSessionBackend, environment: Environment) -> Option<SessionBackendConfig> {
        let bounds = (SignedDuration::from_millis(100), MINUTE);
        let timeout = self.duration("session_backend.timeout", &raw.timeout, bounds).unsigned_abs();
        if let Err(message) = check_backend_url(&raw.url, environment) {
            // What follows an `@` or `?` may be a secret.
            let shown =
                if raw.url.contains(['@', '?']) { "the URL".to_owned() } else { format!("`{}`", shortened(&raw.url)) };
            self.problem("session_backend.url", format!("{shown} {message}"));
            return None;
        }
        let ca_file = raw.ca_file.as_ref().map(|file| self.path(file));
        Some(SessionBackendConfig { url: raw.url.clone(), timeout, ca_file })
    }

    fn log(&mut self, level: &str, format: RawLogFormat) -> Log {
        if level.trim().is_empty() || tracing_subscriber::EnvFilter::try_new(level).is_err() {
            let level = shortened(level);
            self.problem(
                "log.level",
                format!("`{level}` is not a level: use `error`, `warn`, `info`, `debug`, `trace`, or `info,tagmint_server=debug`"),
            );
        }
        Log { level: level.to_owned(), json: matches!(format, RawLogFormat::Json) }
    }

    fn rules(&mut self, raw: &RawConfig) -> Option<RuleSet> {
        match RuleSet::compile(&raw.rule) {
            Ok(rules) => Some(rules),
            Err(errors) => {
                for error in errors {
                    let label = error.rule.map(|name| format!("(rule `{}`) ", shortened(&name))).unwrap_or_default();
                    self.problem(&error.path, format!("{label}{}", error.message));
                }
                None
            }
        }
    }
}

/// Whether `url` can be asked for sessions in this environment.
fn check_backend_url(url: &str, environment: Environment) -> Result<(), &'static str> {
    let parsed = reqwest::Url::parse(url).map_err(|_| "is not a URL such as `https://backend.example.org`")?;
    if url.len() > MAX_BACKEND_URL || parsed.query().is_some() || parsed.fragment().is_some() {
        return Err("has a query or fragment, or is too long: write scheme, host, port and path alone");
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("holds a user or password, which do not belong into a configuration");
    }
    let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match (parsed.scheme(), environment) {
        ("https", _) => Ok(()),
        ("http", Environment::Test) if loopback => Ok(()),
        ("http", Environment::Test) => {
            Err("sends auth tokens in clear over a network: use `https://`; `http://` is for loopback hosts alone")
        }
        ("http", Environment::Prod) => Err("is plain HTTP, which prod does not use: use `https://`"),
        _ => Err("has a scheme other than `https` (or `http` for a loopback host, in test)"),
    }
}
