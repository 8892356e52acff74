//! `[[trusted_issuer]]` and `strict`.

use tagmint_core::{
    outbound::Outbound,
    trusted_issuer::{IssuerKind, Reuse, TokenAlgorithm},
};

use jiff::SignedDuration;
use tagmint_server::settings::KeySource;

use super::*;

/// The good configuration with a trusted issuer of these lines.
fn with(lines: &str) -> Result<Config, ConfigError> {
    parse(&format!("{GOOD}[[trusted_issuer]]\n{lines}\n"))
}

/// The only trusted issuer of that configuration.
fn only(lines: &str) -> TrustedIssuerConfig {
    let config = with(lines).unwrap_or_else(|error| panic!("{error}"));
    let [only] = config.issuers.try_into().unwrap();
    only
}

const GITHUB: &str = "name = \"github\"\nkind = \"github\"\naudiences = [\"https://broker.example.org\"]\n";

#[test]
fn a_kind_brings_its_defaults() {
    let TrustedIssuerConfig { issuer, refresh, stale_after, unknown_key_interval, .. } = only(GITHUB);
    assert_eq!(issuer.issuer.as_str(), "https://token.actions.githubusercontent.com");
    assert_eq!((issuer.name.as_str(), issuer.kind), ("github", IssuerKind::GITHUB));
    assert_eq!(issuer.algorithms, [TokenAlgorithm::Rs256]);
    assert_eq!((issuer.leeway.as_secs(), issuer.max_age.unwrap().as_hours()), (60, 6));
    assert_eq!((issuer.reuse, issuer.audience_list, issuer.claims), (Reuse::ONCE, false, None));
    let defaults = tagmint_server::settings::UpstreamSettings::default();
    assert_eq!(
        (refresh, stale_after, unknown_key_interval),
        (defaults.refresh, defaults.stale_after, defaults.unknown_key_interval)
    );
    let gitlab = only("name = \"g\"\nkind = \"gitlab\"\naudiences = [\"a\"]");
    assert_eq!(gitlab.issuer.issuer.as_str(), "https://gitlab.com");
    let oidc = only("name = \"k\"\nkind = \"oidc\"\nissuer = \"https://k.example/\"\naudiences = [\"a\"]");
    assert_eq!(oidc.issuer.algorithms, [TokenAlgorithm::Rs256, TokenAlgorithm::Es256]);
    assert_eq!(oidc.issuer.issuer.as_str(), "https://k.example/");
}

#[test]
fn every_key_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "name = \"ghes\"\nkind = \"github\"\nissuer = \"https://github.corp.example/_services/token\"\n\
        audiences = [\"a\", \"b\"]\naudience_list = true\nalgorithms = [\"RS256\", \"ES512\"]\nleeway = \"0s\"\nmax_age = \"10m\"\n\
        claims = [\"environment_node_id\"]\nuses = 3\nuses_within = \"20s\"\nca_file = \"ca.pem\"\nallow_private_addresses = true\n\
        refresh = \"1m\"\nstale_after = \"2m\"\nunknown_key_interval = \"5s\"\n";
    let file = folder.path().join("tagmint.toml");
    let config = Config::parse(&format!("{GOOD}[[trusted_issuer]]\n{lines}"), &file).unwrap();
    let found = &config.issuers[0];
    assert_eq!(found.ca_file, Some(folder.path().join("ca.pem")));
    assert!(found.allow_private_addresses && found.issuer.audience_list);
    assert_eq!(found.issuer.algorithms, [TokenAlgorithm::Rs256, TokenAlgorithm::Es512]);
    assert_eq!(found.issuer.reuse, Reuse::Times { uses: 3, within: SignedDuration::from_secs(20) });
    assert_eq!(found.issuer.claims.as_deref(), Some(["environment_node_id".to_owned()].as_slice()));
    assert!(found.issuer.leeway.is_zero());

    let missing = files::upstreams(&config, &Outbound::direct()).unwrap_err();
    assert!(matches!(missing, files::FileError::Read { .. }), "{missing}");
    let made =
        tagmint_server::x509::local_certificates(jiff::Timestamp::from_second(1_790_000_000).unwrap(), 1).unwrap();
    std::fs::write(folder.path().join("ca.pem"), &made.ca_pem).unwrap();
    let upstreams = files::upstreams(&config, &Outbound::direct()).unwrap();
    assert_eq!(upstreams[0].0, found.issuer);
    let settings = &upstreams[0].1;
    assert_eq!(settings.ca_pem.as_deref(), Some(made.ca_pem.as_bytes()));
    assert_eq!((settings.refresh, settings.stale_after), (Duration::from_mins(1), Duration::from_mins(2)));
    assert_eq!((settings.unknown_key_interval, settings.allow_private_addresses), (Duration::from_secs(5), true));
    let states = files::inspect(&config, None, jiff::Timestamp::UNIX_EPOCH);
    assert!(states.iter().any(|state| state.what == "provider CA" && state.ok), "{states:?}");
}

