#!/usr/bin/env bash
# AWS's side of the prod issuer https://broker.litentry.org: AWS CLI commands.
# Written by `tagmint aws render` from the issuer's configuration; don't edit.
# What each part is for: docs/aws-setup.md. `tagmint aws diff` compares an account with the configuration.
# It can be run again: what is there is set to what the configuration says. Credentials and endpoint: AWS's variables.
# Usage: setup.sh [--dry-run]   (--dry-run reads, and tells what it would change)
set -euo pipefail

ACCOUNT="${ACCOUNT:-111122223333}"
REGION=eu-central-1
DRY_RUN=no
case "${1:-}" in
  "") ;;
  --dry-run) DRY_RUN=yes ;;
  *)
    echo "usage: $0 [--dry-run]" >&2
    exit 2
    ;;
esac

say() { printf '%s\n' "$*"; }
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

# The provider: STS accepts tokens of this issuer for these audiences.
PROVIDER="arn:aws:iam::$ACCOUNT:oidc-provider/broker.litentry.org"
AUDIENCES=(sts.amazonaws.com)
if there NoSuchEntity aws iam get-open-id-connect-provider --open-id-connect-provider-arn "$PROVIDER"; then
  say "provider $PROVIDER is there"
  mapfile -t OLD < <(aws iam get-open-id-connect-provider --open-id-connect-provider-arn "$PROVIDER" \
    --query ClientIDList --output text | tr '\t' '\n')
  for audience in "${AUDIENCES[@]}"; do
    if ! printf '%s\n' "${OLD[@]}" | grep -qxF -- "$audience"; then
      change "add the audience $audience" aws iam add-client-id-to-open-id-connect-provider \
        --open-id-connect-provider-arn "$PROVIDER" --client-id "$audience"
    fi
  done
  for audience in "${OLD[@]}"; do
    case "$audience" in "" | None) continue ;; esac
    if ! printf '%s\n' "${AUDIENCES[@]}" | grep -qxF -- "$audience"; then
      change "take away the audience $audience" aws iam remove-client-id-from-open-id-connect-provider \
        --open-id-connect-provider-arn "$PROVIDER" --client-id "$audience"
    fi
  done
else
  change "make the provider $PROVIDER" aws iam create-open-id-connect-provider --url https://broker.litentry.org --client-id-list "${AUDIENCES[@]}"
fi

# The role agentkeys-data-role: who gets a session says its trust policy.
TRUST=$(document <<'JSON'
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Wallet",
      "Effect": "Allow",
      "Principal": {
        "Federated": "arn:aws:iam::@ACCOUNT@:oidc-provider/broker.litentry.org"
      },
      "Action": [
        "sts:AssumeRoleWithWebIdentity",
        "sts:TagSession",
        "sts:SetSourceIdentity"
      ],
      "Condition": {
        "StringEquals": {
          "broker.litentry.org:aud": "sts.amazonaws.com"
        },
        "StringLike": {
          "broker.litentry.org:sub": "wallet:*",
          "aws:RequestTag/agentkeys_user_wallet": "?*"
        },
        "StringNotLike": {
          "aws:RequestTag/agentkeys_user_wallet": [
            "*/*",
            "*..*"
          ]
        },
        "ForAllValues:StringEquals": {
          "aws:TagKeys": "agentkeys_user_wallet"
        },
        "Null": {
          "aws:RequestTag/agentkeys_user_wallet": "false"
        },
        "Bool": {
          "sts:RoleAuthorizedByIdp": "true"
        }
      }
    },
    {
      "Sid": "GithubProduction",
      "Effect": "Allow",
      "Principal": {
        "Federated": "arn:aws:iam::@ACCOUNT@:oidc-provider/broker.litentry.org"
      },
      "Action": [
        "sts:AssumeRoleWithWebIdentity",
        "sts:TagSession",
        "sts:SetSourceIdentity"
      ],
      "Condition": {
        "StringEquals": {
          "broker.litentry.org:aud": "sts.amazonaws.com"
        },
        "StringLike": {
          "broker.litentry.org:sub": [
            "github:*:production",
            "gitlab:*:production"
          ],
          "aws:RequestTag/prefix": [
            "branch-production/run-?*",
            "ref-production/run-?*"
          ]
        },
        "StringNotLike": {
          "aws:RequestTag/prefix": [
            "*/*/*",
            "*..*"
          ]
        },
        "ForAllValues:StringEquals": {
          "aws:TagKeys": [
            "pr",
            "prefix",
            "repository",
            "run"
          ]
        },
        "Null": {
          "aws:RequestTag/pr": "false",
          "aws:RequestTag/prefix": "false",
          "aws:RequestTag/repository": "false",
          "aws:RequestTag/run": "false"
        },
        "Bool": {
          "sts:RoleAuthorizedByIdp": "true"
        }
      }
    }
  ]
}
JSON
)
if there NoSuchEntity aws iam get-role --role-name agentkeys-data-role; then
  say "role agentkeys-data-role is there"
  change "set its trust policy" aws iam update-assume-role-policy --role-name agentkeys-data-role --policy-document "$TRUST"
  change "set its description and longest session" aws iam update-role --role-name agentkeys-data-role --max-session-duration 3600 \
    --description 'Sessions by tokens of Tagmint, rules wallet, github-production, gitlab-production'
