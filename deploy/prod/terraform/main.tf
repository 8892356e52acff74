# AWS's side of the prod issuer https://broker.litentry.org: a Terraform module.
# Written by `tagmint aws render` from the issuer's configuration; don't edit.
# What each part is for: docs/aws-setup.md. `tagmint aws diff` compares an account with the configuration.

terraform {
  required_version = ">= 1.7"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80"
    }
  }
}

variable "account" {
  description = "The account. The issuer's configuration has the same (aws.account)."
  type        = string
  default     = "111122223333"

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "An account id has twelve digits."
  }
}

variable "tags" {
  description = "Further tags for everything that is made."
  type        = map(string)
  default     = {}
}

variable "permissions_boundary" {
  description = "The ARN of a permissions boundary for the roles, where the account asks for one."
  type        = string
  default     = null
}

# A plan for another account than the configuration's stops here.
data "aws_caller_identity" "this" {
  lifecycle {
    postcondition {
      condition     = self.account_id == var.account
      error_message = "These are credentials of the account ${self.account_id}, and the set-up is for ${var.account}."
    }
  }
}

# STS accepts tokens of this issuer for these audiences. The thumbprint is left out: AWS knows the authority.
resource "aws_iam_openid_connect_provider" "issuer" {
  url            = "https://broker.litentry.org"
  client_id_list = ["sts.amazonaws.com"]
  tags           = local.tags

  depends_on = [data.aws_caller_identity.this]
}

# Who gets a session: each statement is for the rules whose tokens have the same tags.
resource "aws_iam_role" "agentkeys_data_role" {
  name                 = "agentkeys-data-role"
  description          = "Sessions by tokens of Tagmint, rules wallet, github-production, gitlab-production"
  max_session_duration = 3600
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Wallet"
        Effect = "Allow"
        Principal = {
          Federated = "arn:aws:iam::${var.account}:oidc-provider/broker.litentry.org"
        }
        Action = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"]
        Condition = {
          StringEquals = {
            "broker.litentry.org:aud" = "sts.amazonaws.com"
          }
          StringLike = {
            "broker.litentry.org:sub"              = "wallet:*"
            "aws:RequestTag/agentkeys_user_wallet" = "?*"
          }
          StringNotLike = {
            "aws:RequestTag/agentkeys_user_wallet" = ["*/*", "*..*"]
          }
          "ForAllValues:StringEquals" = {
            "aws:TagKeys" = "agentkeys_user_wallet"
          }
          Null = {
            "aws:RequestTag/agentkeys_user_wallet" = "false"
          }
          Bool = {
            "sts:RoleAuthorizedByIdp" = "true"
          }
        }
      },
      {
        Sid    = "GithubProduction"
        Effect = "Allow"
        Principal = {
          Federated = "arn:aws:iam::${var.account}:oidc-provider/broker.litentry.org"
        }
        Action = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"]
        Condition = {
          StringEquals = {
            "broker.litentry.org:aud" = "sts.amazonaws.com"
          }
          StringLike = {
            "broker.litentry.org:sub" = ["github:*:production", "gitlab:*:production"]
            "aws:RequestTag/prefix"   = ["branch-production/run-?*", "ref-production/run-?*"]
          }
          StringNotLike = {
            "aws:RequestTag/prefix" = ["*/*/*", "*..*"]
          }
          "ForAllValues:StringEquals" = {
            "aws:TagKeys" = ["pr", "prefix", "repository", "run"]
          }
          Null = {
            "aws:RequestTag/pr"         = "false"
            "aws:RequestTag/prefix"     = "false"
            "aws:RequestTag/repository" = "false"
            "aws:RequestTag/run"        = "false"
          }
          Bool = {
            "sts:RoleAuthorizedByIdp" = "true"
          }
        }
      },
    ]
  })

  depends_on = [data.aws_caller_identity.this]
}

# Denials alone: what the role may do says the bucket policy.
resource "aws_iam_role_policy" "agentkeys_data_role" {
  name = "tagmint-own-prefix-alone"
  role = aws_iam_role.agentkeys_data_role.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid         = "NothingElse"
        Effect      = "Deny"
        Action      = "*"
        NotResource = ["arn:aws:s3:::agentkeys-mail-${var.account}", "arn:aws:s3:::agentkeys-mail-${var.account}/$${aws:PrincipalTag/agentkeys_user_wallet, '-'}/*", "arn:aws:s3:::agentkeys-mail-${var.account}/$${aws:PrincipalTag/prefix, '-'}/*"]
      },
      {
        Sid       = "NoOtherAction"
        Effect    = "Deny"
        NotAction = ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        Resource  = "*"
      },
      {
        Sid      = "NoOtherList"
        Effect   = "Deny"
        Action   = "s3:ListBucket"
        Resource = "arn:aws:s3:::agentkeys-mail-${var.account}"
        Condition = {
          StringNotLike = {
            "s3:prefix" = ["$${aws:PrincipalTag/agentkeys_user_wallet, '-'}/*", "$${aws:PrincipalTag/prefix, '-'}/*"]
          }
        }
      },
      {
        Sid      = "NobodysPrefix"
        Effect   = "Deny"
        Action   = "s3:*"
        Resource = "arn:aws:s3:::agentkeys-mail-${var.account}/-/*"
      },
      {
        Sid      = "NobodysList"
        Effect   = "Deny"
        Action   = "s3:ListBucket"
        Resource = "arn:aws:s3:::agentkeys-mail-${var.account}"
        Condition = {
          StringLike = {
            "s3:prefix" = "-/*"
          }
        }
      },
      {
        Sid         = "NoWriteWhereItReads"
        Effect      = "Deny"
        Action      = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        NotResource = "arn:aws:s3:::agentkeys-mail-${var.account}/$${aws:PrincipalTag/prefix, '-'}/*"
      },
    ]
  })
}