#[test]
fn every_kind_of_bad_issuer_is_named() {
    let twice = format!("{GITHUB}[[trusted_issuer]]\n{GITHUB}");
    let other_audience =
        twice.replacen("\"github\"", "\"other\"", 1).replacen("broker.example.org\"", "b.example\"", 1);
    assert_eq!(with(&other_audience).unwrap().issuers.len(), 2, "one URL, told apart by audience");
    let oidc = "name = \"k\"\nkind = \"oidc\"\naudiences = [\"a\"]\n";
    let cases = [
        ("missing keys", String::new()),
        ("unknown kind", GITHUB.replace("kind = \"github\"", "kind = \"github-actions\"")),
        ("unknown key", format!("{GITHUB}audience = \"a\"")),
        ("reserved name", GITHUB.replace("name = \"github\"", "name = \"people\"")),
        ("name", GITHUB.replace("name = \"github\"", "name = \"Git Hub\"")),
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
        ("uses", format!("{GITHUB}uses = 1001")),
        ("no time for uses", format!("{GITHUB}uses = 2")),
        ("a time for one use", format!("{GITHUB}uses_within = \"5s\"")),
        ("too long for uses", format!("{GITHUB}uses = 2\nuses_within = \"25h\"")),
        (
            "uses and reuse",
            format!("{GITHUB}uses = 2\nuses_within = \"1m\"\nreuse = \"until-expiry\"\nreuse_per_minute = 601"),
        ),
        ("bounds of no reuse", format!("{GITHUB}reuse_per_minute = 1\nreuse_from = \"anywhere\"")),
        ("unknown reuse", format!("{GITHUB}reuse = \"always\"")),
        (
            "keys from two places",
            format!("{GITHUB}jwks_file = \"k.json\"\njwks_uri = \"https://k.example/jwks\"\nbearer_token_file = \"t\""),
        ),
        ("keys at no URL", format!("{GITHUB}jwks_uri = \"https://u:hunter22@k.example/jwks\"")),
        ("keys at plain HTTP", format!("{GITHUB}jwks_uri = \"http://k.example/jwks\"")),
        ("keys in a private network", format!("{GITHUB}jwks_uri = \"https://[fd00::1]:8443/jwks?v=hunter22\"")),
        (
            "keys at a metadata service",
            format!("{GITHUB}allow_private_addresses = true\njwks_uri = \"https://169.254.169.254/jwks\""),
        ),
        ("issuer at an IPv6 address of this machine", format!("{oidc}issuer = \"https://[::1]:8443\"")),
        (
            "issuer at an address of nobody",
            format!("{oidc}allow_private_addresses = true\nissuer = \"https://[fe80::1]\""),
        ),
        ("issuer without brackets", format!("{oidc}issuer = \"https://::1\"")),
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

/// A cluster whose API server shows its keys to nobody, or under another name than its issuer.
#[test]
fn keys_come_from_where_the_configuration_says() {
    let cluster =
        "name = \"cluster\"\nkind = \"oidc\"\nissuer = \"https://kubernetes.default.svc\"\naudiences = [\"a\"]\n";
    let folder = tempfile::tempdir().unwrap();
    let parse_in = |lines: &str| {
        let file = folder.path().join("tagmint.toml");
        Config::parse(&format!("{GOOD}[[trusted_issuer]]\n{cluster}{lines}"), &file)
            .unwrap_or_else(|error| panic!("{error}"))
    };
    assert_eq!(only(cluster).source, KeySource::Discovery);
    let by_file = parse_in("jwks_file = \"jwks.json\"\nca_file = \"ca.pem\"\n");
    let file = folder.path().join("jwks.json");
    assert_eq!(by_file.issuers[0].source, KeySource::File(file.clone()));
    assert!(
        by_file.warnings.iter().any(|warning| warning.contains("its `ca_file` is not used")),
        "{:?}",
        by_file.warnings
    );
    let by_uri = parse_in(
        "jwks_uri = \"https://[fd00::1]:6443/openid/v1/jwks\"\nallow_private_addresses = true\nbearer_token_file = \"token\"\n",
    );
    let KeySource::Uri(uri) = &by_uri.issuers[0].source else { panic!("{by_uri:?}") };
    assert_eq!((uri.as_str(), uri.host()), ("https://[fd00::1]:6443/openid/v1/jwks", "fd00::1"));
    assert_eq!(by_uri.issuers[0].bearer_token_file, Some(folder.path().join("token")));
    // Where nothing is asked of it, the issuer's URL is a name: it may be anywhere.
    for lines in ["jwks_file = \"k\"", "jwks_uri = \"https://keys.example/jwks\""] {
        let text = format!("{GOOD}[[trusted_issuer]]\n{cluster}{lines}\n")
            .replace("https://kubernetes.default.svc", "https://10.0.0.1");
        assert!(parse(&text).is_ok(), "{lines}");
    }

    // The files are looked at before the issuer starts.
    let direct = Outbound::direct();
    let state = |config: &Config, what: &str| {
        let states = files::inspect(config, None, jiff::Timestamp::UNIX_EPOCH);
        let state = states.iter().find(|state| state.what == what).unwrap_or_else(|| panic!("{states:?}"));
        assert_eq!(state.ok, files::upstreams(config, &direct).is_ok(), "{state:?}");
        (state.ok, state.state.clone())
    };
    let weak = r#"{"kty":"RSA","kid":"k1","n":"AQAB","e":"AQAB"}"#;
    let good = r#"{"kty":"EC","crv":"P-256","kid":"k2","x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}"#;
    for (text, ok, says) in [
        (None, false, "No such file"),
        (Some("{}".to_owned()), false, "has no array `keys`"),
        (Some(format!("{{\"keys\":[{weak}]}}")), false, "has no key that can be used: `k1`: RSA of 17 bits"),
        (Some(format!("{{\"keys\":[{weak},{good}]}}")), true, "holds 1 usable key; skipped `k1`: RSA of 17 bits"),
    ] {
        let by_file = parse_in("jwks_file = \"jwks.json\"\n");
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let (found, said) = state(&by_file, "provider keys");
        assert!(found == ok && said.contains(says), "{said}");
    }
    let with_token = parse_in("bearer_token_file = \"token\"\n");
    for (text, ok) in [("a b", false), ("header.payload.signature\n", true)] {
        std::fs::write(folder.path().join("token"), text).unwrap();
        let (found, said) = state(&with_token, "provider token");
        assert_eq!(found, ok, "{said}");
        assert!(!said.contains("payload"), "{said}");
    }
}

#[test]
fn a_token_may_be_reused_where_the_configuration_says() {
    let of = |lines: &str| only(&format!("{GITHUB}{lines}")).issuer.reuse;
    let most = Reuse::Times { uses: 100, within: SignedDuration::from_hours(1) };
    assert_eq!(of("uses = 100\nuses_within = \"1h\""), most);
    assert_eq!(of("reuse = \"until-expiry\""), Reuse::UntilExpiry { per_minute: 6, one_network: true });
    let anywhere = "reuse = \"until-expiry\"\nreuse_per_minute = 60\nreuse_from = \"anywhere\"";
    assert_eq!(of(anywhere), Reuse::UntilExpiry { per_minute: 60, one_network: false });
    let warnings = with(&format!("{GITHUB}{anywhere}")).unwrap().warnings;
    assert!(warnings.iter().any(|warning| warning.contains("reuse_from = \"anywhere\"")), "{warnings:?}");
}

#[test]
fn what_is_risky_is_warned_of() {
    let base = GITHUB.replace("\"https://broker.example.org\"", "\"sts.amazonaws.com\"");
    let text = |environment: &str| {
        let lines = format!("{base}issuer = \"https://10.1.2.3/_services/token\"\nallow_private_addresses = true");
        let text = format!("{GOOD}[[trusted_issuer]]\n{lines}").replace("\"test\"", environment);
        let role = if environment == "\"prod\"" { "data" } else { "data-test" };
        let roles = format!("roles = [\"arn:aws:iam::111122223333:role/{role}\"]\n[rule.tags]");
        parse(&text.replace("[rule.tags]", &roles)).unwrap().warnings
    };
    let [aws, private] = text("\"prod\"").try_into().unwrap();
    assert!(aws.starts_with("the trusted issuer `github` takes the audience `sts.amazonaws.com`"), "{aws}");
    assert!(private.starts_with("the trusted issuer `github` may stand at a private address"), "{private}");
    assert_eq!(text("\"test\"").len(), 1);
}

#[test]
fn a_plain_issuer_is_for_test_and_loopback_alone() {
    let lines = "name = \"k\"\nkind = \"oidc\"\nissuer = \"http://127.0.0.1:8080\"\naudiences = [\"a\"]\nallow_private_addresses = true\n";
    assert!(only(lines).issuer.issuer.is_plain_http());
    let prod = format!("{GOOD}[[trusted_issuer]]\n{lines}").replace("\"test\"", "\"prod\"");
    assert!(parse(&prod).unwrap_err().to_string().contains("plain HTTP"));
}

/// A rule that takes every job of GitHub is warned of, and with `strict` refused; with the key it is another configuration's matter.
#[test]
fn strict_makes_errors_of_warnings_about_rules() {
    let rule = "[[rule]]\nname = \"ci\"\nfrom = \"github\"\nsubject = \"ci:${run_id}\"\n\
        role = \"arn:aws:iam::111122223333:role/data\"\n";
    let text = format!("{GOOD}{rule}[[trusted_issuer]]\n{GITHUB}");
    let warnings = parse(&text).unwrap().warnings;
    let about_rule = warnings.iter().find(|warning| warning.contains("[nothing-bound]"));
    assert!(about_rule.is_some_and(|warning| warning.starts_with("rule[1].match (rule `ci`)")), "{warnings:?}");
    let refused = parse(&format!("strict = true\n{text}")).unwrap_err().to_string();
    assert!(refused.contains("(rule `ci`)") && refused.contains("[nothing-bound]"), "{refused}");
    assert!(parse(&format!("strict = true\n{GOOD}[[trusted_issuer]]\n{GITHUB}")).is_ok());
}

#[test]
fn a_rule_names_a_trusted_issuer_that_is_there() {
    let rule = |name: &str| {
        format!(
            "{GOOD}[[rule]]\nname = \"ci\"\nfrom = \"{name}\"\nsubject = \"ci:${{sub}}\"\n[[trusted_issuer]]\n{GITHUB}"
        )
    };
    assert!(parse(&rule("github")).is_ok());
    let refused = parse(&rule("gitlab")).unwrap_err().to_string();
    assert!(refused.contains("`rule[1].from`") && refused.contains("`gitlab` is neither"), "{refused}");
    assert!(
        refused.contains("there are `github`, `session`, `bearer`, `anonymous`; did you mean `github`?"),
        "{refused}"
    );
    // What it may match is what the kind's tokens have.
    let matched = |claim: &str| {
        parse(&rule("github").replace("subject = \"ci", &format!("match.{claim} = \"1\"\nsubject = \"ci")))
    };
    assert!(matched("repository_id").is_ok());
    let refused = matched("repository_ids").unwrap_err().to_string();
    assert!(
        refused.contains("`rule[1].match.repository_ids`") && refused.contains("did you mean `repository_id`?"),
        "{refused}"
    );
}

/// Every example of docs/trusted-issuers.md, in a strict configuration for prod with an account.
#[test]
fn the_guides_trusted_issuers_are_good() {
    let guide = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/trusted-issuers.md"));
    let guide = std::fs::read_to_string(guide).unwrap();
    let blocks = guide.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let base = GOOD.replace("\"test\"", "\"prod\"");
    let mut kinds = std::collections::BTreeSet::new();
    let mut names = Vec::new();
    for block in blocks {
        let text =
            format!("strict = true\n{base}[aws]\nregion = \"eu-central-1\"\naccount = \"111122223333\"\n{block}");
        let config = parse(&text).unwrap_or_else(|error| panic!("{error}\n{block}"));
        assert!(!config.issuers.is_empty(), "{block}");
        kinds.extend(config.issuers.iter().map(|config| config.issuer.kind.as_str()));
        names.push(config.issuers.iter().map(|config| config.issuer.name.to_string()).collect::<Vec<_>>());
    }
    assert_eq!(names[0], ["github", "ghes", "gitlab", "cluster"]);
    for kind in IssuerKind::ALL {
        assert!(kinds.contains(kind.as_str()), "no example of `{kind}`");
    }
}
