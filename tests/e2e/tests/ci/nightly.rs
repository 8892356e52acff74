//! The sweep and the checks that CI runs by the clock, with the roles of the guides: where all is well, and where something is broken on purpose.

mod github;
mod gitlab;

use std::{collections::BTreeMap, fs, process::Command};

use jiff::SignedDuration;
use serde_json::{Value, json};
use tagmint_core::clock::{Clock, SystemClock};
use tagmint_e2e::TagmintProcess;

use super::{
    TestResult, guides,
    stage::{Shelf, Stage, TEST_BUCKET, WALLET},
};

/// Where docs/github.md tells of it.
const SECTION: &str = "For a test issuer";
/// Where the package is on the shelf.
const PACKAGE: &str = "/tagmint.deb";
/// What is no package, and its SHA-256.
const NOTE: &str = "/note";
const NOTE_SHA256: &str = "e937cc40669d4d394bf753cf3a2e02824e536accf3d1219e5ca9410c1c60d438";
/// What is in the bucket: how many days ago it was written, and whether the sweep takes it.
const OBJECTS: [(u32, &str, bool); 6] = [
    (10, "pr-1/run-1/result", true),
    (10, "branch-main/run-3/result", true),
    (10, "pr-1/<b>::warning::notes", false),
    (2, "pr-7/run-70/result", false),
    (2, "branch-main/run-4/result", false),
    (2, "pr-42/run-420/result", false),
];

/// The test issuer, and beside it what the jobs download.
struct Night {
    stage: Stage,
    shelf: Shelf,
    /// Of the package.
    sha256: String,
}

impl Night {
    /// A package whose program is the built one, and GitHub's API, in which pull request 42 is closed and 7 is open.
    fn falls(stage: Stage) -> TestResult<Self> {
        let package = package(&stage)?;
        let sha256 = Command::new("sha256sum").arg(stage.path("tagmint.deb")).output()?;
        let sha256 = String::from_utf8(sha256.stdout)?.split_whitespace().next().ok_or("no checksum")?.to_owned();
        let yesterday = SystemClock.now() - SignedDuration::from_hours(26);
        let note = (NOTE.to_owned(), b"not a package\n".to_vec());
        let mut files = BTreeMap::from([(PACKAGE.to_owned(), package), note]);
        let repository = "/repos/octo-org/octo-repo";
        let mut answer = |path: &str, body: Value| files.insert(format!("{repository}{path}"), body.to_string().into());
        answer("", json!({"id": 456_789}));
        for (run, number, state) in [(420, 42, "closed"), (70, 7, "open")] {
            let closed_at = (state == "closed").then(|| yesterday.to_string());
            answer(&format!("/actions/runs/{run}"), json!({"id": run, "repository": {"id": 456_789}}));
            answer(&format!("/pulls/{number}"), json!({"number": number, "state": state, "closed_at": closed_at}));
        }
        let shelf = Shelf::start(&stage, (-1, 89), |_| files)?;
        Ok(Self { stage, shelf, sha256 })
    }

    /// Fills the bucket.
    fn furnish(&self) -> TestResult {
        for (days, key, _) in OBJECTS {
            self.stage.put_days_ago(days, key)?;
        }
        self.stage.put_days_ago(30, &format!("{WALLET}/inbox"))
    }

    /// What a sweep by age and by these keys leaves.
    fn expected(gone: &[&str]) -> Vec<String> {
        let stays = OBJECTS.iter().filter(|(_, key, goes)| !goes && !gone.contains(key));
        let mut stays: Vec<_> = stays.map(|(_, key, _)| (*key).to_owned()).chain([format!("{WALLET}/inbox")]).collect();
        stays.sort();
        stays
    }

