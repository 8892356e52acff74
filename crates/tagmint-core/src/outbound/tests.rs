use super::*;

fn environment(variables: &[(&'static str, &str)]) -> Result<Outbound, InvalidVariable> {
    Outbound::from_environment(|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

fn proxy<'o>(outbound: &'o Outbound, url: &str) -> Option<&'o str> {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (host, port) = match rest.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()) {
        Some((host, port)) => (host, port.parse().ok()),
        None => (rest, None),
    };
    outbound.proxy_for(scheme, host, port).map(ProxyUrl::expose)
}

#[test]
fn the_environment_is_read_as_other_programs_read_it() {
    let (a, b) = ("http://a.example:3128", "http://b.example:3128");
    let of =
        |variables: &[(&'static str, &str)], url: &str| proxy(&environment(variables).unwrap(), url).map(str::to_owned);
    let (https, http) = ("https://issuer.example", "http://issuer.example");
    for (variables, to_https, to_http) in [
        (vec![], None, None),
        (vec![("HTTPS_PROXY", a)], Some(a), None),
        (vec![("https_proxy", a)], Some(a), None),
        (vec![("HTTPS_PROXY", a), ("https_proxy", b)], Some(a), None),
        (vec![("HTTPS_PROXY", ""), ("https_proxy", b)], Some(b), None),
        (vec![("HTTP_PROXY", a)], None, Some(a)),
        (vec![("ALL_PROXY", a)], Some(a), Some(a)),
        (vec![("ALL_PROXY", a), ("HTTPS_PROXY", b)], Some(b), Some(a)),
        (vec![("HTTPS_PROXY", "a.example:3128")], Some(a), None),
        (vec![("HTTPS_PROXY", "http://a.example:3128/")], Some(a), None),
        (vec![("HTTPS_PROXY", a), ("NO_PROXY", "issuer.example")], None, None),
        (vec![("HTTPS_PROXY", a), ("no_proxy", "*")], None, None),
        (vec![("HTTPS_PROXY", a), ("NO_PROXY", " other.example , ,!,")], Some(a), None),
    ] {
        assert_eq!(of(&variables, https).as_deref(), to_https, "{variables:?}");
        assert_eq!(of(&variables, http).as_deref(), to_http, "{variables:?}");
    }
    assert!(environment(&[("NO_PROXY", "*")]).unwrap().is_direct());
}

#[test]
fn a_variable_that_is_no_proxy_is_refused_without_its_password() {
    for bad in [
        "socks5://u:hunter22@p:1080",
        "ftp://hunter22@p",
        "http://u:hunter22@p:99999",
        "http://u:hunter22@",
        "http://p/path?hunter22",
        "http://u:hunter 22@p",
    ] {
        let error = environment(&[("https_proxy", bad)]).unwrap_err().to_string();
        assert!(
            error.starts_with("the environment variable https_proxy: it is not the URL of an HTTP proxy"),
            "{error}"
        );
        assert!(!error.contains("hunter") && error.contains("outbound.proxy"), "{error}");
    }
}

#[test]
fn this_machine_is_asked_directly() {
    let outbound = Outbound::through(ProxyUrl::parse("proxy:3128").unwrap(), NoProxy::default());
    for here in [
        "http://localhost:8080",
        "https://LOCALHOST.",
        "https://a.localhost",
        "http://127.0.0.1:1",
        "https://127.8.9.1",
        "http://[::1]:9",
        "https://[::ffff:127.0.0.1]",
    ] {
        assert_eq!(proxy(&outbound, here), None, "{here}");
    }
    for elsewhere in ["https://localhost.example", "https://10.0.0.1", "http://[2001:db8::1]", "https://mylocalhost"] {
        assert_eq!(proxy(&outbound, elsewhere), Some("http://proxy:3128"), "{elsewhere}");
    }
}

#[test]
fn exceptions_are_hosts_domains_and_networks() {
    let list = [
        "10.0.0.0/8",
        "192.0.2.7",
        "2001:db8::/32",
        "[fd00::1]:8443",
        "corp.example",
        ".dot.example",
        "*.star.example",
        "one.example:8443",
        "UPPER.example",
        "host_name",
    ];
    let outbound = Outbound::through(ProxyUrl::parse("http://proxy:3128").unwrap(), NoProxy::parse(list).unwrap());
    for direct in [
        "https://10.1.2.3",
        "https://192.0.2.7:8443",
        "https://[2001:db8::5]:1",
        "https://[fd00::1]:8443",
        "https://corp.example",
        "https://a.b.corp.example.",
        "https://dot.example",
        "https://a.dot.example",
        "https://a.star.example",
        "https://star.example",
        "https://one.example:8443",
        "https://upper.EXAMPLE",
        "https://host_name",
        "https://[::ffff:10.1.2.3]",
    ] {
        assert_eq!(proxy(&outbound, direct), None, "{direct}");
    }
    for through in [
        "https://11.0.0.1",
        "https://192.0.2.8",
        "https://[fd00::1]:443",
        "https://[2001:db9::1]",
        "https://mycorp.example",
        "https://corp.example.org",
        "https://one.example",
        "https://example",
    ] {
        assert!(proxy(&outbound, through).is_some(), "{through}");
    }
    for bad in
        ["", "a b", "10.0.0.0/40", "http://a.example", "a..b", ".", "256.1.1.1", "a:port", "[::1", "a/b", "1.2.3"]
    {
        assert_eq!(NoProxy::parse([bad]), Err(InvalidNoProxy(bad.to_owned())), "{bad}");
    }
}

#[test]
fn a_password_is_not_shown() {
    let url = ProxyUrl::parse("https://user:hunter22@proxy.example:8080").unwrap();
    assert!(url.has_user() && url.expose().contains("hunter22"));
    assert_eq!(url.to_string(), "https://…@proxy.example:8080");
    let outbound = Outbound::through(url, NoProxy::parse(["10.0.0.0/8", ".corp"]).unwrap());
    assert_eq!(outbound.to_string(), "through https://…@proxy.example:8080; directly: 10.0.0.0/8, .corp");
    assert!(!format!("{outbound:?}").contains("hunter"));
    assert_eq!(Outbound::direct().to_string(), "directly");
    let list =
        NoProxy::parse(["10.0.0.0/8", "*.corp", "[fd00::1]:8443", "192.0.2.1:1", "a.example:8443", "*"]).unwrap();
    assert_eq!(
        Outbound::through(ProxyUrl::parse("p").unwrap(), list).direct_for_others(),
        "localhost,127.0.0.0/8,::1,10.0.0.0/8,corp,fd00::1,192.0.2.1,a.example,*"
    );
    let two = environment(&[("HTTPS_PROXY", "a"), ("HTTP_PROXY", "b")]).unwrap();
    assert_eq!(two.to_string(), "through http://a (https), http://b (http)");
    for good in ["http://[2001:db8::1]:3128", "http://my_proxy:3128", "HTTP://proxy"] {
        assert!(ProxyUrl::parse(good).is_ok(), "{good}");
    }
    for bad in ["", "http://", "http://[::1", "http://[::1]x", "http://a:b", "http://a b"] {
        assert!(ProxyUrl::parse(bad).is_err(), "{bad}");
    }
}
