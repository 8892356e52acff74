//! An identity that nobody has proved.

use serde_json::{Map, Value};

use super::Granted;
use crate::{
    identity::{CredentialId, IdentitySource, VerifiedIdentity},
    ledger::{LedgerEntry, Outcome, Run},
    rules::{Decision, DenialReason, Explanation, MintRequest, RuleName, RuleSet, TagScope},
    trusted_issuer::{
        IssuerKind, TokenError, TrustedIssuer, TrustedIssuerName,
        kind::{Meaning, Scope},
        read_unproven,
    },
};

/// An identity that nobody has proved: what rules would see if it were real.
#[derive(Debug, Clone, PartialEq)]
pub struct UnprovenIdentity(VerifiedIdentity);

/// What a job, a service account or the like runs for: what replays are counted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The id that the issuer gives it, where it gives one; otherwise its name or the identity's subject.
    pub key: String,
    /// Its name and id, for people.
    pub label: String,
}

impl UnprovenIdentity {
    /// The identity that a token of `issuer` with these claims would prove. Nothing of the token is verified.
    pub fn from_claims(issuer: &TrustedIssuer, claims: &Map<String, Value>) -> Result<Self, TokenError> {
        let (subject, attributes) = read_unproven(issuer, claims)?;
        Ok(Self::of_issuer(issuer.name.clone(), issuer.kind, subject, attributes))
    }

    /// An identity of a trusted issuer with the attributes that rules would see, derived ones included.
    pub fn of_issuer(
        name: TrustedIssuerName,
        kind: IssuerKind,
        subject: String,
        attributes: Map<String, Value>,
    ) -> Self {
        Self::of(IdentitySource::TrustedIssuer(kind), Some(name), subject, attributes)
    }

    /// The holder of a session.
    pub fn of_session(subject: String, attributes: Map<String, Value>) -> Self {
        Self::of(IdentitySource::Session, None, subject, attributes)
    }

    /// The holder of a bearer token.
    pub fn of_bearer(name: String, attributes: Map<String, Value>) -> Self {
        Self::of(IdentitySource::Bearer, None, name, attributes)
    }

    /// A caller without a credential.
    pub fn anonymous() -> Self {
        Self(VerifiedIdentity::anonymous())
    }

    fn of(
        source: IdentitySource,
        trusted_issuer: Option<TrustedIssuerName>,
        subject: String,
        attributes: Map<String, Value>,
    ) -> Self {
        Self(VerifiedIdentity { source, trusted_issuer, subject, attributes, ..VerifiedIdentity::anonymous() })
    }

    /// The same with a credential that may use one rule only, or that is confined to a scope.
    #[must_use]
    pub fn confined(mut self, only_rule: Option<RuleName>, scope: TagScope) -> Self {
        self.0.only_rule = only_rule;
        self.0.scope = scope;
        debug_assert_eq!(self.0.credential, CredentialId::Absent);
        self
    }

    /// How it would prove itself.
    pub const fn source(&self) -> IdentitySource {
        self.0.source
    }

    /// The trusted issuer whose token it would present.
    pub const fn trusted_issuer(&self) -> Option<&TrustedIssuerName> {
        self.0.trusted_issuer.as_ref()
    }

    /// What rules write in `from` for it.
    pub fn from(&self) -> &str {
        self.0.trusted_issuer.as_ref().map_or(self.0.source.as_str(), TrustedIssuerName::as_str)
    }

    /// Its name: `sub` in rules.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The claims that rules see, and the attributes that are derived from them.
    pub const fn attributes(&self) -> &Map<String, Value> {
        &self.0.attributes
    }

    /// The one rule that its credential may use.
    pub const fn only_rule(&self) -> Option<&RuleName> {
        self.0.only_rule.as_ref()
    }

    /// What its credential is confined to.
    pub const fn scope(&self) -> &TagScope {
        &self.0.scope
    }

    /// What the rules would decide.
    pub fn decide(&self, rules: &RuleSet, request: &MintRequest) -> Decision {
        rules.decide(&self.0, request)
    }

    /// What the rules would decide, and what each rule says.
    pub fn explain(&self, rules: &RuleSet, request: &MintRequest) -> Explanation {
        rules.explain(&self.0, request)
    }

    /// What it runs for, by the claims that its kind's table marks as the repository's.
    pub fn repository(&self) -> Repository {
        let claims = match self.0.source {
            IdentitySource::TrustedIssuer(kind) => kind.table().claims,
            _ => &[],
        };
        let text = |name: &str| match self.0.attributes.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let first = |wanted: fn(&Meaning) -> bool| {
            claims.iter().filter(|claim| wanted(&claim.meaning)).find_map(|claim| text(claim.name))
        };
        let id = first(|meaning| matches!(meaning, Meaning::Id(Scope::Repository)));
        let name = first(|meaning| matches!(meaning, Meaning::Name { scope: Scope::Repository, .. }));
        match (id, name) {
            (Some(id), Some(name)) => Repository { label: format!("{name} ({id})"), key: id },
            (Some(only), None) | (None, Some(only)) => Repository { label: only.clone(), key: only },
            (None, None) => Repository { label: self.0.subject.clone(), key: self.0.subject.clone() },
        }
    }
}

