#!/usr/bin/env bash
# Shows that the credentials of this job reach their own prefix of a bucket, and nothing else of it.
#
#   verify_bucket_access.sh BUCKET PREFIX [NEIGHBOUR_PREFIX]
#
# Lists PREFIX/, which has to work, and then the bucket as a whole and a neighbour's prefix, which have to be refused with AccessDenied. It
# writes nothing. Exit codes: 0 as it should be, 1 not, 2 usage, 4 S3 could not be reached.
set -euo pipefail

fail() { # EXIT_CODE WHAT
  if [ -n "${GITHUB_ACTIONS:-}" ]; then printf '::error title=verify_bucket_access::%s\n' "$2"; fi
  printf 'verify_bucket_access: %s\n' "$2" >&2
  exit "$1"
}

if [ $# -lt 2 ] || [ $# -gt 3 ] || [ -z "$1" ] || [ -z "$2" ]; then
  fail 2 'usage: verify_bucket_access.sh BUCKET PREFIX [NEIGHBOUR_PREFIX]'
fi
bucket=$1 prefix=${2%/}
# A prefix that begins like ours is the one that a policy without the slash would let in.
neighbour=${3:-${prefix}0}
command -v aws >/dev/null || fail 2 'the aws command is not installed'

list() { # PREFIX: what the bucket says against it is in $said
  said=$(AWS_PAGER='' aws s3api list-objects-v2 --bucket "$bucket" --prefix "$1" --max-items 1 --output json 2>&1 >/dev/null)
}

reached() { # WHERE: an error that is not S3's word about the permissions
  case $said in
    *'Could not connect'* | *'timeout on endpoint'* | *'timed out'* | *'Connection was closed'* | *'SSL validation failed'*) fail 4 "S3 could not be reached: $said" ;;
    *AccessDenied*) ;;
    *) fail 1 "$1: $said" ;;
  esac
}

if ! list "$prefix/"; then
  reached "s3://$bucket/$prefix/ cannot be listed"
  fail 1 "s3://$bucket/$prefix/ is refused: the session's tags do not name this prefix, or the policies do not let it in. $said"
fi
printf 'ok       s3://%s/%s/ can be listed\n' "$bucket" "$prefix"
for foreign in '' "${neighbour%/}/"; do
  if list "$foreign"; then
    fail 1 "s3://$bucket/$foreign can be listed: a policy lets this job out of its prefix (look at the role's own policies: they are united with the bucket's)"
  fi
  reached "s3://$bucket/$foreign was not refused as it should be"
  printf 'refused  s3://%s/%s\n' "$bucket" "$foreign"
done
