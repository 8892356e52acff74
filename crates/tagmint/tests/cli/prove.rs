//! `tagmint prove`, where it needs nothing that answers. The rest is in the end-to-end tests.

use crate::process::run;

#[test]
fn an_endpoint_without_its_scheme_is_wrong_usage_and_nothing_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    let secret = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2kifQ.c2lnbmF0dXJl";
    std::fs::write(&token, secret).unwrap();
    let token = token.to_str().unwrap();
    let shown = run([
        "prove",
        "--role",
        "arn:aws:iam::111122223333:role/data",
        "--bucket",
        "data",
        "--prefix",
        "blue",
        "--token",
        token,
        "--endpoint-url",
        "localhost:4599",
    ]);
    let stderr = String::from_utf8(shown.stderr).unwrap();
    assert_eq!(shown.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("http:// or https://") && !stderr.contains("eyJ"), "{stderr}");
}
