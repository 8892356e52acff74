//! Keys that are hard to write down, and more uploads than a page has.

use std::{collections::BTreeSet, process::Command};

use serde_json::{Value, json};

use super::stage::{BUCKET, Error, Stage, TestResult, lines, pairs};

/// Below the prefix: each must be listed, counted and removed as the one that it is.
const ODD: [&str; 27] = [
    "",
    "a b+c%25%.txt",
    "+",
    " ",
    "%2F",
    "%00",
    "ü/日本/🦀",
    "tab\there",
    "line\nbreak",
    "return\r",
    "\u{1}",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "\u{fffe}",
    "<&>\"'",
    "]]>",
    "&#1;",
    "/x",
    "//",
    "../up",
    "./here",
    "../\u{1}",
    "?versionId=1",
    "#part",
    "\\back",
    "*",
];
/// Beside it: like it, and not below.
const BESIDE: [&str; 10] = [
    "pr-1/up",
    "pr-1/run-1",
    "pr-1/run-1 /x",
    "pr-1/run-1%2Fx",
    "pr-1/run-1\n/x",
    "pr-1/\u{1}",
    "pr-1//run-1/x",
    "PR-1/run-1/x",
    "pr-1 /run-1/x",
    "pr-01/run-1/x",
];

fn longest() -> String {
    // 1,024 bytes is the most (user guide of S3, "Naming Amazon S3 objects").
    format!("pr-1/run-1/{}", "ä".repeat(506) + "x")
}

#[tokio::test]
async fn odd_keys_go_as_the_ones_that_they_are_and_their_neighbours_stay() -> TestResult {
    for versions in [true, false] {
        let stage = Stage::new().await?;
        if !versions {
            stage.without_versions().await?;
        }
        let mut gone: BTreeSet<String> = ODD.iter().map(|rest| format!("pr-1/run-1/{rest}")).collect();
        assert_eq!(gone.len(), ODD.len());
        assert_eq!(longest().len(), 1_024);
        gone.insert(longest());
        for key in gone.iter().map(String::as_str).chain(BESIDE) {
            stage.put(BUCKET, key, "x").await?;
        }
        let kept: BTreeSet<String> = stage.kept(BUCKET)?.into_keys().collect();
        assert_eq!(kept.len(), gone.len() + BESIDE.len(), "{kept:?}");
        // Also an upload of each, but where no client can read the answer to its beginning, which repeats the key in XML.
        let spelled = |key: &&String| !key.chars().any(|c| c.is_control() || c == '\u{fffe}');
        let uploads: Vec<&String> = gone.iter().filter(spelled).collect();
        for key in &uploads {
            stage.s3.create_multipart_upload().bucket(BUCKET).key(key.as_str()).send().await?;
        }
        stage.travel("+10d")?;
        let (code, report) = stage.sweep(&["--apply", "--without-ledger"])?;
        assert_eq!((code, lines(&report)), (0, pairs(&[("pr-1/run-1/", "gone")])), "{report}");
        let counts = (json!(gone.len()), json!(uploads.len()));
        assert_eq!((&report["removed_objects"], &report["removed_uploads"]), (&counts.0, &counts.1), "{report}");
        let kept: BTreeSet<String> = stage.kept(BUCKET)?.into_keys().collect();
        assert_eq!(kept, BESIDE.map(str::to_owned).into_iter().collect::<BTreeSet<_>>());
    }
    Ok(())
}

/// What a client that turns pages itself lists of the uploads that are there.
fn uploads(stage: &Stage, what: &str, more: &[&str]) -> TestResult<Vec<String>> {
    let mut command = Command::new("aws");
    command
        .args(["s3api", "list-multipart-uploads", "--bucket", BUCKET, "--output", "json", "--query", what])
        .args(more);
    let output = stage.run(command)?;
    let keys: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&output.stderr)))?;
    let keys = keys.as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(keys.iter().filter_map(|key| key.as_str().map(str::to_owned)).collect())
}

#[tokio::test]
async fn more_uploads_than_a_page_has_are_ended_and_others_go_on() -> TestResult {
    const ALL: usize = 2_100;
    let stage = Stage::new().await?;
    let mut all = Vec::new();
    for worker in 0..8 {
        let s3 = stage.s3.clone();
        all.push(tokio::spawn(async move {
            for number in (worker..ALL).step_by(8) {
                // Half of them of one key, and the others of one each.
                let key = if number % 2 == 0 {
                    "pr-1/run-1/same+ &%".to_owned()
                } else {
                    format!("pr-1/run-1/{number}+ü %")
                };
                s3.create_multipart_upload().bucket(BUCKET).key(key).send().await?;
            }
            Ok::<(), Error>(())
        }));
    }
    for one in all {
        one.await??;
    }
    for key in ["pr-1/part", "fixtures/part"] {
        stage.s3.create_multipart_upload().bucket(BUCKET).key(key).send().await?;
    }
    stage.travel("+10d")?;
    assert_eq!(uploads(&stage, "Uploads[].Key", &[])?.len(), ALL + 2);
    // Groups, also over pages.
    for more in [["--delimiter", "/"].as_slice(), &["--delimiter", "/", "--page-size", "1"]] {
        assert_eq!(uploads(&stage, "CommonPrefixes[].Prefix", more)?, ["fixtures/", "pr-1/"], "{more:?}");
    }
    let (code, report) = stage.sweep(&["--apply", "--without-ledger", "--limit", "1500"])?;
    assert_eq!((code, lines(&report)), (0, pairs(&[("pr-1/run-1/", "begun")])), "{report}");
    assert_eq!(
        (&report["prefixes"][0]["uploads"], &report["removed_uploads"]),
        (&json!(ALL), &json!(1_500)),
        "{report}"
    );
    assert_eq!(uploads(&stage, "Uploads[].Key", &[])?.len(), ALL + 2 - 1_500);
    let (code, report) = stage.sweep(&["--apply", "--without-ledger"])?;
    assert_eq!((code, lines(&report)), (0, pairs(&[("pr-1/run-1/", "gone")])), "{report}");
    assert_eq!(uploads(&stage, "Uploads[].Key", &[])?, ["fixtures/part", "pr-1/part"]);
    Ok(())
}
