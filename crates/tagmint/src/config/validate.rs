//! Checks what the values of a configuration mean, and makes settings of them.

mod alarms;
mod anonymous_minting;
mod aws;
mod backend;
mod keys;
mod limits;
mod listen;
mod outbound;
mod rules;
mod tls;
mod trusted_issuer;
mod witness;

use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use tagmint_core::{
    claims::OptionalClaims,
    environment::{Environment, Stamp},
    issuer::IssuerUrl,
    rules::RuleSet,
};
use tagmint_server::settings::{Settings, StsLimits};

pub(crate) use self::aws::{is_bucket_name, of_another_world};
use super::{
    Config, Log, RuleNote, TrustedIssuerConfig,
    problem::{ConfigProblem, shortened},
    raw::{DurationText, PathText, RawConfig, RawEnvironment, RawLogFormat, RawTlsMode},
};
use crate::durations;

const SECOND: SignedDuration = SignedDuration::from_secs(1);
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
    let tls = check.tls(&raw.tls, issuer.as_ref(), environment);
    let hosts = check.hosts(&raw.listen, issuer.as_ref(), tls.as_ref());
    let trusted_proxies = check.proxies(&raw.tls.trusted_proxies);
    let jwks_max_age = check.duration("jwks.max_age", &raw.jwks.max_age, (MINUTE, DAY));
    let key_file = check.key_file(&raw.keys.key_file);
    let (rotation, key_refresh) = check.rotation(&raw.keys, jwks_max_age);
    let witness = check.witness(&raw.witness, &raw.keys);
    let session_lifetime = check.duration("session.lifetime", &raw.session.lifetime, (MINUTE, DAY * 30));
    let limits = check.limits(&raw.limits);
    let session_backend = raw.session_backend.as_ref().and_then(|backend| check.session_backend(backend, environment));
    let outbound = check.outbound(&raw.outbound);
    let aws = raw.aws.as_ref().and_then(|aws| check.aws(aws, environment));
    let notices = check.alarms(&raw.alarms);
    let alarm_sinks = check.alarm_sinks(&raw.alarm_sink);
    let log = check.log(&raw.log.level, raw.log.format);
    let issuers = check.trusted_issuers(&raw.trusted_issuer, &raw.issuer, environment);
    let rules = check.rules(raw, issuers.iter().map(|config| &config.issuer));
    let anonymous_minting = check.anonymous_minting(raw, environment);
    if let Some(rules) = &rules {
        check.anonymous_rules(raw, rules, aws.as_ref(), environment);
    }
    if raw.explain_refusals && environment == Environment::Prod {
        check.problem(
            "explain_refusals",
            "is for test issuers alone: it tells strangers what the rules ask for; remove it",
        );
    }
    let names = check.roles_of_another_world(raw, environment);

    let (Some(issuer), Some(public), Some(admin), Some(tls), Some(key_file), Some(rules), []) =
        (issuer, public, admin, tls, key_file, rules, check.problems.as_slice())
    else {
        return Err(check.problems);
    };
    let settings = Settings {
        stamp: Stamp { issuer, environment },
        hosts,
        optional_claims: OptionalClaims { source_identity: raw.token.source_identity, roles: raw.token.roles },
        rotation,
        key_refresh,
        x5c: raw.jwks.x5c,
        session_lifetime,
        limits,
        anonymous_minting,
        explain_refusals: raw.explain_refusals,
        trusted_proxies,
        sts: StsLimits::default(),
        witness,
    };
    let note = |rule: &tagmint_core::rules::RuleConfig| RuleNote {
        name: rule.name.clone(),
        description: rule.description.clone(),
    };
    Ok(Config {
        file: PathBuf::new(),
        warnings: warnings(raw, &settings, &issuers, &rules).into_iter().chain(names).collect(),
        settings,
        rules,
        rule_notes: raw.rule.iter().map(note).collect(),
        public,
        admin,
        tls,
        database: folder.join(&raw.database.path.0),
        key_file,
        session_backend,
        aws,
        issuers,
        outbound,
        witness_networks: raw.witness.networks_file.as_ref().map(|file| folder.join(&file.0)),
        notices,
        alarm_sinks,
        isolated_from: raw.isolation.against.as_ref().map(|file| folder.join(&file.0)),
        log,
        strict: raw.strict,
    })
}

/// What is allowed, but hardly meant.
fn warnings(raw: &RawConfig, settings: &Settings, issuers: &[TrustedIssuerConfig], rules: &RuleSet) -> Vec<String> {
    let mut warnings = Vec::new();
    if raw.rule.is_empty() {
        warnings.push("there is no [[rule]]: no rule, no token".to_owned());
    }
    for rule in raw.rule.iter().filter(|rule| rule.role.is_none() && rule.roles.is_empty()) {
        warnings.push(format!(
            "the rule `{}` names no `role`: its tokens are good for every role whose trust policy takes them",
            rule.name
        ));
    }
    for rule in
        raw.rule.iter().filter(|rule| rule.assume_then.is_some() && !rule.tags.is_empty() && rule.transitive.is_empty())
    {
        warnings.push(format!(
            "the rule `{}` has `assume_then`, and none of its tags is `transitive`: the second session has no tags",
            rule.name
        ));
    }
    if raw.tls.mode == RawTlsMode::Proxy && raw.tls.trusted_proxies.is_empty() && !listen::is_unix(&raw.listen.public) {
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
    let takes_sessions = raw.rule.iter().any(|rule| rule.from == "session");
    if raw.session_backend.is_none() && (takes_sessions || raw.trusted_issuer.is_empty()) {
        warnings.push(
            "there is no [session_backend]: the issuer opens no sessions and serves bearers and CI jobs alone"
                .to_owned(),
        );
    }
    let recognition = &settings.witness.recognition;
    if settings.rotation.witness_deadline.is_some() && recognition.networks.is_none() {
        warnings.push(
            "`keys.wait_for_witness` goes by the user agent alone, which anybody can send: a forged fetch ends the wait; name \
             `witness.networks` or `witness.networks_file` too"
                .to_owned(),
        );
    }
    warnings.extend(limits::warnings(&settings.limits, settings.stamp.environment));
    warnings.extend(anonymous_minting::warning(rules, settings.anonymous_minting));
    warnings.extend(tls::warning(&raw.tls, settings.stamp.environment));
    warnings.extend(trusted_issuer::warnings(issuers, settings.stamp.environment));
    warnings.extend(outbound::warning(raw));
    warnings.extend(rules.warnings().iter().map(ToString::to_string));
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

    fn path(&self, path: &PathText) -> PathBuf {
        self.folder.join(&path.0)
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
}
