//! AWS Signature Version 4 of requests to STS and IAM (IAM user guide, "AWS Signature Version 4 for API requests"). S3's is checked by s3s.
//!
//! Only the form with an `Authorization` header, which every SDK uses for these services.

use std::fmt::Write as _;

use aws_lc_rs::{constant_time, digest, hmac};
use http::{HeaderMap, Method};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

use crate::query::{QueryError, Service};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far the client's clock may be off.
const LEEWAY: SignedDuration = SignedDuration::from_mins(15);

/// What a signature is over.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path as it came.
    pub path: &'a str,
    /// The query as it came, without `?`.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a [u8],
}

/// An `Authorization` header, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization<'a> {
    /// The access key's id.
    pub access_key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Reads the header of a request.
    pub fn of(headers: &'a HeaderMap) -> Result<Self, QueryError> {
        let header = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(header) = header.filter(|header| !header.is_empty()) else {
            return Err(QueryError::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token"));
        };
        let incomplete =
            |what: &str| QueryError::new(400, "IncompleteSignature", format!("Authorization header requires {what}."));
        let parts = header.strip_prefix(ALGORITHM).ok_or_else(|| incomplete(ALGORITHM))?;
        let part = |name: &str| {
            parts
                .split(',')
                .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
                .ok_or_else(|| incomplete(&format!("'{name}' parameter")))
        };
        let scope: Vec<&str> = part("Credential")?.split('/').collect();
        let [access_key, date, region, service, "aws4_request"] = scope[..] else {
            return Err(incomplete("'Credential' of the form KEY/DATE/REGION/SERVICE/aws4_request"));
        };
        let signed_headers: Vec<&str> = part("SignedHeaders")?.split(';').collect();
        if !signed_headers.contains(&"host") {
            return Err(incomplete("'host' among the signed headers"));
        }
        Ok(Self { access_key, date, region, service, signed_headers, signature: part("Signature")? })
    }

    /// Checks scope, time and signature with the secret of the access key.
    pub fn verify(
        &self,
        request: Signed<'_>,
        service: Service,
        secret: &str,
        now: Timestamp,
    ) -> Result<(), QueryError> {
        let mismatch = |message: String| QueryError::new(403, "SignatureDoesNotMatch", message);
        if self.service != service.name() {
            return Err(mismatch(format!("Credential should be scoped to correct service: '{}'. ", service.name())));
        }
        let stamp = header(request.headers, "x-amz-date").unwrap_or_default();
        let time = parse_stamp(&stamp)
            .ok_or_else(|| QueryError::new(400, "IncompleteSignature", "Date must be in ISO-8601 'basic format'."))?;
        if !stamp.starts_with(self.date) {
            return Err(mismatch(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{stamp}'",
                self.date
            )));
        }
        let (earliest, latest) = (now - LEEWAY, now + LEEWAY);
        let basic = |time: Timestamp| time.strftime("%Y%m%dT%H%M%SZ").to_string();
        if time < earliest {
            let (now, earliest) = (basic(now), basic(earliest));
            return Err(mismatch(format!(
                "Signature expired: {stamp} is now earlier than {earliest} ({now} - 15 min.)"
            )));
        }
        if time > latest {
            let (now, latest) = (basic(now), basic(latest));
            return Err(mismatch(format!(
                "Signature not yet current: {stamp} is still later than {latest} ({now} + 15 min.)"
            )));
        }
        let scope = format!("{}/{}/{}/aws4_request", self.date, self.region, self.service);
        let to_sign = format!("{ALGORITHM}\n{stamp}\n{scope}\n{}", hex_sha256(self.canonical(request).as_bytes()));
        let mut key = hmac_sha256(format!("AWS4{secret}").as_bytes(), self.date);
        for part in [self.region, self.service, "aws4_request"] {
            key = hmac_sha256(key.as_ref(), part);
        }
        let expected = hex(hmac_sha256(key.as_ref(), &to_sign).as_ref());
        constant_time::verify_slices_are_equal(expected.as_bytes(), self.signature.as_bytes()).map_err(|_| {
            mismatch(
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and \
                 signing method. Consult the service documentation for details."
                    .to_owned(),
            )
        })
    }

    fn canonical(&self, request: Signed<'_>) -> String {
        let mut query: Vec<(String, String)> = form_urlencoded::parse(request.query.as_bytes())
            .map(|(name, value)| (encode(&name), encode(&value)))
            .collect();
        query.sort();
        let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let headers = self.signed_headers.iter();
        let headers: Vec<String> =
            headers.map(|name| format!("{name}:{}\n", header(request.headers, name).unwrap_or_default())).collect();
        format!(
            "{}\n{}\n{}\n{}\n{}\n{}",
            request.method,
            request.path,
            query.join("&"),
            headers.concat(),
            self.signed_headers.join(";"),
            hex_sha256(request.body)
        )
    }
}

/// A header's values, trimmed, inner runs of blanks made one, joined by commas.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<String> = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .map(|value| value.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn parse_stamp(stamp: &str) -> Option<Timestamp> {
    let time = DateTime::strptime("%Y%m%dT%H%M%SZ", stamp).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// RFC 3986: all but the unreserved characters, in capital hexadecimal digits.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn hmac_sha256(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

/// SHA-256 in small hexadecimal digits.
pub(crate) fn hex_sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

#[cfg(test)]
mod tests;
