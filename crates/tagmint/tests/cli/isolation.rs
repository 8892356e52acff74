//! Two worlds on one machine: what `check --against` and a start say of what they share.

mod anonymous_minting;
mod certificate;
mod pairs;
mod remote;
mod worlds;

use std::{fs, path::Path};

use serde_json::Value;

use self::worlds::{TEST_HOST, Worlds};
use crate::process::{failure, json, run, tagmint};

/// The findings of `check --against`, from the test issuer's side, and the exit code.
fn against(worlds: &Worlds, more: &[&str]) -> (Value, Option<i32>) {
    let (prod, test) = (worlds.config("prod"), worlds.config("test"));
    let mut command = tagmint(["check", "--format", "json", "--config", &test, "--against", &prod]);
    let output = command.args(more).output().expect("the binary starts");
    (serde_json::from_slice(&output.stdout).expect("stdout is JSON"), output.status.code())
}

/// The finding about a part.
fn part<'f>(findings: &'f Value, part: &str) -> &'f Value {
    let mut all = findings["findings"].as_array().expect("findings").iter();
    all.find(|finding| finding["part"] == part).unwrap_or(&Value::Null)
}

#[test]
fn two_worlds_that_share_nothing_are_isolated() {
    let worlds = Worlds::new();
    let (found, code) = against(&worlds, &[]);
    assert_eq!((found["isolated"].as_bool(), code), (Some(true), Some(0)), "{found}");
    assert_eq!(found["this"]["environment"], "test");
    for finding in found["findings"].as_array().unwrap() {
        assert_eq!(finding["verdict"], "isolated", "{finding}");
        assert!(finding["why"].as_str().is_some_and(|why| why.len() > 20));
    }
    let parts: Vec<_> =
        found["findings"].as_array().unwrap().iter().map(|finding| finding["part"].as_str().unwrap()).collect();
    for expected in [
        "environment",
        "host",
        "CI audience",
        "role",
        "bucket",
        "session backend",
        "database",
        "key file",
        "credential",
    ] {
        assert!(parts.contains(&expected), "{expected}: {parts:?}");
    }
}

