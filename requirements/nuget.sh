#!/bin/sh
# Sees to it that what NuGet 5.8 needs of Mono is there, besides what Debian's own nuget brings.
set -eu
packages="libmono-system-net-http4.0-cil libmono-system-io-compression4.0-cil"
packages="$packages libmono-system-io-compression-filesystem4.0-cil libmono-system-runtime4.0-cil"
missing=""
for package in $packages; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
if [ -z "$missing" ] || ! command -v apt-get >/dev/null 2>&1; then
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    echo "installing$missing"
    apt-get update -qq
    # shellcheck disable=SC2086 # one word each
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "missing:$missing. On Debian and Ubuntu: sudo apt-get install$missing" >&2
    exit 1
fi
