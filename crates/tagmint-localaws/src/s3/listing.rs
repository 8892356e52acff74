//! Lists: of objects in both versions of the protocol, of versions, of uploads in progress.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use s3s::dto::{
    CommonPrefix, DeleteMarkerEntry, ETag, EncodingType, ListObjectVersionsInput, ListObjectVersionsOutput,
    ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, Object, ObjectStorageClass,
    ObjectVersion, ObjectVersionStorageClass,
};

use super::{
    backend::{owner, timestamp},
    failure::S3Failure,
    store::Version,
};
use crate::aws::Aws;

/// Most keys of a page.
const MAX_KEYS: i32 = 1000;

/// One line of a list.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry<T> {
    /// An item.
    Item(T),
    /// Everything up to the delimiter, as one.
    Prefix(String),
}

/// A page of a list.
#[derive(Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Its lines.
    pub entries: Vec<Entry<T>>,
    /// Where the next page begins: the last line's key or prefix. None on the last page.
    pub next: Option<String>,
}

/// A page of items that are sorted by key and all begin with `prefix`. Lines up to `after` are left out.
pub fn page<T>(
    items: impl IntoIterator<Item = (String, T)>,
    prefix: &str,
    delimiter: Option<&str>,
    after: Option<&str>,
    max: usize,
) -> Page<T> {
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty());
    let mut entries: Vec<Entry<T>> = Vec::new();
    let mut last: Option<String> = None;
    for (key, item) in items {
        let group = delimiter.and_then(|delimiter| {
            let rest = &key[prefix.len()..];
            rest.find(delimiter).map(|at| key[..prefix.len() + at + delimiter.len()].to_owned())
        });
        let line = group.as_deref().unwrap_or(&key);
        if after.is_some_and(|after| key.as_str() <= after || line == after) {
            continue;
        }
        // A group's keys follow each other.
        if group.is_some() && last.as_deref() == Some(line) {
            continue;
        }
        if entries.len() >= max {
            return Page { entries, next: if max == 0 { None } else { last } };
        }
        last = Some(line.to_owned());
        entries.push(group.map_or_else(|| Entry::Item(item), Entry::Prefix));
    }
    Page { entries, next: None }
}

fn max_keys(asked: Option<i32>) -> Result<(i32, usize), S3Failure> {
    max_items(asked, "Argument maxKeys must be an integer between 0 and 2147483647")
}

/// How long a page is to be; `refusal` is for who asks for less than nothing.
pub fn max_items(asked: Option<i32>, refusal: &'static str) -> Result<(i32, usize), S3Failure> {
    let shown = asked.unwrap_or(MAX_KEYS).min(MAX_KEYS);
    let size = usize::try_from(shown).map_err(|_| S3Failure::argument(refusal))?;
    Ok((shown, size))
}

/// Keys as the client wants them.
#[derive(Clone)]
pub struct Encoding(Option<EncodingType>);

impl Encoding {
    /// Reads `encoding-type`.
    pub fn of(asked: Option<EncodingType>) -> Result<Self, S3Failure> {
        match &asked {
            Some(kind) if kind.as_str() != EncodingType::URL => {
                Err(S3Failure::argument("Invalid Encoding Method specified in Request"))
            }
            _ => Ok(Self(asked)),
        }
    }

    /// A key, prefix or delimiter.
    pub fn text(&self, text: String) -> String {
        if self.0.is_none() {
            return text;
        }
        text.split('/').map(crate::sigv4::encode).collect::<Vec<_>>().join("/")
    }

    fn into_dto(self) -> Option<EncodingType> {
        self.0
    }
}

fn current(aws: &Aws, bucket: &str, prefix: &str) -> Result<Vec<(String, Version)>, S3Failure> {
    let versions = aws.storage.versions(bucket, prefix)?;
    let current = versions.into_iter().filter(|(version, latest)| *latest && !version.marker);
    Ok(current.map(|(version, _)| (version.key.clone(), version)).collect())
}

fn object(version: Version, encoding: &Encoding, owner: Option<s3s::dto::Owner>) -> Object {
    Object {
        e_tag: Some(ETag::Strong(version.etag)),
        key: Some(encoding.text(version.key)),
        last_modified: Some(timestamp(version.modified)),
        owner,
        size: i64::try_from(version.size).ok(),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        ..Object::default()
    }
}

