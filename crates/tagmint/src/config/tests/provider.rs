//! `[[provider]]` and `strict`.

use tagmint_core::{
    federation::{ProviderKind, UpstreamAlgorithm},
    outbound::Outbound,
};

use super::*;

/// The good configuration with a provider of these lines.
fn with(lines: &str) -> Result<Config, ConfigError> {
    parse(&format!("{GOOD}[[provider]]\n{lines}\n"))
}

/// The only provider of that configuration.
fn only(lines: &str) -> ProviderConfig {
    let config = with(lines).unwrap_or_else(|error| panic!("{error}"));
    let [provider] = config.providers.try_into().unwrap();
    provider
}

const GITHUB: &str = "name = \"github\"\nkind = \"github-actions\"\naudiences = [\"https://broker.example.org\"]\n";

#[test]
fn a_kind_brings_its_defaults() {
    let ProviderConfig { provider, refresh, stale_after, unknown_key_interval, .. } = only(GITHUB);
    assert_eq!(provider.issuer.as_str(), "https://token.actions.githubusercontent.com");
    assert_eq!((provider.name.as_str(), provider.kind), ("github", ProviderKind::GithubActions));
    assert_eq!(provider.algorithms, [UpstreamAlgorithm::Rs256]);
    assert_eq!((provider.leeway.as_secs(), provider.max_age.unwrap().as_hours()), (60, 6));
    assert_eq!((provider.reuse.uses, provider.audience_list, provider.claims), (1, false, None));
    let defaults = tagmint_server::settings::UpstreamSettings::default();
    assert_eq!(
        (refresh, stale_after, unknown_key_interval),
        (defaults.refresh, defaults.stale_after, defaults.unknown_key_interval)
    );
    let gitlab = only("name = \"g\"\nkind = \"gitlab\"\naudiences = [\"a\"]");
    assert_eq!(gitlab.provider.issuer.as_str(), "https://gitlab.com");
    let oidc = only("name = \"k\"\nkind = \"oidc\"\nissuer = \"https://k.example/\"\naudiences = [\"a\"]");
    assert_eq!(oidc.provider.algorithms, [UpstreamAlgorithm::Rs256, UpstreamAlgorithm::Es256]);
    assert_eq!(oidc.provider.issuer.as_str(), "https://k.example/");
}

#[test]
fn every_key_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "name = \"ghes\"\nkind = \"github-actions\"\nissuer = \"https://github.corp.example/_services/token\"\n\
        audiences = [\"a\", \"b\"]\naudience_list = true\nalgorithms = [\"RS256\", \"ES512\"]\nleeway = \"0s\"\nmax_age = \"10m\"\n\
        claims = [\"environment_node_id\"]\nuses = 3\nuses_within = \"20s\"\nca_file = \"ca.pem\"\nallow_private_addresses = true\n\
        refresh = \"1m\"\nstale_after = \"2m\"\nunknown_key_interval = \"5s\"\n";
    let file = folder.path().join("tagmint.toml");
    let config = Config::parse(&format!("{GOOD}[[provider]]\n{lines}"), &file).unwrap();
    let found = &config.providers[0];
    assert_eq!(found.ca_file, Some(folder.path().join("ca.pem")));
    assert!(found.allow_private_addresses && found.provider.audience_list);
    assert_eq!(found.provider.algorithms, [UpstreamAlgorithm::Rs256, UpstreamAlgorithm::Es512]);
    assert_eq!((found.provider.reuse.uses, found.provider.reuse.within.as_secs()), (3, 20));
    assert_eq!(found.provider.claims.as_deref(), Some(["environment_node_id".to_owned()].as_slice()));
    assert!(found.provider.leeway.is_zero());

    let missing = files::upstreams(&config, &Outbound::direct()).unwrap_err();
    assert!(matches!(missing, files::FileError::Read { .. }), "{missing}");
    let made =
        tagmint_server::x509::local_certificates(jiff::Timestamp::from_second(1_790_000_000).unwrap(), 1).unwrap();
    std::fs::write(folder.path().join("ca.pem"), &made.ca_pem).unwrap();
    let upstreams = files::upstreams(&config, &Outbound::direct()).unwrap();
    assert_eq!(upstreams[0].0, found.provider);
    let settings = &upstreams[0].1;
    assert_eq!(settings.ca_pem.as_deref(), Some(made.ca_pem.as_bytes()));
    assert_eq!((settings.refresh, settings.stale_after), (Duration::from_mins(1), Duration::from_mins(2)));
    assert_eq!((settings.unknown_key_interval, settings.allow_private_addresses), (Duration::from_secs(5), true));
    let states = files::inspect(&config, None);
    assert!(states.iter().any(|state| state.what == "provider CA" && state.ok), "{states:?}");
}

