#!/bin/sh
# Sees to it that there are Node and npm, whose clients some tests drive.
set -eu
if command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1; then
    if node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 18 ? 0 : 1)'; then
        exit 0
    fi
    echo "Node 18 or newer is needed, this is $(node --version)" >&2
    exit 1
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing nodejs and npm"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm ca-certificates >/dev/null
else
    echo "Node and npm are needed. On Debian and Ubuntu: sudo apt-get install nodejs npm" >&2
    exit 1
fi
