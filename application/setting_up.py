"""How clients are told of a repository: text to copy, with the repository's own addresses in it."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec


class Snippet(msgspec.Struct, frozen=True):
    """title: what it does, for people. file: where it belongs, empty for commands. text: with {url}, {base}, {host}
    and {key} where the repository's are to stand, and TOKEN for a token.
    """

    title: str
    text: str
    file: str = ""


def filled(snippets: Iterable[Snippet], prefix: str, key: str, base_url: str) -> list[Snippet]:
    """The snippets for one repository. prefix: the first path segments of its format."""
    values = {
        "url": f"{base_url}/{prefix}/{key}",
        "base": base_url,
        "host": urlsplit(base_url).netloc,
        "key": key,
    }
    return [
        msgspec.structs.replace(one, text=_with(one.text, values), file=_with(one.file, values)) for one in snippets
    ]


def _with(text: str, values: dict[str, str]) -> str:
    """Only the known placeholders: other braces belong to the client's own language."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text
