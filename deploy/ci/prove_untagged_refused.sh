#!/usr/bin/env bash
# Proves that the CI platform's own token, which has no session tags, does not open a role that is for Tagmint's tokens.
#
#   prove_untagged_refused.sh ROLE_ARN
#
# Asks for the role as assume_ci_role.sh does without an issuer, with the job's ID token for the audience sts.amazonaws.com (on GitLab
# TAGMINT_ID_TOKEN must hold one for it), and throws away what it might get. Exit codes: 0 refused by STS, 1 let in, or something else went wrong.
{ set +x; } 2>/dev/null
set -euo pipefail

if [ $# -ne 1 ]; then
  printf 'prove_untagged_refused: usage: prove_untagged_refused.sh ROLE_ARN\n' >&2
  exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
code=0
# Into files of its own: credentials that it should not get must not reach the job's later steps.
GITHUB_ENV='' GITHUB_OUTPUT='' TAGMINT_URL='' TAGMINT_AUDIENCE='' TAGMINT_OUTPUT=env TAGMINT_ENV_FILE=$work/env \
  bash "$(dirname "${BASH_SOURCE[0]}")/assume_ci_role.sh" "$1" untagged >"$work/log" 2>&1 || code=$?
said=$(grep -v '^::' "$work/log" || true)
# A refusal for another reason (throttled, expired, a duration that the role does not allow) says nothing of the trust policy.
case $code:$said in
  1:*'AWS STS refused the token of the CI platform'*'(AccessDenied)'* | \
    1:*'AWS STS refused the token of the CI platform'*'No OpenIDConnect provider found'*)
    printf 'prove_untagged_refused: STS refused it\n'
    exit 0
    ;;
esac
printf '%s\n' "$said"
what="whether a token without tags is refused could not be tried (exit code $code of assume_ci_role.sh)"
if [ "$code" = 0 ]; then what='a token without tags was not refused by STS: look at the trust policy of the role'; fi
if [ -n "${GITHUB_ACTIONS:-}" ]; then printf '::error title=untagged::%s\n' "$what"; fi
printf 'prove_untagged_refused: %s\n' "$what" >&2
exit 1
