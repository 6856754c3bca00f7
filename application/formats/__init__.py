"""The formats, one line each."""

from __future__ import annotations

from application.format import Format
from application.formats import generic, npm, pypi

FORMATS: tuple[Format, ...] = (
    generic.FORMAT,
    npm.FORMAT,
    pypi.FORMAT,
)
