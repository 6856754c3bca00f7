"""Settings for people to read."""

from __future__ import annotations

from api.composition.core import read_settings
from infrastructure.settings_help import plain


def describe_settings() -> str:
    """Every setting with the value in force."""
    return plain(read_settings())
