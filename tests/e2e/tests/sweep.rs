//! `tagmint sweep`: what goes is gone, with old versions, markers and uploads, and everything else is as it was.

#[path = "sweep/answers.rs"]
mod answers;
#[path = "sweep/keys.rs"]
mod keys;
#[path = "sweep/permissions.rs"]
mod permissions;
#[path = "sweep/pulls.rs"]
mod pulls;
#[path = "sweep/stage.rs"]
mod stage;

use std::{fs, process::Stdio, time::Duration};

use serde_json::json;
use stage::{BUCKET, FOREIGN, Stage, TestResult, lines, pairs};
use tagmint_core::clock::{Clock, SystemClock};

const WALLET: &str = "0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1";

/// More than a page of what goes, and one of everything that stays.
async fn furnished() -> TestResult<Stage> {
    let stage = Stage::new().await?;
    stage.fill("pr-1/run-1/", 1_203).await?;
    stage.put(BUCKET, "pr-1/run-1/a b+c%.txt", "first").await?;
    stage.put(BUCKET, "pr-1/run-1/a b+c%.txt", "second").await?;
    stage.s3.delete_object().bucket(BUCKET).key("pr-1/run-1/000007").send().await?;
    stage.s3.create_multipart_upload().bucket(BUCKET).key("pr-1/run-1/part").send().await?;
    stage.s3.create_multipart_upload().bucket(BUCKET).key("mr-x/run-4/part").send().await?;
    stage.put(BUCKET, "branch-main/run-2/x", "x").await?;
    stage.put(BUCKET, "bearer-jenkins/deep/x", "x").await?;
    for key in ["pr-1/notes", "pr-1/run-x/y", "fixtures/x", "root", "x/pr-1/run-1/y", &format!("{WALLET}/inbox")] {
        stage.put(BUCKET, key, "stays").await?;
    }
    stage.put(BUCKET, "pr-1/run-9/x", "used again").await?;
    stage.put(FOREIGN, "pr-1/run-1/x", "another's").await?;
    stage.travel("+10d")?;
    stage.put_now("pr-1/run-9/y")?;
    Ok(stage)
}

const STAYS: [&str; 8] = [
    "0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1/inbox",
    "fixtures/x",
    "pr-1/notes",
    "pr-1/run-9/x",
    "pr-1/run-9/y",
    "pr-1/run-x/y",
    "root",
    "x/pr-1/run-1/y",
];

#[tokio::test]
async fn what_is_old_goes_whole_and_nothing_else() -> TestResult {
    let stage = furnished().await?;
    let before = (stage.files(BUCKET)?, stage.files(FOREIGN)?);

    // A dry run changes nothing, byte by byte.
    let (code, dry) = stage.sweep(&["--without-ledger"])?;
    let due = ["pr-1/run-1/", "mr-x/run-4/", "branch-main/run-2/", "bearer-jenkins/"];
    let mut told = lines(&dry);
    told.sort();
    let mut expected = pairs(&due.map(|prefix| (prefix, "would_go")));
    expected.sort();
    assert_eq!((code, told), (0, expected), "{dry}");
    assert_eq!((&dry["applied"], &dry["kept"], &dry["outside"]), (&json!(false), &json!({"young": 1}), &json!(2)));
    assert_eq!(dry["outside_examples"], json!(["pr-1/notes", "pr-1/run-x/y"]));
    assert_eq!((stage.files(BUCKET)?, stage.files(FOREIGN)?), before);
    // 1,203 objects, two versions, a marker; an upload.
    let line = &dry["prefixes"].as_array().and_then(|all| all.iter().find(|line| line["prefix"] == "pr-1/run-1/"));
    let line = line.ok_or("no line")?;
    assert_eq!((&line["objects"], &line["uploads"]), (&json!(1_206), &json!(1)), "{dry}");
    assert_eq!(line["bytes"], json!(1_203 + 5 + 6));

    let metrics = stage.dir.path().join("tagmint.prom");
    let file = metrics.to_string_lossy().into_owned();
    let (code, report) = stage.sweep(&["--without-ledger", "--apply", "--metrics", &file])?;
    assert_eq!((code, &report["ended"], &report["failed"]), (0, &json!("complete"), &json!(0)), "{report}");
    assert!(lines(&report).iter().all(|(_, outcome)| outcome == "gone"), "{report}");
    assert_eq!((&report["removed_objects"], &report["removed_uploads"]), (&json!(1_208), &json!(2)));
    assert_eq!(stage.kept(BUCKET)?.into_keys().collect::<Vec<_>>(), STAYS);
    assert_eq!(stage.files(FOREIGN)?, before.1);
    let text = fs::read_to_string(&metrics)?;
    for figure in ["ok", "removed_objects", "left_prefixes", "failed_objects"].into_iter().zip([1, 1_210, 0, 0]) {
        let line = format!("tagmint_sweep_{}{{bucket=\"{BUCKET}\"}} {}\n", figure.0, figure.1);
        assert!(text.contains(&line), "{line}{text}");
    }

    // Once more: there is nothing to do, not even an upload.
    let (code, again) = stage.sweep(&["--without-ledger", "--apply"])?;
    assert_eq!((code, lines(&again)), (0, Vec::new()), "{again}");
    assert_eq!(stage.kept(BUCKET)?.into_keys().collect::<Vec<_>>(), STAYS);
    Ok(())
}

