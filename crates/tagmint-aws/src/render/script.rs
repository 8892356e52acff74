//! A shell script of AWS CLI commands that can be run again.

use std::fmt::Write;

use serde_json::Value;

use super::{
    Part, RenderedFile,
    blocks::{comments, description, head, lifecycle_document},
    plan::{BucketPlan, PLACEHOLDER, ProviderPlan, RolePlan, SetUp},
    policies::GUARD_POLICY,
};

/// Where the account stands in the script's documents.
const MARK: &str = "@ACCOUNT@";

pub(super) fn render(set_up: &SetUp, account: &str, parts: &[Part]) -> Vec<RenderedFile> {
    let mut lines = head(set_up, "AWS CLI commands");
    lines.push(
        "It can be run again: what is there is set to what the configuration says. Credentials and endpoint: AWS's variables."
            .to_owned(),
    );
    lines.push("Usage: setup.sh [--dry-run]   (--dry-run reads, and tells what it would change)".to_owned());
    let mut text = format!("#!/usr/bin/env bash\n{}", comments(&lines));
    let _ = writeln!(
        text,
        r#"set -euo pipefail

ACCOUNT="${{ACCOUNT:-{account}}}"
REGION={}
DRY_RUN=no
case "${{1:-}}" in
  "") ;;
  --dry-run) DRY_RUN=yes ;;
  *)
    echo "usage: $0 [--dry-run]" >&2
    exit 2
    ;;
esac
"#,
        shell(&set_up.region)
    );
    text.push_str(HELPERS);
    if parts.contains(&Part::Provider) {
        text.push_str(&provider_section(&set_up.provider));
    }
    if parts.contains(&Part::Role) {
        for role in &set_up.roles {
            text.push_str(&role_section(role, &set_up.environment.to_string()));
        }
    }
    if let Some(bucket) = set_up.bucket.as_ref().filter(|_| parts.contains(&Part::Bucket)) {
        text.push_str(&bucket_section(bucket, &set_up.environment.to_string()));
    }
    text.push_str("say \"done\"\n");
    vec![RenderedFile { path: "setup.sh", text, executable: true }]
}

const HELPERS: &str = r#"say() { printf '%s\n' "$*"; }
fail() {
  printf 'setup.sh: %s\n' "$*" >&2
  exit 1
}

# Tells a change, and makes it unless this is a dry run.
change() {
  say "+ $1"
  shift
  if [ "$DRY_RUN" = no ]; then "$@" >/dev/null; fi
}

# Asks AWS: 0 it is there, 1 it is not. Anything else that goes wrong ends the script.
there() {
  local missing="$1" answer
  shift
  if answer=$("$@" 2>&1 >/dev/null); then return 0; fi
  case "$answer" in
    *"($missing)"*) return 1 ;;
    *) fail "$answer" ;;
  esac
}

# IAM and S3 know a new role a few seconds after it was made.
patiently() {
  local answer attempt
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    if answer=$("$@" 2>&1); then return 0; fi
    case "$answer" in
      *"Invalid principal"*) sleep "$attempt" ;;
      *) fail "$answer" ;;
    esac
  done
  fail "$answer"
}

# A document with the account filled in.
document() { sed "s/@ACCOUNT@/$ACCOUNT/g"; }

command -v aws >/dev/null || fail "the AWS CLI (aws) is not installed"
export AWS_PAGER=""
FOUND=$(aws sts get-caller-identity --query Account --output text)
[ "$FOUND" = "$ACCOUNT" ] || fail "these are credentials of the account $FOUND, and the set-up is for $ACCOUNT (ACCOUNT=…)"

"#;

fn provider_section(provider: &ProviderPlan) -> String {
    let arn = provider.arn.replace(PLACEHOLDER, "$ACCOUNT");
    let audiences: Vec<String> = provider.audiences.iter().map(|audience| shell(audience)).collect();
    format!(
        r#"# The provider: STS accepts tokens of this issuer for these audiences.
PROVIDER="{arn}"
AUDIENCES=({})
if there NoSuchEntity aws iam get-open-id-connect-provider --open-id-connect-provider-arn "$PROVIDER"; then
  say "provider $PROVIDER is there"
  mapfile -t OLD < <(aws iam get-open-id-connect-provider --open-id-connect-provider-arn "$PROVIDER" \
    --query ClientIDList --output text | tr '\t' '\n')
  for audience in "${{AUDIENCES[@]}}"; do
    if ! printf '%s\n' "${{OLD[@]}}" | grep -qxF -- "$audience"; then
      change "add the audience $audience" aws iam add-client-id-to-open-id-connect-provider \
        --open-id-connect-provider-arn "$PROVIDER" --client-id "$audience"
    fi
  done
  for audience in "${{OLD[@]}}"; do
    case "$audience" in "" | None) continue ;; esac
    if ! printf '%s\n' "${{AUDIENCES[@]}}" | grep -qxF -- "$audience"; then
      change "take away the audience $audience" aws iam remove-client-id-from-open-id-connect-provider \
        --open-id-connect-provider-arn "$PROVIDER" --client-id "$audience"
    fi
  done
else
  change "make the provider $PROVIDER" aws iam create-open-id-connect-provider --url {} --client-id-list "${{AUDIENCES[@]}}"
fi

"#,
        audiences.join(" "),
        shell(&provider.url)
    )
}

