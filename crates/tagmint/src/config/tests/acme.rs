//! `tls.mode = "acme"`.

use super::{GOOD, parse, problems};
use crate::config::{AcmeConfig, SecretSource, Tls};

/// The good configuration's TLS, which others are put in place of.
const FILES: &str = "mode = \"files\"\ncertificate = \"tls/chain.pem\"\nkey = \"/etc/tls/key.pem\"\n";

fn with(table: &str) -> String {
    problems(&[(FILES, &format!("mode = \"acme\"\n{table}\n"))])
}

fn acme(table: &str) -> AcmeConfig {
    let text = GOOD.replace(FILES, &format!("mode = \"acme\"\n[tls.acme]\n{table}\n"));
    match parse(&text).unwrap().tls {
        Tls::Acme(acme) => *acme,
        other => panic!("{other:?}"),
    }
}

#[test]
fn acme_is_read() {
    let least = acme("terms_of_service_agreed = true");
    assert_eq!(least.directory, "https://acme-v02.api.letsencrypt.org/directory");
    assert_eq!((least.names.len(), least.profile, least.eab), (1, None, None));
    assert_eq!(least.http_listen, "0.0.0.0:80".parse().unwrap());
    let full = acme(
        "terms_of_service_agreed = true\ndirectory = \"https://ca.example/dir\"\ncontact = [\"mailto:a@b.example\"]\n\
         names = [\"more.example\", \"more.example\"]\nprofile = \"shortlived\"\nhttp_listen = \"[::]:80\"\nca_file = \"ca.pem\"\n\
         [tls.acme.eab]\nkid = \"one\"\nhmac_key_file = \"credential:eab\"",
    );
    assert_eq!((full.directory.as_str(), full.contact.len()), ("https://ca.example/dir", 1));
    assert_eq!(full.names[1..], ["more.example".to_owned()], "each name once");
    assert_eq!(full.profile.as_deref(), Some("shortlived"));
    assert_eq!(full.ca_file, Some("/etc/tagmint/ca.pem".into()));
    assert_eq!(full.eab.unwrap().hmac_key, SecretSource::Credential("eab".to_owned()));
}

#[test]
fn what_is_wrong_with_acme_is_named() {
    let table = |lines: &str| with(&format!("[tls.acme]\n{lines}"));
    insta::assert_snapshot!(
        [
            with(""),
            with("certificate = \"tls.pem\"\n[tls.acme]\nterms_of_service_agreed = true"),
            table(""),
            table("terms_of_service_agreed = true\ndirectory = \"http://ca.example/dir\""),
            table("terms_of_service_agreed = true\ndirectory = \"https://user:secret@ca.example/dir\""),
            table("terms_of_service_agreed = true\ncontact = [\"ops@example.org\", \"mailto:\", \"mailto:a@b,c@d\"]"),
            table(
                "terms_of_service_agreed = true\nnames = [\"*.example.org\", \"UPPER.example\", \"10.0.0.1\", \"a/b\"]"
            ),
            table("terms_of_service_agreed = true\nprofile = \"short lived\"\nhttp_listen = \"80\""),
            table("terms_of_service_agreed = true\n[tls.acme.eab]\nkid = \"\"\nhmac_key_file = \"credential:../key\""),
            problems(&[(FILES, &format!("{FILES}\n[tls.acme]\nterms_of_service_agreed = true\n"))]),
        ]
        .join("\n")
    );
}
