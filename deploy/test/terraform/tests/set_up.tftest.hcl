# AWS's side of the test issuer https://test-broker.litentry.org: the module's test.
# Written by `tagmint aws render` from the issuer's configuration; don't edit.
# What each part is for: docs/aws-setup.md. `tagmint aws diff` compares an account with the configuration.
# `terraform test`: no account is asked.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = {
      account_id = "111122223333"
    }
  }
}

run "plans_what_the_configuration_says" {
  command = plan

  assert {
    condition     = aws_iam_openid_connect_provider.issuer.url == "https://test-broker.litentry.org"
    error_message = "The provider is the issuer's."
  }
  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role.agentkeys_data_role_test.assume_role_policy).Statement : alltrue([for needed in ["StringEquals", "StringLike", "Null"] : contains(keys(statement.Condition), needed)])])
    error_message = "Every statement of the trust policy asks for audience, subject and tags."
  }
  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.agentkeys_data_role_test.policy).Statement : statement.Effect == "Deny"])
    error_message = "The role's own policy grants nothing."
  }
  assert {
    condition     = alltrue([aws_s3_bucket_public_access_block.data.block_public_acls, aws_s3_bucket_public_access_block.data.block_public_policy, aws_s3_bucket_public_access_block.data.ignore_public_acls, aws_s3_bucket_public_access_block.data.restrict_public_buckets])
    error_message = "The bucket is not public."
  }
  assert {
    condition     = alltrue([for statement in jsondecode(aws_s3_bucket_policy.data.policy).Statement : statement.Effect == "Deny" || can(statement.Principal.AWS)])
    error_message = "The bucket policy allows named roles alone."
  }
}

run "refuses_another_account" {
  command = plan

  variables {
    account = "999999999999"
  }

  expect_failures = [data.aws_caller_identity.this]
}
