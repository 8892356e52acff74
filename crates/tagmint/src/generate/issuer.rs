//! From answers to a configuration and the tests of its rules.

use tagmint_core::environment::Environment;

use super::{
    Document, Item,
    answers::Answers,
    document::table,
    platform::{Expect, Setup, TestText, platform},
};
use crate::config::SCHEMA_URL;

/// The configuration's name.
pub(crate) const CONFIG: &str = "tagmint.toml";
/// The key file's name.
pub(crate) const KEY: &str = "tagmint-key";
/// The rules' tests, below the folder of the configuration. `tagmint rules test` finds them there.
pub(crate) const RULES_TESTS: &str = "rules-tests/rules.toml";

/// What is written beside the key file.
#[derive(Debug)]
pub(crate) struct Generated {
    /// The configuration.
    pub(crate) config: String,
    /// The tests of its rules.
    pub(crate) rules_tests: String,
}

/// The name of the role that jobs assume.
pub(crate) const fn role_name(environment: Environment) -> &'static str {
    match environment {
        Environment::Prod => "tagmint-ci",
        Environment::Test => "tagmint-ci-test",
    }
}

/// Writes the configuration of an issuer and the tests of its rules.
pub(crate) fn issuer(answers: &Answers) -> Generated {
    let setup = platform(answers.kind).setup(answers);
    Generated { config: config(answers, &setup), rules_tests: rules_tests(answers, &setup) }
}

fn config(answers: &Answers, setup: &Setup) -> String {
    let environment = answers.environment;
    let prod = environment == Environment::Prod;
    let mut document = Document::default();
    document
        .line(&format!("#:schema {SCHEMA_URL}"))
        .comment(&format!(
            "The {environment} issuer {}, written by `tagmint init`. It is yours to edit.",
            answers.url()
        ))
        .comment(
            "`tagmint check` lists what is wrong or missing. Every key with its default: docs/reference/config.md.",
        )
        .blank();
    let other = if prod { "test" } else { "prod" };
    document
        .set_noted("environment", environment.as_str(), &format!("refuses every credential of {other}"))
        .set_noted("issuer", answers.url(), "exactly as registered with AWS")
        .set_noted("strict", true, "warnings about rules are errors");
    document.table("listen").set("public", "0.0.0.0:443").set_noted(
        "admin",
        if prod { "127.0.0.1:9464" } else { "127.0.0.1:9465" },
        "/metrics",
    );
    document.table("tls").set_noted("mode", "acme", "orders and renews the certificate; needs port 80 too");
    document.table("tls.acme").comment("contact = [\"mailto:ops@example.org\"]").set_noted(
        "terms_of_service_agreed",
        true,
        "of Let's Encrypt: https://letsencrypt.org/repository/",
    );
    document.table("database").set_noted("path", "tagmint.db", "created at the first start");
    document.table("keys").set_noted("key_file", KEY, "secret: encrypts the signing keys. Never commit it");
    if !prod {
        document.set("rotate_every", "7d").set("publish_ahead", "2h");
        document.table("jwks").set("max_age", "10m");
    }
    document
        .blank()
        .comment("Without a session backend there are no sessions, only tokens of trusted issuers and bearer tokens.")
        .comment("docs/session-backend.md says what it has to answer.")
        .comment("[session_backend]")
        .comment("url = \"https://backend.example.org\"");
    aws(&mut document, answers, setup);
    trusted_issuer(&mut document, answers, setup);
    document
        .blank()
        .comment("The first rule that matches decides: docs/rules.md. Test them with `tagmint rules test`.");
    for rule in &setup.rules {
        document.rule(rule);
    }
    document.finish()
}

fn aws(document: &mut Document, answers: &Answers, setup: &Setup) {
    let prod = answers.environment == Environment::Prod;
    document.table("aws").set("region", &answers.region).set("account", &answers.account);
    document
        .blank()
        .comment("`tagmint aws render` writes the AWS side of this: the OIDC provider, the role, the bucket.");
    document.line("[aws.bucket]").set("name", &answers.bucket);
    if prod {
        document.set_noted("versioning", true, "deleted objects can be restored");
    } else if !setup.namespaces.is_empty() {
        let removed = |prefix: &String| table([("prefix", Item::from(prefix)), ("after", "14d".into())]);
        let expire = Item::List(setup.namespaces.iter().map(removed).collect());
        document.set_noted("expire", expire, "old runs");
    }
    document
        .blank()
        .line("[[aws.role]]")
        .set("name", role_name(answers.environment))
        .set("access", [table([("tag", "prefix"), ("mode", "read-write")])]);
}

fn trusted_issuer(document: &mut Document, answers: &Answers, setup: &Setup) {
    document.blank().comment(
        "Jobs request a token for this audience. Never use sts.amazonaws.com: AWS itself accepts such a token.",
    );
    if let Some(note) = setup.note {
        document.comment(note);
    }
    document.line("[[trusted_issuer]]").set("name", answers.kind.as_str()).set("kind", answers.kind.as_str());
    if let Some(issuer) = &setup.issuer {
        document.set("issuer", issuer);
    }
    document.set("audiences", [answers.url()]);
}

fn rules_tests(answers: &Answers, setup: &Setup) -> String {
    let mut document = Document::default();
    document
        .comment(&format!("Tests of the rules in ../{CONFIG}: `tagmint rules test --config {CONFIG}` runs them."))
        .comment(
            "Each gives the claims of a token, and what the rules must decide. Change them together with the rules.",
        );
    for test in &setup.tests {
        rules_test(&mut document, answers, test);
    }
    document.finish()
}

fn rules_test(document: &mut Document, answers: &Answers, test: &TestText) {
    document.blank().line("[[test]]").set("name", &test.name).set("from", answers.kind.as_str()).set("sub", &test.sub);
    match &test.expect {
        Expect::NoRule => {
            document.set("expect", table([("refused", "no_rule")]));
        }
        Expect::Grant { rule, subject, tags } => {
            document
                .table("test.expect")
                .set("rule", rule)
                .set("subject", subject)
                .set("role", role_name(answers.environment))
                .set("tags", Item::Table(tags.clone()));
        }
    }
    if !test.claims.is_empty() {
        document.table("test.claims");
        for (claim, value) in &test.claims {
            document.set(claim, value.clone());
        }
    }
}
