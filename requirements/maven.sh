#!/bin/sh
# Sees to it that there are Maven and Gradle with a Java to run them, which some tests drive. Plugins come by themselves.
set -eu
missing=""
for tool in mvn gradle; do
    command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
if [ -z "$missing" ]; then
    exit 0
fi
packages=$(echo "$missing" | sed 's/mvn/maven/')
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$packages"
    apt-get update -qq
    # shellcheck disable=SC2086 # one word each
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages default-jre-headless ca-certificates >/dev/null
else
    echo "missing:$missing. On Debian and Ubuntu: sudo apt-get install$packages" >&2
    exit 1
fi
