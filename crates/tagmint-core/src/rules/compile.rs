//! From configuration to rules: everything that can be checked before an identity is there.

use std::{collections::BTreeMap, fmt::Display, thread};

use super::{
    RuleName, RuleSet,
    check::Regexes,
    config::{ChosenTag, LifetimeConfig, RuleConfig, TagConfig},
    context,
    expression::{Expression, shortened},
    limits, lint,
    providers::{self, TrustedIssuers},
    rule::{Choice, FromText, Rule, Tag, TagSource, Text},
    template::Template,
};
use crate::{
    claims::Lifetime,
    identity::IdentitySource,
    tags::{TagKey, TagValue},
    trusted_issuer::TrustedIssuerName,
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
    /// Compiles and checks rules, which may name these providers. All errors are reported at once, in the
    /// order of the rules. What is allowed, but hardly meant, is in [`warnings`](Self::warnings) afterwards.
    pub fn compile(rules: &[RuleConfig], providers: &TrustedIssuers) -> Result<Self, Vec<RuleError>> {
        let set_error = |message: String| vec![RuleError { path: "rule".to_owned(), rule: None, message }];
        // Parsing nests as deep as the text does, so it gets a stack of its own.
        thread::scope(|scope| {
            let builder = thread::Builder::new().stack_size(limits::COMPILE_STACK);
            let compiling = builder
                .name("compile-rules".to_owned())
                .spawn_scoped(scope, || compile(rules, providers))
                .map_err(|error| set_error(format!("no thread to compile the rules on: {error}")))?;
            let panicked = |_| Err(set_error("compiling the rules panicked".to_owned()));
            compiling.join().unwrap_or_else(panicked)
        })
    }
}

fn compile(configs: &[RuleConfig], providers: &TrustedIssuers) -> Result<RuleSet, Vec<RuleError>> {
    let mut compiler =
        Compiler { providers, at: Default::default(), regexes: Regexes::new(), steps: 0, errors: Vec::new() };
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
    // Only a rule that is whole says which issuers fit.
    if rules.len() == configs.len() {
        compiler.issuers(configs, &rules);
    }
    if compiler.errors.is_empty() {
        let by_name = by_name.into_keys().collect();
        let warnings = lint::warnings(&rules, providers);
        Ok(RuleSet { rules, by_name, warnings, root: context::root(compiler.regexes) })
    } else {
        Err(compiler.errors)
    }
}

struct Compiler<'a> {
    providers: &'a TrustedIssuers,
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
        let sources = config.source.as_deref().map(|names| self.sources(names).ok_or(Failed)).transpose();
        let when = config.when.as_deref().map(|text| self.expression("when", text, false).ok_or(Failed)).transpose();
        let providers = config.provider.as_deref().map(|names| self.providers(names).ok_or(Failed)).transpose();
        if let (Ok(Some(sources)), Ok(Some(providers))) = (&sources, &providers) {
            self.sources_of_providers(sources, providers);
        }
        if config.when.is_none() && config.source.is_none() && config.provider.is_none() {
            self.fail(
                "when",
                "missing; give a condition, a `source` or a `provider` (`when = \"true\"` takes every identity)",
            );
        }
        let subject = self.text("subject", &config.subject);
        if config.audiences.is_empty() {
            self.fail("audiences", "empty; a token needs one, for AWS `sts.amazonaws.com`");
        }
        let audiences = self.texts("audiences", &config.audiences, limits::MAX_AUDIENCES);
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
        let tags = self.tags(&config.tags);
        let transitive = self.transitive(config);
        Some(Rule {
            name: name?,
            sources: sources.ok()?,
            providers: providers.ok()?,
            when: when.ok()?,
            subject: subject?,
            audiences: audiences?,
            roles: roles?,
            lifetime: lifetime.ok()?,
            max_lifetime: max.ok()?,
            transitive: transitive?,
            tags: tags?,
        })
    }

    fn sources(&mut self, names: &[String]) -> Option<Vec<IdentitySource>> {
        let all = || IdentitySource::ALL.map(|source| format!("`{}`", source.as_str())).join(", ");
        if names.is_empty() {
            self.fail("source", format!("empty; name any of {}, or leave it out", all()));
            return None;
        }
        self.each("source", names, |compiler, field, name| {
            let known = IdentitySource::ALL.into_iter().find(|known| known.as_str() == name);
            let unknown = || format!("`{}` is not a source; there are {}", shortened(name, 60), all());
            compiler.ok(field, known.ok_or_else(unknown))
        })
    }

    fn providers(&mut self, names: &[String]) -> Option<Vec<TrustedIssuerName>> {
        if names.is_empty() {
            self.fail("provider", "empty; name a `[[provider]]`, or leave it out");
            return None;
        }
        let known = self.providers;
        self.each("provider", names, |compiler, field, name| {
            let unknown = || format!("no `[[provider]]` is called `{}`; there {}", shortened(name, 60), known.listed());
            compiler.ok(field, known.find(name).map(|(name, _)| name.clone()).ok_or_else(unknown))
        })
    }

    /// Claims of several issuers are not told apart by a rule that names none.
    fn issuers(&mut self, configs: &[RuleConfig], rules: &[Rule]) {
        for (index, (config, rule)) in configs.iter().zip(rules).enumerate() {
            let fitting = lint::issuers::confused(rule, self.providers);
            let Some(first) = fitting.first() else { continue };
            let (first, all) = (first.name.clone(), providers::in_words(fitting.iter().copied()));
            self.at = (index, config.name.clone());
            self.fail(
                "provider",
                format!(
                    "missing, and the rule fits tokens of more than one issuer ({all}), whose claims can be the same: a job of one passes \
                     for a job of the other. Add `provider = [\"{first}\"]`, or list all that you mean"
                ),
            );
        }
    }

    /// A provider that `source` excludes could never be the identity's.
    fn sources_of_providers(&mut self, sources: &[IdentitySource], providers: &[TrustedIssuerName]) {
        for (index, name) in providers.iter().enumerate() {
            let source = self.providers.find(name.as_str()).map(|(_, kind)| kind.source());
            if let Some(source) = source.filter(|source| !sources.contains(source)) {
                let source = source.as_str();
                self.fail(
                    &format!("provider[{index}]"),
                    format!(
                        "`{name}` is of the kind `{source}`, which `source` leaves out; add it there or remove `source`"
                    ),
                );
            }
        }
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
        let compiled = Template::compile(text, &mut self.regexes);
        let template = self.ok(field, compiled)?;
        self.steps = self.steps.saturating_add(template.steps());
        Some(template)
    }

    fn expression(&mut self, field: &str, text: &str, with_value: bool) -> Option<Expression> {
        let compiled = Expression::compile(text, with_value, &mut self.regexes);
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
