#!/bin/sh
# Builds crane and regctl, which some tests drive, into the folder that is named, where there is a go that can: 1.24 or
# newer for crane, 1.25 for regctl. That takes half a minute each, once.
set -eu
crane=github.com/google/go-containerregistry/cmd/crane@v0.20.6
regctl=github.com/regclient/regclient/cmd/regctl@v0.11.5
go="$(command -v go || true)"
if [ -z "$go" ] && [ -x "$1/go" ]; then
    go="$1/go"
fi
version="$(${go:-false} env GOVERSION 2>/dev/null || echo go0.0)"
minor="$(echo "$version" | sed -E 's/^go1\.([0-9]+).*/\1/; t; s/.*/0/')"
mkdir -p "$1"
for wanted in "24 $crane" "25 $regctl"; do
    program="${wanted##*/cmd/}"
    program="${program%%@*}"
    if [ -x "$1/$program" ]; then
        continue
    fi
    if [ "$minor" -lt "${wanted%% *}" ]; then
        echo "no go that builds $program; what drives it is skipped"
        continue
    fi
    echo "building $program"
    GOBIN="$(cd "$1" && pwd)" GOTOOLCHAIN=local "$go" install -ldflags='-s -w' "${wanted#* }"
done