/// Every thing of prod that a test issuer's configuration can name by mistake, and how it is told.
#[test]
fn what_belongs_to_prod_is_refused_in_test() {
    let cases: [(&str, &str, &str, &str); 10] = [
        (
            "host",
            "https://test-broker.example.org\"\n[l",
            "https://broker.example.org/test\"\n[l",
            "broker.example.org",
        ),
        ("database", "path = \"tagmint.db\"", "path = \"../prod/tagmint.db\"", "tagmint.db"),
        ("state folder", "path = \"tagmint.db\"", "path = \"../prod/other.db\"", "prod"),
        ("key file", "key_file = \"master.key\"", "key_file = \"../prod/master.key\"", "master.key"),
        ("session backend", "http://127.0.0.1:9500", "https://backend.example.org/other-path", "backend.example.org"),
        (
            "CI audience",
            "audiences = [\"https://test-broker.example.org\"]",
            "audiences = [\"https://broker.example.org\"]",
            "`github` takes https://broker.example.org",
        ),
        (
            "CI audience",
            "audiences = [\"https://test-broker.example.org\"]",
            "audiences = [\"https://test-broker.example.org\", \"https://broker.example.org\"]",
            "`github` takes https://broker.example.org",
        ),
        (
            "trusted issuer",
            "name = \"github\"\nkind = \"github\"",
            "name = \"prod\"\nkind = \"oidc\"\nissuer = \"https://broker.example.org\"",
            "trusts https://broker.example.org",
        ),
        ("environment", "environment = \"test\"", "environment = \"prod\"", "prod"),
        (
            "ACME account",
            "mode = \"proxy\"",
            "mode = \"acme\"\n[tls.acme]\nterms_of_service_agreed = true\n[tls.acme.eab]\nkid = \"customer-7\"\nhmac_key_file = \"hmac\"",
            "customer-7",
        ),
    ];
    for (name, old, new, told) in cases {
        let worlds = Worlds::new();
        worlds.change("test", old, new);
        if name == "environment" {
            // The rest of a prod configuration is checked as one.
            worlds.change("test", "http://127.0.0.1:9500", "https://other-backend.example.org");
            worlds.change("test", "agentkeys-mail-test", "agentkeys-letters");
            for _ in 0..3 {
                worlds.change("test", "agentkeys-data-role-test", "agentkeys-letters-role");
            }
        }
        if name == "ACME account" {
            worlds.change("prod", old, new);
        }
        let (found, code) = against(&worlds, &[]);
        let finding = part(&found, name);
        assert_eq!((finding["verdict"].as_str(), code), (Some("shared"), Some(1)), "{name}: {found}");
        assert!(finding["shared"].to_string().contains(told), "{name}: {finding}");
        // The same at a start that was told of the other world: nothing is made.
        worlds.guard("test", "prod");
        let error = failure(["serve", "--config", &worlds.config("test")], 3);
        assert_eq!(error["code"], "isolation", "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(name) && message.contains("check --against"), "{message}");
        assert!(!worlds.folder("test").join("tagmint.db").exists(), "{name}: refused before anything is made");
    }
}

/// The reverse: prod's configuration names something of test's.
#[test]
fn what_belongs_to_test_is_refused_in_prod() {
    for (name, old, new) in [
        ("host", "https://broker.example.org\"\n[l", "https://test-broker.example.org/prod\"\n[l"),
        ("database", "path = \"tagmint.db\"", "path = \"../test/tagmint.db\""),
        ("key file", "key_file = \"master.key\"", "key_file = \"../test/master.key\""),
        (
            "CI audience",
            "audiences = [\"https://broker.example.org\"]",
            "audiences = [\"https://test-broker.example.org\"]",
        ),
        (
            "trusted issuer",
            "name = \"github\"\nkind = \"github\"",
            "name = \"t\"\nkind = \"oidc\"\nissuer = \"https://test-broker.example.org\"",
        ),
    ] {
        let worlds = Worlds::new();
        worlds.change("prod", old, new);
        worlds.guard("prod", "test");
        let error = failure(["serve", "--config", &worlds.config("prod")], 3);
        assert!(error["message"].as_str().unwrap().contains(name), "{name}: {error}");
        let checked = run(["check", "--config", &worlds.config("prod")]);
        assert_eq!(checked.status.code(), Some(3));
        assert!(String::from_utf8_lossy(&checked.stdout).contains("WRONG  the other world"), "{name}");
    }
}

/// What the configuration alone shows: a name of the other world, the mock, plain HTTP, loopback.
#[test]
fn a_configuration_with_names_of_the_other_world_is_refused() {
    let refused = |world: &str, changes: &[(&str, &str)]| {
        let worlds = Worlds::new();
        for (old, new) in changes {
            worlds.change(world, old, new);
        }
        failure(["serve", "--config", &worlds.config(world)], 3)["message"].as_str().unwrap().to_owned()
    };
    for (world, old, new, told) in [
        (
            "test",
            "role/agentkeys-data-role-test",
            "role/agentkeys-data-role",
            "`agentkeys-data-role` has no word `test` in it",
        ),
        ("test", "name = \"agentkeys-data-role-test\"", "name = \"agentkeys-data-role\"", "`aws.role[0].name`"),
        ("test", "agentkeys-mail-test", "agentkeys-mail", "`aws.bucket.name`"),
        (
            "prod",
            "role/agentkeys-data-role",
            "role/agentkeys-data-role-test",
            "has the word `test` in it, and this is a prod issuer",
        ),
        ("prod", "agentkeys-mail", "agentkeys-mail-test", "has the word `test` in it, and this is a prod issuer"),
        ("prod", "https://backend.example.org", "http://127.0.0.1:9500", "plain HTTP, which prod does not use"),
        (
            "prod",
            "https://broker.example.org\"\n[l",
            "https://localhost:8443\"\n[l",
            "is this machine, and the environment is `prod`",
        ),
        ("prod", "https://broker.example.org\"\n[l", "http://broker.example.org\"\n[l", "`issuer`"),
    ] {
        let message = refused(world, &[(old, new)]);
        assert!(message.contains(told), "{world} {new}: {message}");
    }
}

#[test]
fn the_same_file_by_another_way_is_the_same_file() {
    // A copy of the key under another name.
    let worlds = Worlds::new();
    let (prod, test) = (worlds.folder("prod"), worlds.folder("test"));
    fs::copy(prod.join("master.key"), test.join("master.key")).unwrap();
    let (found, code) = against(&worlds, &[]);
    assert_eq!(code, Some(1));
    let key = part(&found, "key file");
    assert!(key["shared"].to_string().contains("fingerprint "), "{key}");
    let secret = fs::read_to_string(prod.join("master.key")).unwrap();
    assert!(!found.to_string().contains(secret.trim()), "the key itself is not told");
    // A hard link and a symbolic link to the database.
    for hard in [true, false] {
        let worlds = Worlds::new();
        let (prod, test) = (worlds.folder("prod").join("tagmint.db"), worlds.folder("test").join("tagmint.db"));
        fs::write(&prod, "").unwrap();
        if hard { fs::hard_link(&prod, &test) } else { std::os::unix::fs::symlink(&prod, &test) }.unwrap();
        let (found, code) = against(&worlds, &[]);
        assert_eq!((part(&found, "database")["verdict"].as_str(), code), (Some("shared"), Some(1)), "{found}");
    }
}

/// A unit's credential is looked at where its folder is named.
#[test]
fn the_other_units_credential_is_compared_where_its_folder_is_named() {
    let worlds = Worlds::new();
    for world in ["prod", "test"] {
        worlds.change(world, "key_file = \"master.key\"", "key_file = \"credential:master.key\"");
    }
    let [test, prod] = ["test", "prod"].map(|world| worlds.folder(world).display().to_string());
    let key = |arguments: &[&str]| {
        let (this, other) = (worlds.config("test"), worlds.config("prod"));
        let mut command = tagmint(["check", "--format", "json", "--config", &this, "--against", &other]);
        let output = command.args(arguments).env("CREDENTIALS_DIRECTORY", &test).output().unwrap();
        let found = serde_json::from_slice(&output.stdout).unwrap();
        (part(&found, "key file")["verdict"].as_str().unwrap().to_owned(), output.status.code())
    };
    assert_eq!(key(&[]), ("unknown".to_owned(), Some(0)));
    assert_eq!(key(&["--against-credentials", &prod]), ("isolated".to_owned(), Some(0)));
    assert_eq!(key(&["--against-credentials", &test]), ("shared".to_owned(), Some(1)));
}

#[test]
fn what_cannot_be_looked_at_is_told() {
    let worlds = Worlds::new();
    fs::remove_file(worlds.folder("prod").join("master.key")).unwrap();
    let (found, code) = against(&worlds, &[]);
    let key = part(&found, "key file");
    assert_eq!((key["verdict"].as_str(), code), (Some("unknown"), Some(0)), "{key}");
    assert!(key["not_seen"][0].as_str().unwrap().starts_with("prod: the key file"), "{key}");
    let shown = run(["check", "--config", &worlds.config("test"), "--against", &worlds.config("prod")]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("? key file: not looked at. prod: the key file"), "{shown}");
    // A start that was told of another world and cannot read it does not guess.
    worlds.guard("test", "prod");
    fs::remove_file(worlds.config("prod")).unwrap();
    let error = failure(["serve", "--config", &worlds.config("test")], 3);
    assert!(error["message"].as_str().unwrap().contains("prod/tagmint.toml"), "{error}");
    assert_eq!(
        failure(["check", "--config", &worlds.config("test"), "--against", &worlds.config("prod")], 3)["code"],
        "config"
    );
}

#[test]
fn the_table_names_what_is_shared_and_why_it_matters() {
    let worlds = Worlds::new();
    worlds.change("test", TEST_HOST, "broker.example.org/test");
    let output = run(["check", "--config", &worlds.config("test"), "--against", &worlds.config("prod")]);
    assert_eq!(output.status.code(), Some(1));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("✗ host: broker.example.org\n  AWS knows an issuer by its host"), "{shown}");
    assert!(shown.lines().any(|line| line.starts_with("✓  role")), "{shown}");
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("share what must belong to one of them: host (broker.example.org)")
    );
}

