//! `[outbound]`.

use tagmint_core::outbound::Outbound;

use super::*;

fn outbound(lines: &str) -> Option<Outbound> {
    parse(&format!("{GOOD}[outbound]\n{lines}\n")).unwrap_or_else(|error| panic!("{error}")).outbound
}

#[test]
fn a_proxy_is_named_or_the_environment_says_which() {
    assert_eq!(parse(GOOD).unwrap().outbound, None, "as the environment says");
    assert_eq!(outbound("proxy = \"none\""), Some(Outbound::direct()));
    let named =
        outbound("proxy = \"http://proxy.example.org:3128\"\nno_proxy = [\"10.0.0.0/8\", \".corp.example\"]").unwrap();
    assert_eq!(named.to_string(), "through http://proxy.example.org:3128; directly: 10.0.0.0/8, .corp.example");
    let github = "[[trusted_issuer]]\nname = \"github\"\nkind = \"github\"\naudiences = [\"a\"]\n";
    let warned = parse(&format!("{GOOD}[outbound]\nproxy = \"http://p:1\"\n{github}")).unwrap().warnings;
    assert!(warned.iter().any(|warning| warning.starts_with("`outbound.proxy` is set")), "{warned:?}");
}

#[test]
fn what_is_no_proxy_is_named() {
    for (lines, says) in [
        ("proxy = \"socks5://p:1080\"", "`outbound.proxy`: `socks5://p:1080`: it is not the URL of an HTTP proxy"),
        ("proxy = \"http://u:hunter22@p:1\"", "`http://…@p:1` has a user or password"),
        ("proxy = \"ftp://u:hunter22@p:1\"", "`outbound.proxy`: the URL: it is not"),
        ("proxy = \"\"", "`outbound.proxy`: ``: it is not the URL"),
        (
            "proxy = \"http://p:1\"\nno_proxy = [\"a\", \"10.0.0.0/40\"]",
            "`outbound.no_proxy[1]`: `10.0.0.0/40` is not a host",
        ),
        ("no_proxy = [\"a\"]", "`outbound.no_proxy`: is of no use without `outbound.proxy`"),
        ("proxy = \"none\"\nno_proxy = [\"a\"]", "is of no use without"),
        ("proxies = \"a\"", "proxies"),
    ] {
        let error = parse(&format!("{GOOD}[outbound]\n{lines}\n")).unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains("hunter22"), "{lines}: {error}");
    }
}
