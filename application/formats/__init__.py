"""The formats, one line each."""

from __future__ import annotations

from application.format import Format
from application.formats import cargo, generic, go, helm, maven, npm, pypi, rpm

FORMATS: tuple[Format, ...] = (
    cargo.FORMAT,
    generic.FORMAT,
    go.FORMAT,
    helm.FORMAT,
    maven.FORMAT,
    npm.FORMAT,
    pypi.FORMAT,
    rpm.FORMAT,
)
