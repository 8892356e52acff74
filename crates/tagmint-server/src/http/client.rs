//! How an OAuth client presents its credential: HTTP Basic, a form parameter, or `Authorization: Bearer`.

use axum::http::{HeaderMap, header::AUTHORIZATION};
use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{
    bearer::bearer,
    problem::{MALFORMED_REQUEST, Problem},
};

/// The client's credential, from wherever it is; at most one place may have it (RFC 6749 §2.3).
pub(super) fn credential(headers: &HeaderMap, form: Option<SecretString>) -> Result<Option<SecretString>, Problem> {
    let header = match bearer(headers) {
        Some(credential) => Some(credential),
        None => basic(headers)?,
    };
    match (header, form) {
        (Some(_), Some(_)) => {
            let twice = "The client authenticates twice: in the Authorization header and in the body.";
            Err(Problem::new(&MALFORMED_REQUEST).detail(twice))
        }
        (one, other) => Ok(one.or(other).filter(|credential| !credential.expose_secret().is_empty())),
    }
}

/// The password of HTTP Basic (RFC 6749 §2.3.1), if the header is there.
pub(super) fn basic(headers: &HeaderMap) -> Result<Option<SecretString>, Problem> {
    let malformed = || {
        Problem::new(&MALFORMED_REQUEST)
            .detail("The Authorization header is not `Basic` with `client_id:client_secret`.")
    };
    let mut values = headers.get_all(AUTHORIZATION).iter();
    // A client that has no credential to send may send the header all the same.
    let Some(value) = values.next().filter(|value| !value.as_bytes().trim_ascii().is_empty()) else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::new(&MALFORMED_REQUEST).detail("There are two Authorization headers."));
    }
    let (scheme, encoded) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let decoded = Zeroizing::new(BASE64_STANDARD.decode(encoded.trim()).map_err(|_| malformed())?);
    let decoded = std::str::from_utf8(&decoded).map_err(|_| malformed())?;
    let (_, password) = decoded.split_once(':').ok_or_else(malformed)?;
    Ok(Some(form_decoded(password)))
}

/// The client form-encodes its secret before it encodes it for Basic. Some leave that out, and some encode even the underscores of our
/// secrets; what we issue has neither `%` nor `+`, so both readings agree.
fn form_decoded(password: &str) -> SecretString {
    if !password.contains('%') {
        return SecretString::from(password);
    }
    let pair = Zeroizing::new(format!("p={password}"));
    let decoded = form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| Zeroizing::new(value.into_owned()));
    SecretString::from(decoded.as_ref().map_or("", |decoded| decoded.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str], form: Option<&str>) -> Result<Option<String>, ()> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        let read = credential(&headers, form.map(SecretString::from)).map_err(|_| ())?;
        Ok(read.map(|credential| credential.expose_secret().to_owned()))
    }

    fn basic_header(pair: &str) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(pair))
    }

    #[test]
    fn the_credential_comes_from_one_place() {
        assert_eq!(read(&["Bearer abc"], None), Ok(Some("abc".to_owned())));
        assert_eq!(read(&[], Some("abc")), Ok(Some("abc".to_owned())));
        assert_eq!(read(&[], None), Ok(None));
        assert_eq!(read(&[], Some("")), Ok(None), "RFC 6749 §2.3.1: an empty secret may be left out");
        for (pair, password) in [("id:tmb_test_x", "tmb_test_x"), (":tmb%5Ftest%5Fx", "tmb_test_x"), ("a:b:c", "b:c")] {
            assert_eq!(read(&[&basic_header(pair)], None), Ok(Some(password.to_owned())), "{pair}");
        }
        for nothing in [basic_header("id:"), basic_header(":"), String::new(), " ".to_owned()] {
            assert_eq!(read(&[&nothing], None), Ok(None), "{nothing}");
        }
    }

    #[test]
    fn what_says_two_things_is_refused() {
        let good = basic_header("id:abc");
        for (values, form) in [
            (&["Bearer abc"][..], Some("abc")),
            (&[&good], Some("abc")),
            (&[&good, &good], None),
            (&["Bearer a", "Bearer b"], None),
            (&["Basic"], None),
            (&["Basic ?"], None),
            (&[&basic_header("no colon")], None),
            (&["Digest x"], None),
        ] {
            assert_eq!(read(values, form), Err(()), "{values:?} {form:?}");
        }
    }
}
