#!/bin/sh
# Sees to it that the programs are there that some tests drive, each named with its Debian package: tools.sh mvn=maven …
set -eu
missing="" packages=""
for pair in "$@"; do
    if ! command -v "${pair%%=*}" >/dev/null 2>&1; then
        missing="$missing ${pair%%=*}" packages="$packages ${pair#*=}"
    fi
done
if [ -z "$missing" ]; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$packages"
    apt-get update -qq
    # shellcheck disable=SC2086 # one word each
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages ca-certificates >/dev/null
else
    echo "missing:$missing. On Debian and Ubuntu: sudo apt-get install$packages" >&2
    exit 1
fi