#[tokio::test]
async fn limits_hold_and_the_next_run_goes_on() -> TestResult {
    let stage = Stage::new().await?;
    stage.fill("pr-1/run-1/", 1_010).await?;
    stage.travel("+1h")?;
    for key in ["pr-1/run-2/x", "pr-1/run-2/y", "pr-1/run-3/x"] {
        stage.put_now(key)?;
    }
    stage.travel("+10d")?;
    let (code, report) = stage.sweep(&["--without-ledger", "--apply", "--limit", "1005"])?;
    assert_eq!((code, &report["ended"], &report["removed_objects"]), (0, &json!("limit"), &json!(1_005)), "{report}");
    let expected = [("pr-1/run-1/", "begun"), ("pr-1/run-2/", "left"), ("pr-1/run-3/", "left")];
    assert_eq!(lines(&report), pairs(&expected));
    assert_eq!(stage.kept(BUCKET)?.len(), 8);
    let (_, report) = stage.sweep(&["--without-ledger", "--apply", "--limit-prefixes", "2"])?;
    let expected = [("pr-1/run-1/", "gone"), ("pr-1/run-2/", "gone"), ("pr-1/run-3/", "left")];
    assert_eq!(lines(&report), pairs(&expected));
    assert_eq!(stage.kept(BUCKET)?.into_keys().collect::<Vec<_>>(), ["pr-1/run-3/x"]);
    // What is named stays.
    let (_, report) = stage.sweep(&["--without-ledger", "--apply", "--keep", "pr-1/run-3"])?;
    assert_eq!((lines(&report), &report["kept"]), (Vec::new(), &json!({"named": 1})));
    assert_eq!(stage.kept(BUCKET)?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn prod_and_clocks_that_differ_are_refused() -> TestResult {
    let stage = Stage::new().await?;
    stage.put(BUCKET, "pr-1/run-1/x", "x").await?;
    stage.travel("+10d")?;
    let before = stage.files(BUCKET)?;
    let prod = stage.config("prod").to_string_lossy().into_owned();
    let (code, told) = stage.refused(&["--config", &prod, "--apply", "--without-ledger"])?;
    assert!(code == 1 && told.contains("environment `prod`: only a test issuer's bucket is ever swept"), "{told}");
    // A test issuer's configuration cannot name a bucket that does not say that it is for tests.
    let text = fs::read_to_string(stage.config("test"))?.replace("agentkeys-mail-test-", "agentkeys-mail-");
    let other = stage.dir.path().join("other.toml");
    fs::write(&other, text)?;
    let (code, told) = stage.refused(&["--config", &other.to_string_lossy(), "--apply", "--without-ledger"])?;
    assert!(code == 3 && told.contains("has no word `test` in it"), "{told}");
    // Without its ledger it is not known what was used lately: that is said, and not assumed.
    let (code, told) = stage.refused(&["--apply"])?;
    assert!(code == 3 && told.contains("tagmint.db"), "{told}");
    // This machine six minutes behind S3.
    let mut command = stage.command(&["--apply", "--without-ledger"])?;
    let clock = stage.dir.path().join("late");
    fs::write(&clock, "+863640")?;
    let output = command.env("FAKETIME_TIMESTAMP_FILE", &clock).output()?;
    let told = String::from_utf8(output.stderr)?;
    assert!(
        output.status.code() == Some(1) && told.contains("apart") && told.contains("ages cannot be trusted"),
        "{told}"
    );
    assert_eq!(stage.files(BUCKET)?, before);
    Ok(())
}

#[tokio::test]
async fn what_the_ledger_minted_lately_stays_and_what_it_minted_may_go() -> TestResult {
    let stage = Stage::new().await?;
    for key in ["pr-1/run-1/x", "pr-1/run-2/x", "team/blue/x", "team/x", "other/x", &format!("{WALLET}/x")] {
        stage.put(BUCKET, key, "x").await?;
    }
    let now = SystemClock.now();
    let later = now + jiff::SignedDuration::from_hours(24 * 9);
    stage.ledger(&[("pr-1/run-1", now), ("pr-1/run-2", later), ("team/blue", now), (WALLET, now), ("", now)]).await?;
    stage.travel("+10d")?;
    let (code, report) = stage.sweep(&["--apply"])?;
    assert_eq!((code, lines(&report)), (0, pairs(&[("pr-1/run-1/", "gone")])), "{report}");
    assert_eq!(report["kept"], json!({"young": 1}));
    let (code, report) = stage.sweep(&["--apply", "--minted"])?;
    assert_eq!((code, lines(&report)), (0, pairs(&[("team/blue/", "gone")])), "{report}");
    let stays = [&format!("{WALLET}/x"), "other/x", "pr-1/run-2/x", "team/x"];
    assert_eq!(stage.kept(BUCKET)?.into_keys().collect::<Vec<_>>(), stays);
    Ok(())
}

#[tokio::test]
async fn it_can_be_killed_and_interrupted_in_the_middle() -> TestResult {
    const ALL: usize = 4_000;
    let stage = Stage::new().await?;
    stage.fill("pr-1/run-1/", ALL).await?;
    stage.put(BUCKET, "fixtures/x", "stays").await?;
    stage.travel("+10d")?;
    let count = || stage.count(BUCKET);
    let begun = async |most: usize| -> TestResult<()> {
        for _ in 0..10_000 {
            if count()? < most {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Err("nothing was removed".into())
    };

    let mut killed = stage.command(&["--apply", "--without-ledger"])?.stdout(Stdio::null()).spawn()?;
    begun(ALL + 1).await?;
    killed.kill()?;
    killed.wait()?;
    // The request that was under way ends.
    let mut left = count()?;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = count()?;
        if now == left {
            break;
        }
        left = now;
    }
    assert!(left > 1 && left <= ALL, "{left}");

    let interrupted =
        stage.command(&["--apply", "--without-ledger"])?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    begun(left).await?;
    rustix::process::kill_process(rustix::process::Pid::from_child(&interrupted), rustix::process::Signal::INT)?;
    let output = interrupted.wait_with_output()?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!((output.status.code(), &report["ended"]), (Some(1), &json!("interrupted")), "{report}");
    assert_eq!(lines(&report), pairs(&[("pr-1/run-1/", "begun")]));
    // What it says is what it did.
    assert_eq!(report["removed_objects"], json!(left - count()?));

    let (code, report) = stage.sweep(&["--apply", "--without-ledger"])?;
    assert_eq!((code, lines(&report)), (0, pairs(&[("pr-1/run-1/", "gone")])), "{report}");
    assert_eq!(stage.kept(BUCKET)?.into_keys().collect::<Vec<_>>(), ["fixtures/x"]);
    Ok(())
}

#[tokio::test]
async fn what_s3_does_not_remove_is_told_key_by_key() -> TestResult {
    let stage = Stage::new().await?;
    for key in ["pr-1/run-1/held", "pr-1/run-1/x"] {
        stage.put(BUCKET, key, "x").await?;
    }
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObjectVersion",
        "Resource": format!("arn:aws:s3:::{BUCKET}/pr-1/run-1/held"),
    }]});
    stage.s3.put_bucket_policy().bucket(BUCKET).policy(policy.to_string()).send().await?;
    stage.travel("+10d")?;
    let metrics = stage.dir.path().join("tagmint.prom").to_string_lossy().into_owned();
    let (code, report) = stage.sweep(&["--apply", "--without-ledger", "--metrics", &metrics])?;
    assert_eq!((code, lines(&report)), (1, pairs(&[("pr-1/run-1/", "failed")])), "{report}");
    let failure = &report["failures"][0];
    assert_eq!((&failure["key"], &failure["code"]), (&json!("pr-1/run-1/held"), &json!("AccessDenied")), "{report}");
    assert_eq!((&report["failed"], &report["removed_objects"]), (&json!(1), &json!(1)));
    assert!(fs::read_to_string(&metrics)?.contains(&format!("tagmint_sweep_ok{{bucket=\"{BUCKET}\"}} 0\n")));
    Ok(())
}
