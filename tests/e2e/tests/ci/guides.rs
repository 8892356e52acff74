//! `docs/github.md` and `docs/gitlab.md`: every policy in them is judged with the platforms' tokens, every table of theirs is compared with the
//! verdicts, and what they show of our files is what is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};
use tagmint_iam::{
    advice::{AccessQuestion, Explanation, Question},
    policy::Policy,
    trust_policy,
    web_identity::Fetched,
};
use tagmint_testkit::ci_claims::{self, ClaimSet, with};

use super::{TestResult, job::repository, yaml};

/// A guide's block of code, with the first file name since the block before.
struct Block {
    language: String,
    name: String,
    text: String,
}

struct Guide {
    text: String,
    blocks: Vec<Block>,
}

impl Guide {
    fn read(name: &str) -> TestResult<Self> {
        Ok(Self::parse(&fs::read_to_string(repository().join("docs").join(name))?))
    }

    fn parse(text: &str) -> Self {
        let mut blocks = vec![];
        let mut lines = text.lines();
        let mut before = String::new();
        while let Some(line) = lines.next() {
            let indent = line.len() - line.trim_start().len();
            let Some(language) = line.trim_start().strip_prefix("```") else {
                before += line;
                continue;
            };
            let body: Vec<&str> = lines.by_ref().take_while(|line| line.trim_start() != "```").collect();
            let body: Vec<&str> = body.into_iter().map(|line| line.get(indent..).unwrap_or_default()).collect();
            let name =
                before.split('`').skip(1).step_by(2).find(|name| name.contains(".json")).unwrap_or_default().to_owned();
            blocks.push(Block { language: language.to_owned(), name, text: body.join("\n") + "\n" });
            before.clear();
        }
        Self { text: text.to_owned(), blocks }
    }

    fn of(&self, language: &str) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(move |block| block.language == language)
    }

    /// The policies by name.
    fn policies(&self) -> BTreeMap<&str, &str> {
        let named: BTreeMap<_, _> = self.of("json").map(|block| (block.name.as_str(), block.text.as_str())).collect();
        assert_eq!(named.len(), self.of("json").count(), "each has a name of its own: {:?}", named.keys());
        assert!(!named.contains_key(""), "each has a name");
        named
    }

    /// The rows of the table of jobs: job, policy, whether it is let in.
    fn table(&self) -> TestResult<Vec<(String, String, bool)>> {
        let mut rows =
            self.text.lines().skip_while(|line| !line.starts_with("| job |")).take_while(|line| line.starts_with('|'));
        let cells =
            |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        let names = cells(rows.next().ok_or("no table of jobs")?);
        let mut table = vec![];
        for row in rows.skip(1).map(cells) {
            for (name, cell) in names.iter().zip(&row).skip(1) {
                let verdict = match cell.trim_matches('*') {
                    "yes" => true,
                    "no" => false,
                    other => return Err(format!("`{other}` in the row {row:?}").into()),
                };
                table.push((row[0].clone(), name.trim_matches('`').to_owned(), verdict));
            }
        }
        Ok(table)
    }
}

/// A policy that a guide shows, for the account of the stage.
pub fn policy(guide: &str, name: &str) -> TestResult<String> {
    let guide = Guide::read(guide)?;
    let policy = *guide.policies().get(name).ok_or_else(|| format!("there is no `{name}`"))?;
    Ok(policy.replace("111122223333", "000000000000"))
}

/// The commands of a section of a guide, a block each.
pub fn commands(guide: &str, section: &str) -> TestResult<Vec<String>> {
    let text = Guide::read(guide)?.text;
    let text = text.split("\n## ").find(|text| text.starts_with(section)).ok_or_else(|| format!("no `{section}`"))?;
    Ok(Guide::parse(text).of("sh").map(|block| block.text.clone()).collect())
}

/// How many blocks of commands a guide shows.
pub fn shown(guide: &str) -> TestResult<usize> {
    let languages = ["sh", "bash", "shell", "console", ""];
    Ok(Guide::read(guide)?.blocks.iter().filter(|block| languages.contains(&block.language.as_str())).count())
}

/// A token with these claims. Nobody signed it: the engine is asked without a key set.
fn token(claims: &ClaimSet) -> String {
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": "platform"});
    format!(
        "{}.{}.{}",
        encode(&header),
        encode(&Value::Object(claims.clone())),
        BASE64_URL_SAFE_NO_PAD.encode("signature")
    )
}