else
  change "make the role agentkeys-data-role" aws iam create-role --role-name agentkeys-data-role --max-session-duration 3600 \
    --description 'Sessions by tokens of Tagmint, rules wallet, github-production, gitlab-production' --assume-role-policy-document "$TRUST" --tags Key=tagmint,Value=prod
fi

# Its own policy has denials alone: what it may do says the bucket policy.
GUARD=$(document <<'JSON'
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "NothingElse",
      "Effect": "Deny",
      "Action": "*",
      "NotResource": [
        "arn:aws:s3:::agentkeys-mail-@ACCOUNT@",
        "arn:aws:s3:::agentkeys-mail-@ACCOUNT@/${aws:PrincipalTag/agentkeys_user_wallet, '-'}/*",
        "arn:aws:s3:::agentkeys-mail-@ACCOUNT@/${aws:PrincipalTag/prefix, '-'}/*"
      ]
    },
    {
      "Sid": "NoOtherAction",
      "Effect": "Deny",
      "NotAction": [
        "s3:ListBucket",
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts"
      ],
      "Resource": "*"
    },
    {
      "Sid": "NoOtherList",
      "Effect": "Deny",
      "Action": "s3:ListBucket",
      "Resource": "arn:aws:s3:::agentkeys-mail-@ACCOUNT@",
      "Condition": {
        "StringNotLike": {
          "s3:prefix": [
            "${aws:PrincipalTag/agentkeys_user_wallet, '-'}/*",
            "${aws:PrincipalTag/prefix, '-'}/*"
          ]
        }
      }
    },
    {
      "Sid": "NobodysPrefix",
      "Effect": "Deny",
      "Action": "s3:*",
      "Resource": "arn:aws:s3:::agentkeys-mail-@ACCOUNT@/-/*"
    },
    {
      "Sid": "NobodysList",
      "Effect": "Deny",
      "Action": "s3:ListBucket",
      "Resource": "arn:aws:s3:::agentkeys-mail-@ACCOUNT@",
      "Condition": {
        "StringLike": {
          "s3:prefix": "-/*"
        }
      }
    },
    {
      "Sid": "NoWriteWhereItReads",
      "Effect": "Deny",
      "Action": [
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts"
      ],
      "NotResource": "arn:aws:s3:::agentkeys-mail-@ACCOUNT@/${aws:PrincipalTag/prefix, '-'}/*"
    }
  ]
}
JSON
)
change "set its own policy tagmint-own-prefix-alone" aws iam put-role-policy --role-name agentkeys-data-role --policy-name tagmint-own-prefix-alone \
  --policy-document "$GUARD"
if there NoSuchEntity aws iam get-role --role-name agentkeys-data-role; then
  MORE=$(aws iam list-role-policies --role-name agentkeys-data-role --query 'PolicyNames[]' --output text)
  MORE="$MORE $(aws iam list-attached-role-policies --role-name agentkeys-data-role --query 'AttachedPolicies[].PolicyArn' --output text)"
  for policy in $MORE; do
    case "$policy" in tagmint-own-prefix-alone | None) ;; *) say "! the role agentkeys-data-role has another policy, $policy: take it away" ;; esac
  done
fi


# The bucket: private, encrypted, without ACLs.
BUCKET="agentkeys-mail-$ACCOUNT"
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
  --ownership-controls 'Rules=[{ObjectOwnership=BucketOwnerEnforced}]'
change "encrypt by default" aws s3api put-bucket-encryption --bucket "$BUCKET" --server-side-encryption-configuration \
  '{"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}'
