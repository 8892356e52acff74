#!/usr/bin/env bash
# Proves with the credentials of this job that it works below its own prefix of a bucket, and nowhere else.
#
#   prove_bucket_access.sh BUCKET PREFIX OTHER_BUCKET [FOREIGN_PREFIX…]
#
# Writes, lists, reads and removes an object below PREFIX/, which has to work. Then it lists, reads, writes and deletes below two prefixes that
# begin as PREFIX does, below one that is nobody's, below each FOREIGN_PREFIX, at the root of the bucket, and in OTHER_BUCKET, which has to be
# there (the one of prod, say): each has to be refused with AccessDenied. It needs bash and the aws command. Where the program `tagmint` is,
# `tagmint prove` tries more: bad tokens, too.
#
# What it writes is one object below PREFIX/, named .tagmint-proof-…, which it removes. What a wall with a hole let it write elsewhere, it
# removes as well, and tells what it could not. Each check is a line; GITHUB_STEP_SUMMARY gets the table.
# Exit codes: 0 proved, 1 not, 2 usage, 4 S3 could not be reached.
set -euo pipefail

fail() { # EXIT_CODE WHAT
  if [ -n "${GITHUB_ACTIONS:-}" ]; then printf '::error title=prove_bucket_access::%s\n' "$2"; fi
  printf 'prove_bucket_access: %s\n' "$2" >&2
  exit "$1"
}

if [ $# -lt 3 ] || [ -z "$1" ] || [ -z "${2%/}" ] || [ -z "$3" ]; then
  fail 2 'usage: prove_bucket_access.sh BUCKET PREFIX OTHER_BUCKET [FOREIGN_PREFIX…]'
fi
bucket=$1 own=${2%/} other_bucket=$3
shift 3
command -v aws >/dev/null || fail 2 'the aws command is not installed'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
name=.tagmint-proof-$RANDOM$RANDOM$RANDOM
printf '%s\n' "$name" >"$work/body"
failed=0 checks=0

row() { # RESULT CHECK [SAID]
  local said=${3:+: $3}
  checks=$((checks + 1))
  printf '%-8s %s\n' "$1" "$2$said"
  if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
    if [ "$checks" = 1 ]; then printf '| | check |\n|---|---|\n' >>"$GITHUB_STEP_SUMMARY"; fi
    printf '| %s | <code>%s</code>%s |\n' "$1" "$2" "${said//|/\\|}" >>"$GITHUB_STEP_SUMMARY"
  fi
  if [ "$1" = FAILED ]; then
    failed=$((failed + 1))
    if [ -n "${GITHUB_ACTIONS:-}" ]; then printf '::error title=prove_bucket_access::%s\n' "$2$said"; fi
  fi
}

s3() { # OPERATION BUCKET KEY: what S3 says against it is in $said
  local operation=$1
  local -a arguments=(--bucket "$2")
  case $operation in
    list) arguments=(list-objects-v2 "${arguments[@]}" --prefix "$3" --max-items 1) ;;
    get) arguments=(get-object "${arguments[@]}" --key "$3" "$work/read") ;;
    put) arguments=(put-object "${arguments[@]}" --key "$3" --body "$work/body") ;;
    delete) arguments=(delete-object "${arguments[@]}" --key "$3") ;;
  esac
  said=$(AWS_PAGER='' aws s3api "${arguments[@]}" --output json 2>&1 >/dev/null) && return 0
  said=$(tr -s '\r\n' ' ' <<<"$said" | cut -c1-400)
  case $said in
    *'Could not connect'* | *'timeout on endpoint'* | *'timed out'* | *'Connection was closed'* | *'SSL validation failed'*) fail 4 "S3 could not be reached: $said" ;;
  esac
  return 1
}

works() { # OPERATION KEY
  if s3 "$1" "$bucket" "$2"; then
    row ok "$1 s3://$bucket/$2"
  else
    row FAILED "$1 s3://$bucket/$2" "it is the own prefix, and was refused: $said"
  fi
}

refused() { # OPERATION BUCKET KEY
  local check="$1 s3://$2/$3"
  if s3 "$1" "$2" "$3"; then
    row FAILED "$check" 'a policy lets this job out of its prefix'
    if [ "$1" = put ] && ! s3 delete "$2" "$3"; then
      printf 'prove_bucket_access: s3://%s/%s is there now, and could not be removed\n' "$2" "$3" >&2
    fi
    return
  fi
  case $1:$said in
    # Where reading is allowed, S3 answers for an object that is not there by whether listing is.
    get:*AccessDenied*'s3:ListBucket'*) row FAILED "$check" "reading is allowed, and no object is there: $said" ;;
    *AccessDenied*) row refused "$check" ;;
    *) row FAILED "$check" "not refused for want of a permission: $said" ;;
  esac
}

key=$own/$name
works put "$key"
works list "$own/"
works get "$key"
if [ -e "$work/read" ] && ! cmp -s "$work/body" "$work/read"; then row FAILED "s3://$bucket/$key" 'what was read is not what was written'; fi
refused list "$bucket" "$own"
for prefix in "${own}0" "${own%%/*}0" "tagmint-proof-$RANDOM$RANDOM" "$@"; do
  for operation in list get put delete; do
    if [ "$operation" = list ]; then refused list "$bucket" "${prefix%/}/"; else refused "$operation" "$bucket" "${prefix%/}/$name"; fi
  done
done
refused list "$bucket" ''
for where in "$bucket" "$other_bucket"; do
  if [ "$where" = "$other_bucket" ]; then refused list "$where" ''; fi
  for operation in get put delete; do refused "$operation" "$where" "$name"; done
done
works delete "$key"

if [ "$failed" -gt 0 ]; then fail 1 "$failed of $checks checks failed"; fi
printf 'prove_bucket_access: all %s checks hold for s3://%s/%s/\n' "$checks" "$bucket" "$own"