/// What a row of the ledger says: who asked for what, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Who asked.
    pub identity: UnprovenIdentity,
    /// For what.
    pub request: MintRequest,
    /// What came of it.
    pub outcome: RecordedOutcome,
}

/// What the rules decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordedOutcome {
    /// A token was minted.
    Granted(Granted),
    /// The rules refused.
    Refused {
        /// The code of the reason.
        code: String,
        /// The rule that refused, where one did.
        rule: Option<String>,
    },
}

/// Why a row cannot be decided again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecidable {
    /// The row holds credentials of AWS, and no decision.
    #[error("it records that credentials were fetched from AWS, which no rule decides")]
    Fetch,
    /// The request was refused for a reason that rules have no part in. The code.
    #[error("the request was refused for a reason that the rules have no part in (`{0}`)")]
    NotByRules(String),
    /// The row is of the ledger's format 1.
    #[error("it is of the ledger's format 1, which does not keep what the rules saw")]
    FirstFormat,
    /// The row has no details of the identity.
    #[error("it does not hold what the rules saw")]
    NoRun,
    /// Claims are not kept.
    #[error("these claims were not kept, because they are too large or look like a credential: {}", list(.0))]
    LeftOut(Vec<String>),
    /// The request is not kept.
    #[error("the request was not kept, because it is too large or looks like a credential")]
    NoRequest,
    /// The trusted issuer is of another kind now.
    #[error("the trusted issuer `{0}` was of another kind, which derives other attributes")]
    OtherKind(String),
    /// A part of the row is not what it must be.
    #[error("its `{0}` cannot be read")]
    Unreadable(&'static str),
}

fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

impl Undecidable {
    /// A stable name, for counts.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::NotByRules(_) => "not_by_rules",
            Self::FirstFormat => "format_1",
            Self::NoRun => "no_run",
            Self::LeftOut(_) => "claims_left_out",
            Self::NoRequest => "request_left_out",
            Self::OtherKind(_) => "other_kind",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

impl Recorded {
    /// Reads a row.
    pub fn read(entry: &LedgerEntry) -> Result<Self, Undecidable> {
        let outcome = match &entry.outcome {
            Outcome::Fetched(_) => return Err(Undecidable::Fetch),
            Outcome::Refused(refused) => {
                if entry.source.is_none() || !DenialReason::CODES.contains(&refused.code.as_str()) {
                    return Err(Undecidable::NotByRules(refused.code.clone()));
                }
                RecordedOutcome::Refused { code: refused.code.clone(), rule: entry.rule.clone() }
            }
            Outcome::Minted(minted) => {
                let granted = Granted::minted(entry.rule.clone().unwrap_or_default(), minted);
                RecordedOutcome::Granted(granted.ok_or(Undecidable::Unreadable("tags"))?)
            }
        };
        let (identity, request) = Self::asked(entry)?;
        Ok(Self { identity, request, outcome })
    }

    /// What a row's identity runs for, as far as the row says it.
    pub fn repository(entry: &LedgerEntry) -> Repository {
        let identity = entry.run.as_ref().and_then(|run| identity(entry, run).ok());
        identity.map_or_else(
            || {
                let name = entry.identity.clone().unwrap_or_else(|| "unknown".to_owned());
                Repository { key: name.clone(), label: name }
            },
            |identity| identity.repository(),
        )
    }

    /// Who asked, and for what.
    pub(super) fn asked(entry: &LedgerEntry) -> Result<(UnprovenIdentity, MintRequest), Undecidable> {
        let Some(run) = &entry.run else {
            return Err(if entry.format == 1 { Undecidable::FirstFormat } else { Undecidable::NoRun });
        };
        if !run.left_out.is_empty() {
            return Err(Undecidable::LeftOut(run.left_out.clone()));
        }
        let request = run.request.clone().ok_or(Undecidable::NoRequest)?;
        Ok((identity(entry, run)?, request))
    }
}

fn identity(entry: &LedgerEntry, run: &Run) -> Result<UnprovenIdentity, Undecidable> {
    let unreadable = Undecidable::Unreadable;
    let source = entry.source.as_deref().unwrap_or_default();
    let source = IdentitySource::parse(source).map_err(|_| unreadable("source"))?;
    let parsed = run.trusted_issuer.as_deref().map(TrustedIssuerName::parse).transpose();
    let trusted_issuer = parsed.map_err(|_| unreadable("run.trusted_issuer"))?;
    if trusted_issuer.is_some() != matches!(source, IdentitySource::TrustedIssuer(_)) {
        return Err(unreadable("run.trusted_issuer"));
    }
    let only_rule = run.only_rule.as_deref().map(RuleName::parse).transpose();
    let only_rule = only_rule.map_err(|_| unreadable("run.only_rule"))?;
    let scope = TagScope::from_json(&run.scope).map_err(|_| unreadable("run.scope"))?;
    let subject = entry.identity.clone().ok_or(unreadable("identity"))?;
    let identity = UnprovenIdentity::of(source, trusted_issuer, subject, run.attributes.clone());
    Ok(identity.confined(only_rule, scope))
}
