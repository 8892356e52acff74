//! A replay of mints against a role's trust policy: would STS have taken each token?

use std::path::Path;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};
use tagmint_core::{
    claims::OptionalClaims,
    dry_run::{
        Recorded,
        replay::{Change, Tally},
    },
    ledger::{LedgerEntry, Minted, Outcome},
};
use tagmint_iam::{
    arn::RoleArn,
    context::Context,
    policy::{Kind, Policy},
    provider::{OidcProvider, Registration},
    web_identity::{DEFAULT_DURATION_SECONDS, Fetched, Report, Role, WebIdentityRequest, World, verdict},
};

use super::{Judge, policies};
use crate::{cli::ReplayArgs, config::Config, error::CliError, output::Output};

/// The name of the sessions that are asked for.
const SESSION_NAME: &str = "tagmint-replay";

/// Two trust policies of a role.
pub(super) struct Trust {
    tally: Tally,
    old: Role,
    new: Role,
    issuer: String,
    partition: String,
    account: String,
    /// What the provider has as client ids; empty: each token's own audience.
    client_ids: Vec<String>,
    optional: OptionalClaims,
}

impl Trust {
    pub(super) fn new(args: &ReplayArgs, config: &Config, output: Output) -> Result<Self, CliError> {
        let Some(file) = args.trust_policy.as_deref() else {
            return Err(CliError::Usage("give --trust-policy FILE".to_owned()));
        };
        let rendered = policies::rendered(config, output);
        let configured: Vec<&str> = match &rendered {
            Ok(rendered) => rendered.set_up.roles.iter().map(|role| role.arn.as_str()).collect(),
            Err(_) => Vec::new(),
        };
        let named = args.role.as_deref().map(|role| arn_of(role, &configured)).transpose()?;
        let found = policies::read(Kind::Trust, "the trust policy", file, named.as_deref())?;
        let of_file = found.role_arn.filter(|arn| RoleArn::parse(arn).is_some());
        let arn = match (named.or(of_file), configured.as_slice()) {
            (Some(arn), _) => arn,
            (None, [only]) => (*only).to_owned(),
            (None, []) => return Err(CliError::Usage("name the role of the trust policy with --role ARN".to_owned())),
            (None, several) => {
                return Err(CliError::Usage(format!(
                    "name the role of the trust policy with --role; there are {}",
                    several.join(", ")
                )));
            }
        };
        let Some(parsed) = RoleArn::parse(&arn) else {
            return Err(CliError::Usage(format!("`{arn}` is not the ARN of a role")));
        };
        let (partition, account) = (parsed.partition.to_owned(), parsed.account.to_owned());
        let (old, client_ids) = old_policy(args.base.as_deref(), rendered, &arn)?;
        let role =
            |trust_policy| Role { arn: arn.clone(), trust_policy, max_session_seconds: DEFAULT_DURATION_SECONDS };
        Ok(Self {
            tally: Tally::default(),
            old: role(old),
            new: role(found.policy),
            issuer: config.settings.stamp.issuer.to_string(),
            partition,
            account,
            client_ids,
            optional: config.settings.optional_claims,
        })
    }

    /// STS's answers under the old and the new policy. None: no provider can be registered for the issuer.
    fn ask(&self, minted: &Minted) -> Option<(Report, Report)> {
        let client_ids =
            if self.client_ids.is_empty() { vec![minted.audience.clone()] } else { self.client_ids.clone() };
        let registration =
            || Registration { url: self.issuer.clone(), client_ids: client_ids.clone(), ..Registration::default() };
        // An issuer of `tagmint dev` has a port.
        let provider = OidcProvider::register(&self.account, registration())
            .or_else(|_| OidcProvider::register_local(&self.account, registration()))
            .ok()?
            .in_partition(&self.partition);
        let token = token(minted, &self.issuer, self.optional);
        let base = Context::new().with("aws:SecureTransport", "true");
        let ask = |role: &Role| {
            let request = WebIdentityRequest {
                token: &token,
                role_arn: &role.arn,
                role_session_name: SESSION_NAME,
                duration_seconds: None,
                policy: None,
                provider_id: None,
            };
            let world = World {
                provider: Some(&provider),
                discovery: None,
                jwks: Fetched::Unchecked,
                role: Some(role),
                base: &base,
                now: Timestamp::from_second(minted.issued_at).unwrap_or_default(),
            };
            verdict(&request, &world)
        };
        Some((ask(&self.old), ask(&self.new)))
    }
}