/// What AWS says to a token of a second ago.
fn judge(policy: &Policy, claims: &ClaimSet, access: Option<AccessQuestion<'_>>) -> TestResult<Explanation> {
    let (token, client_ids) = (token(claims), ["sts.amazonaws.com".to_owned()]);
    let question = Question {
        token: &token,
        trust_policy: policy,
        role_arn: Some("arn:aws:iam::111122223333:role/ci"),
        provider_url: None,
        local: false,
        provider_missing: false,
        client_ids: &client_ids,
        context: &[],
        discovery: Fetched::Unchecked,
        jwks: Fetched::Unchecked,
        now: Timestamp::from_second(ci_claims::ISSUED_AT + 1)?,
        access,
    };
    Ok(question.explain())
}

/// The warnings about a policy, apart from the one about the missing key set.
fn warnings(explanation: &Explanation) -> BTreeSet<&'static str> {
    explanation.warnings.iter().map(|warning| warning.id).filter(|id| *id != "signature-not-checked").collect()
}

fn github_jobs() -> Vec<(&'static str, ClaimSet)> {
    let deploy = json!({"job_workflow_ref": "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main"});
    let tag_with_ids = json!({"sub": "repo:octo-org@123456/octo-repo@456789:ref:refs/tags/v1.2.3"});
    vec![
        ("push to `main`", ci_claims::github_push()),
        ("push to `main`, subject with ids", ci_claims::github_push_with_ids()),
        ("push to `main`, workflow `deploy.yml`", with(ci_claims::github_push(), deploy)),
        ("push of the tag `v1.2.3`", ci_claims::github_tag()),
        ("push of the tag `v1.2.3`, subject with ids", with(ci_claims::github_tag(), tag_with_ids)),
        ("push to another branch", ci_claims::github_feature_branch()),
        ("pull request of a branch", ci_claims::github_pull_request()),
        ("`pull_request_target` of a stranger", ci_claims::github_pull_request_target()),
        ("environment `production`", ci_claims::github_environment()),
        ("another repository of the owner", ci_claims::github_sibling_repository()),
        ("the repository, renamed", ci_claims::github_renamed()),
        ("somebody who took the names over", ci_claims::github_name_taken_over()),
        ("a fork", ci_claims::github_fork_push()),
    ]
}

fn gitlab_jobs() -> Vec<(&'static str, ClaimSet)> {
    vec![
        ("pipeline of `main`", ci_claims::gitlab_branch()),
        ("pipeline of the tag `v1.2.3`", ci_claims::gitlab_tag()),
        ("pipeline of another branch", ci_claims::gitlab_unprotected_branch()),
        ("merge request of a branch", ci_claims::gitlab_merge_request()),
        ("merge request of a fork, from its `main`", ci_claims::gitlab_fork_merge_request()),
        ("environment `production`, on `main`", ci_claims::gitlab_environment()),
        ("somebody who took the path over", ci_claims::gitlab_reused_path()),
    ]
}

/// Compares the table with the verdicts, and sees that no job, policy or cell is missing.
fn compare(guide: &Guide, issuer: &str, jobs: &[(&str, ClaimSet)], expected_warnings: &[&str]) -> TestResult {
    let policies = guide.policies();
    let mut left: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (job, _) in jobs {
        let judged_elsewhere = |name: &str| ["tagged-", "nightly-"].iter().any(|kind| name.starts_with(kind));
        left.extend(policies.keys().filter(|name| !judged_elsewhere(name)).map(|name| (*job, *name)));
    }
    let table = guide.table()?;
    for (job, name, let_in) in &table {
        let (_, claims) =
            jobs.iter().find(|(known, _)| known == job).ok_or_else(|| format!("there is no job `{job}`"))?;
        let text = policies.get(name.as_str()).ok_or_else(|| format!("there is no `{name}`"))?;
        let policy = trust_policy::check(text).map_err(|error| format!("{name}: IAM says {error}"))?;
        let said = judge(&policy, &ci_claims::at(claims.clone(), issuer, "sts.amazonaws.com"), None)?;
        assert_eq!(said.accepted, *let_in, "{job}, {name}: {said:#?}");
        if said.accepted {
            assert_eq!(warnings(&said), expected_warnings.iter().copied().collect(), "{job}, {name}");
        }
        assert!(left.remove(&(job.as_str(), name.as_str())), "{job}, {name} stands twice");
    }
    assert!(left.is_empty(), "not in the table: {left:?}");
    Ok(())
}

#[test]
fn the_policies_for_github_straight_to_aws_let_in_whom_the_table_says() -> TestResult {
    compare(&Guide::read("github.md")?, ci_claims::GITHUB_ISSUER, &github_jobs(), &[])
}

#[test]
fn the_policies_for_gitlab_straight_to_aws_let_in_whom_the_table_says() -> TestResult {
    compare(&Guide::read("gitlab.md")?, ci_claims::GITLAB_ISSUER, &gitlab_jobs(), &["names-not-ids"])
}

