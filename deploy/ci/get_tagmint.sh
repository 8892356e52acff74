#!/usr/bin/env bash
# Brings the program `tagmint` onto a CI runner: downloads the Debian package, compares its SHA-256, and unpacks it without root.
#
#   get_tagmint.sh
#
# In a GitHub job later steps find `tagmint` (GITHUB_PATH). Everywhere stdout is the folder with the program, and nothing else:
#   folder=$(bash get_tagmint.sh) && export PATH="$folder:$PATH"
# Nothing is unpacked before the checksum was compared. An image that has the program needs no step for it.
#
# Settings, as environment variables; an empty one counts as unset
#   TAGMINT_PACKAGE_URL      where the package is: the .deb that `cargo xtask package` makes, at an https:// URL that the runner can read
#   TAGMINT_PACKAGE_SHA256   its SHA-256, 64 hex digits: what `sha256sum` says where the package was made, not what the server says
#   CURL_CA_BUNDLE and proxies are honoured by curl.
#
# Exit codes: 0 done, 1 it is not the package that was asked for, 2 set-up, 4 it could not be downloaded.
set -euo pipefail
umask 022

escape() { # What the runner's commands take as one line.
  local text=${1//'%'/%25}
  text=${text//$'\r'/%0D}
  printf '%s' "${text//$'\n'/%0A}"
}

fail() { # EXIT_CODE WHAT WHAT_TO_DO…
  local code=$1 what=$2
  shift 2
  # Not on stdout: that is the folder's.
  if [ -n "${GITHUB_ACTIONS:-}" ]; then printf '::error title=get_tagmint::%s\n' "$(escape "$what")" >&2; fi
  printf 'get_tagmint: %s\n' "$what" >&2
  [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
  exit "$code"
}

[ $# -eq 0 ] || fail 2 'usage: get_tagmint.sh, with its settings in the environment'
url=${TAGMINT_PACKAGE_URL:-} expected=${TAGMINT_PACKAGE_SHA256:-}
[ -n "$url" ] || fail 2 'TAGMINT_PACKAGE_URL is not set' \
  'It is where the Debian package of Tagmint is. "cargo xtask package" makes one; put it where your runners can read it.'
[ -n "$expected" ] || fail 2 'TAGMINT_PACKAGE_SHA256 is not set' \
  'It is what "sha256sum tagmint_*.deb" says where the package was made. Without it nothing is downloaded.'
case $url in https://?*) ;; *) fail 2 "TAGMINT_PACKAGE_URL is \`$url\`" 'It begins with https://' ;; esac
[[ $expected =~ ^[0-9A-Fa-f]{64}$ ]] || fail 2 "TAGMINT_PACKAGE_SHA256 is \`$expected\`" 'A SHA-256 has 64 hex digits.'
for program in curl sha256sum dpkg-deb; do
  command -v "$program" >/dev/null || fail 2 "\`$program\` is not installed" 'This script needs curl, coreutils and dpkg.'
done

folder=$(mktemp -d "${RUNNER_TEMP:-${TMPDIR:-/tmp}}/tagmint-XXXXXX")
package=$folder/tagmint.deb
if ! said=$(curl --silent --show-error --fail --location --proto '=https' --connect-timeout 10 --max-time 300 --retry 2 \
  --output "$package" "$url" 2>&1); then
  rm -rf "$folder"
  fail 4 "the package could not be downloaded from $url" "$(tr -d '\r' <<<"$said" | head -n 3)"
fi
found=$(sha256sum "$package")
found=${found%% *}
if [ "$found" != "${expected,,}" ]; then
  rm -rf "$folder"
  fail 1 "what $url gives is not the package that was asked for" "SHA-256 expected  ${expected,,}" "SHA-256 found     $found" \
    'Nothing of it was unpacked. If you replaced the package on purpose, change TAGMINT_PACKAGE_SHA256 with it.'
fi
if ! dpkg-deb --extract "$package" "$folder" 2>/dev/null; then
  rm -rf "$folder"
  fail 1 "what $url gives has the right SHA-256, and is no Debian package"
fi
rm "$package"
version=$("$folder/usr/bin/tagmint" --version 2>&1) || fail 1 'the program of the package does not run here' \
  "$(head -n 3 <<<"$version")" 'Is the package for this architecture, and made on a system that is not newer than the runner?'
if [ -n "${GITHUB_PATH:-}" ]; then printf '%s\n' "$folder/usr/bin" >>"$GITHUB_PATH"; fi
printf 'get_tagmint: %s\n' "$version" >&2
printf '%s\n' "$folder/usr/bin"
