//! deploy/examples/ci-rules.toml.

use super::*;

/// Beside an issuer's own configuration its trusted issuers and rules are good, also with `strict`.
#[test]
fn the_example_fits_into_a_configuration() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/examples"));
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let (issuer, rules) = (read("prod.toml"), read("ci-rules.toml"));
    assert!(issuer.contains("\nstrict = true"), "the example is strict");
    let config = Config::parse(&format!("{issuer}\n{rules}"), &folder.join("prod.toml"));
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.warnings, Vec::<String>::new());
    let names: Vec<&str> = config.issuers.iter().map(|config| config.issuer.name.as_str()).collect();
    assert_eq!(names, ["github", "gitlab"]);
    assert!(config.rules.names().any(|name| name.as_str() == "github-pull-request"));
}