/// The configurations and sites that are shipped.
#[test]
fn the_shipped_worlds_share_nothing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let config = |world: &str| root.join(format!("deploy/{world}/tagmint.toml")).display().to_string();
    let found = json(["check", "--config", &config("test"), "--against", &config("prod")]);
    assert_eq!(found["isolated"], true, "{found}");
    let warned = |finding: &&Value| finding["verdict"] == "warned";
    let warned: Vec<_> =
        found["findings"].as_array().unwrap().iter().filter(warned).map(|finding| &finding["part"]).collect();
    assert_eq!(warned, ["AWS account", "listen address"], "one account, and port 443 of two machines");

    let site = |world: &str| fs::read_to_string(root.join(format!("nginx/{world}.conf"))).unwrap();
    let (prod, test) = (site("prod"), site("test"));
    let values = |text: &str| -> Vec<String> {
        let own = [
            "server_name",
            "server ",
            "upstream",
            "proxy_pass",
            "proxy_cache",
            "proxy_cache_path",
            "limit_req_zone",
            "access_log",
            "ssl_certificate",
            "listen 127",
        ];
        let line =
            |line: &str| line.split('#').next().unwrap_or_default().trim().trim_end_matches([';', '{', ' ']).to_owned();
        let lines = text.lines().map(line);
        lines.filter(|line| line != "server" && own.iter().any(|directive| line.starts_with(directive))).collect()
    };
    let (prod, test) = (values(&prod), values(&test));
    assert!(prod.len() > 12 && prod.len() == test.len(), "{prod:?}");
    for value in &prod {
        assert!(!test.contains(value), "both sites say `{value}`");
    }
}
