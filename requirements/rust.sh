#!/bin/sh
# Sees to it that there are cargo and rustc, which some tests drive, and links them into the folder that is named.
# The stand-ins of rustup look for a toolchain in the home of whoever calls them; the tests have homes of their own.
set -eu
if ! command -v cargo >/dev/null 2>&1 || ! command -v rustc >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update -qq
        packages="cargo rustc"
        if apt-cache show cargo-web >/dev/null 2>&1; then # beside an old cargo, Debian has the one that browsers need
            packages="cargo-web rustc-web"
        fi
        echo "installing $packages"
        # shellcheck disable=SC2086 # one word each
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages ca-certificates >/dev/null
    else
        echo "cargo and rustc are needed. On Debian and Ubuntu: sudo apt-get install cargo rustc" >&2
        exit 1
    fi
fi
mkdir -p "$1"
for tool in cargo rustc; do
    ln -sf "$(rustup which "$tool" 2>/dev/null || command -v "$tool")" "$1/$tool"
done
