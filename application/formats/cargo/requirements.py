"""Version requirements as cargo writes them: read, and written the one way in which cargo would print them."""

from __future__ import annotations

import re
from typing import ClassVar

from domain.errors import Invalid

MAX_REQUIREMENT_CHARS = 1024
_MAX_COMPARATORS = 32
_MAX_NUMBER = 2**64 - 1
_WILDCARDS = frozenset("*xX")

_NUMBER = r"0|[1-9][0-9]{0,19}"
_IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_COMPARATOR = re.compile(
    rf"(?P<operator>=|>=|>|<=|<|~|\^)?[ ]*(?P<major>{_NUMBER})"
    rf"(?:\.(?P<minor>{_NUMBER}|[*xX])(?:\.(?P<patch>{_NUMBER}|[*xX])"
    rf"(?:-(?P<pre>{_IDENTIFIERS}))?(?:\+{_IDENTIFIERS})?)?)?\Z"
)


class RequirementInvalid(Invalid):
    """Not a version requirement that cargo can read."""

    template: ClassVar[str] = "invalid version requirement {requirement!r}"

    def __init__(self, requirement: str) -> None:
        super().__init__(requirement=requirement[:200])


def canonical_requirement(text: str) -> str:
    """The requirement as cargo prints it: `1.2` is `^1.2`, and several are joined by `, `. Raises RequirementInvalid.

    Source: https://doc.rust-lang.org/cargo/reference/specifying-dependencies.html#version-requirement-syntax
    """
    if len(text) > MAX_REQUIREMENT_CHARS:
        raise RequirementInvalid(text)
    if text.strip(" ") in _WILDCARDS:
        return "*"
    comparators = text.split(",")
    if len(comparators) > _MAX_COMPARATORS:
        raise RequirementInvalid(text)
    return ", ".join(_comparator(comparator.strip(" "), text) for comparator in comparators)


def _comparator(comparator: str, text: str) -> str:
    match = _COMPARATOR.match(comparator)
    if match is None:
        raise RequirementInvalid(text)
    operator, major, minor, patch, pre = match.group("operator", "major", "minor", "patch", "pre")
    numbers = [part for part in (major, minor, patch) if part is not None and part not in _WILDCARDS]
    wild = len(numbers) < sum(part is not None for part in (major, minor, patch))
    if any(int(number) > _MAX_NUMBER for number in numbers):
        raise RequirementInvalid(text)
    if minor in _WILDCARDS and patch is not None and patch not in _WILDCARDS:
        raise RequirementInvalid(text)
    if pre is not None and patch in _WILDCARDS:
        raise RequirementInvalid(text)
    shown = ".".join(numbers) + (f"-{pre}" if pre else "")
    if wild and operator is None:
        return f"{shown}.*"
    return f"{operator or '^'}{shown}"
