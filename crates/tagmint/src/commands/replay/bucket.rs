//! A replay of mints against a bucket policy: would each token's session have reached its own prefix, and nothing else?

use tagmint_aws::render::{Access, Mode};
use tagmint_core::{
    dry_run::{
        Recorded,
        replay::{Change, Tally},
    },
    ledger::{LedgerEntry, Minted, Outcome},
};
use tagmint_iam::{
    arn::RoleArn,
    context::Context,
    evaluate::{self, Caller, Decision, Policies, Request, Source},
    policy::{Kind, Policy},
};

use super::{Judge, policies};
use crate::{cli::ReplayArgs, config::Config, error::CliError, output::Output};

/// The name of the sessions that ask.
const SESSION_NAME: &str = "tagmint-replay";
/// The unique id that stands in for the role's.
const ROLE_ID: &str = "AROAREPLAYREPLAYREPL";
/// A prefix that no token is for: whoever reaches it reaches everybody's.
const FOREIGN: &str = "tagmint-replay-foreign-prefix";

/// What is tried. The last two only where a role writes.
const ACTIONS: [&str; 4] = ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"];

/// A role whose sessions reach the bucket.
struct BucketRole {
    arn: String,
    access: Vec<Access>,
    caller: Caller,
    /// The statements that can matter, for each of [`ACTIONS`]. A policy of a hundred statements for a hundred roles is judged as fast as one for
    /// one role.
    old: [Reduced; 4],
    new: [Reduced; 4],
}

/// Policies without the statements that name another action or another principal.
struct Reduced {
    own: Vec<Policy>,
    bucket: Policy,
}

impl Reduced {
    fn of(own: &[Policy], bucket: &Policy, caller: &Caller, action: &str) -> Self {
        // Which statements name action and principal does not depend on anything else of a request.
        let asked = Request { caller, action, resource: "arn:aws:s3:::bucket/key", context: &Context::new() };
        let policies = Policies { identity: own, session: None, resource: Some(bucket), same_account: true };
        let traces = evaluate::access(policies, asked).statements;
        let keep = |source: Source, index: usize, policy: &Policy| {
            let matters = |statement: usize| {
                traces.iter().any(|trace| {
                    (trace.at.source, trace.at.policy, trace.at.statement) == (source, index, statement)
                        && trace.action
                        && trace.principal != Some(false)
                })
            };
            let statements = policy.statements.iter().enumerate().filter(|(statement, _)| matters(*statement));
            Policy { statements: statements.map(|(_, statement)| statement.clone()).collect(), ..policy.clone() }
        };
        Self {
            own: own.iter().enumerate().map(|(index, policy)| keep(Source::Identity, index, policy)).collect(),
            bucket: keep(Source::Resource, 0, bucket),
        }
    }
}

/// Two policies of a bucket.
pub(super) struct Bucket {
    tally: Tally,
    arn: String,
    roles: Vec<BucketRole>,
    source_identity: bool,
    provider: String,
}

/// What a token's sessions lose and gain, with what the new policy says.
#[derive(Default)]
struct Differences {
    lost: Vec<(Attempt, Decision)>,
    gained: Vec<(Attempt, Decision)>,
}

/// One request of a session.
struct Attempt {
    /// As it is counted: `s3:GetObject (own prefix)`.
    name: String,
    /// The place in [`ACTIONS`].
    action: usize,
    resource: String,
    /// The value of `s3:prefix`.
    prefix: Option<String>,
    own: bool,
}

impl Attempt {
    fn decide(&self, policies: &[Reduced; 4], caller: &Caller, context: &Context) -> Decision {
        let Reduced { own, bucket } = &policies[self.action];
        let policies = Policies { identity: own, session: None, resource: Some(bucket), same_account: true };
        let request = Request { caller, action: ACTIONS[self.action], resource: &self.resource, context };
        evaluate::access(policies, request)
    }
}

impl Bucket {
    pub(super) fn new(args: &ReplayArgs, config: &Config, output: Output) -> Result<Self, CliError> {
        let Some(file) = args.bucket_policy.as_deref() else {
            return Err(CliError::Usage("give --bucket-policy FILE".to_owned()));
        };
        let new = policies::read(Kind::Resource, "the bucket policy", file, None)?.policy;
        let rendered = policies::rendered(config, output)?;
        let Some(bucket) = &rendered.set_up.bucket else {
            return Err(CliError::Check(format!("{}: there is no [aws.bucket]", config.file.display())));
        };
        let old = match args.base.as_deref() {
            Some(file) => policies::read(Kind::Resource, "the bucket policy of --base", file, None)?.policy,
            None => policies::parse(Kind::Resource, &bucket.policy)?,
        };
        let mut roles = Vec::new();
        for role in rendered.set_up.roles.iter().filter(|role| !role.access.is_empty()) {
            let own = role.guard_policy.iter().map(|policy| policies::parse(Kind::Identity, policy));
            let own: Vec<Policy> = own.collect::<Result<_, _>>()?;
            let session_arn = RoleArn::parse(&role.arn).map(|arn| arn.session(SESSION_NAME)).unwrap_or_default();
            let caller = Caller::RoleSession { role_arn: role.arn.clone(), session_arn };
            let reduced = |bucket: &Policy| ACTIONS.map(|action| Reduced::of(&own, bucket, &caller, action));
            let (old, new) = (reduced(&old), reduced(&new));
            roles.push(BucketRole { arn: role.arn.clone(), access: role.access.clone(), caller, old, new });
        }
        if roles.is_empty() {
            return Err(CliError::Check(format!(
                "{}: no [[aws.role]] has `access` to the bucket",
                config.file.display()
            )));
        }
        Ok(Self {
            tally: Tally::default(),
            arn: bucket.arn.clone(),
            roles,
            source_identity: rendered.settings.source_identity,
            provider: rendered.set_up.provider.arn.clone(),
        })
    }