/// The groups of a list.
pub fn prefixes(groups: Vec<String>, encoding: &Encoding) -> Option<Vec<CommonPrefix>> {
    let prefixes =
        groups.into_iter().map(|group| CommonPrefix { prefix: Some(encoding.text(group)) }).collect::<Vec<_>>();
    (!prefixes.is_empty()).then_some(prefixes)
}

/// Items and groups of a list, apart.
pub fn split<T>(entries: Vec<Entry<T>>) -> (Vec<T>, Vec<String>) {
    let (mut items, mut groups) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::Item(item) => items.push(item),
            Entry::Prefix(group) => groups.push(group),
        }
    }
    (items, groups)
}

/// `ListObjectsV2`.
pub fn list_objects_v2(aws: &Aws, input: ListObjectsV2Input) -> Result<ListObjectsV2Output, S3Failure> {
    let encoding = Encoding::of(input.encoding_type)?;
    let (shown, max) = max_keys(input.max_keys)?;
    let prefix = input.prefix.unwrap_or_default();
    let token = input.continuation_token.as_deref().map(|token| {
        let text = BASE64_URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        text.ok_or_else(|| S3Failure::argument("The continuation token provided is incorrect"))
    });
    let token = token.transpose()?;
    let after = token.as_deref().or(input.start_after.as_deref());
    let page = page(current(aws, &input.bucket, &prefix)?, &prefix, input.delimiter.as_deref(), after, max);
    let count = i32::try_from(page.entries.len()).ok();
    let (objects, groups) = split(page.entries);
    let owned_by = input.fetch_owner.unwrap_or(false).then(|| owner(&aws.scope));
    let contents: Vec<Object> =
        objects.into_iter().map(|version| object(version, &encoding, owned_by.clone())).collect();
    Ok(ListObjectsV2Output {
        common_prefixes: prefixes(groups, &encoding),
        contents: (!contents.is_empty()).then_some(contents),
        continuation_token: input.continuation_token,
        delimiter: input.delimiter.map(|delimiter| encoding.text(delimiter)),
        is_truncated: Some(page.next.is_some()),
        key_count: count,
        max_keys: Some(shown),
        name: Some(input.bucket),
        next_continuation_token: page.next.map(|next| BASE64_URL_SAFE_NO_PAD.encode(next)),
        prefix: Some(encoding.text(prefix)),
        start_after: input.start_after.map(|after| encoding.text(after)),
        encoding_type: encoding.into_dto(),
        ..ListObjectsV2Output::default()
    })
}

/// `ListObjects`, the older form.
pub fn list_objects(aws: &Aws, input: ListObjectsInput) -> Result<ListObjectsOutput, S3Failure> {
    let encoding = Encoding::of(input.encoding_type)?;
    let (shown, max) = max_keys(input.max_keys)?;
    let prefix = input.prefix.unwrap_or_default();
    let after = input.marker.as_deref().filter(|marker| !marker.is_empty());
    let page = page(current(aws, &input.bucket, &prefix)?, &prefix, input.delimiter.as_deref(), after, max);
    let (objects, groups) = split(page.entries);
    let owned_by = Some(owner(&aws.scope));
    let contents: Vec<Object> =
        objects.into_iter().map(|version| object(version, &encoding, owned_by.clone())).collect();
    Ok(ListObjectsOutput {
        common_prefixes: prefixes(groups, &encoding),
        contents: (!contents.is_empty()).then_some(contents),
        // Told only where a delimiter groups keys (API reference); otherwise the last key is the marker.
        next_marker: page.next.clone().filter(|_| input.delimiter.is_some()).map(|next| encoding.text(next)),
        delimiter: input.delimiter.map(|delimiter| encoding.text(delimiter)),
        is_truncated: Some(page.next.is_some()),
        marker: Some(encoding.text(input.marker.unwrap_or_default())),
        max_keys: Some(shown),
        name: Some(input.bucket),
        prefix: Some(encoding.text(prefix)),
        encoding_type: encoding.into_dto(),
        ..ListObjectsOutput::default()
    })
}

