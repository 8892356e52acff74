#!/usr/bin/env bash
# Gives a CI job temporary AWS credentials, without a stored key.
#
#   assume_ci_role.sh ROLE_ARN SESSION_NAME
#
# It asks the CI platform for the job's ID token, exchanges it with Tagmint where TAGMINT_URL is set (and uses it directly where it is
# not), assumes the role, and hands the credentials on: through GITHUB_ENV in a GitHub job, elsewhere in a file to be sourced. In a GitHub job
# every secret is masked before it is written anywhere. Where the token has the session tag `prefix`, its value goes into TAGMINT_PREFIX:
# it is what the job reaches of the bucket.
#
# The job's ID token
#   GitHub   permissions: id-token: write (ACTIONS_ID_TOKEN_REQUEST_URL and _TOKEN are then there)
#   GitLab   id_tokens: {TAGMINT_ID_TOKEN: {aud: …}}
#
# Settings, as environment variables; an empty one counts as unset
#   TAGMINT_URL               the issuer, as https://broker.example.org. Unset: the platform's token goes to AWS directly
#   TAGMINT_AUDIENCE          the audience of the platform's token. Default: TAGMINT_URL; without one, sts.amazonaws.com.
#                             On GitLab the audience stands in `id_tokens:` instead
#   TAGMINT_ID_TOKEN          the platform's token, where it is in a variable (GitLab)
#   TAGMINT_TOKEN_AUDIENCE    the audience of Tagmint's token. Default: the first of the rule
#   TAGMINT_CA_FILE           PEM with the authority of TAGMINT_URL, where the system does not know it
#   TAGMINT_OUTPUT            env: the credentials in variables. file: in a file of AWS's form (mode 0600), and its path in the variable
#                             AWS_SHARED_CREDENTIALS_FILE. Default: env
#   TAGMINT_CREDENTIALS_FILE  that file. Default: a new one outside of the project, which cleanup/ removes
#   TAGMINT_ENV_FILE          outside GitHub, the file to be sourced (mode 0600). Default: .tagmint-aws.env
#   TAGMINT_RETRY_SECONDS     the pause before Tagmint is asked a second and third time, where it fails. Default: 3
#   ROLE_DURATION_SECONDS     how long the credentials last: 900 to 43200, at most the role's maximum. Default: 3600
#   AWS_REGION                default: AWS_DEFAULT_REGION, then us-east-1
#   AWS_ENDPOINT_URL_STS, AWS_CA_BUNDLE, CURL_CA_BUNDLE and proxies are honoured by the aws command and curl.
#
# Exit codes: 0 done, 1 refused, 2 usage or set-up, 4 something could not be reached.
{ set +x; } 2>/dev/null # A trace would show the secrets.
set -euo pipefail
umask 077

escape() { # What the runner's commands take as one line.
  local text=${1//'%'/%25}
  text=${text//$'\r'/%0D}
  printf '%s' "${text//$'\n'/%0A}"
}

fail() { # EXIT_CODE WHAT WHAT_TO_DO…
  local code=$1 what=${2//[$'\r\n']/ }
  shift 2
  if [ -n "${GITHUB_ACTIONS:-}" ]; then printf '::error title=assume_ci_role::%s\n' "$(escape "$what")"; fi
  printf 'assume_ci_role: %s\n' "$what" >&2
  [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
  exit "$code"
}

mask() { # Before anything can print it: the runner hides it from here on.
  if [ -n "${GITHUB_ACTIONS:-}" ]; then printf '::add-mask::%s\n' "$(escape "$1")"; fi
}

one_line() { tr -d '\r\n' | cut -c1-400; }

if [ $# -ne 2 ]; then fail 2 'usage: assume_ci_role.sh ROLE_ARN SESSION_NAME'; fi
role_arn=$1 session_name=$2
[[ $role_arn =~ ^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$ ]] \
  || fail 2 "\`$role_arn\` is not the ARN of a role" 'It looks like arn:aws:iam::123456789012:role/NAME.'
[[ $session_name =~ ^[A-Za-z0-9_+=,.@-]{2,64}$ ]] \
  || fail 2 "\`$session_name\` is not a session name" 'AWS takes 2 to 64 characters of letters, digits and _+=,.@-'
seconds=${ROLE_DURATION_SECONDS:-3600}
if ! [[ $seconds =~ ^[1-9][0-9]{2,4}$ ]] || [ "$seconds" -lt 900 ] || [ "$seconds" -gt 43200 ]; then
  fail 2 "ROLE_DURATION_SECONDS is \`$seconds\`" 'It is a number of seconds from 900 to 43200, and at most the maximum of the role.'
fi
output=${TAGMINT_OUTPUT:-env}
case $output in env | file) ;; *) fail 2 "TAGMINT_OUTPUT is \`$output\`" 'It is env or file.' ;; esac
pause=${TAGMINT_RETRY_SECONDS:-3}
[[ $pause =~ ^[0-9]{1,3}$ ]] || fail 2 "TAGMINT_RETRY_SECONDS is \`$pause\`, not a number of seconds"
url=${TAGMINT_URL:-}
url=${url%/}
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-us-east-1}}
[[ $region =~ ^[A-Za-z0-9-]{1,64}$ ]] || fail 2 "\`$region\` is not a region" 'AWS_REGION looks like eu-central-1.'
case $url in
  '' | https://* | http://localhost | http://localhost[:/]* | http://127.0.0.1 | http://127.0.0.1[:/]*) ;;
  *) fail 2 "TAGMINT_URL is \`$url\`" 'It begins with https://: the ID token must not travel in the clear.' ;;