change "keep old versions" aws s3api put-bucket-versioning --bucket "$BUCKET" --versioning-configuration Status=Enabled
LIFECYCLE=$(cat <<'JSON'
{
  "Rules": [
    {
      "ID": "abort-uploads",
      "Status": "Enabled",
      "Filter": {
        "Prefix": ""
      },
      "AbortIncompleteMultipartUpload": {
        "DaysAfterInitiation": 7
      }
    },
    {
      "ID": "old-versions",
      "Status": "Enabled",
      "Filter": {
        "Prefix": ""
      },
      "Expiration": {
        "ExpiredObjectDeleteMarker": true
      },
      "NoncurrentVersionExpiration": {
        "NoncurrentDays": 90
      }
    }
  ]
}
JSON
)
change "set the lifecycle" aws s3api put-bucket-lifecycle-configuration --bucket "$BUCKET" --lifecycle-configuration "$LIFECYCLE"
change "tag it" aws s3api put-bucket-tagging --bucket "$BUCKET" --tagging 'TagSet=[{Key=tagmint,Value=prod}]'

# Who reaches what: each session below the value of its own tag.
POLICY=$(document <<'JSON'
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "ListAgentkeysUserWallet",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::@ACCOUNT@:role/agentkeys-data-role"
      },
      "Action": "s3:ListBucket",
      "Resource": "arn:aws:s3:::agentkeys-mail-@ACCOUNT@",
      "Condition": {
        "StringLike": {
          "s3:prefix": "${aws:PrincipalTag/agentkeys_user_wallet}/*"
        }
      }
    },
    {
      "Sid": "ReadAgentkeysUserWallet",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::@ACCOUNT@:role/agentkeys-data-role"
      },
      "Action": "s3:GetObject",
      "Resource": "arn:aws:s3:::agentkeys-mail-@ACCOUNT@/${aws:PrincipalTag/agentkeys_user_wallet}/*"
    },
    {
      "Sid": "ListPrefix",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::@ACCOUNT@:role/agentkeys-data-role"
      },
      "Action": "s3:ListBucket",
      "Resource": "arn:aws:s3:::agentkeys-mail-@ACCOUNT@",
      "Condition": {
        "StringLike": {
          "s3:prefix": "${aws:PrincipalTag/prefix}/*"
        }
      }
    },
    {
      "Sid": "WritePrefix",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::@ACCOUNT@:role/agentkeys-data-role"
      },
      "Action": [
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts"
      ],
      "Resource": "arn:aws:s3:::agentkeys-mail-@ACCOUNT@/${aws:PrincipalTag/prefix}/*"
    },
    {
      "Sid": "NothingWithoutTags",
      "Effect": "Deny",
      "Principal": {
        "AWS": "arn:aws:iam::@ACCOUNT@:role/agentkeys-data-role"
      },
      "Action": "s3:*",
      "Resource": [
        "arn:aws:s3:::agentkeys-mail-@ACCOUNT@",
        "arn:aws:s3:::agentkeys-mail-@ACCOUNT@/*"
      ],
      "Condition": {
        "Null": {
          "aws:PrincipalTag/agentkeys_user_wallet": "true",
          "aws:PrincipalTag/prefix": "true"
        }
      }
    },
    {
      "Sid": "NoOtherList",
      "Effect": "Deny",
      "Principal": {
        "AWS": "arn:aws:iam::@ACCOUNT@:role/agentkeys-data-role"
      },
      "Action": "s3:ListBucket",
      "Resource": "arn:aws:s3:::agentkeys-mail-@ACCOUNT@",
      "Condition": {
        "StringNotLike": {
          "s3:prefix": [
            "${aws:PrincipalTag/agentkeys_user_wallet, '-'}/*",
            "${aws:PrincipalTag/prefix, '-'}/*"
          ]
        }
      }
    },
    {
      "Sid": "NoOtherAction",
      "Effect": "Deny",
      "Principal": {
        "AWS": "arn:aws:iam::@ACCOUNT@:role/agentkeys-data-role"
      },
      "NotAction": [
        "s3:ListBucket",
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts"
      ],
      "Resource": [
        "arn:aws:s3:::agentkeys-mail-@ACCOUNT@",
        "arn:aws:s3:::agentkeys-mail-@ACCOUNT@/*"
      ]
    },
    {
      "Sid": "TlsAlone",
      "Effect": "Deny",
      "Principal": "*",
      "Action": "s3:*",
      "Resource": [
        "arn:aws:s3:::agentkeys-mail-@ACCOUNT@",
        "arn:aws:s3:::agentkeys-mail-@ACCOUNT@/*"
      ],
      "Condition": {
        "Bool": {
          "aws:SecureTransport": "false"
        }
      }
    }
  ]
}
JSON
)
change "set the bucket policy" patiently aws s3api put-bucket-policy --bucket "$BUCKET" --policy "$POLICY"
say "done"
