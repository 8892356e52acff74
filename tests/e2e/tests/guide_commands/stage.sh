#!/bin/bash
# The world of the guides' commands: `stage.sh FOLDER REPOSITORY WORLD[,WORLD] bare|running`, in namespaces of its own (shell.rs), so that it has ports 80
# and 443, /etc and /var to itself. Then it is the shell that runs what it is given on stdin. When it ends, all that it started ends too.
# What stands for something else of a real set-up is made here: AWS is `tagmint localaws`, Let's Encrypt is Pebble, the session backend and
# the CI platforms are others.py, systemd and sudo are the programs in bin/.
set -euo pipefail
stage=$1 repository=$2 worlds=$3 state=$4
here=$repository/tests/e2e/tests/guide_commands
export HOME=$stage/home LC_ALL=C.UTF-8 TZ=UTC NO_COLOR=1 COLUMNS=140 STAGE=$stage

# ---- files and names of its own

mkdir -p "$stage"/{memory,home,work}
mount -t tmpfs tmpfs "$stage/memory"
mkdir -p "$stage"/memory/{etc,var}{,.work}
for folder in etc var; do
    mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$stage/memory/$folder,workdir=$stage/memory/$folder.work" "/$folder"
done
mkdir -p /etc/tagmint /var/lib/tagmint /var/backups/tagmint
ip link set lo up
# Public ones, as `check --remote` wants them; nothing leaves the stage. In the guides they are 203.0.113.…
for address in 10 11 14 20; do ip address add "52.58.0.$address/32" dev lo; done
cat >/etc/hosts <<HOSTS
127.0.0.1 localhost
52.58.0.10 broker.litentry.org
52.58.0.11 test-broker.litentry.org
52.58.0.14 acme-v02.api.letsencrypt.org
52.58.0.20 backend.litentry.org token.actions.githubusercontent.com gitlab.com
HOSTS
export PATH=$here/bin:$PATH