esac
if [ "${CI_DEBUG_TRACE:-}" = true ] && [ "$output" = env ]; then
  fail 2 'CI_DEBUG_TRACE would show the credentials in the log of the job' 'Switch it off, or set TAGMINT_OUTPUT=file.'
fi
for program in curl jq aws; do
  command -v "$program" >/dev/null || fail 2 "\`$program\` is not installed" 'This script needs curl, jq and the aws command.'
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# call NAME CURL_ARGUMENTS…: the body goes to $work/NAME, the status to $status, and curl's exit code is the result. Secrets travel in files,
# not in arguments, which other users of the machine can read.
call() {
  local name=$1 result=0
  shift
  : >"$work/$name"
  status=$(curl --silent --show-error --connect-timeout 10 --max-time 30 \
    --output "$work/$name" --write-out '%{http_code}' "$@" 2>"$work/$name.error") || result=$?
  return "$result"
}

# 1. The platform's token, in $id_token. GitHub gives a new one each time.
audience=${TAGMINT_AUDIENCE:-${url:-sts.amazonaws.com}}
platform_token() {
  if [ -n "${TAGMINT_ID_TOKEN:-}" ]; then
    id_token=$TAGMINT_ID_TOKEN
  elif [ -n "${ACTIONS_ID_TOKEN_REQUEST_URL:-}" ] && [ -n "${ACTIONS_ID_TOKEN_REQUEST_TOKEN:-}" ]; then
    printf 'header = "Authorization: Bearer %s"\n' "$ACTIONS_ID_TOKEN_REQUEST_TOKEN" >"$work/github.curl"
    local encoded separator='&'
    encoded=$(jq -rn --arg text "$audience" '$text | @uri')
    case $ACTIONS_ID_TOKEN_REQUEST_URL in *\?*) ;; *) separator='?' ;; esac
    call github --retry 2 --retry-connrefused --config "$work/github.curl" \
      "$ACTIONS_ID_TOKEN_REQUEST_URL${separator}audience=$encoded" \
      || fail 4 'GitHub could not be asked for an ID token' "$(one_line <"$work/github.error")"
    [ "$status" = 200 ] || fail 1 "GitHub gave no ID token (status $status)" "$(one_line <"$work/github")" \
      'Has the job ended, or was the step given the request token of another job?'
    id_token=$(jq -er '.value' <"$work/github" 2>/dev/null) || fail 1 'GitHub answered without an ID token'
  elif [ -n "${GITHUB_ACTIONS:-}" ]; then
    fail 2 'this job may not ask GitHub for an ID token' \
      'Give the job (or the workflow) these permissions:' \
      '  permissions:' '    id-token: write' '    contents: read' \
      'The pull request of a fork never gets one.'
  elif [ -n "${GITLAB_CI:-}" ]; then
    fail 2 'this job has no ID token' \
      'Give the job one:' \
      '  id_tokens:' '    TAGMINT_ID_TOKEN:' "      aud: $audience"
  else
    fail 2 'there is no ID token' 'This runs in a GitHub or GitLab job, or with TAGMINT_ID_TOKEN set.'
  fi
  mask "$id_token"
}

# 2. Tagmint's token for it, in $token.
ask_tagmint() {
  printf '%s' "$id_token" >"$work/subject"
  local arguments=(--data-urlencode 'grant_type=urn:ietf:params:oauth:grant-type:token-exchange'
    --data-urlencode 'subject_token_type=urn:ietf:params:oauth:token-type:id_token'
    --data-urlencode "subject_token@$work/subject" --data-urlencode "resource=$role_arn")
  if [ -n "${TAGMINT_TOKEN_AUDIENCE:-}" ]; then arguments+=(--data-urlencode "audience=$TAGMINT_TOKEN_AUDIENCE"); fi
  if [ -n "${TAGMINT_CA_FILE:-}" ]; then arguments+=(--cacert "$TAGMINT_CA_FILE"); fi
  call tagmint "${arguments[@]}" "${url%/}/oauth2/token"
}

