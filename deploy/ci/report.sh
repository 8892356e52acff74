#!/usr/bin/env bash
# Runs a command, and shows what it says in the log of the job and, in a GitHub job, in its summary.
#
#   report.sh TITLE COMMAND [ARGUMENT…]
#
# What the command says can hold what strangers wrote, as names of objects: no line of it is taken for a command of the runner, it is escaped in
# the summary, and loses its control characters. What failed becomes an annotation of the run, and so does a warning (a line `! NAME: …`). The exit
# code is the command's.
set -euo pipefail

escape() { # What the runner's commands take as one line.
  local text=${1//'%'/%25}
  text=${text//$'\r'/%0D}
  printf '%s' "${text//$'\n'/%0A}"
}

if [ $# -lt 2 ]; then
  printf 'report: usage: report.sh TITLE COMMAND [ARGUMENT…]\n' >&2
  exit 2
fi
title=$1
shift
said=$(mktemp)
trap 'rm -f "$said"' EXIT

word=''
if [ -n "${GITHUB_ACTIONS:-}" ]; then
  word=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  printf '::stop-commands::%s\n' "$word"
fi
code=0
"$@" 2>&1 | LC_ALL=C tr -d '\000-\010\013-\037\177' | tee "$said" || code=${PIPESTATUS[0]}
# On a line of its own, whatever the command ended with.
[ -z "$word" ] || printf '\n::%s::\n' "$word"

if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
  {
    if [ "$code" = 0 ]; then printf '### %s\n\n' "$title"; else printf '### %s: failed (exit code %s)\n\n' "$title" "$code"; fi
    printf '<pre>\n'
    # GitHub takes a megabyte.
    head -n 1000 "$said" | LC_ALL=C cut -b 1-500 | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g'
    printf '</pre>\n\n'
    if [ "$(wc -l <"$said")" -gt 1000 ]; then printf 'The rest is in the log.\n\n'; fi
  } >>"$GITHUB_STEP_SUMMARY"
fi
annotate() { # LEVEL TEXT
  printf '::%s title=%s::%s\n' "$1" "$(escape "${title//[:,]/ }")" "$(escape "$2")"
}
if [ -n "${GITHUB_ACTIONS:-}" ]; then
  if [ "$code" != 0 ]; then
    # Of a report the lines that say what is wrong (not those of its table), otherwise its end.
    wrong=$(grep -am 20 -E '^ *(✗|[?]) [^ ]' "$said") || wrong=$(tail -n 1 "$said")
    annotate error "${wrong:-exit code $code}"
  fi
  warned=$(grep -am 20 -E '^! [^ ]+: ' "$said") && annotate warning "$warned"
fi
exit "$code"
