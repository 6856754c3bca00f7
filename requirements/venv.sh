#!/bin/sh
# Makes the virtual environment $1 with $PYTHON, on a system that may lack the parts of Python that this takes.
set -eu
target=$1
python=${PYTHON:-python3}

if ! command -v "$python" >/dev/null 2>&1; then
    echo "Python 3.11 or newer is needed: apt-get install python3 (or: make PYTHON=/path/to/python3.12)" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or newer is needed and $python is $("$python" -V 2>&1): make PYTHON=/path/to/a/newer/one" >&2
    exit 1
fi

# Debian ships the installer of pip for virtual environments as a package of its own.
has_installer() { "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; }

if ! has_installer && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "installing python3-venv, which $python lacks"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "python$version-venv" >/dev/null
fi

rm -rf "$target"
if has_installer; then
    "$python" -m venv "$target"
elif "$python" -m venv --without-pip "$target" 2>/dev/null && "$python" -m pip --version >/dev/null 2>&1; then
    "$python" -m pip --quiet --python "$target/bin/python" install pip
else
    rm -rf "$target"
    echo "$python cannot make virtual environments. On Debian and Ubuntu: sudo apt-get install python3-venv" >&2
    exit 1
fi
