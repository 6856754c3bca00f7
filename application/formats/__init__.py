"""The formats, one line each."""

from __future__ import annotations

from application.format import Format
from application.formats import npm, pypi

FORMATS: tuple[Format, ...] = (
    npm.FORMAT,
    pypi.FORMAT,
)
