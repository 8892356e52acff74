#!/usr/bin/env bash
# Writes a comment on a pull request, or replaces the one that it wrote before.
#
#   comment.sh MARKER <BODY
#
# MARKER is a word that tells the comments of this script apart: it stands in the comment where nobody sees it. A comment counts as ours only if the
# workflow's own account wrote it.
#
# Environment, as a GitHub job has it
#   GH_TOKEN            a token with pull-requests: write
#   GITHUB_REPOSITORY   OWNER/NAME
#   PULL_REQUEST        the number
#   GITHUB_API_URL      default: https://api.github.com
#   COMMENT_AUTHOR      the account that the token writes as. Default: github-actions[bot]
#
# Exit codes: 0 done, 1 refused, 2 usage or set-up, 4 GitHub could not be reached.
{ set +x; } 2>/dev/null # A trace would show the token.
set -euo pipefail
umask 077

fail() { # EXIT_CODE WHAT
  printf 'comment: %s\n' "$2" >&2
  exit "$1"
}

[ $# -eq 1 ] || fail 2 'usage: comment.sh MARKER <BODY'
marker=$1
[[ $marker =~ ^[a-z0-9-]{1,60}$ ]] || fail 2 "the marker \`$marker\` is not a word of a-z, 0-9 and -"
[[ ${PULL_REQUEST:-} =~ ^[1-9][0-9]{0,9}$ ]] || fail 2 'PULL_REQUEST is not the number of a pull request'
[[ ${GITHUB_REPOSITORY:-} =~ ^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$ ]] || fail 2 'GITHUB_REPOSITORY is not OWNER/NAME'
[ -n "${GH_TOKEN:-}" ] || fail 2 'GH_TOKEN is not set'
api=${GITHUB_API_URL:-https://api.github.com}
author=${COMMENT_AUTHOR:-github-actions[bot]}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf 'header = "Authorization: Bearer %s"\n' "$GH_TOKEN" >"$work/curl"

# GitHub takes 65,536 characters.
{ printf '<!-- tagmint:%s -->\n' "$marker"; head -c 60000; } >"$work/body"
iconv -c -f UTF-8 -t UTF-8 "$work/body" >"$work/text" # A character may have been cut.
jq -n --rawfile body "$work/text" '{body: $body}' >"$work/request.json"

call() { # METHOD PATH [CURL_ARGUMENT…]: the answer is in $work/answer.
  local method=$1 path=$2 status
  shift 2
  status=$(curl --silent --show-error --connect-timeout 10 --max-time 30 --retry 2 --config "$work/curl" --request "$method" \
    --header 'Accept: application/vnd.github+json' --output "$work/answer" --write-out '%{http_code}' "$@" "$api$path") \
    || fail 4 'GitHub could not be reached'
  case $status in
    2??) ;;
    5?? | 429) fail 4 "GitHub answered $status" ;;
    *) fail 1 "GitHub answered $status: $(jq -r '.message // empty' <"$work/answer" 2>/dev/null | head -c 300). The job needs pull-requests: write" ;;
  esac
}

comments="/repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments" id=''
for page in 1 2 3 4 5 6 7 8 9 10; do
  call GET "$comments?per_page=100&page=$page"
  id=$(jq -r --arg author "$author" --arg begin "<!-- tagmint:$marker -->" \
    '[.[] | select(.user.login == $author and (.body | startswith($begin)))][0].id // empty' <"$work/answer")
  if [ -n "$id" ] || [ "$(jq length <"$work/answer")" -lt 100 ]; then break; fi
done
if [ -n "$id" ]; then
  call PATCH "/repos/$GITHUB_REPOSITORY/issues/comments/$id" --data "@$work/request.json"
else
  call POST "$comments" --data "@$work/request.json"
fi
printf 'comment: %s\n' "$(jq -r '.html_url // empty' <"$work/answer")"
