//! Arguments that fit together, and the prefix that they mean.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use clap::Parser;
use serde_json::json;

use super::*;
use crate::cli::{Cli, Command};

fn parsed(more: &[&str]) -> Result<ProveArgs, clap::Error> {
    let fixed = ["tagmint", "prove", "--role", "arn:aws:iam::111122223333:role/data", "--bucket", "data"];
    match Cli::try_parse_from(fixed.iter().chain(more))?.command {
        Command::Prove(args) => Ok(*args),
        other => panic!("{other:?}"),
    }
}

fn token(tags: &[(&str, &str)]) -> Token {
    let tags: serde_json::Map<_, _> = tags.iter().map(|(key, value)| ((*key).to_owned(), json!([value]))).collect();
    let claims = json!({"sub": "s", "https://aws.amazon.com/tags": {"principal_tags": tags}});
    Token::parse(&format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))).unwrap()
}

fn own(more: &[&str], tags: &[(&str, &str)]) -> Result<(String, Option<String>), String> {
    let args = parsed(&[&["--token", "t"], more].concat()).map_err(|error| error.to_string())?;
    let found = own_prefix(&args, &token(tags)).map_err(|error| error.to_string())?;
    Ok((found.0.as_str().to_owned(), found.1))
}

#[test]
fn the_own_prefix_comes_from_a_tag_or_is_named() {
    let found = |prefix: &str, tag: Option<&str>| Ok((prefix.to_owned(), tag.map(str::to_owned)));
    let two = [("team", "blue"), ("run", "42")];
    assert_eq!(own(&[], &[("team", "blue")]), found("blue", Some("team")));
    assert_eq!(own(&["--tag", "Team"], &two), found("blue", Some("Team")));
    assert_eq!(own(&["--prefix", "blue/"], &two), found("blue", Some("team")));
    assert_eq!(own(&["--prefix", "data/blue"], &two), found("data/blue", None));
    assert_eq!(own(&["--prefix", "data/blue"], &two[..1]), found("data/blue", Some("team")));
    assert!(own(&[], &two).is_err_and(|error| error.contains("team, run")));
    assert!(own(&[], &[]).is_err_and(|error| error.contains("none")));
    assert!(own(&["--tag", "other"], &two).is_err_and(|error| error.contains("no tag other")));
    assert!(own(&["--prefix", "/x"], &two).is_err());
}

#[test]
fn arguments_that_make_no_sense_together_are_refused() {
    for wrong in [
        &[][..],
        &["--token", "t", "--own-object", "k"],
        &["--token", "t", "--neighbour-object", "k"],
        &["--token", "t", "--credential-file", "c"],
        &["--token", "t", "--other-audience", "a"],
        &["--issuer", "https://i", "--other-audience", "a", "--other-audience-token", "t"],
    ] {
        assert!(parsed(wrong).is_err(), "{wrong:?}");
    }
    let neighbour = |object: &str| {
        let more = ["--token", "t", "--neighbour", "green", "--neighbour-object", object];
        neighbours(&parsed(&more).unwrap(), &Prefix::parse("blue").unwrap())
    };
    assert!(neighbour("green/mail").is_ok());
    assert!(neighbour("greens/mail").is_err());
}