/// `ListObjectVersions`.
pub fn list_versions(aws: &Aws, input: ListObjectVersionsInput) -> Result<ListObjectVersionsOutput, S3Failure> {
    let encoding = Encoding::of(input.encoding_type)?;
    let (shown, max) = max_keys(input.max_keys)?;
    let prefix = input.prefix.unwrap_or_default();
    let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let mut versions = aws.storage.versions(&input.bucket, &prefix)?;
    if let Some(key) = input.key_marker.as_deref().filter(|marker| !marker.is_empty()) {
        let at = input.version_id_marker.as_deref().filter(|marker| !marker.is_empty());
        // Of the marked key the versions after the marked one remain.
        let mut passed = false;
        versions.retain(|(version, _)| {
            if version.key == key {
                let keep = passed;
                passed |= at == Some(version.id.as_str());
                return keep;
            }
            let grouped = delimiter.is_some_and(|delimiter| key.ends_with(delimiter) && version.key.starts_with(key));
            version.key.as_str() > key && !grouped
        });
    }
    let items = versions.into_iter().map(|(version, latest)| (version.key.clone(), (version, latest)));
    let page = page(items, &prefix, delimiter, None, max);
    let next_version = match page.entries.last() {
        Some(Entry::Item((version, _))) if page.next.is_some() => Some(version.id.clone()),
        _ => None,
    };
    let (items, groups) = split(page.entries);
    let (mut versions, mut markers) = (Vec::new(), Vec::new());
    for (version, latest) in items {
        if version.marker {
            markers.push(DeleteMarkerEntry {
                is_latest: Some(latest),
                key: Some(encoding.text(version.key)),
                last_modified: Some(timestamp(version.modified)),
                owner: Some(owner(&aws.scope)),
                version_id: Some(version.id),
            });
        } else {
            versions.push(ObjectVersion {
                e_tag: Some(ETag::Strong(version.etag)),
                is_latest: Some(latest),
                key: Some(encoding.text(version.key)),
                last_modified: Some(timestamp(version.modified)),
                owner: Some(owner(&aws.scope)),
                size: i64::try_from(version.size).ok(),
                storage_class: Some(ObjectVersionStorageClass::from_static(ObjectVersionStorageClass::STANDARD)),
                version_id: Some(version.id),
                ..ObjectVersion::default()
            });
        }
    }
    Ok(ListObjectVersionsOutput {
        common_prefixes: prefixes(groups, &encoding),
        delete_markers: (!markers.is_empty()).then_some(markers),
        delimiter: input.delimiter.map(|delimiter| encoding.text(delimiter)),
        is_truncated: Some(page.next.is_some()),
        key_marker: Some(encoding.text(input.key_marker.unwrap_or_default())),
        max_keys: Some(shown),
        name: Some(input.bucket),
        next_key_marker: page.next.map(|next| encoding.text(next)),
        next_version_id_marker: next_version,
        prefix: Some(encoding.text(prefix)),
        version_id_marker: input.version_id_marker,
        versions: (!versions.is_empty()).then_some(versions),
        encoding_type: encoding.into_dto(),
        ..ListObjectVersionsOutput::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(keys: &[&str]) -> Vec<(String, ())> {
        keys.iter().map(|key| ((*key).to_owned(), ())).collect()
    }

    /// All pages of one line each, as texts.
    fn walk(all: &[&str], prefix: &str, delimiter: Option<&str>) -> Vec<String> {
        let (mut lines, mut after) = (Vec::new(), None::<String>);
        loop {
            let items =
                keys(all).into_iter().filter(|(key, ())| key.starts_with(prefix)).map(|(key, ())| (key.clone(), key));
            let page = page(items, prefix, delimiter, after.as_deref(), 1);
            lines.extend(page.entries.into_iter().map(|entry| match entry {
                Entry::Item(key) | Entry::Prefix(key) => key,
            }));
            after = page.next;
            if after.is_none() {
                return lines;
            }
        }
    }

    #[test]
    fn pages_put_together_are_the_list() {
        let all = ["a", "a/", "a/b", "a/c/d", "a/c/e", "b", "c//x", "ü/ö"];
        assert_eq!(walk(&all, "", None), all);
        assert_eq!(walk(&all, "", Some("/")), ["a", "a/", "b", "c/", "ü/"]);
        assert_eq!(walk(&all, "a/", Some("/")), ["a/", "a/b", "a/c/"]);
        assert_eq!(walk(&all, "a/c", Some("/")), ["a/c/"]);
        assert_eq!(walk(&all, "", Some("/c")), ["a", "a/", "a/b", "a/c", "b", "c//x", "ü/ö"]);
    }

    #[test]
    fn a_page_of_nothing_is_the_last() {
        assert_eq!(page(keys(&["a"]), "", None, None, 0), Page { entries: vec![], next: None });
        assert_eq!(page(keys(&["a", "b"]), "", None, Some("a"), 5).entries.len(), 1);
    }
}
