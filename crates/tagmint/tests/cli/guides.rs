//! The guides of docs/ say what the program does.

use std::{fs, path::Path};

use clap::{Parser, error::ErrorKind};
use serde_json::Value;
use tagmint::{cli::Cli, config::Config, config::SecretSource};
use tagmint_core::rules::{RuleConfig, RuleSet, TrustedIssuers};
use tagmint_server::http::problem;

/// What stands in the guides for a value of the reader's.
const EXAMPLES: [(&str, &str); 4] = [
    ("ses_…", "ses_01K0000000000000000000000A"),
    ("KID", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ("SEQ:HASH", "7:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ("ADDR", "127.0.0.1:9500"),
];

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn guide(name: &str) -> String {
    fs::read_to_string(repository().join(name)).expect("the guide")
}

/// The contents of a guide's blocks of code in one language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// The commands of ours in a guide: lines of shell, and those in running text.
fn commands(text: &str) -> Vec<String> {
    let lines: Vec<String> = blocks(text, "sh").iter().flat_map(|block| block.lines()).map(str::to_owned).collect();
    let prose: String = text.split("```").step_by(2).collect();
    let inline = prose.split('`').skip(1).step_by(2).map(str::to_owned);
    let ours = |line: String| {
        let line = line.split(" #").next().unwrap_or_default().trim().to_owned();
        let line = line.strip_prefix("sudo ").map(str::to_owned).unwrap_or(line);
        line.starts_with("tagmint ").then_some(line)
    };
    lines.into_iter().chain(inline).filter_map(ours).collect()
}

#[test]
fn every_command_in_the_guides_is_one() {
    let mut seen = 0;
    for name in [
        "README.md",
        "docs/operating.md",
        "docs/aws.md",
        "docs/reach.md",
        "docs/rules.md",
        "docs/clients.md",
        "docs/architecture.md",
        "docs/session-backend.md",
    ] {
        for command in commands(&guide(name)) {
            let filled = EXAMPLES.iter().fold(command.clone(), |text, (name, value)| text.replace(name, value));
            if let Err(error) = Cli::try_parse_from(filled.split_whitespace()) {
                // A group of commands is named too, such as `tagmint keys`; a revocation without its object in running text.
                let incomplete = [
                    ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
                    ErrorKind::MissingSubcommand,
                    ErrorKind::MissingRequiredArgument,
                ];
                assert!(incomplete.contains(&error.kind()), "{name}: `{command}`\n{error}");
            }
            seen += 1;
        }
    }
    assert!(seen > 25, "{seen} commands were found");
}

#[test]
fn commands_in_shell_blocks_are_complete() {
    for block in blocks(&guide("docs/operating.md"), "sh") {
        for command in commands(&format!("```sh\n{block}```")) {
            let filled = EXAMPLES.iter().fold(command.clone(), |text, (name, value)| text.replace(name, value));
            assert!(Cli::try_parse_from(filled.split_whitespace()).is_ok(), "{command}");
        }
    }
}

#[test]
fn the_set_up_makes_the_files_that_the_examples_name() {
    let text = guide("docs/operating.md");
    let set_up = blocks(&text, "sh").into_iter().next().expect("the commands of the set-up");
    for name in ["test.toml", "prod.toml"] {
        let config = Config::load(&repository().join("deploy/examples").join(name)).expect("the example");
        let SecretSource::File(key_file) = &config.key_file else { panic!("{name}: the key is no file") };
        assert!(set_up.contains(&format!("/dev/stdin {}\n", key_file.display())), "{name}: {}", key_file.display());
        if let tagmint::config::Tls::Files { certificate, key } = &config.tls {
            let made = format!("-keyout {} -out {}\n", key.display(), certificate.display());
            assert!(set_up.contains(&made), "{name}: {made}");
        }
        let folder = config.database.parent().expect("a folder");
        let made = set_up.lines().find(|line| line.contains("install -d -m 0700")).expect("the folders are made");
        assert!(made.split_whitespace().any(|word| Path::new(word) == folder), "{name}: {}", folder.display());
    }
    let config = Config::load(&repository().join("deploy/examples/test.toml")).expect("the example");
    let backend = config.session_backend.expect("a session backend").url;
    let listen = format!("mock-backend --listen {} ", backend.trim_start_matches("http://"));
    assert!(text.contains(&listen), "{listen}");
    for gone in ["systemctl", "systemd unit"] {
        let examples = ["test.toml", "prod.toml"].map(|name| guide(&format!("deploy/examples/{name}")));
        assert!(!examples.concat().contains(gone) && !text.contains(gone), "no {gone} is shipped");
    }
}

#[test]
fn every_failure_of_ours_is_in_the_troubleshooting_table() {
    let text = guide("docs/troubleshooting.md");
    for kind in problem::CATALOGUE.iter().filter(|kind| kind.status >= 500 || [421, 429].contains(&kind.status)) {
        let row = format!("| {} `{}`", kind.status, kind.code);
        assert!(text.contains(&row), "docs/troubleshooting.md has no row for `{}`: {row}", kind.code);
    }
}

#[test]
fn the_policies_of_the_aws_guide_are_json_with_what_the_text_demands() {
    let policies: Vec<Value> =
        blocks(&guide("docs/aws.md"), "json").iter().map(|block| serde_json::from_str(block).expect("JSON")).collect();
    let [trust, bucket] = policies.as_slice() else { panic!("{policies:?}") };
    let statement = &trust["Statement"][0];
    for action in ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"] {
        assert!(statement["Action"].as_array().is_some_and(|actions| actions.iter().any(|found| found == action)));
    }
    let config = Config::load(&repository().join("deploy/examples/test.toml")).expect("the example");
    let host = config.settings.stamp.issuer.as_str().trim_start_matches("https://").to_owned();
    assert!(statement["Principal"]["Federated"].as_str().is_some_and(|arn| arn.ends_with(&format!("/{host}"))));
    assert_eq!(statement["Condition"]["StringEquals"][format!("{host}:aud")], "sts.amazonaws.com");
    assert_eq!(statement["Condition"]["StringLike"][format!("{host}:sub")], "wallet:*");
    assert_eq!(statement["Condition"]["Null"]["aws:RequestTag/agentkeys_user_wallet"], "false");
    let statements = bucket["Statement"].as_array().expect("statements");
    assert_eq!(statements.len(), 2);
    for statement in statements {
        assert!(statement.to_string().contains("${aws:PrincipalTag/agentkeys_user_wallet}/*"), "{statement}");
    }
}

#[test]
fn the_read_only_rule_of_the_guide_is_one() {
    #[derive(serde::Deserialize)]
    struct File {
        rule: Vec<RuleConfig>,
    }
    let text = guide("docs/operating.md");
    let rules = blocks(&text, "toml").into_iter().filter(|block| block.contains("[[rule]]"));
    let [rule] = rules.collect::<Vec<_>>().try_into().expect("one block of rules");
    let rules: File = toml::from_str(&rule).expect("TOML");
    let rules = RuleSet::compile(&rules.rule, &TrustedIssuers::none()).expect("rules");
    assert_eq!(rules.names().map(ToString::to_string).collect::<Vec<_>>(), ["ci-read"]);
    let [policy] = blocks(&text, "json").try_into().expect("one policy");
    let policy: Value = serde_json::from_str(&policy).expect("JSON");
    for statement in policy["Statement"].as_array().expect("statements") {
        let action = statement["Action"].as_str().expect("one action");
        assert!(action.starts_with("s3:Get") || action.starts_with("s3:List"), "{action} is no reading");
        assert!(statement.to_string().contains("${aws:PrincipalTag/prefix}/*"), "{statement}");
    }
}
