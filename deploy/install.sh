#!/bin/sh
# Sets up an issuer on a bare Debian 12, Debian 13, Ubuntu 22.04 or Ubuntu 24.04 host, from the Debian package to a publicly verified answer.
# It looks first, prints what it will do, and asks. A second run finds nothing to do. docs/install.md tells the whole way.
set -eu
umask 022

usage() {
    cat <<'USAGE'
usage: install.sh --host NAME --environment prod|test --email ADDRESS [--deb FILE] [OPTION…]

  --host NAME           the issuer's public name; DNS must point to this host
  --environment WORLD   prod or test
  --email ADDRESS       whom the certificate authority writes to
  --deb FILE            the Debian package of Tagmint; not needed where it is installed

  --staging             certificates of Let's Encrypt's staging environment, which nobody trusts: to try
  --directory URL       another certificate authority's ACME directory
  --ca-file FILE        whose certificate that directory shows, where the system does not trust it
  --proxy PORT          behind nginx on this host: listens on 127.0.0.1:PORT, and orders no certificate

  --dry-run             look and print, change nothing
  --yes                 do not ask
  --no-start            enable, but start nothing: for images, and where systemd does not run
  --wait SECONDS        how long to wait for the first answer (300)
  --help                print this

--email is not needed with --proxy, and neither --staging, --directory nor --ca-file go with it.
Exit codes: 0 done, or nothing to do; 1 failed; 2 wrong usage.
USAGE
}

say() { printf '%s\n' "$*"; }
warn() { printf 'install.sh: warning: %s\n' "$*" >&2; }
die() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}
wrong_usage() {
    printf 'install.sh: %s\n\n' "$*" >&2
    usage >&2
    exit 2
}

# ---- what is asked for

HOST='' WORLD='' EMAIL='' DEB='' DIRECTORY='' CA_FILE='' PROXY=''
STAGING=no DRY_RUN=no YES=no START=yes WAIT=300
while [ $# -gt 0 ]; do
    case $1 in
        --host | --environment | --email | --deb | --directory | --ca-file | --proxy | --wait)
            [ $# -ge 2 ] || wrong_usage "$1 wants a value"
            case $1 in
                --host) HOST=$2 ;;
                --environment) WORLD=$2 ;;
                --email) EMAIL=$2 ;;
                --deb) DEB=$2 ;;
                --directory) DIRECTORY=$2 ;;
                --ca-file) CA_FILE=$2 ;;
                --proxy) PROXY=$2 ;;
                *) WAIT=$2 ;;
            esac
            shift 2
            continue
            ;;
        --staging) STAGING=yes ;;
        --dry-run) DRY_RUN=yes ;;
        --yes) YES=yes ;;
        --no-start) START=no ;;
        --help | -h)
            usage
            exit 0
            ;;
        *) wrong_usage "there is no argument \`$1\`" ;;
    esac
    shift
done

# Whether all of the text matches the extended expression.
matches() { [ "$(printf %s "$1" | wc -l)" = 0 ] && printf %s "$1" | grep -Eqx "$2"; }

[ -n "$HOST" ] || wrong_usage "--host is missing"
matches "$HOST" '([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]' ||
    wrong_usage "--host \`$HOST\` is no host name: lower case, with a dot, without https:// and port"
case $WORLD in
    prod | test) ;;
    '') wrong_usage "--environment is missing: prod or test" ;;
    *) wrong_usage "--environment \`$WORLD\` is neither prod nor test" ;;
esac
matches "$WAIT" '[0-9]{1,5}' || wrong_usage "--wait \`$WAIT\` is no number of seconds"
if [ -n "$PROXY" ]; then
    { matches "$PROXY" '[1-9][0-9]{0,4}' && [ "$PROXY" -le 65535 ]; } || wrong_usage "--proxy \`$PROXY\` is no port"
    [ "$STAGING$DIRECTORY$CA_FILE" = no ] || wrong_usage "--proxy orders no certificate: leave --staging, --directory and --ca-file out"
