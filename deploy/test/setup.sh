#!/usr/bin/env bash
# AWS's side of the test issuer https://test-broker.litentry.org: AWS CLI commands.
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
PROVIDER="arn:aws:iam::$ACCOUNT:oidc-provider/test-broker.litentry.org"
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
  change "make the provider $PROVIDER" aws iam create-open-id-connect-provider --url https://test-broker.litentry.org --client-id-list "${AUDIENCES[@]}"
fi

# The role agentkeys-data-role-test: who gets a session says its trust policy.
TRUST=$(document <<'JSON'
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Wallet",
      "Effect": "Allow",
      "Principal": {
        "Federated": "arn:aws:iam::@ACCOUNT@:oidc-provider/test-broker.litentry.org"
      },
      "Action": [
        "sts:AssumeRoleWithWebIdentity",
        "sts:TagSession",
        "sts:SetSourceIdentity"
      ],
      "Condition": {
        "StringEquals": {
          "test-broker.litentry.org:aud": "sts.amazonaws.com"
        },
        "StringLike": {
          "test-broker.litentry.org:sub": "wallet:*",
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
      "Sid": "GithubPullRequest",
      "Effect": "Allow",
      "Principal": {
        "Federated": "arn:aws:iam::@ACCOUNT@:oidc-provider/test-broker.litentry.org"
      },
      "Action": [
        "sts:AssumeRoleWithWebIdentity",
        "sts:TagSession",
        "sts:SetSourceIdentity"
      ],
      "Condition": {
        "StringEquals": {
          "test-broker.litentry.org:aud": "sts.amazonaws.com"
        },
        "StringLike": {
          "test-broker.litentry.org:sub": [
            "github:*:pull-request",
            "github:*:branch",
            "gitlab:*:merge-request",
            "gitlab:*:branch",
            "bearer:*"
          ],
          "aws:RequestTag/prefix": [
            "pr-?*/run-?*",
            "branch-?*/run-?*",
            "mr-?*/run-?*",
            "ref-?*/run-?*",
            "bearer-?*"
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
if there NoSuchEntity aws iam get-role --role-name agentkeys-data-role-test; then
  say "role agentkeys-data-role-test is there"
  change "set its trust policy" aws iam update-assume-role-policy --role-name agentkeys-data-role-test --policy-document "$TRUST"
  change "set its description and longest session" aws iam update-role --role-name agentkeys-data-role-test --max-session-duration 3600 \
    --description 'Sessions by tokens of Tagmint, rules wallet, github-pull-request, github-branch, gitlab-merge-request, gitlab-branch, ci-bearer'
else
  change "make the role agentkeys-data-role-test" aws iam create-role --role-name agentkeys-data-role-test --max-session-duration 3600 \
    --description 'Sessions by tokens of Tagmint, rules wallet, github-pull-request, github-branch, gitlab-merge-request, gitlab-branch, ci-bearer' --assume-role-policy-document "$TRUST" --tags Key=tagmint,Value=test
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
        "arn:aws:s3:::agentkeys-mail-test-@ACCOUNT@",
        "arn:aws:s3:::agentkeys-mail-test-@ACCOUNT@/${aws:PrincipalTag/agentkeys_user_wallet, '-'}/*",
        "arn:aws:s3:::agentkeys-mail-test-@ACCOUNT@/${aws:PrincipalTag/prefix, '-'}/*"
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
      "Resource": "arn:aws:s3:::agentkeys-mail-test-@ACCOUNT@",
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
      "Resource": "arn:aws:s3:::agentkeys-mail-test-@ACCOUNT@/-/*"
    },
    {
      "Sid": "NobodysList",
      "Effect": "Deny",
      "Action": "s3:ListBucket",
      "Resource": "arn:aws:s3:::agentkeys-mail-test-@ACCOUNT@",
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
      "NotResource": "arn:aws:s3:::agentkeys-mail-test-@ACCOUNT@/${aws:PrincipalTag/prefix, '-'}/*"
    }
  ]
}
JSON
)
change "set its own policy tagmint-own-prefix-alone" aws iam put-role-policy --role-name agentkeys-data-role-test --policy-name tagmint-own-prefix-alone \
  --policy-document "$GUARD"
if there NoSuchEntity aws iam get-role --role-name agentkeys-data-role-test; then
  MORE=$(aws iam list-role-policies --role-name agentkeys-data-role-test --query 'PolicyNames[]' --output text)
  MORE="$MORE $(aws iam list-attached-role-policies --role-name agentkeys-data-role-test --query 'AttachedPolicies[].PolicyArn' --output text)"
  for policy in $MORE; do
    case "$policy" in tagmint-own-prefix-alone | None) ;; *) say "! the role agentkeys-data-role-test has another policy, $policy: take it away" ;; esac
  done