/// The workflows that run by the clock open their role from the default branch, and nobody else does.
#[test]
fn the_nightly_role_is_for_one_file_of_one_branch() -> TestResult {
    let guide = Guide::read("github.md")?;
    let policy = trust_policy::check(guide.policies()["nightly-trust.json"])?;
    let asked = |claims: ClaimSet| -> TestResult<bool> {
        let said = judge(&policy, &ci_claims::at(claims, ci_claims::GITHUB_ISSUER, "sts.amazonaws.com"), None)?;
        assert!(!said.accepted || warnings(&said).is_empty(), "{said:#?}");
        Ok(said.accepted)
    };
    let from = |claims: ClaimSet, file: &str| {
        with(claims, json!({"job_workflow_ref": format!("octo-org/octo-repo/.github/workflows/{file}")}))
    };
    for event in ["schedule", "workflow_dispatch"] {
        for claims in [ci_claims::github_push(), ci_claims::github_push_with_ids()] {
            assert!(asked(from(with(claims, json!({"event_name": event})), "sweep.yml@refs/heads/main"))?, "{event}");
        }
    }
    for (job, claims) in github_jobs() {
        assert!(!asked(claims.clone())?, "{job}: another workflow");
        let branch = claims["ref"].as_str().ok_or("no ref")?.to_owned();
        let here = asked(from(claims, &format!("sweep.yml@{branch}")))?;
        // The file itself does not run on what strangers begin.
        assert_eq!(here, job.starts_with("push to `main`") || job.starts_with("`pull_request_target`"), "{job}");
    }
    // It removes what runs left, and nothing else of the bucket or of another one.
    let own = [Policy::parse(guide.policies()["nightly-sweep.json"])?];
    let claims = from(ci_claims::github_push(), "sweep.yml@refs/heads/main");
    let claims = ci_claims::at(claims, ci_claims::GITHUB_ISSUER, "sts.amazonaws.com");
    for (action, key, allowed) in [
        ("s3:ListBucketVersions", "?pr-", true),
        ("s3:ListBucketVersions", "?bearer-jenkins/", true),
        ("s3:ListBucketVersions", "?0x7a6ed1c0ffee5eed00000000000000000000d00d/", false),
        ("s3:ListBucketVersions", "?", false),
        ("s3:ListBucketMultipartUploads", "", true),
        ("s3:DeleteObject", "/pr-7/run-1/result", true),
        ("s3:DeleteObjectVersion", "/branch-main/run-1/deep/result", true),
        ("s3:AbortMultipartUpload", "/bearer-jenkins/result", true),
        ("s3:DeleteObject", "/pr-7/notes", false),
        ("s3:DeleteObject", "/0x7a6ed1c0ffee5eed00000000000000000000d00d/inbox", false),
        ("s3:DeleteObject", "/x/pr-7/run-1/result", false),
        ("s3:DeleteObject", "-other/pr-7/run-1/result", false),
        ("s3:GetObject", "/pr-7/run-1/result", false),
        ("s3:PutObject", "/pr-7/run-1/result", false),
        ("s3:DeleteBucket", "", false),
    ] {
        // What is listed is below a prefix.
        let (key, prefix) = key.split_once('?').unwrap_or((key, ""));
        let resource = format!("arn:aws:s3:::agentkeys-mail-test-111122223333{key}");
        let context = [("s3:prefix".to_owned(), prefix.to_owned())];
        let access =
            AccessQuestion { action, resource: &resource, role_policies: &own, bucket_policy: None, context: &context };
        let said = judge(&policy, &claims, Some(access))?;
        let access = said.checks.iter().find(|check| check.check == "access").ok_or("no access check")?;
        assert_eq!(access.passed, allowed, "{action} {key}");
    }
    let workflow = yaml::read(&repository().join("deploy/ci/github/sweep.yml"))?;
    let events: Vec<_> = workflow["true"].as_object().ok_or("no events")?.keys().collect();
    assert_eq!(events, ["schedule", "workflow_dispatch"]);
    Ok(())
}

/// A token of ours as the rules of the guides make it.
fn tagged(subject: &str, prefix: Option<&str>) -> ClaimSet {
    let issuer = json!({
        "iss": ci_claims::AUDIENCE, "aud": "sts.amazonaws.com", "sub": subject,
        "https://aws.amazon.com/source_identity": "mnt_01J00000000000000000000000",
        "https://aws.amazon.com/roles": ["arn:aws:iam::111122223333:role/ci"],
    });
    let claims = ci_claims::issued(with(ClaimSet::new(), issuer), "one", ci_claims::ISSUED_AT, 300);
    let tags = prefix.map(|prefix| json!({"principal_tags": {"prefix": [prefix]}, "transitive_tag_keys": ["prefix"]}));
    with(claims, json!({"https://aws.amazon.com/tags": tags}))
}