else
    [ -n "$EMAIL" ] || wrong_usage "--email is missing"
    matches "$EMAIL" '[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+' || wrong_usage "--email \`$EMAIL\` is no mail address"
    [ "$STAGING" = no ] || [ -z "$DIRECTORY" ] || wrong_usage "--staging and --directory name two directories: take one"
    if [ -z "$DIRECTORY" ]; then
        DIRECTORY=https://acme-v02.api.letsencrypt.org/directory
        [ "$STAGING" = no ] || DIRECTORY=https://acme-staging-v02.api.letsencrypt.org/directory
    fi
    matches "$DIRECTORY" 'https://[A-Za-z0-9./:_~?=&%-]+' || wrong_usage "--directory \`$DIRECTORY\` is no https:// URL"
    [ -z "$CA_FILE" ] || matches "$CA_FILE" '/[A-Za-z0-9./_+-]+' || wrong_usage "--ca-file \`$CA_FILE\` is no absolute path"
fi

CONFIG=/etc/tagmint/$WORLD.toml
SECRETS=/etc/tagmint/$WORLD
KEY=$SECRETS/tagmint-key
UNIT=tagmint@$WORLD
DROP_IN=/etc/systemd/system/$UNIT.socket.d/listen.conf
UNITS="$UNIT.socket $UNIT.service tagmint-check@$WORLD.timer"
[ -n "$PROXY" ] || UNITS="tagmint-http@$WORLD.socket $UNITS"
# A test issuer's bucket alone is swept, and there is one when the operator has named it.
SWEEP=no
if [ "$WORLD" = test ] && grep -Eqs '^[[:space:]]*(\[aws\.bucket\]|(aws\.)?bucket[[:space:].=])' "$CONFIG"; then
    SWEEP=yes
    UNITS="$UNITS tagmint-sweep@$WORLD.timer"
fi
about_the_sweep() {
    [ "$WORLD$SWEEP" != testno ] ||
        say "$CONFIG names no [aws.bucket] yet. When it does, run this again: the bucket is then swept every night (docs/sweep.md)"
}
# Two worlds on one host want two.
ADMIN_PORT=9464
[ "$WORLD" = prod ] || ADMIN_PORT=9465

# ---- what the files say

config() {
    cat <<CONFIG
# The $WORLD issuer of this host. Every key: /usr/share/doc/tagmint/examples, and docs/reference/config.md of the project.
# After a change: systemctl restart $UNIT

environment = "$WORLD"
issuer = "https://$HOST"                            # as it is registered with AWS; it cannot change
strict = true                                       # warnings about rules are errors

CONFIG
    if [ -n "$PROXY" ]; then
        cat <<CONFIG
[listen]
public = "127.0.0.1:$PROXY"                         # the same as in $DROP_IN
admin = "127.0.0.1:$ADMIN_PORT"                            # /metrics

[tls]
mode = "proxy"                                      # nginx ends TLS
trusted_proxies = ["127.0.0.1"]
CONFIG
    else
        cat <<CONFIG
[listen]
public = "0.0.0.0:443"                              # opened by $UNIT.socket
admin = "127.0.0.1:$ADMIN_PORT"                            # /metrics

[tls]
mode = "acme"

[tls.acme]
directory = "$DIRECTORY"
contact = ["mailto:$EMAIL"]
terms_of_service_agreed = true                      # the certificate authority's
CONFIG
        [ -z "$CA_FILE" ] || printf 'ca_file = "%s"\n' "$CA_FILE"
    fi
    cat <<CONFIG

[database]
path = "/var/lib/tagmint/$WORLD/tagmint.db"

[keys]
key_file = "credential:tagmint-key"                 # $KEY

# No rule, no token: /usr/share/doc/tagmint/examples has rules to begin with.
CONFIG
}

drop_in() {
    cat <<DROP_IN
# nginx is in front: the issuer is on loopback.
[Socket]
ListenStream=
ListenStream=127.0.0.1:$PROXY
DROP_IN
}

# ---- is this a host for it?

[ "$(id -u)" = 0 ] || die "it installs packages and writes to /etc: run it as root (sudo)"
[ -r /etc/os-release ] || die "/etc/os-release is missing: Debian 12, Debian 13, Ubuntu 22.04 or Ubuntu 24.04 is needed"
# shellcheck source=/dev/null
OS=$(. /etc/os-release && printf '%s %s' "${ID:-unknown}" "${VERSION_ID:-unknown}")
case $OS in
    'debian 12' | 'debian 13' | 'ubuntu 22.04' | 'ubuntu 24.04') ;;
    *) die "this host is \`$OS\`: Debian 12, Debian 13, Ubuntu 22.04 or Ubuntu 24.04 is needed" ;;
