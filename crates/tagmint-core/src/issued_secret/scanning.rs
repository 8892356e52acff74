//! The rules for secret scanners that are shipped find what is issued, and nothing that only looks like it.

use std::{fs, path::Path};

use regex::Regex;
use serde::Deserialize;

use super::*;
use crate::random::SystemRandom;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "title")]
    _title: String,
    extend: toml::Table,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    id: String,
    description: String,
    regex: String,
    keywords: Vec<String>,
    #[serde(rename = "tags")]
    _tags: Vec<String>,
}

fn shipped(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

fn rules() -> Vec<Rule> {
    let file: File = toml::from_str(&shipped("deploy/secret-scanning/gitleaks.toml")).unwrap();
    assert_eq!(file.extend.get("useDefault"), Some(&toml::Value::Boolean(true)));
    file.rules
}

/// A scanner with the shipped rules.
struct Scanner(Vec<(Rule, Regex)>);

impl Scanner {
    fn new() -> Self {
        let compiled = |rule: Rule| {
            let regex = Regex::new(&rule.regex).unwrap();
            (rule, regex)
        };
        Self(rules().into_iter().map(compiled).collect())
    }

    /// What it finds: the rule's id, and the text.
    fn find(&self, text: &str) -> Vec<(String, String)> {
        // It looks for the keywords first, in any case, and for the expression only where one is.
        let lower = text.to_lowercase();
        let due = self.0.iter().filter(|(rule, _)| rule.keywords.iter().any(|keyword| lower.contains(keyword)));
        due.flat_map(|(rule, regex)| regex.find_iter(text).map(|hit| (rule.id.clone(), hit.as_str().to_owned())))
            .collect()
    }
}

#[test]
fn what_is_issued_is_found_wherever_it_stands() {
    let scanner = Scanner::new();
    for (kind, id) in [(SecretKind::Session, "tagmint-session"), (SecretKind::Bearer, "tagmint-bearer")] {
        for environment in [Environment::Prod, Environment::Test] {
            for _ in 0..50 {
                let secret = IssuedSecret::generate(kind, environment, &SystemRandom).unwrap();
                let secret = secret.expose();
                let hit = vec![(id.to_owned(), secret.to_owned())];
                for text in [
                    secret.to_owned(),
                    format!("TAGMINT_BEARER={secret}\n"),
                    format!("{{\"bearer\": \"{secret}\"}}"),
                    format!("curl -u x:{secret} https://broker.example"),
                    format!("https://broker.example/?a=1&token={secret}&b=2"),
                    format!("token%3D{secret}%26b"),
                    format!("'Authorization: Bearer {secret}'"),
                    format!("{secret}."),
                ] {
                    assert_eq!(scanner.find(&text), hit, "{text}");
                }
                let twice = format!("{secret},{secret}");
                assert_eq!(scanner.find(&twice).len(), 2);
            }
        }
    }
}

#[test]
fn what_only_looks_like_it_is_not() {
    let secret = IssuedSecret::generate(SecretKind::Bearer, Environment::Prod, &SystemRandom).unwrap();
    let good = secret.expose();
    let tail = &good["tmb_prod_".len()..];
    for text in [
        good[..good.len() - 1].to_owned(),
        format!("{good}x"),
        format!("{good}_x"),
        format!("tmb_dev_{tail}"),
        format!("tmc_prod_{tail}"),
        format!("tmb-prod-{tail}"),
        format!("tmb_prod{tail}"),
        format!("TMB_PROD_{tail}"),
        format!("tmb_prod_{}-{}", &tail[..20], &tail[21..]),
        "tmb_prod_… is a bearer, tms_<env>_… a session; `tmb_[redacted]`".to_owned(),
    ] {
        assert_eq!(Scanner::new().find(&text), [], "{text}");
    }
}

#[test]
fn the_guide_shows_the_same_expression() {
    let guide = shipped("docs/operating.md");
    let shown = guide.split('`').find(|code| code.starts_with("tm[bs]_")).expect("the expression in docs/operating.md");
    for rule in rules() {
        let prefix = rule.keywords[0].split('_').next().unwrap();
        assert_eq!(rule.regex, shown.replace("tm[bs]", prefix), "{}", rule.id);
        assert!(rule.description.ends_with('.'));
    }
}
