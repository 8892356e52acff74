//! From configuration to rules: everything that can be checked before an identity is there.

use std::{collections::BTreeMap, fmt::Display, thread};

use super::{
    RuleMode, RuleName, RuleSet,
    check::Regexes,
    config::{ChosenTag, LifetimeConfig, RuleConfig, TagConfig},
    context,
    expression::{Expression, shortened},
    hash,
    issuers::TrustedIssuers,
    limits, lint,
    matching::Match,
    nearest::nearest,
    rule::{Choice, FromText, Rule, RuleFrom, Tag, TagSource, Text},
    session::{self, SessionTerms},
    template::Template,
    vocabulary::Vocabulary,
};
use crate::{
    claims::Lifetime,
    tags::{TagKey, TagValue},
};

/// What is wrong with one field of one rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}{}: {message}", rule_label(rule.as_deref()))]
pub struct RuleError {
    /// The field's path in the configuration, for example `rule[2].tags.run.matches`.
    pub path: String,
    /// The rule's name as written. None where the error is the whole set's.
    pub rule: Option<String>,
    /// What is wrong, and what is allowed.
    pub message: String,
}

fn rule_label(name: Option<&str>) -> String {
    name.map(|name| format!(" (rule `{name}`)")).unwrap_or_default()
}

impl RuleSet {
    /// Compiles and checks rules, which may take identities from these trusted issuers. All errors are reported at once, in the
    /// order of the rules. What is allowed, but hardly meant, is in [`warnings`](Self::warnings) afterwards.
    pub fn compile(rules: &[RuleConfig], issuers: &TrustedIssuers) -> Result<Self, Vec<RuleError>> {
        let set_error = |message: String| vec![RuleError { path: "rule".to_owned(), rule: None, message }];
        // Parsing nests as deep as the text does, so it gets a stack of its own.
        thread::scope(|scope| {
            let builder = thread::Builder::new().stack_size(limits::COMPILE_STACK);
            let compiling = builder
                .name("compile-rules".to_owned())
                .spawn_scoped(scope, || compile(rules, issuers))
                .map_err(|error| set_error(format!("no thread to compile the rules on: {error}")))?;
            let panicked = |_| Err(set_error("compiling the rules panicked".to_owned()));
            compiling.join().unwrap_or_else(panicked)
        })
    }
}

fn compile(configs: &[RuleConfig], issuers: &TrustedIssuers) -> Result<RuleSet, Vec<RuleError>> {
    let mut compiler = Compiler {
        issuers,
        vocabulary: Vocabulary::anything(),
        at: Default::default(),
        regexes: Regexes::new(),
        steps: 0,
        errors: Vec::new(),
    };
    if configs.len() > limits::MAX_RULES {
        let (count, most) = (configs.len(), limits::MAX_RULES);
        compiler.fail_set(format!("{count} rules; {most} are allowed"));
        return Err(compiler.errors);
    }
    let mut rules = Vec::with_capacity(configs.len());
    let mut by_name = BTreeMap::new();
    for (index, config) in configs.iter().enumerate() {
        compiler.at = (index, config.name.clone());
        let Some(rule) = compiler.rule(config) else { continue };
        if let Some(first) = by_name.insert(rule.name.clone(), index) {
            compiler.fail("name", format!("rule[{first}] has the same name; names are unique"));
        }
        rules.push(rule);
    }
    if compiler.steps > limits::MAX_TOTAL_STEPS {
        let (steps, most) = (compiler.steps, limits::MAX_TOTAL_STEPS);
        compiler.fail_set(format!(
            "all expressions together could take {steps} steps for the largest identity; {most} are \
             allowed: simplify those with macros"
        ));
    }
    if !compiler.errors.is_empty() {
        return Err(compiler.errors);
    }
    let enforced = rules.iter().filter(|rule| rule.mode == RuleMode::Enforce).map(|rule| rule.name.clone()).collect();
    let root = context::root(compiler.regexes);
    let warnings = lint::warnings(&rules, issuers, &root);
    let hash = hash::of(configs, issuers);
    Ok(RuleSet { rules, enforced, warnings, hash, root })
}