    /// What a session of this role tries: its own prefixes, and a foreign one.
    fn attempts(&self, role: &BucketRole, minted: &Minted) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        for access in &role.access {
            if let Some(prefix) = tag(minted, &access.tag) {
                self.below(prefix, true, access.mode == Mode::ReadWrite, &mut attempts);
            }
        }
        self.below(FOREIGN, false, true, &mut attempts);
        attempts
    }

    fn below(&self, prefix: &str, own: bool, writes: bool, attempts: &mut Vec<Attempt>) {
        let whose = if own { "own prefix" } else { "foreign prefix" };
        let object = format!("{}/{prefix}/object", self.arn);
        for (action, name) in ACTIONS.iter().enumerate().take(if writes { ACTIONS.len() } else { 2 }) {
            let lists = action == 0;
            attempts.push(Attempt {
                name: format!("{name} ({whose})"),
                action,
                resource: if lists { self.arn.clone() } else { object.clone() },
                prefix: lists.then(|| format!("{prefix}/")),
                own,
            });
        }
    }

    /// What the sessions of a token lose and gain. None: no role of the token reaches the bucket.
    fn compare(&self, minted: &Minted) -> Option<Differences> {
        let mut differences = None;
        for role in self.roles.iter().filter(|role| minted.roles.is_empty() || minted.roles.contains(&role.arn)) {
            let Differences { lost, gained } = differences.get_or_insert_default();
            let context = self.context(role, minted);
            for attempt in self.attempts(role, minted) {
                let with_prefix = attempt.prefix.as_ref().map(|prefix| context.clone().with("s3:prefix", prefix));
                let context = with_prefix.as_ref().unwrap_or(&context);
                let before = attempt.decide(&role.old, &role.caller, context).is_allowed();
                let after = attempt.decide(&role.new, &role.caller, context);
                if before != after.is_allowed() {
                    let list = if before { &mut *lost } else { &mut *gained };
                    list.push((attempt, after));
                }
            }
        }
        differences
    }

    /// The keys of the session's requests (IAM user guide, "AWS global condition context keys").
    fn context(&self, role: &BucketRole, minted: &Minted) -> Context {
        let mut context = Context::new()
            .with("aws:SecureTransport", "true")
            .with("aws:PrincipalType", "AssumedRole")
            .with("aws:PrincipalArn", &role.arn)
            .with("aws:userid", format!("{ROLE_ID}:{SESSION_NAME}"))
            .with("aws:FederatedProvider", &self.provider);
        if let Some(parsed) = RoleArn::parse(&role.arn) {
            context = context.with("aws:PrincipalAccount", parsed.account);
        }
        if self.source_identity {
            context = context.with("aws:SourceIdentity", minted.mint_id.to_string());
        }
        let tags = minted.tags.get("principal_tags").and_then(|tags| tags.as_object());
        for (key, value) in tags.into_iter().flatten() {
            if let Some(value) = value.get(0).and_then(|value| value.as_str()) {
                context = context.with(&format!("aws:PrincipalTag/{key}"), value);
            }
        }
        context
    }
}

/// An attempt, and what the new policy says of it.
fn in_words((attempt, decision): &(Attempt, Decision)) -> String {
    let resource = &attempt.resource;
    let at =
        attempt.prefix.as_ref().map_or_else(|| resource.clone(), |prefix| format!("{resource} with prefix {prefix}"));
    let foreign = if attempt.own { "" } else { ", a prefix that is not the session's own" };
    let why = policies::in_words(decision, "the bucket policy or the role");
    format!("{} on {at}{foreign}: {why}", ACTIONS[attempt.action])
}

fn tag<'m>(minted: &'m Minted, key: &str) -> Option<&'m str> {
    let value = minted.tags.get("principal_tags")?.get(key)?.get(0)?.as_str()?;
    (!value.is_empty()).then_some(value)
}

impl Judge for Bucket {
    fn row(&mut self, entry: &LedgerEntry) {
        self.tally.see(entry);
        let minted = match &entry.outcome {
            Outcome::Minted(minted) => minted,
            Outcome::Refused(_) => return self.tally.not_affected("refused"),
            Outcome::Fetched(_) => return self.tally.not_affected("fetch"),
        };
        let Some(Differences { lost, gained }) = self.compare(minted) else {
            return self.tally.not_affected("other_role");
        };
        let change = match (lost.is_empty(), gained.is_empty()) {
            (true, true) => return self.tally.unchanged(),
            (false, true) => Change::NewlyRefused,
            (true, false) => Change::NewlyAllowed,
            (false, false) => Change::Changed,
        };
        let both = || lost.iter().chain(&gained);
        let reason = || both().map(in_words).collect::<Vec<_>>().join("; ");
        let names: Vec<&str> = both().map(|(attempt, _)| attempt.name.as_str()).collect();
        let rule = entry.rule.as_deref().unwrap_or_default();
        self.tally.changed(change, rule, Recorded::repository(entry), entry, reason, names);
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}
