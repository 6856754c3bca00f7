"""What changed in a repository between two positions."""

from __future__ import annotations

from typing import Literal, Protocol
from uuid import UUID

import msgspec

Change = Literal["appeared", "changed", "vanished"]


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that differs. subject: `artifact` (name is its path), `version`, `tag`, `owner` or `status`.

    before and after: digests of artifacts, targets of tags, `yanked: …` and `deprecated: …` of versions.
    """

    subject: str
    package: str
    name: str
    change: Change
    before: str | None = None
    after: str | None = None


class Comparison(Protocol):
    """The catalogue at two positions, side by side."""

    def differences(self, repository: UUID, earlier: int, later: int, *, limit: int) -> list[Difference]:
        """What differs, artifacts first, each by name; at most `limit`. The cost goes by what changed."""


def change_of(before: str | None, after: str | None) -> Change:
    """How a thing changed that was `before` and is `after`; None is absent."""
    if before is None:
        return "appeared"
    return "vanished" if after is None else "changed"
