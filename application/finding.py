"""Finding artifacts by what is true of them: across packages, across repositories, and among their own revisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from application.catalogue import ArtifactRow


class ArtifactFilter(msgspec.Struct, frozen=True, kw_only=True):
    """All of these must hold. Empty ones always do.

    prefix: of the path. text: anywhere in the path, in any case. glob, name_glob: of the whole path and of its last
    segment, with `*` and `?`, neither of which stops at a slash. properties: name to a value or, empty, to any.
    digests: algorithm to hexadecimal, of those that were published with the artifact.
    """

    repositories: Sequence[UUID]
    prefix: str = ""
    text: str = ""
    glob: str = ""
    name_glob: str = ""
    properties: Mapping[str, str] = {}
    digests: Mapping[str, str] = {}


class Occupancy(msgspec.Struct, frozen=True):
    """What is in the way of new files. taken: those of their paths at which there is one. obstacle: a file that is at
    a directory of one of them, or below one of them; a tree has no room for both.
    """

    taken: frozenset[str]
    obstacle: str | None


class Finder(Protocol):
    """Queries over artifacts, ordered by repository and path. `at` is a position; None is now."""

    def find(
        self,
        wanted: ArtifactFilter,
        at: int | None = None,
        *,
        after: tuple[UUID, str] | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> list[ArtifactRow]:
        """Artifacts that fit, from after a (repository, path), skipping `offset`."""

    def count(self, wanted: ArtifactFilter, at: int | None = None, limit: int | None = None) -> int:
        """How many fit; counts no further than `limit`."""

    def revisions(self, artifact: UUID, at: int | None = None) -> list[ArtifactRow]:
        """Everything that was ever published at an artifact's path, newest first, deleted ones too."""

    def with_blob(self, sha256: str, repositories: Sequence[UUID], limit: int = 1) -> list[ArtifactRow]:
        """Artifacts in these repositories that have these bytes."""

    def in_role(
        self, repository: UUID, package: str, role: str, at: int | None = None, *, sha256: str = ""
    ) -> ArtifactRow | None:
        """An artifact of the package that has a blob in that role. sha256: of the blob, where it is known; it is found
        sooner then.
        """

    def occupancy(self, repository: UUID, paths: Sequence[str]) -> Occupancy:
        """What is at some paths, above them or below them."""
