//! The few operations of S3 that sweeping needs.

use std::sync::{Mutex, PoisonError};

use aws_smithy_types::date_time::{DateTime, Format};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use quick_xml::escape::escape;
use tagmint_core::sweep::Ground;

use super::report::KeyFailure;
use crate::{
    client::{
        Answer,
        s3::{Call, S3},
        xml::Element,
    },
    connection::Connection,
    failure::Failure,
};

/// A version of an object, or a delete marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) key: String,
    /// `null` in a bucket without versions.
    pub(super) version: String,
    /// In bytes; 0 for a marker.
    pub(super) size: u64,
    pub(super) modified: Timestamp,
}

/// An upload in parts that was not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) id: String,
    pub(super) initiated: Timestamp,
}

/// A page of a list, and where the next one begins.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<Marker>,
}

/// Where a list goes on: after this key, and this version or upload of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marker {
    key: String,
    id: Option<String>,
}

/// The bucket that is swept, with the operator's credentials.
#[derive(Debug)]
pub struct Bucket {
    s3: S3,
    ground: Ground,
    owner: Option<String>,
    /// The `Date` of S3's last answer.
    server_time: Mutex<Option<Timestamp>>,
}

impl Bucket {
    /// The bucket by AWS's credentials of the environment. `owner` is the account that must own it: S3 refuses everything where another does.
    ///
    /// # Errors
    ///
    /// When there are no credentials.
    pub async fn new(connection: &Connection, ground: Ground, owner: Option<String>) -> Result<Self, Failure> {
        Ok(Self { s3: connection.operator_s3().await?, ground, owner, server_time: Mutex::default() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.ground.bucket()
    }

    /// S3's time in its last answer, to the second. None before the first one, and where it tells none.
    pub fn server_time(&self) -> Option<Timestamp> {
        *self.server_time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a call that the bucket's owner must answer.
    async fn send(&self, call: Call<'_>) -> Result<Answer, Failure> {
        let answer = self.s3.send(call.expected_owner(self.owner.as_deref())).await?;
        let date = answer.header("date").and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        if let Some(date) = date.and_then(|date| Timestamp::from_second(date.secs()).ok()) {
            *self.server_time.lock().unwrap_or_else(PoisonError::into_inner) = Some(date);
        }
        Ok(answer)
    }

    /// A page of a list that S3 gives in URL encoding.
    async fn list(&self, call: Call<'_>, permission: &str) -> Result<Element, Failure> {
        let answer = self.send(call.query("encoding-type", Some("url"))).await;
        answer.map_err(|failure| lacking(failure, permission))?.xml().await
    }

    /// Versions and delete markers below a prefix, by key, the newest first.
    pub(super) async fn versions(&self, prefix: &str, after: Option<&Marker>) -> Result<Page<Item>, Failure> {
        let call = Call::bucket("GET", self.name())
            .subresource("versions")
            .query("prefix", Some(prefix))
            .query("key-marker", after.map(|marker| marker.key.as_str()))
            .query("version-id-marker", after.and_then(|marker| marker.id.as_deref()));
        let answer = self.list(call, "s3:ListBucketVersions").await?;
        let versions = answer.all("Version").map(|version| item(version, version.value_of("Size").unwrap_or(0)));
        let markers = answer.all("DeleteMarker").map(|marker| item(marker, 0));
        let items = versions.chain(markers).collect::<Result<_, _>>()?;
        Ok(Page { items, next: next(&answer, "NextVersionIdMarker")? })
    }

    /// Unfinished uploads below a prefix.
    pub(super) async fn uploads(&self, prefix: &str, after: Option<&Marker>) -> Result<Page<Upload>, Failure> {
        let call = Call::bucket("GET", self.name())
            .subresource("uploads")
            .query("prefix", Some(prefix))
            .query("key-marker", after.map(|marker| marker.key.as_str()))
            .query("upload-id-marker", after.and_then(|marker| marker.id.as_deref()));
        let answer = self.list(call, "s3:ListBucketMultipartUploads").await?;
        let upload = |upload: &Element| {
            let (Some(key), Some(id)) = (upload.text_of("Key"), upload.text_of("UploadId")) else {
                return Err(Failure::incomplete("key or id of an upload"));
            };
            Ok(Upload { key: decoded(key)?, id: id.to_owned(), initiated: moment(upload, "Initiated")? })
        };
        let items = answer.all("Upload").map(upload).collect::<Result<_, _>>()?;
        Ok(Page { items, next: next(&answer, "NextUploadIdMarker")? })
    }

    /// Removes these versions and markers, at most 1,000. What S3 would not remove comes back.
    pub(super) async fn delete(&self, items: &[Item]) -> Result<Vec<KeyFailure>, Failure> {
        let (odd, plain): (Vec<&Item>, Vec<&Item>) = items.iter().partition(|item| !fits_xml(&item.key));
        let mut failures = Vec::new();
        for item in odd {
            match self.delete_one(item).await {
                Err(Failure::Refused { code, message, .. }) => {
                    let message = naming(&code, message, REMOVE);
                    failures.push(KeyFailure {
                        key: item.key.clone(),
                        version: Some(item.version.clone()),
                        code,
                        message,
                    });
                }
                other => other?,
            }
        }
        if plain.is_empty() {
            return Ok(failures);
        }
        let body = deletion(&plain);
        let checksum = BASE64_STANDARD.encode(crc32fast::hash(body.as_bytes()).to_be_bytes());
        let call = Call::bucket("POST", self.name())
            .subresource("delete")
            .header("content-type", Some("application/xml".to_owned()))
            .header("x-amz-sdk-checksum-algorithm", Some("CRC32".to_owned()))
            .header("x-amz-checksum-crc32", Some(checksum))
            .body(body.as_bytes());
        let answer = self.send(call).await?.xml().await?;
        failures.extend(answer.all("Error").map(|error| {
            let text = |name: &str| error.text_of(name).unwrap_or_default().to_owned();
            let code = text("Code");
            let message = naming(&code, text("Message"), REMOVE);
            let version = error.text_of("VersionId").map(str::to_owned);
            KeyFailure { key: text("Key"), version, code, message }
        }));
        Ok(failures)
    }

    async fn delete_one(&self, item: &Item) -> Result<(), Failure> {
        let call = Call::object("DELETE", self.name(), &item.key).query("versionId", Some(&item.version));
        self.send(call).await.map(drop)
    }

    /// Ends an upload; its parts go. One that is gone already is none.
    pub(super) async fn abort(&self, upload: &Upload) -> Result<(), Failure> {
        let call = Call::object("DELETE", self.name(), &upload.key).query("uploadId", Some(&upload.id));
        match self.send(call).await.map_err(|failure| lacking(failure, "s3:AbortMultipartUpload")) {
            Err(failure) if failure.code() == Some("NoSuchUpload") => Ok(()),
            answer => answer.map(drop),
        }
    }
}

/// What removing a version takes.
const REMOVE: &str = "s3:DeleteObject and s3:DeleteObjectVersion";

/// S3's words about a refusal, with the permission that is missing where they don't name it.
fn naming(code: &str, message: String, permission: &str) -> String {
    if code != "AccessDenied" || message.contains("s3:") {
        return message;
    }
    format!("{message} (it takes {permission})").trim_start().to_owned()
}

/// The same, of a request that was refused as a whole.
fn lacking(failure: Failure, permission: &str) -> Failure {
    match failure {
        Failure::Refused { status, code, message } => {
            let message = naming(&code, message, permission);
            Failure::Refused { status, code, message }
        }
        failure => failure,
    }
}

/// Whether a key can be named in a request's XML, and is read as it was written (XML 1.0, 2.2 and 2.11).
fn fits_xml(key: &str) -> bool {
    !key.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{fffe}' | '\u{ffff}'))
}

/// The body of `DeleteObjects`. Only what S3 would not remove is in the answer.
fn deletion(items: &[&Item]) -> String {
    let one = |item: &&Item| {
        format!("<Object><Key>{}</Key><VersionId>{}</VersionId></Object>", escape(&item.key), escape(&item.version))
    };
    let objects: String = items.iter().map(one).collect();
    format!(r#"<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>{objects}</Delete>"#)
}

fn item(version: &Element, size: u64) -> Result<Item, Failure> {
    let (Some(key), Some(id)) = (version.text_of("Key"), version.text_of("VersionId")) else {
        return Err(Failure::incomplete("key or id of a version"));
    };
    Ok(Item { key: decoded(key)?, version: id.to_owned(), size, modified: moment(version, "LastModified")? })
}

fn moment(element: &Element, name: &str) -> Result<Timestamp, Failure> {
    element.value_of(name).ok_or_else(|| Failure::incomplete("time of a version or upload"))
}

/// Where a list that is cut continues; `id` names the element with the version or upload.
fn next(list: &Element, id: &str) -> Result<Option<Marker>, Failure> {
    if list.value_of("IsTruncated") != Some(true) {
        return Ok(None);
    }
    let key = list.text_of("NextKeyMarker").filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| Failure::incomplete("marker of the next page"))?;
    let id = list.text_of(id).filter(|id| !id.is_empty()).map(str::to_owned);
    Ok(Some(Marker { key: decoded(key)?, id }))
}

/// A key as it is, from a list that was asked for URL encoding. S3 writes a space as `+`.
fn decoded(key: &str) -> Result<String, Failure> {
    let spaced = key.replace('+', " ");
    let text = percent_decode_str(&spaced).decode_utf8();
    text.map(std::borrow::Cow::into_owned).map_err(|_| Failure::incomplete("key in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_s3_encodes_them() {
        for (encoded, key) in [("a/b", "a/b"), ("a+b%2Bc", "a b+c"), ("%01%C3%A4%25", "\u{1}ä%")] {
            assert_eq!(decoded(encoded).unwrap(), key);
        }
        assert!(decoded("%FF").is_err());
    }

    #[test]
    fn a_refusal_names_the_permission_once() {
        let denied = |message: &str| naming("AccessDenied", message.to_owned(), "s3:ListBucketVersions");
        assert_eq!(denied("Access Denied"), "Access Denied (it takes s3:ListBucketVersions)");
        assert_eq!(
            denied("not authorized to perform: s3:ListBucketVersions"),
            "not authorized to perform: s3:ListBucketVersions"
        );
        assert_eq!(naming("SlowDown", "wait".to_owned(), "s3:DeleteObject"), "wait");
    }

    #[test]
    fn a_cut_list_says_where_it_goes_on() {
        let next = |list: &str| next(&Element::parse(format!("<L>{list}</L>").as_bytes()).unwrap(), "NextIdMarker");
        assert_eq!(next("<IsTruncated>false</IsTruncated><NextKeyMarker>a</NextKeyMarker>").unwrap(), None);
        let marker = Marker { key: "a b".to_owned(), id: Some("1".to_owned()) };
        let cut = "<IsTruncated>true</IsTruncated>";
        let page = format!("{cut}<NextKeyMarker>a%20b</NextKeyMarker><NextIdMarker>1</NextIdMarker>");
        assert_eq!(next(&page).unwrap(), Some(marker));
        // Going on from the beginning would never end.
        let empty = format!("{cut}<NextKeyMarker/><NextIdMarker>1</NextIdMarker>");
        assert!(next(cut).is_err() && next(&empty).is_err());
    }

    #[test]
    fn keys_are_escaped_in_a_deletion() {
        let item =
            Item { key: "a<b>&\"c".to_owned(), version: "null".to_owned(), size: 0, modified: Timestamp::UNIX_EPOCH };
        let body = Element::parse(deletion(&[&item]).as_bytes()).unwrap();
        let object = body.child("Object").unwrap();
        assert_eq!((object.text_of("Key"), object.text_of("VersionId")), (Some(item.key.as_str()), Some("null")));
    }
}