#[test]
fn the_tagged_way_keeps_each_job_below_its_prefix() -> TestResult {
    let github = Guide::read("github.md")?;
    let bucket = Policy::parse(github.policies()["tagged-bucket.json"])?;
    for (guide, ours, prefix, foreign) in [
        ("github.md", "github:456789:main", "github/456789/main", "gitlab:20:main"),
        ("gitlab.md", "gitlab:20:main", "gitlab/20/main", "github:456789:main"),
    ] {
        let guide = Guide::read(guide)?;
        let trust = trust_policy::check(guide.policies()["tagged-trust.json"])?;
        let said = judge(&trust, &tagged(ours, Some(prefix)), None)?;
        assert!(said.accepted && warnings(&said).is_empty(), "{said:#?}");
        for (subject, tag) in [(ours, None), (foreign, Some(prefix)), ("bearer:x", Some(prefix))] {
            assert!(!judge(&trust, &tagged(subject, tag), None)?.accepted, "{subject} {tag:?}");
        }
        let other_audience = with(tagged(ours, Some(prefix)), json!({"aud": "https://other.example"}));
        assert!(!judge(&trust, &other_audience, None)?.accepted);
        for (action, key, listed, allowed) in [
            ("s3:GetObject", format!("/{prefix}/a"), "", true),
            ("s3:PutObject", format!("/{prefix}/a"), "", true),
            ("s3:DeleteObject", format!("/{prefix}/a"), "", false),
            ("s3:GetObject", format!("/{prefix}2/a"), "", false),
            ("s3:PutObject", "/a".to_owned(), "", false),
            ("s3:ListBucket", String::new(), &format!("{prefix}/run-1/"), true),
            ("s3:ListBucket", String::new(), &format!("{prefix}2/"), false),
            ("s3:ListBucket", String::new(), "", false),
        ] {
            let resource = format!("arn:aws:s3:::ci-artifacts{key}");
            let context = [("s3:prefix".to_owned(), listed.to_owned())];
            let context = if action == "s3:ListBucket" { &context[..] } else { &[] };
            let access = AccessQuestion {
                action,
                resource: &resource,
                role_policies: &[],
                bucket_policy: Some(&bucket),
                context,
            };
            let said = judge(&trust, &tagged(ours, Some(prefix)), Some(access))?;
            let access = said.checks.iter().find(|check| check.check == "access").ok_or("no access check")?;
            assert_eq!(access.passed, allowed, "{action} {key} {listed}");
        }
    }
    Ok(())
}

#[test]
fn what_the_guides_show_of_our_files_is_there() -> TestResult {
    let rules = fs::read_to_string(repository().join("deploy/examples/ci-rules.toml"))?;
    let action = yaml::read(&repository().join("deploy/ci/github/action.yml"))?;
    let script = fs::read_to_string(repository().join("deploy/ci/assume_ci_role.sh"))?;
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for name in ["github.md", "gitlab.md"] {
        let guide = Guide::read(name)?;
        assert_eq!(guide.of("toml").count(), 2, "{name}");
        for block in guide.of("toml") {
            assert!(
                squeezed(&rules).contains(squeezed(&block.text).split(" #").next().unwrap_or_default()),
                "{}",
                block.text
            );
        }
        for block in guide.of("yaml") {
            let file = tempfile::NamedTempFile::new()?;
            fs::write(&file, &block.text)?;
            let document = yaml::read(file.path())?;
            let jobs = document["jobs"].as_object().map_or(1, serde_json::Map::len);
            assert!(document.is_object() && jobs == 1, "{document}");
            for step in document["jobs"]
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(_, job)| job["steps"].as_array())
                .flatten()
            {
                let uses =
                    step["uses"].as_str().and_then(|uses| uses.strip_prefix("litentry/tagmint/")?.split('@').next());
                if let Some(folder) = uses {
                    assert!(repository().join(folder).join("action.yml").exists(), "{folder}");
                }
                for (input, _) in yaml::texts(&step["with"]) {
                    assert!(action["inputs"].get(&input).is_some(), "there is no input `{input}`");
                }
            }
        }
        // The messages of the table "When it fails" are the script's.
        let table = guide.text.lines().skip_while(|line| !line.starts_with("| it says |")).skip(2);
        for row in table.take_while(|line| line.starts_with('|')) {
            let message = row.split('`').nth(1).ok_or_else(|| format!("no message in {row}"))?;
            for part in message.split(['(', '…', ')', ' ']).filter(|part| part.contains('-')) {
                assert!(script.contains(part), "`{part}` is no word of the script");
            }
            let words = message.split(['(', '…']).max_by_key(|part| part.len()).unwrap_or_default().trim();
            let words = words.trim_end_matches(" the token of Tagmint");
            assert!(script.contains(words), "`{words}` is not in the script");
        }
    }
    Ok(())
}
