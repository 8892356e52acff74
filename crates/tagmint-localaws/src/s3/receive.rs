//! Taking in an object's data: to a file, with the checks that the client asked for.

use aws_lc_rs::constant_time;
use base64::{Engine, prelude::BASE64_STANDARD};
use futures::TryStreamExt;
use http::HeaderMap;
use s3s::{
    TrailingHeaders,
    checksum::ChecksumHasher,
    crypto::{Checksum as _, Md5},
    dto::StreamingBlob,
};
use tokio::{fs::File, io::AsyncWriteExt};

use super::{
    failure::S3Failure,
    signing::BodyMismatch,
    store::{Checksums, Storage},
};
use crate::ids::Ids;

/// Data that lies in a file of the store, not yet part of an object. The file goes away unless it is kept.
#[derive(Debug)]
pub struct Received {
    file: Option<(std::path::PathBuf, String)>,
    /// In bytes.
    pub size: u64,
    /// MD5 of the data.
    pub md5: [u8; 16],
    /// The checksums that the client sent along, which were right.
    pub checksums: Checksums,
}

impl Received {
    /// The entity tag of an object that was written in one go.
    pub fn etag(&self) -> String {
        hex(&self.md5)
    }

    /// Keeps the file; returns its name.
    pub fn keep(mut self) -> String {
        self.file.take().map(|(_, name)| name).unwrap_or_default()
    }

    /// Where the data lies.
    pub fn path(&self) -> Option<&std::path::Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if let Some((path, _)) = &self.file {
            // A leftover costs space alone.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// What a client says about the data it sends.
#[derive(Debug, Default)]
pub struct Declared<'a> {
    /// The request's headers.
    pub headers: Option<&'a HeaderMap>,
    /// Headers after the body.
    pub trailers: Option<TrailingHeaders>,
}

const ALGORITHMS: [&str; 5] = [
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
];

/// Reads a body to its end.
pub async fn receive(
    storage: &Storage,
    ids: &Ids,
    body: Option<StreamingBlob>,
    declared: Declared<'_>,
) -> Result<Received, S3Failure> {
    let name = ids.opaque()?;
    let path = storage.data_file(&name);
    let mut file = File::create(&path).await?;
    let mut received = Received { file: Some((path, name)), size: 0, md5: [0; 16], checksums: Checksums::default() };
    let mut hasher = hasher(&declared);
    let mut md5 = Md5::new();
    if let Some(mut body) = body {
        while let Some(chunk) = body.try_next().await.map_err(|error| broken(&*error))? {
            md5.update(&chunk);
            hasher.update(&chunk);
            received.size += chunk.len() as u64;
            file.write_all(&chunk).await?;
        }
    }
    file.flush().await?;
    received.md5 = md5.finalize();
    received.checksums = checked(&declared, hasher, &received.md5)?;
    Ok(received)
}

/// Why a body could not be read to its end. s3s's error has no public type, only these words.
fn broken(error: &(dyn std::error::Error + 'static)) -> S3Failure {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    if causes.any(|error| error.to_string().contains("Sha256Mismatch")) {
        return BodyMismatch::refusal();
    }
    S3Failure::new(400, "IncompleteBody", format!("the body ended early: {error}"))
}

/// The checksums that the client sends, now or after the body.
fn hasher(declared: &Declared<'_>) -> ChecksumHasher {
    let mut hasher = ChecksumHasher::default();
    let Some(headers) = declared.headers else { return hasher };
    let trailer = headers.get("x-amz-trailer").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let announced = |name: &str| {
        headers.contains_key(name) || trailer.split(',').any(|part| part.trim().eq_ignore_ascii_case(name))
    };
    let [crc32, crc32c, crc64nvme, sha1, sha256] = ALGORITHMS;
    hasher.crc32 = announced(crc32).then(Default::default);
    hasher.crc32c = announced(crc32c).then(Default::default);
    hasher.crc64nvme = announced(crc64nvme).then(Default::default);
    hasher.sha1 = announced(sha1).then(Default::default);
    hasher.sha256 = announced(sha256).then(Default::default);
    hasher
}

fn checked(declared: &Declared<'_>, hasher: ChecksumHasher, md5: &[u8; 16]) -> Result<Checksums, S3Failure> {
    let trailers = declared.trailers.as_ref().and_then(TrailingHeaders::take);
    let sent = |name: &str| {
        let value = declared.headers.and_then(|headers| headers.get(name));
        let value = value.or_else(|| trailers.as_ref().and_then(|trailers| trailers.get(name)));
        value.and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    if let Some(sent) = sent("content-md5") {
        let sent = BASE64_STANDARD.decode(&sent).unwrap_or_default();
        if sent.len() != md5.len() {
            return Err(S3Failure::new(400, "InvalidDigest", "The Content-MD5 you specified is not valid."));
        }
        if constant_time::verify_slices_are_equal(&sent, md5).is_err() {
            let message = "The Content-MD5 you specified did not match what we received.";
            return Err(S3Failure::new(400, "BadDigest", message));
        }
    }
    let made = hasher.finalize();
    let checksums = Checksums {
        crc32: made.checksum_crc32,
        crc32c: made.checksum_crc32c,
        crc64nvme: made.checksum_crc64nvme,
        sha1: made.checksum_sha1,
        sha256: made.checksum_sha256,
    };
    let all = [&checksums.crc32, &checksums.crc32c, &checksums.crc64nvme, &checksums.sha1, &checksums.sha256];
    for (name, made) in ALGORITHMS.into_iter().zip(all) {
        if made.is_some() && *made != sent(name) {
            let algorithm = name.rsplit('-').next().unwrap_or_default().to_uppercase();
            let message = format!("The {algorithm} you specified did not match the calculated checksum.");
            return Err(S3Failure::new(400, "BadDigest", message));
        }
    }
    Ok(checksums)
}

/// Small hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}