    /// Makes both roles with the commands of docs/github.md and its policies, for those whom this trust policy lets in.
    fn make_the_roles(&self, trust: &str) -> TestResult {
        let dir = self.stage.path("roles");
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("nightly-trust.json"), trust)?;
        for name in ["nightly-sweep.json", "nightly-check.json"] {
            fs::write(dir.join(name), self.here(&guides::policy("github.md", name)?)?)?;
        }
        let make = guides::commands("github.md", SECTION)?.pop().ok_or("no commands")?;
        assert_eq!(make.matches("aws iam ").count(), 4, "{make}");
        let mut command = Command::new("bash");
        command.args(["-ec", &make]).current_dir(dir);
        let output = self.stage.as_operator(command)?;
        assert!(output.status.success(), "{make}\n{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// A policy of a guide, for the issuer of the stage.
    fn here(&self, policy: &str) -> TestResult<String> {
        Ok(policy.replace("test-broker.litentry.org", self.stage.url()?.trim_start_matches("https://")))
    }

    /// The platform's provider in the account, by the command of its guide.
    fn provider(&self, guide: &str, url: &str) -> TestResult {
        let make = guides::commands(guide, "Straight to AWS")?.pop().ok_or("no command")?;
        let (before, after) = make.split_once("--url https://").ok_or("no --url")?;
        let rest = after.split_once(' ').ok_or("nothing after --url")?.1;
        let mut command = Command::new("bash");
        command.args(["-ec", &format!("{before}--url {url} {rest}")]);
        let output = self.stage.as_operator(command)?;
        assert!(output.status.success(), "{make}\n{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// The documents of an issuer at the shelf's URL, as ours has them; its certificate as is said.
    fn issuer(&self, days: (i64, i64), key_set: bool) -> TestResult<Shelf> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--cacert"]).arg(self.stage.path("ca.pem"));
        let keys = curl.arg(format!("{}/.well-known/jwks.json", self.stage.url()?)).output()?;
        assert!(keys.status.success(), "{}", String::from_utf8_lossy(&keys.stderr));
        Shelf::start(&self.stage, days, |url| {
            let discovery = json!({
                "issuer": url, "jwks_uri": format!("{url}/.well-known/jwks.json"), "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
            });
            let mut files =
                BTreeMap::from([("/.well-known/openid-configuration".to_owned(), discovery.to_string().into())]);
            if key_set {
                files.insert("/.well-known/jwks.json".to_owned(), keys.stdout);
            }
            files
        })
    }

    /// Attaches a policy to the test issuer's role, behind the configuration's back.
    fn drift(&self) -> TestResult {
        let policy =
            json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}});
        self.stage.put_role_policy("agentkeys-data-role-test", "broad", &policy.to_string())
    }
}

/// A Debian package whose program is the built one.
fn package(stage: &Stage) -> TestResult<Vec<u8>> {
    use std::os::unix::fs::PermissionsExt;
    let root = stage.path("package");
    let program = TagmintProcess::command([""; 0])?.get_program().to_owned();
    fs::create_dir_all(root.join("DEBIAN"))?;
    fs::create_dir_all(root.join("usr/bin"))?;
    let control = "Package: tagmint\nVersion: 0\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: for a test\n";
    fs::write(root.join("DEBIAN/control"), control)?;
    let file = root.join("usr/bin/tagmint");
    fs::write(&file, format!("#!/bin/sh\nexec '{}' \"$@\"\n", program.to_string_lossy()))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    let package = stage.path("tagmint.deb");
    let made =
        Command::new("dpkg-deb").args(["-Znone", "--root-owner-group", "--build"]).arg(root).arg(&package).output()?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(fs::read(package)?)
}

/// What is run here of the guides: the copying, the roles, and the platforms' providers.
#[test]
fn no_command_of_the_guides_is_left_to_the_reader() -> TestResult {
    for (guide, of_the_jobs) in [("github.md", 2), ("gitlab.md", 0)] {
        let run = [guides::commands(guide, SECTION)?.len(), guides::commands(guide, "Straight to AWS")?.len()];
        assert_eq!(run, [of_the_jobs, 1], "{guide}: so many blocks are run");
        assert_eq!(guides::shown(guide)?, of_the_jobs + 1, "{guide} has commands that no test runs");
    }
    Ok(())
}
