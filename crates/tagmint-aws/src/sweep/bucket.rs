//! The few operations of S3 that sweeping needs.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::{
    Client,
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeDeserializationInterceptorContextRef},
    error::BoxError,
    primitives::{DateTime, DateTimeFormat},
    types::{Delete, EncodingType, ObjectIdentifier},
};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use tagmint_core::sweep::Ground;

use super::report::KeyFailure;
use crate::{
    connection::{Connection, Service},
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
    client: Client,
    ground: Ground,
    owner: Option<String>,
    service: String,
    clock: ServerClock,
}

impl Bucket {
    /// The bucket by AWS's credentials of the environment. `owner` is the account that must own it: S3 refuses everything where another does.
    ///
    /// # Errors
    ///
    /// When there are no credentials.
    pub async fn new(connection: &Connection, ground: Ground, owner: Option<String>) -> Result<Self, Failure> {
        let clock = ServerClock::default();
        let client = connection.operator_s3().await?;
        let config = client.config().to_builder().interceptor(clock.clone()).build();
        let service = connection.named(Service::S3);
        Ok(Self { client: Client::from_conf(config), ground, owner, service, clock })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.ground.bucket()
    }

    /// S3's time in its last answer, to the second. None before the first one, and where it tells none.
    pub fn server_time(&self) -> Option<Timestamp> {
        *self.clock.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Versions and delete markers below a prefix, by key, the newest first.
    pub(super) async fn versions(&self, prefix: &str, after: Option<&Marker>) -> Result<Page<Item>, Failure> {
        let request = self
            .client
            .list_object_versions()
            .bucket(self.name())
            .set_expected_bucket_owner(self.owner.clone())
            .encoding_type(EncodingType::Url)
            .prefix(prefix)
            .set_key_marker(after.map(|marker| marker.key.clone()))
            .set_version_id_marker(after.and_then(|marker| marker.id.clone()));
        let refused = |error| lacking(Failure::of(&self.service, &error), "s3:ListBucketVersions");
        let answer = request.send().await.map_err(refused)?;
        let mut items = Vec::new();
        for version in answer.versions() {
            let size = version.size().unwrap_or(0).unsigned_abs();
            items.push(item(version.key(), version.version_id(), size, version.last_modified())?);
        }
        for marker in answer.delete_markers() {
            items.push(item(marker.key(), marker.version_id(), 0, marker.last_modified())?);
        }
        let next = next(answer.is_truncated(), answer.next_key_marker(), answer.next_version_id_marker())?;
        Ok(Page { items, next })
    }

    /// Unfinished uploads below a prefix.
    pub(super) async fn uploads(&self, prefix: &str, after: Option<&Marker>) -> Result<Page<Upload>, Failure> {
        let request = self
            .client
            .list_multipart_uploads()
            .bucket(self.name())
            .set_expected_bucket_owner(self.owner.clone())
            .encoding_type(EncodingType::Url)
            .prefix(prefix)
            .set_key_marker(after.map(|marker| marker.key.clone()))
            .set_upload_id_marker(after.and_then(|marker| marker.id.clone()));
        let refused = |error| lacking(Failure::of(&self.service, &error), "s3:ListBucketMultipartUploads");
        let answer = request.send().await.map_err(refused)?;
        let mut items = Vec::new();
        for upload in answer.uploads() {
            let (Some(key), Some(id)) = (upload.key(), upload.upload_id()) else {
                return Err(Failure::incomplete("key or id of an upload"));
            };
            items.push(Upload { key: decoded(key)?, id: id.to_owned(), initiated: moment(upload.initiated())? });
        }
        let next = next(answer.is_truncated(), answer.next_key_marker(), answer.next_upload_id_marker())?;
        Ok(Page { items, next })
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
        let unsent = |cause: String| Failure::Unsent { service: self.service.clone(), cause };
        let mut delete = Delete::builder().quiet(true);
        for item in plain {
            let one = ObjectIdentifier::builder().key(&item.key).version_id(&item.version).build();
            delete = delete.objects(one.map_err(|error| unsent(error.to_string()))?);
        }
        let request = self
            .client
            .delete_objects()
            .bucket(self.name())
            .set_expected_bucket_owner(self.owner.clone())
            .delete(delete.build().map_err(|error| unsent(error.to_string()))?);
        let answer = request.send().await.map_err(|error| Failure::of(&self.service, &error))?;
        failures.extend(answer.errors().iter().map(|error| {
            let code = error.code().unwrap_or_default().to_owned();
            let message = naming(&code, error.message().unwrap_or_default().to_owned(), REMOVE);
            let version = error.version_id().map(str::to_owned);
            KeyFailure { key: error.key().unwrap_or_default().to_owned(), version, code, message }
        }));
        Ok(failures)
    }

    async fn delete_one(&self, item: &Item) -> Result<(), Failure> {
        let request = self.client.delete_object().bucket(self.name()).key(&item.key).version_id(&item.version);
        let answer = request.set_expected_bucket_owner(self.owner.clone()).send().await;
        answer.map_err(|error| Failure::of(&self.service, &error))?;
        Ok(())
    }

    /// Ends an upload; its parts go. One that is gone already is none.
    pub(super) async fn abort(&self, upload: &Upload) -> Result<(), Failure> {
        let request = self.client.abort_multipart_upload().bucket(self.name()).key(&upload.key).upload_id(&upload.id);
        let answer = request.set_expected_bucket_owner(self.owner.clone()).send().await;
        match answer.map_err(|error| lacking(Failure::of(&self.service, &error), "s3:AbortMultipartUpload")) {
            Err(failure) if failure.code() == Some("NoSuchUpload") => Ok(()),
            answer => answer.map(|_| ()),
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

fn item(key: Option<&str>, version: Option<&str>, size: u64, modified: Option<&DateTime>) -> Result<Item, Failure> {
    let (Some(key), Some(version)) = (key, version) else {
        return Err(Failure::incomplete("key or id of a version"));
    };
    Ok(Item { key: decoded(key)?, version: version.to_owned(), size, modified: moment(modified)? })
}

fn moment(time: Option<&DateTime>) -> Result<Timestamp, Failure> {
    let time = time.and_then(|time| {
        let nanos = i32::try_from(time.subsec_nanos()).ok()?;
        Timestamp::new(time.secs(), nanos).ok()
    });
    time.ok_or_else(|| Failure::incomplete("time of a version or upload"))
}

fn next(truncated: Option<bool>, key: Option<&str>, id: Option<&str>) -> Result<Option<Marker>, Failure> {
    if truncated != Some(true) {
        return Ok(None);
    }
    let key = key.filter(|key| !key.is_empty()).ok_or_else(|| Failure::incomplete("marker of the next page"))?;
    let id = id.filter(|id| !id.is_empty()).map(str::to_owned);
    Ok(Some(Marker { key: decoded(key)?, id }))
}

/// A key as it is, from a list that was asked for URL encoding. S3 writes a space as `+`.
fn decoded(key: &str) -> Result<String, Failure> {
    let spaced = key.replace('+', " ");
    let text = percent_decode_str(&spaced).decode_utf8();
    text.map(std::borrow::Cow::into_owned).map_err(|_| Failure::incomplete("key in UTF-8"))
}

/// The `Date` of the last answer.
#[derive(Debug, Clone, Default)]
struct ServerClock(Arc<Mutex<Option<Timestamp>>>);

impl Intercept for ServerClock {
    fn name(&self) -> &'static str {
        "server-clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        if let Some(date) = date.and_then(|date| Timestamp::from_second(date.secs()).ok()) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(date);
        }
        Ok(())
    }
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
        assert_eq!(next(Some(false), Some("a"), None).unwrap(), None);
        let marker = Marker { key: "a b".to_owned(), id: Some("1".to_owned()) };
        assert_eq!(next(Some(true), Some("a%20b"), Some("1")).unwrap(), Some(marker));
        // Going on from the beginning would never end.
        assert!(next(Some(true), None, None).is_err() && next(Some(true), Some(""), Some("1")).is_err());
    }
}
