//! A Terraform module, and a test of it that needs no account.

use std::fmt::Write;

use super::{
    Part, RenderedFile,
    blocks::{LifecycleKind, LifecycleRule, comments, description, head, lifecycle},
    hcl::{expression, string},
    plan::{BucketPlan, RolePlan, SetUp},
    policies::GUARD_POLICY,
};

const NEEDS: &str = r#"terraform {
  required_version = ">= 1.7"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80"
    }
  }
}
"#;

pub(super) fn render(set_up: &SetUp, account: &str, parts: &[Part]) -> Vec<RenderedFile> {
    let mut text = comments(&head(set_up, "a Terraform module"));
    let _ = writeln!(text, "\n{NEEDS}");
    text.push_str(&variables(account, parts));
    let _ = writeln!(
        text,
        r#"# A plan for another account than the configuration's stops here.
data "aws_caller_identity" "this" {{
  lifecycle {{
    postcondition {{
      condition     = self.account_id == var.account
      error_message = "These are credentials of the account ${{self.account_id}}, and the set-up is for ${{var.account}}."
    }}
  }}
}}
"#
    );
    let mut outputs = Vec::new();
    if parts.contains(&Part::Provider) {
        let audiences = expression(&set_up.provider.audiences.clone().into(), 1);
        let _ = writeln!(
            text,
            r#"# STS accepts tokens of this issuer for these audiences. The thumbprint is left out: AWS knows the authority.
resource "aws_iam_openid_connect_provider" "issuer" {{
  url            = {}
  client_id_list = {audiences}
  tags           = local.tags

  depends_on = [data.aws_caller_identity.this]
}}
"#,
            string(&set_up.provider.url)
        );
        outputs.push(("provider_arn".to_owned(), "aws_iam_openid_connect_provider.issuer.arn".to_owned()));
    }
    if parts.contains(&Part::Role) {
        for role in &set_up.roles {
            text.push_str(&role_blocks(role));
            let name = snake(&role.name);
            outputs.push((format!("{name}_arn"), format!("aws_iam_role.{name}.arn")));
        }
    }
    if let Some(bucket) = set_up.bucket.as_ref().filter(|_| parts.contains(&Part::Bucket)) {
        text.push_str(&bucket_blocks(bucket, set_up, parts));
        outputs.push(("bucket".to_owned(), "aws_s3_bucket.data.bucket".to_owned()));
    }
    let _ = writeln!(text, "locals {{\n  tags = merge({{ tagmint = \"{}\" }}, var.tags)\n}}", set_up.environment);
    for (name, value) in &outputs {
        let _ = writeln!(text, "\noutput {} {{\n  value = {value}\n}}", string(name));
    }
    vec![
        RenderedFile { path: "main.tf", text, executable: false },
        RenderedFile { path: "tests/set_up.tftest.hcl", text: test(set_up, account, parts), executable: false },
    ]
}

fn variables(account: &str, parts: &[Part]) -> String {
    let boundary = r#"
variable "permissions_boundary" {
  description = "The ARN of a permissions boundary for the roles, where the account asks for one."
  type        = string
  default     = null
}
"#;
    format!(
        r#"variable "account" {{
  description = "The account. The issuer's configuration has the same (aws.account)."
  type        = string
  default     = "{account}"

  validation {{
    condition     = can(regex("^[0-9]{{12}}$", var.account))
    error_message = "An account id has twelve digits."
  }}
}}

variable "tags" {{
  description = "Further tags for everything that is made."
  type        = map(string)
  default     = {{}}
}}
{}
"#,
        if parts.contains(&Part::Role) { boundary } else { "" }
    )
}

fn role_blocks(role: &RolePlan) -> String {
    let name = snake(&role.name);
    let mut text = format!(
        r#"# Who gets a session: each statement is for the rules whose tokens have the same tags.
resource "aws_iam_role" "{name}" {{
  name                 = {}
  description          = {}
  max_session_duration = {}
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags

  assume_role_policy = jsonencode({})

  depends_on = [data.aws_caller_identity.this]
}}

"#,
        string(&role.name),
        string(&description(&role.rules)),
        role.max_session_seconds,
        expression(&role.trust_policy, 1),
    );
    if let Some(guard) = &role.guard_policy {
        let _ = writeln!(
            text,
            r#"# Denials alone: what the role may do says the bucket policy.
resource "aws_iam_role_policy" "{name}" {{
  name = {}
  role = aws_iam_role.{name}.name
  policy = jsonencode({})
}}

# Nothing else belongs to the role: a policy that is attached by hand is detached by the next apply.
resource "aws_iam_role_policy_attachments_exclusive" "{name}" {{
  role_name   = aws_iam_role.{name}.name
  policy_arns = []
}}
"#,
            string(GUARD_POLICY),
            expression(guard, 1),
        );
    }
    text
}

fn bucket_blocks(bucket: &BucketPlan, set_up: &SetUp, parts: &[Part]) -> String {
    let prod = set_up.environment == tagmint_core::environment::Environment::Prod;
    let keep = if prod { "\n\n  lifecycle {\n    prevent_destroy = true\n  }" } else { "" };
    let mut text = format!(
        r#"resource "aws_s3_bucket" "data" {{
  bucket = {}
  tags   = local.tags

  depends_on = [data.aws_caller_identity.this]{keep}
}}

resource "aws_s3_bucket_public_access_block" "data" {{
  bucket                  = aws_s3_bucket.data.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}}

resource "aws_s3_bucket_ownership_controls" "data" {{
  bucket = aws_s3_bucket.data.id
  rule {{
    object_ownership = "BucketOwnerEnforced"
  }}
}}

