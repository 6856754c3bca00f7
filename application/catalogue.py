"""What the catalogue answers: repositories, packages, versions, artifacts — now, or as of a position."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from domain.repository import Kind, Settings

NIL = UUID(int=0)


class RepositoryRow(msgspec.Struct, frozen=True):
    """A repository. since: the position from which this row is true."""

    id: UUID
    key: str
    name: str
    description: str | None
    format: str
    kind: Kind
    public: bool
    settings: Settings
    source: UUID | None
    source_position: int | None
    created_at: datetime
    created_by: UUID | None
    updated_at: datetime
    since: int


class PackageRow(msgspec.Struct, frozen=True):
    """A package that has artifacts. package: normalised; name: as its publisher spells it."""

    repository: UUID
    package: str
    name: str
    created_at: datetime
    updated_at: datetime


class VersionRow(msgspec.Struct, frozen=True):
    """A version that has artifacts. yanked and deprecated: the reason, None when it is not."""

    version: str
    created_at: datetime
    created_by: UUID | None
    yanked: str | None
    deprecated: str | None


class ArtifactRow(msgspec.Struct, frozen=True):
    """A stored file. digests: algorithm to hexadecimal. metadata: the format's JSON. blobs: role to digest."""

    id: UUID
    repository: UUID
    path: str
    package: str
    name: str
    version: str
    sha256: str
    size_bytes: int
    media_type: str
    digests: dict[str, str]
    metadata: msgspec.Raw
    metadata_blob: str | None
    blobs: dict[str, str]
    properties: dict[str, tuple[str, ...]]
    revision: int
    published_at: datetime
    published_by: UUID | None
    since: int

    @property
    def filename(self) -> str:
        """The last segment of the path."""
        return self.path.rpartition("/")[2]


class Child(msgspec.Struct, frozen=True):
    """One entry of a directory: a folder, or a file with its artifact."""

    name: str
    artifact: ArtifactRow | None

    @property
    def folder(self) -> bool:
        """Whether it is a folder."""
        return self.artifact is None

    @property
    def key(self) -> str:
        """Its place in the order of a directory: the name, with a slash after a folder's."""
        return f"{self.name}/" if self.folder else self.name


class StorageUsage(msgspec.Struct, frozen=True):
    """What a repository holds. logical: every artifact; physical: every distinct blob; unique: those that no other
    repository holds. Sizes in bytes.
    """

    logical_bytes: int
    physical_bytes: int
    unique_bytes: int
    blob_count: int
    computed_at: datetime


class Storage(Protocol):
    """How much repositories hold now."""

    def used_bytes(self, repositories: Sequence[UUID]) -> dict[UUID, int]:
        """Logical bytes by repository; those that hold nothing are left out."""

    def usage(self, repository: UUID) -> StorageUsage:
        """One repository in detail; the cost goes by its blobs."""


class Catalogue(Protocol):
    """Queries. `at` is a position; None is now. Everything is ordered bytewise by its name unless it says otherwise."""

    def repository(self, key: str, at: int | None = None) -> RepositoryRow | None:
        """The repository of that key; as of `at`, also one that has been deleted or renamed since."""

    def repository_by_id(self, repository: UUID, at: int | None = None) -> RepositoryRow | None:
        """The repository of that id."""

    def repositories(self) -> list[RepositoryRow]:
        """All repositories there are now, by key."""

    def packages(
        self, repository: UUID, at: int | None = None, *, after: str = "", limit: int | None = None
    ) -> list[PackageRow]:
        """Packages with at least one artifact, by normalised name, after the name `after`."""

    def versions(self, repository: UUID, package: str, at: int | None = None) -> list[VersionRow]:
        """The versions of a package, oldest first."""

    def former_versions(self, repository: UUID, package: str, at: int | None = None) -> dict[str, datetime]:
        """Version to the time of its first file, for versions that have none left."""

    def marks(self, repository: UUID, package: str, kind: str, at: int | None = None) -> dict[str, str]:
        """Name to value of one kind of mark: `tag`, `owner`, `status`, `locations`."""

    def artifact(self, repository: UUID, path: str, at: int | None = None) -> ArtifactRow | None:
        """What is at a path."""

    def artifact_by_id(self, artifact: UUID, at: int | None = None) -> ArtifactRow | None:
        """The artifact of that id."""

    def artifacts(self, repository: UUID, package: str, at: int | None = None) -> list[ArtifactRow]:
        """The artifacts of a package, by path."""

    def artifacts_below(
        self,
        repository: UUID,
        prefix: str,
        at: int | None = None,
        *,
        after: str = "",
        upto: str | None = None,
        limit: int = 1000,
    ) -> list[ArtifactRow]:
        """Artifacts whose path starts with `prefix`, by path, after the path `after`, up to `upto`. In the past
        the cost goes by what is in that range, whatever the limit is.
        """

    def outline(self, repository: UUID, prefix: str, at: int | None = None) -> list[tuple[str, int]]:
        """Every path that starts with `prefix`, in order, with the position since which its artifact is as it is: what
        changed, for whoever remembers the rest. A hundred thousand of them cost less than a second.
        """

    def children(
        self, repository: UUID, directory: str, at: int | None = None, *, after: str = "", limit: int = 1000
    ) -> list[Child]:
        """What is directly in a directory (empty, or ending in `/`), by key, after the key `after`. The cost goes by
        entries, not by what lies below them.
        """

    def revision(self, repository: UUID, scope: str, at: int | None = None) -> int:
        """The last position that changed the scope; 0 when nothing ever did."""

    def checkpoint(self, name: str) -> int | None:
        """The position that was given this name."""

    def checkpoints(self) -> list[tuple[str, int]]:
        """Every named position, by name."""

    def blobs_known(self, digests: Sequence[str]) -> set[str]:
        """Those of the digests that some artifact refers to, or referred to."""


def package_scope(package: str) -> str:
    """The scope of everything that is told about one package."""
    return f"package:{package}"


PACKAGES_SCOPE = "packages"
"""The scope of which packages exist."""

TREE_SCOPE = "tree"
"""The scope of everything in a repository: its settings, and what is told of all of its files
at once, grouped into packages or not.
"""

REPOSITORIES_SCOPE = "repositories"
"""The scope, in the repository NIL, of which repositories exist and what they are."""