# The stand-in for AWS has one account and one region; shell.rs turns them back in what is shown. Pebble's port is not Let's Encrypt's, and each
# host has an address of its own here. Ten seconds until a change is seen are long for a test.
cp -r "$repository/deploy" "$stage/work/deploy"
cd "$stage/work"
for world in prod test; do
    address=$(getent hosts "$(sed -n 's|^issuer = "https://\([^"]*\)".*|\1|p' "deploy/$world/tagmint.toml")" | cut -d ' ' -f 1)
    # The reader fills in ids of repositories, and so does the stage: those of the examples fail the check.
    sed -i "s/\"456789\"/\"700456789\"/g; s/\"123456\"/\"700123456\"/g; s/project_id = \"20\"/project_id = \"70020\"/; s/namespace_id = \"72\"/namespace_id = \"70072\"/
        s/111122223333/000000000000/; s/eu-central-1/us-east-1/; s|^key_file = .*|&\nrefresh = \"1s\"|
        s|^terms_of_service_agreed|directory = \"https://acme-v02.api.letsencrypt.org:14000/dir\"\nhttp_listen = \"$address:80\"\n&|
        s|^public = \"0.0.0.0:|public = \"$address:|" "deploy/$world/tagmint.toml"
done

# ---- certificates of the stand-ins

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=authority of the stage" \
    -keyout "$stage/ca.key" -out "$stage/ca.pem" 2>/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=stage" -CA "$stage/ca.pem" -CAkey "$stage/ca.key" \
    -addext "subjectAltName=DNS:localhost,DNS:backend.litentry.org,DNS:token.actions.githubusercontent.com,DNS:gitlab.com,DNS:acme-v02.api.letsencrypt.org" \
    -addext "basicConstraints=critical,CA:FALSE" -keyout "$stage/server.key" -out "$stage/server.pem" 2>/dev/null
cat "$stage/ca.pem" >>/etc/ssl/certs/ca-certificates.crt

# ---- what the issuer talks to

# For what takes a moment: `until_true COMMAND`.
until_true() { for _ in $(seq 200); do ! "$@" >/dev/null 2>&1 || return 0; sleep 0.1; done; echo "stage: never: $*" >&2; return 1; }
cat >"$stage/pebble.json" <<PEBBLE
{"pebble": {"listenAddress": "52.58.0.14:14000", "managementListenAddress": "52.58.0.14:15000", "certificate": "$stage/server.pem",
"privateKey": "$stage/server.key", "httpPort": 80, "tlsPort": 443, "ocspResponderURL": "", "certificateValidityPeriod": 7776000}}
PEBBLE
PEBBLE_VA_NOSLEEP=1 PEBBLE_AUTHZREUSE=0 pebble -config "$stage/pebble.json" >"$stage/pebble.log" 2>&1 &
python3 "$here/others.py" "$stage/server.pem" "$stage/server.key" >"$stage/others.log" 2>&1 &
echo $! >"$stage/others.pid"
until_true curl -fsS -o "$stage/root.pem" https://acme-v02.api.letsencrypt.org:15000/roots/0
cat "$stage/root.pem" >>/etc/ssl/certs/ca-certificates.crt
until_true curl -fsS https://backend.litentry.org/healthz
# Its clock, and after `travel` the shell's, can be put forward: a sweep looks for what is old.
echo +0 >"$stage/clock"
LD_PRELOAD="/usr/\$LIB/faketime/libfaketime.so.1" FAKETIME_TIMESTAMP_FILE=$stage/clock FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 \
    tagmint localaws --listen 127.0.0.1:4566 --secure-transport --explain --format json >"$stage/aws.json" 2>"$stage/aws.log" &
until_true test -s "$stage/aws.json"
AWS_ACCESS_KEY_ID=$(jq -r .access_key_id "$stage/aws.json")
AWS_SECRET_ACCESS_KEY=$(jq -r .secret_access_key "$stage/aws.json")
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1
export AWS_EC2_METADATA_DISABLED=true AWS_PAGER=

# ---- what install.sh makes on a host

run_issuer() {
    install -d -m 0700 "/etc/tagmint/$1"
    openssl rand -base64 32 | install -m 0600 /dev/stdin "/etc/tagmint/$1/tagmint-key"
    install -m 0644 "deploy/$1/tagmint.toml" "/etc/tagmint/$1.toml"
    [ "$1" = prod ] || { tagmint mock-backend --listen 127.0.0.1:9500 --auth-token federation-proof >/dev/null 2>&1 & }
    systemctl start "tagmint@$1"
    until_true curl -fsS "$(sed -n 's|^issuer = "\([^"]*\)".*|\1|p' "/etc/tagmint/$1.toml")/.well-known/openid-configuration"
    CREDENTIALS_DIRECTORY=/etc/tagmint/$1 tagmint aws render --config "/etc/tagmint/$1.toml" --format cli --out "$STAGE/aws-$1" >/dev/null
    "$STAGE/aws-$1/setup.sh" >"$STAGE/setup.log" 2>&1
}
for world in ${worlds//,/ }; do [ "$state" = bare ] || run_issuer "$world"; done
# For what a guide does to prod's database and cannot take back.
keep_database() { systemctl stop tagmint@prod; cp -aT /var/lib/tagmint/prod "$STAGE/kept"; systemctl start tagmint@prod; }
put_database_back() {
    systemctl stop tagmint@prod
    rm -f /var/lib/tagmint/prod/tagmint.db*
    cp -aT "$STAGE/kept" /var/lib/tagmint/prod
    systemctl start tagmint@prod
}
# Gives the test role the rendered trust policy, changed by a sed expression: `trust_policy 's/wallet:/user:/'`.
trust_policy() {
    aws iam update-assume-role-policy --role-name agentkeys-data-role-test --policy-document "$(sed "$1" "$STAGE/trust.json")"
}
[ ! -d "$stage/aws-test" ] || aws iam get-role --role-name agentkeys-data-role-test --query Role.AssumeRolePolicyDocument >"$stage/trust.json"
# There is no way back: clients trust the time of answers, which the server's threads keep.
travel() {
    echo "$1" >"$STAGE/clock"
    export LD_PRELOAD="/usr/\$LIB/faketime/libfaketime.so.1" FAKETIME_TIMESTAMP_FILE=$STAGE/clock FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1
}
export -f until_true run_issuer keep_database put_database_back trust_policy travel
echo "the stage is set"
exec bash --norc --noprofile