resource "aws_s3_bucket_server_side_encryption_configuration" "data" {{
  bucket = aws_s3_bucket.data.id
  rule {{
    apply_server_side_encryption_by_default {{
      sse_algorithm = "AES256"
    }}
  }}
}}

"#,
        string(&bucket.name)
    );
    // A bucket whose versions were never kept has no status to set.
    if bucket.versioning {
        let _ = writeln!(
            text,
            r#"resource "aws_s3_bucket_versioning" "data" {{
  bucket = aws_s3_bucket.data.id
  versioning_configuration {{
    status = "Enabled"
  }}
}}
"#
        );
    }
    text.push_str("resource \"aws_s3_bucket_lifecycle_configuration\" \"data\" {\n  bucket = aws_s3_bucket.data.id\n");
    for rule in lifecycle(bucket) {
        text.push_str(&lifecycle_block(&rule));
    }
    let after = if bucket.versioning { "\n  depends_on = [aws_s3_bucket_versioning.data]\n" } else { "" };
    let _ = writeln!(text, "{after}}}\n");
    let mut depends: Vec<String> = vec!["aws_s3_bucket_public_access_block.data".to_owned()];
    if parts.contains(&Part::Role) {
        depends.extend(set_up.roles.iter().map(|role| format!("aws_iam_role.{}", snake(&role.name))));
    }
    let _ = writeln!(
        text,
        r#"# Who reaches what: each session below the value of its own tag.
resource "aws_s3_bucket_policy" "data" {{
  bucket = aws_s3_bucket.data.id
  policy = jsonencode({})

  depends_on = [{}]
}}
"#,
        expression(&bucket.policy, 1),
        depends.join(", ")
    );
    text
}

fn lifecycle_block(rule: &LifecycleRule) -> String {
    let filter = if rule.prefix.is_empty() {
        "filter {}".to_owned()
    } else {
        format!("filter {{\n      prefix = {}\n    }}", string(&rule.prefix))
    };
    let what = match rule.kind {
        LifecycleKind::Expire(days) => format!("expiration {{\n      days = {days}\n    }}"),
        LifecycleKind::OldVersions(days) => format!(
            "expiration {{\n      expired_object_delete_marker = true\n    }}\n    noncurrent_version_expiration {{\n      noncurrent_days = {days}\n    }}"
        ),
        LifecycleKind::AbortUploads(days) => {
            format!("abort_incomplete_multipart_upload {{\n      days_after_initiation = {days}\n    }}")
        }
    };
    format!(
        "\n  # {}\n  rule {{\n    id     = {}\n    status = \"Enabled\"\n    {filter}\n    {what}\n  }}\n",
        rule.why,
        string(&rule.id)
    )
}

fn test(set_up: &SetUp, account: &str, parts: &[Part]) -> String {
    let mut text = comments(&head(set_up, "the module's test"));
    text.push_str("# `terraform test`: no account is asked.\n\n");
    let _ = writeln!(
        text,
        r#"mock_provider "aws" {{
  mock_data "aws_caller_identity" {{
    defaults = {{
      account_id = "{account}"
    }}
  }}
}}

run "plans_what_the_configuration_says" {{
  command = plan
"#
    );
    let mut assert = |condition: &str, message: &str| {
        let _ = writeln!(
            text,
            "  assert {{\n    condition     = {condition}\n    error_message = {}\n  }}",
            string(message)
        );
    };
    if parts.contains(&Part::Provider) {
        assert(
            &format!("aws_iam_openid_connect_provider.issuer.url == {}", string(&set_up.provider.url)),
            "The provider is the issuer's.",
        );
    }
    if parts.contains(&Part::Role) {
        for role in &set_up.roles {
            let name = snake(&role.name);
            assert(
                &format!(
                    "alltrue([for statement in jsondecode(aws_iam_role.{name}.assume_role_policy).Statement : alltrue([for needed in [\"StringEquals\", \"StringLike\", \"Null\"] : contains(keys(statement.Condition), needed)])])"
                ),
                "Every statement of the trust policy asks for audience, subject and tags.",
            );
            if role.guard_policy.is_some() {
                assert(
                    &format!(
                        "alltrue([for statement in jsondecode(aws_iam_role_policy.{name}.policy).Statement : statement.Effect == \"Deny\"])"
                    ),
                    "The role's own policy grants nothing.",
                );
            }
        }
    }
    if set_up.bucket.is_some() && parts.contains(&Part::Bucket) {
        assert(
            "alltrue([aws_s3_bucket_public_access_block.data.block_public_acls, aws_s3_bucket_public_access_block.data.block_public_policy, aws_s3_bucket_public_access_block.data.ignore_public_acls, aws_s3_bucket_public_access_block.data.restrict_public_buckets])",
            "The bucket is not public.",
        );
        assert(
            "alltrue([for statement in jsondecode(aws_s3_bucket_policy.data.policy).Statement : statement.Effect == \"Deny\" || can(statement.Principal.AWS)])",
            "The bucket policy allows named roles alone.",
        );
    }
    let other = if account == "999999999999" { "000000000000" } else { "999999999999" };
    let _ = writeln!(
        text,
        r#"}}

run "refuses_another_account" {{
  command = plan

  variables {{
    account = "{other}"
  }}

  expect_failures = [data.aws_caller_identity.this]
}}"#
    );
    text
}

/// `agentkeys-data-role` as `agentkeys_data_role`, a name of Terraform's.
fn snake(name: &str) -> String {
    let plain: String =
        name.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '_' }).collect();
    if plain.starts_with(|first: char| first.is_ascii_digit()) { format!("role_{plain}") } else { plain }
}