said_by_tagmint() { jq -r --arg name "$1" '.[$name] // empty | tostring' <"$work/tagmint" 2>/dev/null | one_line || true; }

refused_by_tagmint() {
  local type detail rule id hint code=1
  type=$(said_by_tagmint type) detail=$(said_by_tagmint error_description) rule=$(said_by_tagmint rule) id=$(said_by_tagmint request_id)
  type=${type#urn:tagmint:problem:}
  case $type in
    ci-token-audience)
      hint="The token of the job is for another audience. Take one that the issuer's provider lists, usually $url:"
      hint+=' TAGMINT_AUDIENCE on GitHub, "aud" below id_tokens on GitLab.'
      ;;
    ci-token-invalid) hint="Tagmint does not accept tokens of this platform, or not this one. Ask the operator of $url about its trusted issuers." ;;
    ci-token-spent)
      if [ -n "${answer_lost:-}" ]; then
        fail 4 "the answer of $url was lost on the way" ${id:+"Request id: $id"} \
          'The ID token of a GitLab job works once, and it was used. Run the job again.'
      fi
      hint='Each ID token works once. A job that needs credentials twice keeps them, or has an ID token for each use; if you did not use this one, somebody else has it.'
      ;;
    not-allowed)
      if [ -z "$rule" ]; then
        hint="No rule of $url is for this job: repository, branch, event or environment are not what a rule wants. Ask its operator, with the request id."
      elif [ "$(said_by_tagmint error)" = invalid_target ]; then
        hint="The rule \`$rule\` is for this job, but not for this role or audience: $role_arn${TAGMINT_TOKEN_AUDIENCE:+, $TAGMINT_TOKEN_AUDIENCE}."
      else
        hint="Tell the operator of $url, with the name of the rule and the request id."
      fi
      ;;
    token-not-acceptable) hint="The rule \`$rule\` makes a token that AWS refuses. Tell the operator of $url." ;;
    '') hint="Is $url a Tagmint issuer? The answer does not look like one's." ;;
    *) hint="The log of $url has the request id." ;;
  esac
  case $status in 5?? | 429) code=4 hint='Try again; if it stays so, tell the operator.' ;; esac
  fail "$code" "Tagmint refused (status $status${type:+, $type})" ${detail:+"$detail"} "$hint" ${id:+"Request id: $id"}
}

platform_token
if [ -n "$url" ]; then
  for attempt in 1 2 3; do
    problem=0
    ask_tagmint || problem=$?
    case $problem:$status in
      0:200) break ;;
      0:429) [ "$attempt" -lt 3 ] || refused_by_tagmint ;;
      0:5??)
        # A gateway may answer for an issuer that has used the token up.
        [ "$attempt" -lt 3 ] || refused_by_tagmint
        answer_lost=yes
        ;;
      0:*) refused_by_tagmint ;;
      *)
        # 7 is "not connected", 60 "certificate not trusted". Otherwise the request may have come through.
        [ "$problem" = 7 ] || answer_lost=yes
        if [ "$problem" = 60 ] || [ "$attempt" = 3 ]; then
          fail 4 "Tagmint could not be reached at $url" "$(one_line <"$work/tagmint.error")" \
            'Is TAGMINT_URL right, and may the runner connect to it? For an authority of your own: TAGMINT_CA_FILE.'
        fi
        ;;
    esac
    sleep "$pause"
    platform_token
  done
  token=$(jq -er '.access_token' <"$work/tagmint" 2>/dev/null) || fail 1 "$url answered without a token" 'Is TAGMINT_URL the issuer?'
  mask "$token"
  asked='the token of Tagmint'
else
  token=$id_token
  asked='the token of the CI platform'
fi

# 3. The role. The token is a file's content for jq and the aws command, not an argument.
printf '%s' "$token" >"$work/token"
jq -n --arg role "$role_arn" --arg name "$session_name" --rawfile token "$work/token" --argjson seconds "$seconds" \
  '{RoleArn: $role, RoleSessionName: $name, WebIdentityToken: $token, DurationSeconds: $seconds}' >"$work/request.json"