fn role_section(role: &RolePlan, environment: &str) -> String {
    let name = shell(&role.name);
    let mut text = format!(
        r#"# The role {name}: who gets a session says its trust policy.
TRUST=$(document <<'JSON'
{}
JSON
)
if there NoSuchEntity aws iam get-role --role-name {name}; then
  say "role {name} is there"
  change "set its trust policy" aws iam update-assume-role-policy --role-name {name} --policy-document "$TRUST"
  change "set its description and longest session" aws iam update-role --role-name {name} --max-session-duration {} \
    --description {}
else
  change "make the role {name}" aws iam create-role --role-name {name} --max-session-duration {} \
    --description {} --assume-role-policy-document "$TRUST" --tags Key=tagmint,Value={environment}
fi
"#,
        pretty(&role.trust_policy),
        role.max_session_seconds,
        shell(&description(&role.rules)),
        role.max_session_seconds,
        shell(&description(&role.rules)),
    );
    if let Some(guard) = &role.guard_policy {
        let _ = writeln!(
            text,
            r#"
# Its own policy has denials alone: what it may do says the bucket policy.
GUARD=$(document <<'JSON'
{}
JSON
)
change "set its own policy {GUARD_POLICY}" aws iam put-role-policy --role-name {name} --policy-name {GUARD_POLICY} \
  --policy-document "$GUARD"
if there NoSuchEntity aws iam get-role --role-name {name}; then
  MORE=$(aws iam list-role-policies --role-name {name} --query 'PolicyNames[]' --output text)
  MORE="$MORE $(aws iam list-attached-role-policies --role-name {name} --query 'AttachedPolicies[].PolicyArn' --output text)"
  for policy in $MORE; do
    case "$policy" in {GUARD_POLICY} | None) ;; *) say "! the role {name} has another policy, $policy: take it away" ;; esac
  done
fi
"#,
            pretty(guard)
        );
    }
    text.push('\n');
    text
}

fn bucket_section(bucket: &BucketPlan, environment: &str) -> String {
    let name = bucket.name.replace(PLACEHOLDER, "$ACCOUNT");
    let versioning = if bucket.versioning {
        "change \"keep old versions\" aws s3api put-bucket-versioning --bucket \"$BUCKET\" --versioning-configuration Status=Enabled\n"
    } else {
        ""
    };
    format!(
        r#"# The bucket: private, encrypted, without ACLs.
BUCKET="{name}"
if there 404 aws s3api head-bucket --bucket "$BUCKET" --expected-bucket-owner "$ACCOUNT"; then
  say "bucket $BUCKET is there"
elif [ "$REGION" = us-east-1 ]; then
  change "make the bucket $BUCKET" aws s3api create-bucket --bucket "$BUCKET" --region "$REGION"
else
  change "make the bucket $BUCKET" aws s3api create-bucket --bucket "$BUCKET" --region "$REGION" \
    --create-bucket-configuration "LocationConstraint=$REGION"
fi
change "block public access" aws s3api put-public-access-block --bucket "$BUCKET" --public-access-block-configuration \
  BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true
change "switch ACLs off" aws s3api put-bucket-ownership-controls --bucket "$BUCKET" \
  --ownership-controls 'Rules=[{{ObjectOwnership=BucketOwnerEnforced}}]'
change "encrypt by default" aws s3api put-bucket-encryption --bucket "$BUCKET" --server-side-encryption-configuration \
  '{{"Rules": [{{"ApplyServerSideEncryptionByDefault": {{"SSEAlgorithm": "AES256"}}}}]}}'
{versioning}LIFECYCLE=$(cat <<'JSON'
{lifecycle}
JSON
)
change "set the lifecycle" aws s3api put-bucket-lifecycle-configuration --bucket "$BUCKET" --lifecycle-configuration "$LIFECYCLE"
change "tag it" aws s3api put-bucket-tagging --bucket "$BUCKET" --tagging 'TagSet=[{{Key=tagmint,Value={environment}}}]'

# Who reaches what: each session below the value of its own tag.
POLICY=$(document <<'JSON'
{policy}
JSON
)
change "set the bucket policy" patiently aws s3api put-bucket-policy --bucket "$BUCKET" --policy "$POLICY"
"#,
        lifecycle = pretty(&lifecycle_document(bucket)),
        policy = pretty(&bucket.policy),
    )
}

/// JSON for people, with the mark for the account.
fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default().replace(PLACEHOLDER, MARK)
}

/// One word of the shell.
fn shell(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+,=".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
