//! `[witness]`, and the keys that wait for it.

use tagmint_core::witness::{FetchClass, UserAgent};

use super::{GOOD, parse, problems};

const WAIT: (&str, &str) = ("key_file = \"key\"", "key_file = \"key\"\nwait_for_witness = true");

#[test]
fn by_default_nothing_waits_and_nobody_is_sts() {
    let settings = parse(GOOD).unwrap().settings;
    assert_eq!(settings.rotation.witness_deadline, None);
    assert!(!settings.witness.recognition.is_given());
    assert_eq!(settings.witness.keep.as_hours(), 30 * 24);
}

#[test]
fn sts_is_who_the_configuration_says() {
    let witness = "[witness]\nuser_agents = [\"a/\"]\nnetworks = [\"203.0.113.0/24\", \"2001:db8::1\"]\nnetworks_file = \"ranges.json\"\nkeep = \"7d\"";
    let text = format!("{}\n{witness}", GOOD.replacen(WAIT.0, WAIT.1, 1));
    let config = parse(&text).unwrap();
    assert_eq!(config.settings.rotation.witness_deadline.map(|deadline| deadline.as_hours()), Some(72));
    assert_eq!(config.witness_networks, Some("/etc/tagmint/ranges.json".into()));
    let recognition = &config.settings.witness.recognition;
    let class = |address: &str| recognition.class(address.parse().unwrap(), &UserAgent::new(Some(b"a/1")));
    assert_eq!(class("203.0.113.5"), FetchClass::Sts);
    assert_eq!(class("2001:db8::1"), FetchClass::Sts);
    assert_eq!(class("198.51.100.1"), FetchClass::Other);
    // A file alone is a limit too, as long as it has not been read.
    let file = parse(&format!("{GOOD}\n[witness]\nnetworks_file = \"ranges.json\"")).unwrap();
    assert!(file.settings.witness.recognition.is_given());
}

#[test]
fn a_wait_for_nobody_is_refused_and_one_for_an_agent_alone_warned_of() {
    let text = problems(&[WAIT]);
    assert!(text.contains("`keys.wait_for_witness`: nobody would be taken for STS: set `witness.networks`"), "{text}");
    let agent = format!("{}\n[witness]\nuser_agents = [\"a/\"]", GOOD.replacen(WAIT.0, WAIT.1, 1));
    let warnings = parse(&agent).unwrap().warnings;
    assert!(warnings.iter().any(|warning| warning.contains("by the user agent alone")), "{warnings:?}");
    let network = agent.replace("user_agents = [\"a/\"]", "networks = [\"203.0.113.0/24\"]");
    assert!(!parse(&network).unwrap().warnings.iter().any(|warning| warning.contains("user agent")));
}

#[test]
fn what_is_wrong_with_the_witness_is_named() {
    let with = |table: &str| problems(&[("[[rule]]", &format!("[witness]\n{table}\n[[rule]]"))]);
    let deadline = problems(&[(WAIT.0, "key_file = \"key\"\nwitness_deadline = \"1s\"")]);
    insta::assert_snapshot!(
        [
            with("networks = [\"203.0.113.1/24\", \"host\"]"),
            with("user_agents = [\"\"]"),
            with("keep = \"1h\""),
            deadline,
        ]
        .join("\n")
    );
}
