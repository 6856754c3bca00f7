#!/bin/sh
# Builds helm, which some tests drive, into the folder that is named, where there is a go that can: 1.24 or newer.
# That takes some minutes, once.
set -eu
helm=helm.sh/helm/v3/cmd/helm@v3.19.4
if [ -x "$1/helm" ]; then
    exit 0
fi
go="$(command -v go || true)"
if [ -z "$go" ] && [ -x "$1/go" ]; then
    go="$1/go"
fi
version="$(${go:-false} env GOVERSION 2>/dev/null || echo go0.0)"
minor="$(echo "$version" | sed -E 's/^go1\.([0-9]+).*/\1/; t; s/.*/0/')"
if [ "$minor" -lt 24 ]; then
    echo "no go that builds helm; what drives it is skipped"
    exit 0
fi
echo "building helm (some minutes, once)"
mkdir -p "$1"
GOBIN="$(cd "$1" && pwd)" GOTOOLCHAIN=local "$go" install -ldflags='-s -w' "$helm"
