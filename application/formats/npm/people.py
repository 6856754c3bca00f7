"""People as npm writes them: an object, or one line `name <address> (url)`."""

from __future__ import annotations

import re

import msgspec

_LINE = re.compile(r"(?P<name>[^<(]{0,512})(?:<(?P<email>[^>]{0,512})>)?\s{0,16}(?:\((?P<url>[^)]{0,2048})\))?")


class Person(msgspec.Struct, frozen=True, omit_defaults=True):
    """An author, a contributor, a maintainer or a publisher; empty text means not given."""

    name: str = ""
    email: str = ""
    url: str = ""


def parse_person(value: object) -> Person | None:
    """The person in either notation; None when there is none to be seen.

    Source: https://github.com/npm/cli/blob/latest/docs/lib/content/configuring-npm/package-json.md#people-fields-author-contributors
    """
    if isinstance(value, dict):
        person = Person(*(_text(value.get(field)) for field in ("name", "email", "url")))
    elif isinstance(value, str):
        match = _LINE.match(value.strip())
        person = Person(**{field: _text(text) for field, text in match.groupdict().items()}) if match else Person()
    else:
        return None
    return person if person != Person() else None


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
