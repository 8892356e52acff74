//! The Ceph guard itself: a cluster starts, S3 works, and nothing is left behind.

use std::path::{Path, PathBuf};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use tagmint_e2e::{CephGuard, CephOptions};

/// A client of the cluster's S3 as the administrator.
fn s3(ceph: &CephGuard) -> Client {
    let keys = ceph.admin();
    let credentials =
        Credentials::new(keys.access_key_id.as_str(), keys.secret_access_key.as_str(), None, None, "ceph");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(ceph.endpoint())
        .region(Region::new(ceph.region()))
        .credentials_provider(credentials)
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build();
    Client::from_conf(config)
}

/// A certificate authority that nobody trusts yet.
fn write_ca(dir: &Path) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let key = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::new(Vec::new())?;
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let path = dir.join("ca.pem");
    std::fs::write(&path, params.self_signed(&key)?.pem())?;
    Ok(path)
}

/// Whether the process still runs.
fn runs(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn a_cluster_serves_s3_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let ca_file = write_ca(dir.path()).unwrap();
    let options = CephOptions { ca_file: Some(ca_file.clone()), verbose: true };
    let ceph = CephGuard::start(&options).unwrap_or_else(|e| panic!("{e}"));
    let pids = ceph.pids();
    assert!(pids.into_iter().all(runs), "{pids:?}");

    // radosgw sees the added authority in the system's file, and this process does not.
    let added = std::fs::read_to_string(&ca_file).unwrap();
    let system = "etc/ssl/certs/ca-certificates.crt";
    let seen_by_rgw = format!("/proc/{}/root/{system}", pids[0]);
    assert!(std::fs::read_to_string(seen_by_rgw).unwrap().contains(&added));
    assert!(!std::fs::read_to_string(format!("/{system}")).unwrap().contains(&added));

    let s3 = s3(&ceph);
    s3.create_bucket().bucket("proof").send().await.unwrap();
    let body = aws_sdk_s3::primitives::ByteStream::from_static(b"hello");
    s3.put_object().bucket("proof").key("a/1").body(body).send().await.unwrap();
    let object = s3.get_object().bucket("proof").key("a/1").send().await.unwrap();
    assert_eq!(object.body.collect().await.unwrap().to_vec(), b"hello");
    assert!(ceph.log().contains("proof"), "a verbose log names the bucket:\n{}", ceph.log());

    let files = ceph.dir().to_owned();
    assert!(files.is_dir());
    drop(ceph);
    assert!(!pids.into_iter().any(runs), "still running: {pids:?}");
    assert!(!files.exists(), "{} is still there", files.display());
}