#[test]
fn every_kind_of_bad_provider_is_named() {
    let twice = format!("{GITHUB}[[provider]]\n{GITHUB}");
    let other_audience =
        twice.replacen("\"github\"", "\"other\"", 1).replacen("broker.example.org\"", "b.example\"", 1);
    assert_eq!(with(&other_audience).unwrap().providers.len(), 2, "one issuer, told apart by audience");
    let oidc = "name = \"k\"\nkind = \"oidc\"\naudiences = [\"a\"]\n";
    let cases = [
        ("missing keys", String::new()),
        ("unknown kind", GITHUB.replace("github-actions", "github")),
        ("unknown key", format!("{GITHUB}audience = \"a\"")),
        ("name", GITHUB.replace("\"github\"", "\"Git Hub\"")),
        ("no issuer", oidc.to_owned()),
        ("plain issuer", format!("{oidc}issuer = \"http://k.example\"")),
        ("issuer with a query", format!("{oidc}issuer = \"https://k.example?token=hunter22\"")),
        ("issuer on this machine", format!("{oidc}issuer = \"https://localhost:8443\"")),
        ("issuer in a private network", format!("{oidc}issuer = \"https://10.0.0.1\"")),
        ("no audience", GITHUB.replace("\"https://broker.example.org\"", "")),
        ("bad audiences", GITHUB.replace("[\"https", "[\"\", \"a b\", \"c\", \"c\", \"https")),
        ("algorithms", format!("{GITHUB}algorithms = [\"HS256\", \"none\", \"RS256\"]")),
        ("no algorithm", format!("{GITHUB}algorithms = []")),
        (
            "times",
            format!("{GITHUB}leeway = \"6m\"\nmax_age = \"1s\"\nrefresh = \"2d\"\nunknown_key_interval = \"0s\""),
        ),
        ("stale before refreshed", format!("{GITHUB}refresh = \"1h\"\nstale_after = \"1h\"")),
        ("claims", format!("{GITHUB}claims = [\"branch\", \"\"]")),
        ("uses", format!("{GITHUB}uses = 11")),
        ("no time for uses", format!("{GITHUB}uses = 2")),
        ("a time for one use", format!("{GITHUB}uses_within = \"5s\"")),
        ("too long for uses", format!("{GITHUB}uses = 2\nuses_within = \"1h\"")),
        ("name and audience twice", twice),
    ];
    let mut all = String::new();
    for (title, lines) in cases {
        let problems = with(&lines).expect_err(title).to_string();
        assert!(!problems.contains("hunter22"), "{problems}");
        writeln!(all, "# {title}\n{problems}\n").unwrap();
    }
    insta::assert_snapshot!(all);
}

#[test]
fn what_is_risky_is_warned_of() {
    let base = GITHUB.replace("\"https://broker.example.org\"", "\"sts.amazonaws.com\"");
    let text = |environment: &str| {
        let lines = format!("{base}issuer = \"https://10.1.2.3/_services/token\"\nallow_private_addresses = true");
        let text = format!("{GOOD}[[provider]]\n{lines}").replace("\"test\"", environment);
        let role = if environment == "\"prod\"" { "data" } else { "data-test" };
        let roles = format!("roles = [\"arn:aws:iam::111122223333:role/{role}\"]\n[rule.tags]");
        parse(&text.replace("[rule.tags]", &roles)).unwrap().warnings
    };
    let [aws, private] = text("\"prod\"").try_into().unwrap();
    assert!(aws.starts_with("the provider `github` takes the audience `sts.amazonaws.com`"), "{aws}");
    assert!(private.starts_with("the provider `github` may stand at a private address"), "{private}");
    assert_eq!(text("\"test\"").len(), 1);
}

