//! `[limits]`, and whose `X-Forwarded-For` is believed.

use super::{GOOD, parse, problems};

const CERTIFICATE: &str = "certificate = \"tls/chain.pem\"\nkey = \"/etc/tls/key.pem\"";

#[test]
fn a_prod_issuer_without_limits_is_warned_of() {
    let none = "[limits]\nper_credential = { per_second = 0, burst = 0 }\nper_address = { per_second = 0, burst = 0 }\nfailed_per_address = { per_second = 0, burst = 0 }\n[session_backend]";
    let with = |environment: &str, limits: &str| {
        let text = GOOD.replace("\"test\"", &format!("\"{environment}\"")).replace("[session_backend]", limits);
        let warnings = parse(&text).unwrap().warnings;
        warnings.into_iter().filter(|warning| warning.starts_with("`limits.")).collect::<Vec<_>>()
    };
    assert_eq!(
        with("prod", none),
        [
            "`limits.per_credential.per_second` is `0` in prod: no limit, so that one leaked credential can mint without bound; remove the key for the default of 100 a second, or set one",
            "`limits.per_address.per_second` is `0` in prod: no limit, so that one address can keep the issuer busy; remove the key for the default of 200 a second, or set one",
            "`limits.failed_per_address.per_second` is `0` in prod: no limit, so that one address can guess without bound, and each guess leaves a row in the ledger; remove the key for the default of 2 a second, or set one",
        ]
    );
    let one = with("prod", "[limits]\nper_address = { per_second = 0, burst = 9 }\n[session_backend]");
    assert_eq!(one.len(), 1, "{one:?}");
    assert_eq!(with("test", none), [""; 0]);
    assert_eq!(with("prod", "[session_backend]"), [""; 0]);
}

fn proxies(list: &str) -> String {
    format!("{CERTIFICATE}\ntrusted_proxies = [{list}]")
}

#[test]
fn trusted_proxies_are_addresses_and_networks() {
    let text = GOOD.replace(
        CERTIFICATE,
        &proxies("\"127.0.0.1\", \"10.0.0.0/8\", \"2001:db8::/32\", \"fc00::/7\", \"::1\", \"192.0.2.7/32\", \"::ffff:172.16.0.0/108\""),
    );
    let trusted = parse(&text).unwrap().settings.trusted_proxies;
    for (address, expected) in [
        ("127.0.0.1", true),
        ("127.0.0.2", false),
        ("10.255.0.1", true),
        ("::ffff:10.0.0.1", true),
        ("11.0.0.1", false),
        ("2001:db8:ffff::1", true),
        ("2001:db9::1", false),
        ("fd12::1", true),
        ("192.0.2.7", true),
        ("192.0.2.8", false),
        ("172.16.3.4", true),
    ] {
        assert_eq!(trusted.contains(address.parse().unwrap()), expected, "{address}");
    }
}

#[test]
fn what_is_wrong_with_a_trusted_proxy_is_named() {
    for (proxy, expected) in [
        ("10.0.0.0/33", "is not a valid CIDR block: a prefix has 0 to 32 bits"),
        ("2001:db8::/129", "is not a valid CIDR block: a prefix has 0 to 128 bits"),
        ("10.0.0.0/", "is not a valid CIDR block"),
        ("10.0.0.0/-8", "is not a valid CIDR block"),
        ("10.0.0.0/255.0.0.0", "is not a valid CIDR block"),
        ("10.0.0.0/08x", "is not a valid CIDR block"),
        ("10.1.2.3/8", "write the network as `10.0.0.0/8`, or the address alone as `10.1.2.3`"),
        ("2001:db8::1/64", "write the network as `2001:db8::/64`, or the address alone as `2001:db8::1`"),
        ("0.0.0.0/0", "trusts a large part of the internet"),
        ("::/0", "trusts a large part of the internet"),
        ("::ffff:0.0.0.0/96", "trusts a large part of the internet"),
        ("128.0.0.0/1", "trusts a large part of the internet"),
        ("127.0.0.1:8080", "has a port"),
        ("[::1]:8080", "has a port"),
        ("[::1]", "has brackets"),
        (" 127.0.0.1", "has white space"),
        ("10.0.0.0/ 8", "has white space"),
        ("fe80::1%eth0", "has an IPv6 zone"),
        ("nginx", "is not a valid IP address or CIDR block; names are not looked up"),
        ("*", "is not a valid IP address or CIDR block"),
        ("", "is not a valid IP address or CIDR block"),
        ("10.0.0", "is not a valid IP address or CIDR block"),
        ("10.0.0.0-10.0.0.255", "is not a valid IP address or CIDR block"),
    ] {
        let said = problems(&[(CERTIFICATE, &proxies(&format!("\"::1\", \"{proxy}\"")))]);
        let expected = if expected.starts_with("write") {
            format!("`tls.trusted_proxies[1]`: `{proxy}` is an address within a network: {expected}")
        } else {
            format!("`tls.trusted_proxies[1]`: `{proxy}` {expected}")
        };
        assert!(said.contains(&expected), "{expected} in {said}");
    }
}