if ! env -u AWS_PROFILE -u AWS_DEFAULT_PROFILE AWS_REGION="$region" AWS_DEFAULT_REGION="$region" AWS_PAGER='' AWS_MAX_ATTEMPTS="${AWS_MAX_ATTEMPTS:-3}" \
  aws sts assume-role-with-web-identity --no-sign-request --output json \
  --cli-connect-timeout 10 --cli-read-timeout 30 --cli-input-json "file://$work/request.json" >"$work/sts" 2>"$work/sts.error"; then
  said=$(one_line <"$work/sts.error")
  case $said in
    *'Could not connect'* | *'timeout on endpoint'* | *'timed out'* | *'Connection was closed'* | *'SSL validation failed'* | *'connect to proxy'*)
      fail 4 'AWS STS could not be reached' "$said" 'May the runner connect to it, and is AWS_ENDPOINT_URL_STS right, if it is set?'
      ;;
    *IDPCommunicationError*) fail 4 'AWS STS could not read the documents of the issuer' "$said" 'Try again; if it stays so, AWS does not reach the issuer.' ;;
    *'(AccessDenied)'*)
      hint="AWS does not say why. Usual causes in the trust policy of the role: a condition on aud, sub or a tag that the token does not meet, and with Tagmint a missing sts:TagSession or sts:SetSourceIdentity. \`tagmint explain\` tells which."
      ;;
    *'(InvalidIdentityToken)'*)
      hint='The account has no OIDC provider for the issuer, or not with this audience; or the token is not for this role; or AWS could not read the keys of the issuer.'
      ;;
    *'(ExpiredToken'*) hint='The token was too old when AWS saw it. A GitLab job asks for credentials at its beginning; on GitHub, look at the clock of the runner.' ;;
    *DurationSeconds*) hint="The role does not allow $seconds s: lower ROLE_DURATION_SECONDS, or raise the maximum of the role." ;;
    *) hint='The message above is that of AWS.' ;;
  esac
  fail 1 "AWS STS refused $asked for $role_arn" "$said" "$hint"
fi
# What STS says goes into files of lines, where a second line would set another variable.
take_from_sts() { # VARIABLE JQ_PATH
  local value hint='Is AWS_ENDPOINT_URL_STS right, if it is set?'
  value=$(jq -er "$2 | strings" <"$work/sts" 2>/dev/null) || fail 1 "AWS STS answered without ${2##*.}" "$hint"
  [[ $value =~ ^[[:graph:]]+$ ]] || fail 1 "AWS STS answered with ${2##*.} that is not one word" "$hint"
  printf -v "$1" '%s' "$value"
}
key_id='' secret='' session_token='' arn='' expires=''
take_from_sts key_id .Credentials.AccessKeyId
take_from_sts secret .Credentials.SecretAccessKey
take_from_sts session_token .Credentials.SessionToken
take_from_sts arn .AssumedRoleUser.Arn
take_from_sts expires .Credentials.Expiration
mask "$key_id"
mask "$secret"
mask "$session_token"

# 4. Hand on.
replace() { # FILE, from stdin: whole or not at all, and nobody else's to read.
  local new
  new=$(mktemp "$1.XXXXXX")
  cat >"$new"
  mv -f "$new" "$1"
}

variables=(AWS_REGION "$region" AWS_DEFAULT_REGION "$region")
if [ "$output" = file ]; then
  file=${TAGMINT_CREDENTIALS_FILE:-$(mktemp -d "${RUNNER_TEMP:-${TMPDIR:-/tmp}}/tagmint-XXXXXX")/credentials}
  printf '[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = %s\n' \
    "${AWS_PROFILE:-default}" "$key_id" "$secret" "$session_token" | replace "$file"
  variables+=(AWS_SHARED_CREDENTIALS_FILE "$file" TAGMINT_CREDENTIALS_FILE "$file")
  # Of an earlier step: they would win over the file.
  for name in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN; do
    if [ -n "${!name:-}" ]; then variables+=("$name" ''); fi
  done
else
  variables+=(AWS_ACCESS_KEY_ID "$key_id" AWS_SECRET_ACCESS_KEY "$secret" AWS_SESSION_TOKEN "$session_token")
fi
# A line more than one would set another variable.
prefix=$(jq -rR 'split(".")[1] | gsub("-"; "+") | gsub("_"; "/") | @base64d | fromjson
  | ."https://aws.amazon.com/tags".principal_tags.prefix[0] // empty' <"$work/token" 2>/dev/null || true)
if [[ $prefix =~ ^[[:alnum:]_.:/=+@-]+$ ]]; then variables+=(TAGMINT_PREFIX "$prefix"); fi
if [ -n "${GITHUB_ENV:-}" ]; then
  # First an end for a line that somebody else left open: the runner passes over empty ones.
  { printf '\n' && printf '%s=%s\n' "${variables[@]}"; } >>"$GITHUB_ENV"
  if [ -n "${GITHUB_OUTPUT:-}" ]; then
    printf 'expires-at=%s\ncredentials-file=%s\n' "$expires" "${file:-}" >>"$GITHUB_OUTPUT"
  fi
  printf 'assume_ci_role: %s until %s; later steps have the credentials.\n' "$arn" "$expires"
else
  env_file=${TAGMINT_ENV_FILE:-.tagmint-aws.env}
  printf 'export %s=%q\n' "${variables[@]}" | replace "$env_file"
  printf 'assume_ci_role: %s until %s; now: . %q\n' "$arn" "$expires" "$env_file"
fi
