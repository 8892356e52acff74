//! Who counts as STS, and what is kept of a stranger's words.

use super::*;

fn networks(texts: &[&str]) -> Networks {
    Networks::union(texts.iter().map(|text| text.parse().unwrap()))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_source_is_kept_as_its_network() {
    for (address, network) in [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("127.0.0.1", "127.0.0.0/24"),
    ] {
        assert_eq!(SourceNetwork::from(ip(address)).to_string(), network);
    }
}

#[test]
fn a_user_agent_is_short_and_printable() {
    assert_eq!(UserAgent::new(None).as_str(), "-");
    assert_eq!(UserAgent::new(Some(b"")).as_str(), "-");
    assert_eq!(UserAgent::new(Some("a\u{1b}[31m\tb\u{e9}".as_bytes())).as_str(), "a?[31m?b??");
    assert_eq!(UserAgent::new(Some(&[b'x'; 5000])).as_str().len(), USER_AGENT_LENGTH);
}

#[test]
fn networks_hold_their_addresses_and_no_neighbours() {
    let set = networks(&["203.0.113.0/25", "203.0.113.128/25", "198.51.100.7", "2001:db8::/32"]);
    for inside in ["203.0.113.0", "203.0.113.255", "198.51.100.7", "::ffff:198.51.100.7", "2001:db8:ffff::1"] {
        assert!(set.contains(ip(inside)), "{inside}");
    }
    for outside in ["203.0.112.255", "203.0.114.0", "198.51.100.6", "198.51.100.8", "2001:db7::1", "2001:db9::", "::1"]
    {
        assert!(!set.contains(ip(outside)), "{outside}");
    }
    assert!(networks(&["0.0.0.0/0"]).contains(ip("255.255.255.255")));
    assert!(!networks(&["0.0.0.0/0"]).contains(ip("2001:db8::1")));
    assert!(networks(&["::/0"]).contains(ip("2001:db8::1")));
    assert!(!Networks::default().contains(ip("127.0.0.1")));
    for wrong in
        ["", "203.0.113.0/33", "203.0.113.1/24", "203.0.113.0/", "203.0.113.0/+8", "203.0.113/24", "::/129", "host"]
    {
        assert_eq!(wrong.parse::<Networks>(), Err(InvalidNetwork), "{wrong}");
    }
}

#[test]
fn awss_list_is_read() {
    let list = br#"{"syncToken": "1", "createDate": "2026-01-01-00-00-00",
        "prefixes": [
            {"ip_prefix": "192.0.2.0/24", "region": "us-east-1", "service": "AMAZON", "network_border_group": "us-east-1"},
            {"ip_prefix": "192.0.2.0/25", "region": "us-east-1", "service": "EC2", "network_border_group": "us-east-1"},
            {"ip_prefix": "198.51.100.0/24", "region": "GLOBAL", "service": "SOMETHING_ELSE", "network_border_group": "GLOBAL"}],
        "ipv6_prefixes": [
            {"ipv6_prefix": "2001:db8::/32", "region": "us-east-1", "service": "AMAZON", "network_border_group": "us-east-1"}]}"#;
    let set = Networks::from_aws_ranges(list).unwrap();
    assert!(set.contains(ip("192.0.2.200")) && set.contains(ip("2001:db8::1")));
    assert!(!set.contains(ip("198.51.100.1")));
    let wrong = |json: &str| Networks::from_aws_ranges(json.as_bytes()).unwrap_err();
    assert!(matches!(wrong("<html>"), InvalidRanges::Form(_)));
    assert!(matches!(wrong(r#"{"prefixes": []}"#), InvalidRanges::Form(_)));
    assert_eq!(wrong(r#"{"prefixes": [], "ipv6_prefixes": []}"#), InvalidRanges::Empty);
    let bad = r#"{"prefixes": [{"ip_prefix": "192.0.2.1/24", "service": "AMAZON"}], "ipv6_prefixes": []}"#;
    assert_eq!(wrong(bad), InvalidRanges::Network("192.0.2.1/24".to_owned()));
}

#[test]
fn sts_is_who_matches_every_kind_that_is_given() {
    let agent = |text: &str| UserAgent::new(Some(text.as_bytes()));
    let class = |recognition: &Recognition, address, text| recognition.class(ip(address), &agent(text));
    let nothing = Recognition::default();
    assert!(!nothing.is_given());
    assert_eq!(class(&nothing, "203.0.113.1", "sts/1"), FetchClass::Other);
    let agents = Recognition { user_agents: vec!["sts/".to_owned(), "aws".to_owned()], networks: None };
    assert_eq!(class(&agents, "192.0.2.1", "sts/1"), FetchClass::Sts);
    assert_eq!(class(&agents, "192.0.2.1", "not sts/1"), FetchClass::Other);
    let both = Recognition { networks: Some(networks(&["203.0.113.0/24"])), ..agents };
    assert_eq!(class(&both, "203.0.113.1", "sts/1"), FetchClass::Sts);
    assert_eq!(class(&both, "203.0.113.1", "curl"), FetchClass::Other);
    assert_eq!(class(&both, "192.0.2.1", "sts/1"), FetchClass::Other);
    let empty = Recognition { user_agents: vec![], networks: Some(Networks::default()) };
    assert_eq!(class(&empty, "203.0.113.1", "sts/1"), FetchClass::Other);
}

#[test]
fn names_come_back_from_the_store() {
    for document in [Document::Discovery, Document::Jwks] {
        assert_eq!(document.as_str().parse(), Ok(document));
    }
    for class in [FetchClass::Sts, FetchClass::Other] {
        assert_eq!(class.as_str().parse(), Ok(class));
    }
    assert_eq!("STS".parse::<FetchClass>(), Err(UnknownName));
}
