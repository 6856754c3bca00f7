"""The formats, one line each."""

from __future__ import annotations

from application.format import Format
from application.formats import cargo, debian, generic, go, helm, maven, npm, nuget, oci, pypi, rpm

FORMATS: tuple[Format, ...] = (
    cargo.FORMAT,
    debian.FORMAT,
    generic.FORMAT,
    go.FORMAT,
    helm.FORMAT,
    maven.FORMAT,
    npm.FORMAT,
    nuget.FORMAT,
    oci.FORMAT,
    pypi.FORMAT,
    rpm.FORMAT,
)
