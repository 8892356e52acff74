#!/usr/bin/env bash
# Says in Markdown what a changed configuration would have done to the requests in the ledger: the body of a comment on a pull request.
#
#   replay_report.sh NEW.toml BASE.toml LEDGER SINCE
#
# LEDGER is a file of `tagmint ledger export`; SINCE a duration such as 30d. The Markdown goes to stdout. Names from the ledger and the rules are
# escaped, so that they are text: no link, no mention, no HTML.
#
# Settings, as environment variables; an empty one counts as unset
#   REPLAY_GROUPS   the most rows of each table. Default: 20
#
# Exit codes: 0 nothing changes, or something does (the Markdown says which), 2 usage, 3 configuration, 4 something could not be reached.
set -euo pipefail

if [ $# -ne 4 ]; then
  printf 'replay_report: usage: replay_report.sh NEW.toml BASE.toml LEDGER SINCE\n' >&2
  exit 2
fi
new=$1 base=$2 ledger=$3 since=$4
groups=${REPLAY_GROUPS:-20}
for program in jq tagmint; do
  command -v "$program" >/dev/null || { printf 'replay_report: %s is not installed\n' "$program" >&2; exit 2; }
done
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

code=0
tagmint replay --config "$new" --base "$base" --ledger "$ledger" --since "$since" --format json >"$answer" || code=$?
case $code in
  0 | 1) ;;
  *) exit "$code" ;;
esac
jq -e . <"$answer" >/dev/null 2>&1 || { printf 'replay_report: tagmint replay gave no answer\n' >&2; exit 1; }

jq -r --argjson groups "$groups" --arg since "$since" '
  # Every character that could mean something in Markdown or HTML, as its number.
  def text: tostring | explode
    | map(if (. >= 48 and . <= 57) or (. >= 65 and . <= 90) or (. >= 97 and . <= 122) or . == 32 or . == 44 or . == 45 or . == 47
          then [.] | implode elif . < 32 then " " else "&#\(.);" end)
    | join("");
  def cut($most): if length > $most then .[:$most] + "…" else . end;
  def rows: if . == 1 then "1 request" else "\(.) requests" end;
  def table($change; $title):
    [.groups[] | select(.change == $change)] as $found
    | if ($found | length) == 0 then empty else
        "\n#### \($title)\n\n| requests | rule | repository | first | why |\n|---:|---|---|---|---|",
        ($found[:$groups][] | "| \(.rows) | \(.rule | text) | \(.repository | cut(100) | text) | \(.first.id | text) \(.first.at | text) | \(.first.reason | cut(300) | text) |"),
        (if ($found | length) > $groups then "\nand \(($found | length) - $groups) more groups" else empty end)
      end;
  "### Replay of the last \($since | text)",
  "",
  (if .rows == 0 then "The ledger has no rows of this time."
   elif .same then "No request of this time would have been decided otherwise."
   else "Under the new configuration, **\(.newly_refused | rows)** would have been **refused** that were allowed, **\(.newly_allowed | rows)** **allowed** that were refused, and **\(.changed | rows)** given **another token**."
   end),
  "",
  "\(.rows) rows: \(.mints) mints and \(.refusals) refusals; \(.unchanged) stay as they are, \(.undecided) cannot be decided again.",
  table("newly_refused"; "Newly refused"),
  table("newly_allowed"; "Newly allowed"),
  table("changed"; "Another token"),
  (.undecided_rows | to_entries | if length == 0 then empty else
     "\n#### Not decided again\n", (.[] | "- \(.value.rows | rows): \(.value.first.reason | cut(200) | text)") end),
  (.notes | if length == 0 then empty else "", (.[] | "> \(text)") end)
' <"$answer"