/// The policy to compare with, and the client ids of the provider, as far as they are known.
fn old_policy(
    base: Option<&Path>,
    rendered: Result<policies::Rendered, CliError>,
    arn: &str,
) -> Result<(Policy, Vec<String>), CliError> {
    let client_ids =
        rendered.as_ref().map_or_else(|_| Vec::new(), |rendered| rendered.set_up.provider.audiences.clone());
    if let Some(file) = base {
        return Ok((policies::read(Kind::Trust, "the trust policy of --base", file, Some(arn))?.policy, client_ids));
    }
    let or_base = "give the trust policy in force with --base FILE, as of `aws iam get-role`";
    let rendered = rendered.map_err(|error| CliError::Check(format!("{error}. Or {or_base}")))?;
    match rendered.set_up.roles.iter().find(|role| role.arn == arn) {
        Some(role) => Ok((policies::parse(Kind::Trust, &role.trust_policy)?, client_ids)),
        None => Err(CliError::Usage(format!("no [[aws.role]] is {arn}: {or_base}"))),
    }
}

/// The ARN of a role that is named by it or by its name.
fn arn_of(role: &str, configured: &[&str]) -> Result<String, CliError> {
    if role.starts_with("arn:") {
        return Ok(role.to_owned());
    }
    let found = configured.iter().find(|arn| arn.split_once(":role/").is_some_and(|(_, name)| name == role));
    found.map(|arn| (*arn).to_owned()).ok_or_else(|| {
        CliError::Usage(format!(
            "--role {role}: no [[aws.role]] has this name, or there is no `aws.account`; give the role's ARN"
        ))
    })
}

/// The token without its signature, which nobody checks here.
fn token(minted: &Minted, issuer: &str, optional: OptionalClaims) -> String {
    let mut claims = json!({
        "iss": issuer,
        "sub": minted.subject,
        "aud": minted.audience,
        "iat": minted.issued_at,
        "nbf": minted.issued_at,
        "exp": minted.expires_at,
        "jti": minted.mint_id,
        "https://aws.amazon.com/tags": minted.tags,
    });
    if optional.source_identity {
        claims["https://aws.amazon.com/source_identity"] = json!(minted.mint_id);
    }
    if optional.roles && !minted.roles.is_empty() {
        claims["https://aws.amazon.com/roles"] = json!(minted.roles);
    }
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", encode(&json!({"alg": "RS256", "kid": minted.kid, "typ": "JWT"})), encode(&claims))
}

/// Why STS refuses: the check that failed.
fn why(report: &Report) -> String {
    match report.checks.last().filter(|check| !check.passed) {
        Some(check) => format!("{} (expected: {})", check.actual, check.expected),
        None => report.refusal().map(|error| error.message.clone()).unwrap_or_default(),
    }
}

impl Judge for Trust {
    fn row(&mut self, entry: &LedgerEntry) {
        self.tally.see(entry);
        let minted = match &entry.outcome {
            Outcome::Minted(minted) => minted,
            Outcome::Refused(_) => return self.tally.not_affected("refused"),
            Outcome::Fetched(_) => return self.tally.not_affected("fetch"),
        };
        if !minted.roles.is_empty() && !minted.roles.contains(&self.new.arn) {
            return self.tally.not_affected("other_role");
        }
        let Some((old, new)) = self.ask(minted) else { return self.tally.not_affected("no_provider") };
        let change = match (old.session().is_some(), new.session().is_some()) {
            (true, false) => Change::NewlyRefused,
            (false, true) => Change::NewlyAllowed,
            _ => return self.tally.unchanged(),
        };
        let reason = || match change {
            Change::NewlyAllowed => format!("was refused: {}", why(&old)),
            _ => why(&new),
        };
        let rule = entry.rule.as_deref().unwrap_or_default();
        self.tally.changed(change, rule, Recorded::repository(entry), entry, reason, []);
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.tally.not_affected.contains_key("no_provider") {
            notes.push(format!(
                "no OIDC provider can be registered for the issuer {}: no token was judged",
                self.issuer
            ));
        }
        notes
    }
}
