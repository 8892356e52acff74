# What an operator keeps in Terraform: provider, role with its policies, bucket with its policy.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 5.0" }
  }
}

variable "endpoint" { type = string }
variable "issuer" { type = string }

provider "aws" {
  region            = "us-east-1"
  s3_use_path_style = true
  endpoints {
    iam = var.endpoint
    s3  = var.endpoint
    sts = var.endpoint
  }
}

data "aws_caller_identity" "me" {}

resource "aws_iam_openid_connect_provider" "issuer" {
  url            = var.issuer
  client_id_list = ["sts.amazonaws.com", "second-audience"]
  tags           = { stage = "test" }
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"]
    principals {
      type        = "Federated"
      identifiers = [aws_iam_openid_connect_provider.issuer.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "${trimprefix(var.issuer, "https://")}:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "data" {
  name                 = "terraform-data"
  description          = "Reads below its prefix"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  max_session_duration = 7200
  tags                 = { stage = "test" }
}

resource "aws_iam_role_policy" "none" {
  name   = "list-all"
  role   = aws_iam_role.data.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "s3:ListAllMyBuckets", Resource = "*" }] })
}

resource "aws_iam_policy" "managed" {
  name   = "terraform-managed"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Deny", Action = "s3:DeleteBucket", Resource = "*" }] })
  tags   = { stage = "test" }
}

resource "aws_iam_role_policy_attachment" "managed" {
  role       = aws_iam_role.data.name
  policy_arn = aws_iam_policy.managed.arn
}

resource "aws_s3_bucket" "data" {
  bucket        = "terraform-data"
  force_destroy = true
  tags          = { stage = "test", account = data.aws_caller_identity.me.account_id }
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
  rule { object_ownership = "BucketOwnerEnforced" }
}

resource "aws_s3_bucket_versioning" "data" {
  bucket = aws_s3_bucket.data.id
  versioning_configuration { status = "Enabled" }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "data" {
  bucket = aws_s3_bucket.data.id
  rule {
    apply_server_side_encryption_by_default { sse_algorithm = "AES256" }
  }
}

resource "aws_s3_bucket_policy" "data" {
  bucket = aws_s3_bucket.data.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ReadOwn"
      Effect    = "Allow"
      Principal = { AWS = aws_iam_role.data.arn }
      Action    = "s3:GetObject"
      Resource  = "${aws_s3_bucket.data.arn}/$${aws:PrincipalTag/agentkeys_user_wallet}/*"
    }]
  })
}

resource "aws_s3_object" "mail" {
  bucket  = aws_s3_bucket_versioning.data.bucket
  key     = "first/mail.txt"
  content = "mail"
}