#[test]
fn a_plain_issuer_is_for_test_and_loopback_alone() {
    let lines = "name = \"k\"\nkind = \"oidc\"\nissuer = \"http://127.0.0.1:8080\"\naudiences = [\"a\"]\nallow_private_addresses = true\n";
    assert!(only(lines).provider.issuer.is_plain_http());
    let prod = format!("{GOOD}[[provider]]\n{lines}").replace("\"test\"", "\"prod\"");
    assert!(parse(&prod).unwrap_err().to_string().contains("plain HTTP"));
}

/// A rule that takes every job of GitHub is warned of, and with `strict` refused; with the key it is another configuration's matter.
#[test]
fn strict_makes_errors_of_warnings_about_rules() {
    let rule = "[[rule]]\nname = \"ci\"\nsource = [\"github-actions\"]\nsubject = \"ci:${identity.attributes.run_id}\"\n\
        audiences = [\"sts.amazonaws.com\"]\nroles = [\"arn:aws:iam::111122223333:role/data\"]\n";
    let text = format!("{GOOD}{rule}[[provider]]\n{GITHUB}");
    let warnings = parse(&text).unwrap().warnings;
    let about_rule = warnings.iter().find(|warning| warning.contains("[nothing-bound]"));
    assert!(about_rule.is_some_and(|warning| warning.starts_with("rule[1].when (rule `ci`)")), "{warnings:?}");
    let refused = parse(&format!("strict = true\n{text}")).unwrap_err().to_string();
    assert!(refused.contains("(rule `ci`)") && refused.contains("[nothing-bound]"), "{refused}");
    assert!(parse(&format!("strict = true\n{GOOD}[[provider]]\n{GITHUB}")).is_ok());
}

#[test]
fn a_rule_names_a_provider_that_is_there() {
    let rule = |name: &str| {
        format!(
            "{GOOD}[[rule]]\nname = \"ci\"\nprovider = [\"{name}\"]\nsubject = \"ci:${{identity.subject}}\"\naudiences = [\"a\"]\n[[provider]]\n{GITHUB}"
        )
    };
    assert!(parse(&rule("github")).is_ok());
    let refused = parse(&rule("gitlab")).unwrap_err().to_string();
    assert!(refused.contains("gitlab"), "{refused}");
}

#[test]
fn the_guides_providers_are_good() {
    let guide = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/federation.md"));
    let guide = std::fs::read_to_string(guide).unwrap();
    let providers = guide.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let config = parse(&format!("{GOOD}{providers}")).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<&str> = config.providers.iter().map(|config| config.provider.name.as_str()).collect();
    assert_eq!(names, ["github", "ghes", "gitlab", "cluster"]);
}

/// The examples show providers as comments, because an issuer without them fetches nothing; what stands there is good.
#[test]
fn the_examples_providers_are_good_and_complete() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/examples"));
    for name in ["test.toml", "prod.toml"] {
        let file = folder.join(name);
        let text = std::fs::read_to_string(&file).unwrap();
        let start = text.find("# [[provider]]").unwrap_or_else(|| panic!("{name} shows no provider"));
        let end = text.find("# The language of rules").unwrap();
        let shown: String = text[start..end]
            .lines()
            .map(|line| line.strip_prefix("# ").unwrap_or(line))
            .fold(String::new(), |shown, line| shown + line + "\n");
        let uncommented = format!("{}{shown}{}", &text[..start], &text[end..]);
        let config = Config::parse(&uncommented, &file).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(config.warnings, Vec::<String>::new(), "{name}");
        let kinds: Vec<&str> = config.providers.iter().map(|config| config.provider.kind.as_str()).collect();
        assert_eq!(kinds, ["github-actions", "gitlab"], "{name}");
        assert!(text.contains("\nstrict = "), "{name}");
        let schema = schema();
        for key in schema.pointer("/$defs/RawProvider/properties").unwrap().as_object().unwrap().keys() {
            let there = shown.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = ")));
            assert!(there, "{name} does not show `provider.{key}`");
        }
    }
}
