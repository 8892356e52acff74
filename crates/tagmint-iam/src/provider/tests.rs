use proptest::prelude::*;

use super::*;

const ACCOUNT: &str = "111122223333";

fn register(url: &str) -> Result<OidcProvider, IamError> {
    OidcProvider::register(ACCOUNT, Registration { url: url.to_owned(), ..Registration::default() })
}

/// Recorded answers of IAM, and the API reference of CreateOpenIDConnectProvider ("must begin with https:// … should not contain a port").
#[test]
fn urls() {
    let kept = [
        ("https://id.example.test", "id.example.test"),
        ("https://id.example.test/", "id.example.test/"),
        ("https://id.example.test:443", "id.example.test"),
        ("https://id.example.test:443/a", "id.example.test/a"),
        ("https://ID.Example.TEST/MixedCase", "ID.Example.TEST/MixedCase"),
    ];
    for (url, expected) in kept {
        let provider = register(url).unwrap();
        assert_eq!(provider.url(), expected);
        assert_eq!(provider.arn(), format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{expected}"));
        assert_eq!(provider.issuer(), format!("https://{expected}"));
    }
    let refused = [
        ("https://h/?q=1", "InvalidInput: Unknown"),
        ("https://h/#f", "InvalidInput: Unknown"),
        ("https://h:8443", "InvalidInput: Unknown"),
        ("https://u@h", "InvalidInput: Unknown"),
        ("http://h", "InvalidInput: Invalid Open ID Connect Provider URL"),
        ("https:///p", "InvalidInput: Invalid Open ID Connect Provider URL"),
        ("https://h /", "InvalidInput: Invalid Open ID Connect Provider URL"),
    ];
    for (url, expected) in refused {
        assert_eq!(register(url).unwrap_err().to_string(), expected, "{url}");
    }
    let long = format!("https://{}", "h".repeat(248));
    assert_eq!(register(&long).unwrap_err().code, IamCode::ValidationError);
    assert!(register(&long[..255]).is_ok());
}

#[test]
fn lists() {
    let text = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let print = |letter: &str| letter.repeat(40);
    let registration = Registration {
        url: "https://h".to_owned(),
        client_ids: text(&["z", "a", "z"]),
        thumbprints: vec![print("A"), print("a"), print("g")],
        tags: vec![("key".into(), "v".into()), ("Key".into(), "V".into())],
    };
    let mut provider = OidcProvider::register(ACCOUNT, registration).unwrap();
    assert_eq!(provider.client_ids(), ["z", "a"]);
    assert_eq!(provider.thumbprints(), [print("a"), print("a"), print("g")]);
    assert_eq!(provider.tags()[0].0, "Key");
    provider.remove_client_id("absent");
    provider.remove_client_id("z");
    assert_eq!(provider.client_ids(), ["a"]);
    assert_eq!(
        provider.set_thumbprints(&[]).unwrap_err().to_string(),
        "InvalidInput: Thumbprint list must contain at least one entry."
    );
    assert_eq!(
        provider.set_thumbprints(&vec![print("b"); 6]).unwrap_err().to_string(),
        "InvalidInput: Thumbprint list must contain fewer than 5 entries."
    );
    provider.set_thumbprints(&vec![print("b"); 5]).unwrap();
    assert_eq!(provider.set_thumbprints(&["b".repeat(39)]).unwrap_err().code, IamCode::ValidationError);
    for number in 1..MAX_CLIENT_IDS {
        provider.add_client_id(&format!("c{number}")).unwrap();
    }
    provider.add_client_id("a").unwrap();
    assert_eq!(provider.add_client_id("one-more").unwrap_err().code, IamCode::LimitExceeded);
    assert_eq!(provider.add_client_id("").unwrap_err().code, IamCode::ValidationError);
}

#[test]
fn a_registry_answers_as_iam() {
    let mut registry = ProviderRegistry::new(ACCOUNT);
    let registration = |url: &str| Registration { url: url.to_owned(), ..Registration::default() };
    let arn = registry.create(registration("https://h/p")).unwrap().arn().to_owned();
    registry.create(registration("https://h/p/")).unwrap();
    let twice = registry.create(registration("https://h:443/p")).unwrap_err();
    assert_eq!(twice.to_string(), "EntityAlreadyExists: Provider with url https://h/p already exists.");
    assert_eq!(registry.by_issuer("https://h/p/").unwrap().url(), "h/p/");
    assert_eq!(registry.by_issuer("h/p"), None);
    registry.get_mut(&arn).unwrap().add_client_id("a").unwrap();
    assert_eq!(registry.get(&arn).unwrap().client_ids(), ["a"]);
    registry.delete(&arn).unwrap();
    let gone = format!("NoSuchEntity: OpenIDConnect Provider not found for arn {arn}");
    assert_eq!(registry.get(&arn).unwrap_err().to_string(), gone);
    let gone = format!("NoSuchEntity: OpenId connect Provider {arn} cannot be found.");
    assert_eq!(registry.delete(&arn).unwrap_err().to_string(), gone);
    for number in 1..MAX_PROVIDERS {
        registry.create(registration(&format!("https://h{number}"))).unwrap();
    }
    assert_eq!(registry.create(registration("https://more")).unwrap_err().code, IamCode::LimitExceeded);
    assert_eq!(registry.iter().count(), MAX_PROVIDERS);
}

proptest! {
    #[test]
    fn no_url_panics(url in "(https://)?[a-z:/?#@0-9.é ]{0,20}") {
        if let Ok(provider) = register(&url) {
            prop_assert!(!provider.url().contains(['?', '#', '@']));
        }
    }
}

#[test]
fn a_stand_in_takes_ports_of_this_machine_alone() {
    let local = |url: &str| {
        OidcProvider::register_local(ACCOUNT, Registration { url: url.to_owned(), ..Registration::default() })
            .map(|provider| provider.issuer())
    };
    for url in ["https://localhost:8443", "https://127.0.0.1:1/test", "https://id.example.com/x"] {
        assert_eq!(local(url).unwrap(), url);
    }
    assert_eq!(local("https://localhost:443").unwrap(), "https://localhost");
    for url in
        ["https://id.example.com:8443", "https://localhost:", "https://localhost:99999", "https://localhost:8443/a b"]
    {
        assert!(local(url).is_err(), "{url}");
    }
    assert!(register("https://localhost:8443").is_err(), "IAM itself");
}