fi


# The bucket: private, encrypted, without ACLs.
BUCKET="agentkeys-mail-test-$ACCOUNT"
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
        "DaysAfterInitiation": 1
      }
    },
    {
      "ID": "expire-1",
      "Status": "Enabled",
      "Filter": {
        "Prefix": "pr-"
      },
      "Expiration": {
        "Days": 14
      }
    },
    {
      "ID": "expire-2",
      "Status": "Enabled",
      "Filter": {
        "Prefix": "branch-"
      },
      "Expiration": {
        "Days": 14
      }
    },
    {
      "ID": "expire-3",
      "Status": "Enabled",
      "Filter": {
        "Prefix": "mr-"
      },
      "Expiration": {
        "Days": 14
      }
    },
    {
      "ID": "expire-4",
      "Status": "Enabled",
      "Filter": {
        "Prefix": "ref-"
      },
      "Expiration": {
        "Days": 14
      }
    },
    {
      "ID": "expire-5",
      "Status": "Enabled",
      "Filter": {
        "Prefix": "bearer-"
      },
      "Expiration": {
        "Days": 14
      }
    }
  ]
}
JSON
)
change "set the lifecycle" aws s3api put-bucket-lifecycle-configuration --bucket "$BUCKET" --lifecycle-configuration "$LIFECYCLE"
change "tag it" aws s3api put-bucket-tagging --bucket "$BUCKET" --tagging 'TagSet=[{Key=tagmint,Value=test}]'

# Who reaches what: each session below the value of its own tag.
POLICY=$(document <<'JSON'
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "ListAgentkeysUserWallet",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::@ACCOUNT@:role/agentkeys-data-role-test"
      },
      "Action": "s3:ListBucket",
      "Resource": "arn:aws:s3:::agentkeys-mail-test-@ACCOUNT@",
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
        "AWS": "arn:aws:iam::@ACCOUNT@:role/agentkeys-data-role-test"
      },
      "Action": "s3:GetObject",
      "Resource": "arn:aws:s3:::agentkeys-mail-test-@ACCOUNT@/${aws:PrincipalTag/agentkeys_user_wallet}/*"
    },
    {
      "Sid": "ListPrefix",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::@ACCOUNT@:role/agentkeys-data-role-test"
      },
      "Action": "s3:ListBucket",
      "Resource": "arn:aws:s3:::agentkeys-mail-test-@ACCOUNT@",
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
        "AWS": "arn:aws:iam::@ACCOUNT@:role/agentkeys-data-role-test"
      },
      "Action": [
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts"
      ],
      "Resource": "arn:aws:s3:::agentkeys-mail-test-@ACCOUNT@/${aws:PrincipalTag/prefix}/*"
    },
    {
      "Sid": "NothingWithoutTags",
      "Effect": "Deny",
      "Principal": {
        "AWS": "arn:aws:iam::@ACCOUNT@:role/agentkeys-data-role-test"
      },
      "Action": "s3:*",
      "Resource": [
        "arn:aws:s3:::agentkeys-mail-test-@ACCOUNT@",
        "arn:aws:s3:::agentkeys-mail-test-@ACCOUNT@/*"
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
        "AWS": "arn:aws:iam::@ACCOUNT@:role/agentkeys-data-role-test"
      },
      "Action": "s3:ListBucket",
      "Resource": "arn:aws:s3:::agentkeys-mail-test-@ACCOUNT@",
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
        "AWS": "arn:aws:iam::@ACCOUNT@:role/agentkeys-data-role-test"
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
        "arn:aws:s3:::agentkeys-mail-test-@ACCOUNT@",
        "arn:aws:s3:::agentkeys-mail-test-@ACCOUNT@/*"
      ]
    },
    {
      "Sid": "TlsAlone",
      "Effect": "Deny",
      "Principal": "*",
      "Action": "s3:*",
      "Resource": [
        "arn:aws:s3:::agentkeys-mail-test-@ACCOUNT@",
        "arn:aws:s3:::agentkeys-mail-test-@ACCOUNT@/*"
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