esac
for program in dpkg-query apt-get systemctl; do
    command -v "$program" >/dev/null || die "$program is missing: this host is not as Debian or Ubuntu install it"
done
if [ "$START" = yes ] && [ ! -d /run/systemd/system ]; then
    die "systemd does not run here: with --no-start the units are enabled, for a later boot"
fi

installed_version() {
    # shellcheck disable=SC2016 # dpkg-query's own variables
    dpkg-query --show --showformat='${db:Status-Status} ${Version}' tagmint 2>/dev/null | sed -n 's/^installed //p'
}
HAVE=$(installed_version)
WANT=''
if [ -n "$DEB" ]; then
    [ -f "$DEB" ] || die "the package $DEB does not exist: give --deb the file that \`cargo xtask package\` makes"
    NAME=$(dpkg-deb --field "$DEB" Package 2>/dev/null) || die "$DEB is no Debian package"
    [ "$NAME" = tagmint ] || die "$DEB is the package \`$NAME\`, not tagmint"
    ARCHITECTURE=$(dpkg-deb --field "$DEB" Architecture)
    OURS=$(dpkg --print-architecture)
    [ "$ARCHITECTURE" = "$OURS" ] || die "$DEB is for $ARCHITECTURE, and this host is $OURS"
    WANT=$(dpkg-deb --field "$DEB" Version)
    if [ -n "$HAVE" ] && dpkg --compare-versions "$WANT" lt "$HAVE"; then
        die "$DEB is version $WANT, and $HAVE is installed: docs/install.md tells how to go back"
    fi
    case $DEB in
        /*) ;;
        *) DEB=$PWD/$DEB ;;
    esac
elif [ -z "$HAVE" ]; then
    die "Tagmint is not installed: name its Debian package with --deb FILE"
fi

if [ ! -e "$KEY" ]; then
    for database in "/var/lib/private/tagmint/$WORLD/tagmint.db" "/var/lib/tagmint/$WORLD/tagmint.db"; do
        [ ! -e "$database" ] ||
            die "$database is there, and its key file $KEY is not: put the key file back from the backup. A new one would not open it"
    done
elif [ -n "$(find "$KEY" -perm /077)" ]; then
    die "others may read $KEY: if nobody did, chmod 0600 $KEY and run this again"
fi
if [ -n "$CA_FILE" ] && [ ! -r "$CA_FILE" ]; then
    die "--ca-file $CA_FILE cannot be read"
fi

is_enabled() { systemctl --quiet is-enabled "$1" 2>/dev/null; }
is_active() { [ -d /run/systemd/system ] && systemctl --quiet is-active "$1"; }

# Who listens on the port, unless it is systemd for this issuer.
taken() {
    ! is_active "$2" || return 1
    WHO=$(ss --no-header --listening --tcp --numeric --processes "sport = :$1" | head -n 1)
    [ -n "$WHO" ]
}
if [ "$START" = yes ]; then
    command -v ss >/dev/null || die "ss is missing: apt-get install iproute2"
    if [ -z "$WANT" ] && ! command -v curl >/dev/null; then
        die "curl is missing, and this asks the issuer with it: apt-get install curl"
    fi
    if [ -n "$PROXY" ]; then
        ! taken "$PROXY" "$UNIT.socket" || die "port $PROXY is taken: $WHO"
    else
        ! taken 443 "$UNIT.socket" || die "port 443 is taken; with nginx in front see --proxy. $WHO"
        ! taken 80 "tagmint-http@$WORLD.socket" || die "port 80 is taken, and the certificate authority asks there. $WHO"
        ADDRESSES=$(getent ahosts "$HOST" | cut -d ' ' -f 1 | sort -u | tr '\n' ' ' || true)
        if [ -z "$ADDRESSES" ]; then
            warn "$HOST has no address in DNS yet: until it has this host's, there is no certificate"
        else
            HERE=no
            for address in $ADDRESSES; do
                ip -o address show | grep -Fq " $address/" && HERE=yes
            done
            [ "$HERE" = yes ] ||
                warn "$HOST is $ADDRESSES, which is no address of this host's own: right behind an elastic IP or other NAT, else DNS is wrong"
        fi
    fi
    if [ "$(timedatectl show --property=NTPSynchronized --value 2>/dev/null)" != yes ]; then
        warn "the clock is not known to be synchronised, and a wrong one makes tokens that STS refuses: apt-get install systemd-timesyncd"
    fi
fi

# ---- whether it answers

DISCOVERY=https://$HOST/.well-known/openid-configuration
ANSWER=''
ANSWERED=no
# The document, or curl's words about what went wrong.
ask() {
    ANSWERED=no
    ANSWER=$(curl --silent --show-error --fail --max-time 10 "$@" 2>&1) && ANSWERED=yes
}
is_ours() { printf %s "$ANSWER" | grep -Fq "\"issuer\":\"https://$HOST\""; }
answers() {
    if [ -n "$PROXY" ]; then
        ask --header "Host: $HOST" "http://127.0.0.1:$PROXY/.well-known/openid-configuration" && is_ours
    elif [ "$STAGING" = yes ]; then
        # Nobody trusts these certificates; that there is one is what there is to see.
        ask --insecure "$DISCOVERY" && is_ours
    else
        ask "$DISCOVERY" && is_ours
    fi
}

# ---- what there is to do

PLAN=''
plan() { PLAN="$PLAN$1
"; }
TODO_PACKAGE=no TODO_KEY=no TODO_CONFIG=no TODO_DROP_IN=no TODO_ENABLE='' TODO_START=''
if [ -n "$WANT" ] && [ "$WANT" != "$HAVE" ]; then
    TODO_PACKAGE=yes
    if [ -z "$HAVE" ]; then plan "install $DEB (version $WANT) and what it depends on"; else plan "upgrade Tagmint from $HAVE to $WANT ($DEB)"; fi
fi
if [ ! -e "$KEY" ]; then
    TODO_KEY=yes
    plan "make the key file $KEY (mode 0600)"
fi
# An existing file is shown with what it would be, and kept.
look_at() {
    if [ ! -e "$1" ]; then
        plan "write $1"
        return 0
    fi
    if ! difference=$(printf '%s\n' "$2" | diff -u "$1" -); then
        say "$1 is kept as it is. What this script would write is different (+):"
        printf '%s\n\n' "$difference" | tail -n +3
    fi
    return 1
}
if look_at "$CONFIG" "$(config)"; then TODO_CONFIG=yes; fi
if [ -n "$PROXY" ] && look_at "$DROP_IN" "$(drop_in)"; then TODO_DROP_IN=yes; fi
for unit in $UNITS; do
    is_enabled "$unit" || TODO_ENABLE="$TODO_ENABLE $unit"
    [ "$START" = no ] || is_active "$unit" || TODO_START="$TODO_START $unit"
done
[ -z "$TODO_ENABLE" ] || plan "enable$TODO_ENABLE"
[ -z "$TODO_START" ] || plan "start$TODO_START"
# An earlier run may have set everything up, and waited in vain.
if [ "$START" = yes ] && { [ -n "$PLAN" ] || ! answers; }; then
    plan "wait until the issuer answers"
fi

if [ -z "$PLAN" ]; then
    say "nothing to do: the $WORLD issuer https://$HOST is set up"
    exit 0
fi
say "for the $WORLD issuer https://$HOST this will:"
printf %s "$PLAN" | sed 's/^/  - /'
if [ "$DRY_RUN" = yes ]; then
    say "nothing was changed (--dry-run)"
    exit 0
fi
if [ "$YES" = no ]; then
    [ -t 0 ] || die "there is nobody to ask: say --yes"
    printf 'go on? [y/N] '
    read -r answer
    case $answer in
        y | Y | yes) ;;
        *) die "nothing was changed" ;;
    esac
fi

# ---- doing it

# Writes a file with this mode and text, whole or not at all, and never over one.
new_file() {
    TEMPORARY=$(mktemp "$1.XXXXXX") || die "$(dirname "$1") cannot be written to"
    if printf '%s\n' "$3" >"$TEMPORARY" && chmod "$2" "$TEMPORARY" && sync "$TEMPORARY" && ln "$TEMPORARY" "$1"; then
        rm -f "$TEMPORARY"
    else
        rm -f "$TEMPORARY"
        die "$1 could not be written"
    fi
}

if [ "$TODO_PACKAGE" = yes ]; then
    say "==> the package"
    export DEBIAN_FRONTEND=noninteractive
    needed=''
    for name in ca-certificates curl; do
        dpkg-query --show --showformat='${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || needed="$needed $name"
    done
    # Only a host that lacks something has to reach its mirror.
    if [ -n "$needed" ]; then
        apt-get update --quiet || die "apt-get update failed: what it says stands above"
    fi
    # shellcheck disable=SC2086 # names of packages
    apt-get install --quiet --yes --no-install-recommends $needed "$DEB" ||
        die "the package could not be installed: what apt-get says stands above"
fi
if [ "$TODO_KEY" = yes ]; then
    say "==> $KEY"
    install -d -m 0755 /etc/tagmint || die "/etc/tagmint could not be made"
    install -d -m 0700 "$SECRETS" || die "$SECRETS could not be made"
    SECRET=$(head -c 32 /dev/urandom | base64)
    [ ${#SECRET} = 44 ] || die "/dev/urandom gave no key"
    new_file "$KEY" 0600 "$SECRET"
fi
if [ "$TODO_CONFIG" = yes ]; then
    say "==> $CONFIG"
    new_file "$CONFIG" 0644 "$(config)"
fi
if [ "$TODO_DROP_IN" = yes ]; then
    say "==> $DROP_IN"
    mkdir -p "$(dirname "$DROP_IN")" || die "$(dirname "$DROP_IN") could not be made"
    new_file "$DROP_IN" 0644 "$(drop_in)"
fi
if [ "$START" = yes ]; then
    systemctl daemon-reload || die "systemctl daemon-reload failed"
fi
if [ -n "$TODO_ENABLE" ]; then
    say "==> enable$TODO_ENABLE"
    # shellcheck disable=SC2086 # names of units
    systemctl --quiet enable $TODO_ENABLE || die "the units could not be enabled: what systemctl says stands above"
fi
if [ "$START" = no ]; then
    say "done; it starts with the next boot, or with: systemctl start$(printf ' %s' "$UNITS")"
    about_the_sweep
    exit 0
fi
if [ -n "$TODO_START" ]; then
    say "==> start$TODO_START"
    # shellcheck disable=SC2086 # names of units
    if ! systemctl start $TODO_START; then
        journalctl --unit "$UNIT.service" --no-pager --output cat --lines 30 >&2 || true
        die "the issuer did not start. Its log stands above; more: journalctl -u $UNIT. When it is mended: systemctl reset-failed '$UNIT.*', and run this again"
    fi
fi

# ---- does it answer?

if [ -n "$PROXY" ]; then
    answers || die "the issuer does not answer on 127.0.0.1:$PROXY: $ANSWER. More: journalctl -u $UNIT"
    say "done: the issuer answers on 127.0.0.1:$PROXY. nginx in front: docs/nginx.md, with sites in /usr/share/doc/tagmint/nginx"
    about_the_sweep
    exit 0
fi
say "==> waiting up to $WAIT seconds for a certificate, and for $DISCOVERY"
END=$(($(date +%s) + WAIT))
LAST=''
while :; do
    if answers; then
        if [ "$STAGING" = yes ]; then
            say "done: $DISCOVERY answers with a certificate to try, which AWS does not trust."
            say "For one that it trusts: take \`directory\` out of $CONFIG, and: systemctl restart $UNIT"
        else
            say "done: $DISCOVERY answers, with a certificate that this host verified"
            say "Back $KEY up, apart from the database. Then the rules in $CONFIG, and AWS: docs/aws.md"
        fi
        about_the_sweep
        exit 0
    elif [ "$ANSWERED" = yes ]; then
        die "$DISCOVERY answers, but not as this issuer: DNS points to another host, or something stands in front of it"
    fi
    if [ "$ANSWER" != "$LAST" ]; then
        say "    $ANSWER"
        LAST=$ANSWER
    fi
    [ "$(date +%s)" -lt "$END" ] || break
    sleep 3
done
if [ "$STAGING" = no ] && ask --resolve "$HOST:443:127.0.0.1" "$DISCOVERY" && is_ours; then
    die "the issuer has its certificate, but $DISCOVERY cannot be reached by its public address: DNS, the firewall or the security group ($LAST)"
fi
say "The last words of its log:" >&2
journalctl --unit "$UNIT.service" --no-pager --output cat --lines 10 >&2 || true
die "no verified answer within $WAIT seconds ($LAST). The issuer goes on trying. Look at: journalctl -u $UNIT; ports 80 and 443 of $HOST must reach this host. Then run this again"