struct Compiler<'a> {
    issuers: &'a TrustedIssuers,
    /// The claims that the rule at hand may name.
    vocabulary: Vocabulary<'a>,
    /// Index and name of the rule at hand.
    at: (usize, String),
    regexes: Regexes,
    steps: u64,
    errors: Vec<RuleError>,
}

impl Compiler<'_> {
    fn fail_set(&mut self, message: String) {
        self.errors.push(RuleError { path: "rule".to_owned(), rule: None, message });
    }

    fn fail(&mut self, field: &str, message: impl Display) {
        let (index, name) = &self.at;
        self.errors.push(RuleError {
            path: format!("rule[{index}].{field}"),
            rule: Some(shortened(name, RuleName::MAX_LEN)),
            message: message.to_string(),
        });
    }

    /// The value, or its error noted.
    fn ok<T, E: Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.fail(field, error)).ok()
    }

    /// Every field is compiled before the first that failed ends the rule, so that all errors show.
    fn rule(&mut self, config: &RuleConfig) -> Option<Rule> {
        let name = self.ok("name", RuleName::parse(&config.name));
        let from = self.from(&config.from);
        // Where `from` is wrong, nothing can be said of the claims.
        let vocabulary = from.as_ref().map(|from| Vocabulary::of(from, self.issuers));
        self.vocabulary = vocabulary.unwrap_or_else(Vocabulary::anything);
        let matches = self.matches(config);
        let when = config.when.as_deref().map(|text| self.expression("when", text, false).ok_or(Failed)).transpose();
        let subject = self.text("subject", &config.subject);
        if config.audiences.is_empty() {
            self.fail("audiences", "empty; a token needs one, for AWS `sts.amazonaws.com`");
        }
        let audiences = self.texts("audiences", &config.audiences, limits::MAX_AUDIENCES);
        if config.role.is_some() && !config.roles.is_empty() {
            self.fail("role", "is given beside `roles`; keep one");
        }
        let role = config.role.as_deref().map(|role| self.text("role", role).ok_or(Failed)).transpose();
        let roles = self.texts("roles", &config.roles, limits::MAX_ROLES);
        let lifetime = config.lifetime.as_ref().map(|text| self.lifetime("lifetime", text).ok_or(Failed)).transpose();
        let max =
            config.max_lifetime.as_ref().map(|text| self.lifetime("max_lifetime", text).ok_or(Failed)).transpose();
        if let (Ok(Some(Text::Fixed(default))), Ok(Some(Text::Fixed(most)))) = (&lifetime, &max)
            && default > most
        {
            let (default, most) = (default.seconds(), most.seconds());
            self.fail("lifetime", format!("{default} s is more than `max_lifetime`, {most} s"));
        }
        let session = self.session(config);
        let tags = self.tags(&config.tags);
        let transitive = self.transitive(config);
        Some(Rule {
            name: name?,
            from: from?,
            matches: matches?,
            when: when.ok()?,
            mode: config.mode,
            subject: subject?,
            audiences: audiences?,
            roles: role.ok()?.into_iter().chain(roles?).collect(),
            one_role: config.role.is_some(),
            lifetime: lifetime.ok()?,
            max_lifetime: max.ok()?,
            transitive: transitive?,
            session: session?,
            tags: tags?,
        })
    }

    fn from(&mut self, name: &str) -> Option<RuleFrom> {
        match name {
            "session" => return Some(RuleFrom::Session),
            "bearer" => return Some(RuleFrom::Bearer),
            "anonymous" => return Some(RuleFrom::Anonymous),
            _ => {}
        }
        if let Some(known) = self.issuers.find(name) {
            return Some(RuleFrom::TrustedIssuer(known.name.clone()));
        }
        let known: Vec<&str> = self.issuers.names().chain(RuleFrom::RESERVED).collect();
        let hint = nearest(name, known.iter().copied()).map(|it| format!("; did you mean `{it}`?")).unwrap_or_default();
        self.fail(
            "from",
            format!(
                "`{}` is neither a `[[trusted_issuer]]` nor a source of this issuer; there are `{}`{hint}",
                shortened(name, 60),
                known.join("`, `")
            ),
        );
        None
    }

    fn matches(&mut self, config: &RuleConfig) -> Option<Vec<Match>> {
        let (count, most) = (config.matches.len(), limits::MAX_MATCHES);
        if count > most {
            self.fail("match", format!("{count} claims; {most} are allowed"));
            return None;
        }
        let mut matches = Vec::with_capacity(count);
        for (name, test) in &config.matches {
            let compiled = Match::compile(name, test, &self.vocabulary);
            matches.extend(self.ok(&format!("match.{}", toml_key(name)), compiled));
        }
        (matches.len() == count).then_some(matches)
    }

    fn session(&mut self, config: &RuleConfig) -> Option<SessionTerms> {
        let policy = config.session_policy.as_deref().map(session::policy).transpose();
        let policy = self.ok("session_policy", policy);
        let policy_arns = self.ok("session_policy_arns", session::policy_arns(&config.session_policy_arns));
        let second = config.assume_then.as_deref().map(session::second_role).transpose();
        let assume_then = self.ok("assume_then", second);
        Some(SessionTerms { policy: policy?, policy_arns: policy_arns?, assume_then: assume_then? })
    }

    fn tags(&mut self, configs: &BTreeMap<String, TagConfig>) -> Option<Vec<Tag>> {
        if configs.len() > limits::MAX_TAGS {
            let (count, most) = (configs.len(), limits::MAX_TAGS);
            self.fail("tags", format!("{count} tags; AWS takes {most} in a session"));
            return None;
        }
        let mut folded: BTreeMap<String, &str> = BTreeMap::new();
        let mut tags = Vec::with_capacity(configs.len());
        for (key, config) in configs {
            let field = format!("tags.{}", toml_key(key));
            if let Some(first) = folded.insert(key.to_lowercase(), key) {
                self.fail(&field, format!("differs from `{first}` in case alone; to AWS they are one key"));
            }
            let key = self.ok(&field, TagKey::parse(key));
            let tag = key.and_then(|key| {
                let value = self.tag(&field, &key, config)?;
                Some(Tag { key, value })
            });
            tags.extend(tag);
        }
        (tags.len() == configs.len()).then_some(tags)
    }

    fn tag(&mut self, field: &str, key: &TagKey, config: &TagConfig) -> Option<TagSource> {
        let chosen = match config {
            TagConfig::Fixed(text) => {
                return self.tag_value(field, key, text).map(TagSource::Fixed);
            }
            TagConfig::Chosen(chosen) => chosen,
        };
        let among = self.choice(field, key, chosen);
        let default_field = format!("{field}.default");
        let default =
            chosen.default.as_ref().map(|text| self.tag_value(&default_field, key, text).ok_or(Failed)).transpose();
        if chosen.required && chosen.default.is_some() {
            self.fail(field, "`required` and `default` exclude each other; keep one");
            return None;
        }
        let (among, default) = (among?, default.ok()?);
        if let (Choice::OneOf(values), Some(text)) = (&among, default.as_ref().and_then(Template::literal))
            && values.iter().all(|value| value.literal().is_some_and(|value| value != text))
        {
            self.fail(&default_field, format!("`{text}` is not in `one_of`"));
            return None;
        }
        Some(TagSource::Chosen { among, default, required: chosen.required })
    }

    fn choice(&mut self, field: &str, key: &TagKey, chosen: &ChosenTag) -> Option<Choice> {
        match chosen {
            ChosenTag { open: Some(true), one_of: None, matches: None, .. } => Some(Choice::Open),
            ChosenTag { open: None, one_of: Some(values), matches: None, .. } if !values.is_empty() => {
                let field = format!("{field}.one_of");
                if values.len() > limits::MAX_ONE_OF {
                    let (count, most) = (values.len(), limits::MAX_ONE_OF);
                    self.fail(&field, format!("{count} values; {most} are allowed"));
                    return None;
                }
                let value = |compiler: &mut Self, field: &str, text: &str| compiler.tag_value(field, key, text);
                self.each(&field, values, value).map(Choice::OneOf)
            }
            ChosenTag { open: None, one_of: None, matches: Some(text), .. } => {
                let field = format!("{field}.matches");
                self.expression(&field, text, true).map(Choice::Matches)
            }
            _ => {
                self.fail(
                    field,
                    "say what a request may put here with exactly one of `open = true`, `one_of = [\"…\"]` \
                     (not empty) and `matches = '…'`; for a fixed value write the tag as text",
                );
                None
            }
        }
    }

    fn tag_value(&mut self, field: &str, key: &TagKey, text: &str) -> Option<Template> {
        let template = self.template(field, text)?;
        if let Some(literal) = template.literal() {
            self.ok(field, TagValue::parse(key, literal))?;
        }
        Some(template)
    }

    fn transitive(&mut self, config: &RuleConfig) -> Option<Vec<Template>> {
        if config.transitive.len() > limits::MAX_TAGS {
            let most = limits::MAX_TAGS;
            self.fail("transitive", format!("more than {most} keys; AWS takes {most} tags in a session"));
            return None;
        }
        self.each("transitive", &config.transitive, |compiler, field, text| {
            let template = compiler.template(field, text)?;
            if let Some(key) = template.literal()
                && !config.tags.contains_key(key)
            {
                compiler.fail(field, format!("`{key}` is not a tag of this rule; add it to `tags`"));
                return None;
            }
            Some(template)
        })
    }

    fn lifetime(&mut self, field: &str, config: &LifetimeConfig) -> Option<Text<Lifetime>> {
        match config {
            LifetimeConfig::Seconds(seconds) => self.ok(field, Lifetime::from_seconds(*seconds)).map(Text::Fixed),
            LifetimeConfig::Text(text) => self.text(field, text),
        }
    }

    fn texts<T: FromText>(&mut self, field: &str, texts: &[String], most: usize) -> Option<Vec<Text<T>>> {
        if texts.len() > most {
            self.fail(field, format!("{} entries; {most} are allowed", texts.len()));
            return None;
        }
        self.each(field, texts, Self::text)
    }

    fn text<T: FromText>(&mut self, field: &str, text: &str) -> Option<Text<T>> {
        let template = self.template(field, text)?;
        match template.literal() {
            Some(literal) => self.ok(field, T::from_text(literal)).map(Text::Fixed),
            None => Some(Text::Template(template)),
        }
    }

    fn template(&mut self, field: &str, text: &str) -> Option<Template> {
        let compiled = Template::compile(text, &self.vocabulary, &mut self.regexes);
        let template = self.ok(field, compiled)?;
        self.steps = self.steps.saturating_add(template.steps());
        Some(template)
    }

    fn expression(&mut self, field: &str, text: &str, with_value: bool) -> Option<Expression> {
        let compiled = Expression::compile(text, with_value, &self.vocabulary, &mut self.regexes);
        let expression = self.ok(field, compiled)?;
        self.steps = self.steps.saturating_add(expression.steps());
        Some(expression)
    }

    /// Compiles each element under `field[i]`; None when one failed.
    fn each<T>(
        &mut self,
        field: &str,
        texts: &[String],
        mut compile: impl FnMut(&mut Self, &str, &str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut all = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            all.extend(compile(self, &format!("{field}[{index}]"), text));
        }
        (all.len() == texts.len()).then_some(all)
    }
}

/// A field failed; its error is noted.
struct Failed;

/// A key as it stands in TOML.
pub(super) fn toml_key(key: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !key.is_empty() && key.bytes().all(bare) {
        key.to_owned()
    } else {
        format!("{:?}", shortened(key, crate::tags::MAX_KEY_LEN))
    }
}