# Nothing else belongs to the role: a policy that is attached by hand is detached by the next apply.
resource "aws_iam_role_policy_attachments_exclusive" "agentkeys_data_role" {
  role_name   = aws_iam_role.agentkeys_data_role.name
  policy_arns = []
}

resource "aws_s3_bucket" "data" {
  bucket = "agentkeys-mail-${var.account}"
  tags   = local.tags

  depends_on = [data.aws_caller_identity.this]

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_public_access_block" "data" {
  bucket                  = aws_s3_bucket.data.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "data" {
  bucket = aws_s3_bucket.data.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "data" {
  bucket = aws_s3_bucket.data.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_versioning" "data" {
  bucket = aws_s3_bucket.data.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "data" {
  bucket = aws_s3_bucket.data.id

  # Uploads in parts that nobody finishes cost, and no list shows them.
  rule {
    id     = "abort-uploads"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  # What was overwritten or deleted can be brought back for so long.
  rule {
    id     = "old-versions"
    status = "Enabled"
    filter {}
    expiration {
      expired_object_delete_marker = true
    }
    noncurrent_version_expiration {
      noncurrent_days = 90
    }
  }

  depends_on = [aws_s3_bucket_versioning.data]
}

# Who reaches what: each session below the value of its own tag.
resource "aws_s3_bucket_policy" "data" {
  bucket = aws_s3_bucket.data.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "ListAgentkeysUserWallet"
        Effect = "Allow"
        Principal = {
          AWS = "arn:aws:iam::${var.account}:role/agentkeys-data-role"
        }
        Action   = "s3:ListBucket"
        Resource = "arn:aws:s3:::agentkeys-mail-${var.account}"
        Condition = {
          StringLike = {
            "s3:prefix" = "$${aws:PrincipalTag/agentkeys_user_wallet}/*"
          }
        }
      },
      {
        Sid    = "ReadAgentkeysUserWallet"
        Effect = "Allow"
        Principal = {
          AWS = "arn:aws:iam::${var.account}:role/agentkeys-data-role"
        }
        Action   = "s3:GetObject"
        Resource = "arn:aws:s3:::agentkeys-mail-${var.account}/$${aws:PrincipalTag/agentkeys_user_wallet}/*"
      },
      {
        Sid    = "ListPrefix"
        Effect = "Allow"
        Principal = {
          AWS = "arn:aws:iam::${var.account}:role/agentkeys-data-role"
        }
        Action   = "s3:ListBucket"
        Resource = "arn:aws:s3:::agentkeys-mail-${var.account}"
        Condition = {
          StringLike = {
            "s3:prefix" = "$${aws:PrincipalTag/prefix}/*"
          }
        }
      },
      {
        Sid    = "WritePrefix"
        Effect = "Allow"
        Principal = {
          AWS = "arn:aws:iam::${var.account}:role/agentkeys-data-role"
        }
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        Resource = "arn:aws:s3:::agentkeys-mail-${var.account}/$${aws:PrincipalTag/prefix}/*"
      },
      {
        Sid    = "NothingWithoutTags"
        Effect = "Deny"
        Principal = {
          AWS = "arn:aws:iam::${var.account}:role/agentkeys-data-role"
        }
        Action   = "s3:*"
        Resource = ["arn:aws:s3:::agentkeys-mail-${var.account}", "arn:aws:s3:::agentkeys-mail-${var.account}/*"]
        Condition = {
          Null = {
            "aws:PrincipalTag/agentkeys_user_wallet" = "true"
            "aws:PrincipalTag/prefix"                = "true"
          }
        }
      },
      {
        Sid    = "NoOtherList"
        Effect = "Deny"
        Principal = {
          AWS = "arn:aws:iam::${var.account}:role/agentkeys-data-role"
        }
        Action   = "s3:ListBucket"
        Resource = "arn:aws:s3:::agentkeys-mail-${var.account}"
        Condition = {
          StringNotLike = {
            "s3:prefix" = ["$${aws:PrincipalTag/agentkeys_user_wallet, '-'}/*", "$${aws:PrincipalTag/prefix, '-'}/*"]
          }
        }
      },
      {
        Sid    = "NoOtherAction"
        Effect = "Deny"
        Principal = {
          AWS = "arn:aws:iam::${var.account}:role/agentkeys-data-role"
        }
        NotAction = ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        Resource  = ["arn:aws:s3:::agentkeys-mail-${var.account}", "arn:aws:s3:::agentkeys-mail-${var.account}/*"]
      },
      {
        Sid       = "TlsAlone"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = ["arn:aws:s3:::agentkeys-mail-${var.account}", "arn:aws:s3:::agentkeys-mail-${var.account}/*"]
        Condition = {
          Bool = {
            "aws:SecureTransport" = "false"
          }
        }
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.data, aws_iam_role.agentkeys_data_role]
}

locals {
  tags = merge({ tagmint = "prod" }, var.tags)
}

output "provider_arn" {
  value = aws_iam_openid_connect_provider.issuer.arn
}

output "agentkeys_data_role_arn" {
  value = aws_iam_role.agentkeys_data_role.arn
}

output "bucket" {
  value = aws_s3_bucket.data.bucket
}
