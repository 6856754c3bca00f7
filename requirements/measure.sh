#!/bin/sh
# Sees to it that there is wrk, with which the benchmarks make load. nginx, to which some compare, is used where it is, and
# never installed: it would begin to serve.
set -eu
if command -v wrk >/dev/null 2>&1; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing wrk"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wrk >/dev/null
else
    echo "Benchmarks under load need wrk. On Debian and Ubuntu: sudo apt-get install wrk" >&2
fi
