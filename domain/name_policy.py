"""Which packages may come from an upstream, by their names: nobody there speaks for a scope that is not theirs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

import msgspec

from domain.errors import Invalid

MAX_ENTRIES = 1000
MAX_PATTERN_CHARS = 214
_SCOPE = re.compile(r"@[A-Za-z0-9~-][A-Za-z0-9._~-]{0,212}\Z")


class NamePolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """allowed_scopes: each with its `@`. allow_unscoped: names without a scope may come too. allowed_patterns: of whole
    names, `*` for anything, that may come besides. Without scopes and patterns every name may.
    """

    allowed_scopes: tuple[str, ...] = ()
    allow_unscoped: bool = False
    allowed_patterns: tuple[str, ...] = ()

    @property
    def active(self) -> bool:
        """Whether it keeps anything out."""
        return bool(self.allowed_scopes or self.allowed_patterns)

    def admits(self, name: str) -> bool:
        """Whether a package of that name, `base` or `@scope/base`, may come."""
        if not self.active or any(fnmatchcase(name, pattern) for pattern in self.allowed_patterns):
            return True
        scope, slash, _ = name.partition("/")
        return scope in self.allowed_scopes if slash else self.allow_unscoped


def checked_scopes(texts: Sequence[str]) -> tuple[str, ...]:
    """Scopes in one spelling, each once; the `@` may be missing. Raises Invalid."""
    if len(texts) > MAX_ENTRIES:
        raise Invalid(f"at most {MAX_ENTRIES} scopes")
    scopes = dict.fromkeys("@" + text.strip().removeprefix("@") for text in texts)
    for scope in scopes:
        if not _SCOPE.match(scope):
            raise Invalid(f"{scope[:100]!r} is not a scope, such as @acme")
    return tuple(scopes)


def checked_patterns(texts: Sequence[str]) -> tuple[str, ...]:
    """Patterns of names, each once. Raises Invalid."""
    if len(texts) > MAX_ENTRIES:
        raise Invalid(f"at most {MAX_ENTRIES} patterns of names")
    for text in texts:
        if not text or len(text) > MAX_PATTERN_CHARS or not text.isprintable() or " " in text:
            raise Invalid(f"{text[:100]!r} is not a pattern of package names, such as @acme/* or left-*")
    return tuple(dict.fromkeys(texts))
