"""Text from query strings, in the form that can be looked up."""

from __future__ import annotations


def storable(text: str) -> str:
    """The text without what no stored text has: NUL, and halves of characters."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
