"""How often things were downloaded. Downloads are not events: they are counted by day and kind of client."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Protocol
from uuid import UUID

import msgspec

# The first pattern that the user agent contains, in lower case, wins; wrappers stand before what they wrap.
CLIENT_FAMILIES: tuple[tuple[str, str], ...] = (
    ("uv/", "uv"),
    ("poetry/", "poetry"),
    ("pdm/", "pdm"),
    ("twine/", "twine"),
    ("pip/", "pip"),
    ("pnpm/", "pnpm"),
    ("yarn/", "yarn"),
    ("bun/", "bun"),
    ("npm/", "npm"),
    ("bower/", "bower"),
    ("conda/", "conda"),
    ("mamba/", "conda"),
    ("apache-maven", "maven"),
    ("gradle/", "gradle"),
    ("sbt/", "sbt"),
    ("cargo", "cargo"),
    ("go-http-client", "go"),
    ("gomodule", "go"),
    ("nuget", "nuget"),
    ("bundler/", "rubygems"),
    ("rubygems", "rubygems"),
    ("composer/", "composer"),
    ("helm/", "helm"),
    ("containerd/", "containerd"),
    ("docker/", "docker"),
    ("buildkit/", "docker"),
    ("podman/", "podman"),
    ("skopeo/", "skopeo"),
    ("oras/", "oras"),
    ("debian apt", "apt"),
    ("libdnf", "dnf"),
    ("dnf/", "dnf"),
    ("yum/", "dnf"),
    ("apk-tools", "apk"),
    ("conan/", "conan"),
    ("terraform/", "terraform"),
    ("opentofu/", "terraform"),
    ("dart pub", "pub"),
    ("hex/", "hex"),
    ("swiftpackagemanager", "swift"),
    ("git-lfs/", "git-lfs"),
    ("huggingface", "huggingface"),
    ("artifact-keeper", "artifact-keeper"),
    ("curl/", "curl"),
    ("wget/", "wget"),
    ("aria2/", "aria2"),
    ("mozilla/", "browser"),
    ("python-requests", "library"),
    ("python-httpx", "library"),
    ("python-urllib", "library"),
    ("aiohttp", "library"),
    ("node-fetch", "library"),
    ("undici", "library"),
    ("okhttp", "library"),
    ("java/", "library"),
)
OTHER_FAMILY = "other"


@lru_cache(maxsize=4096)
def client_family(agent: str) -> str:
    """The kind of client that a user agent names; one of few, whatever is sent."""
    text = agent[:256].lower()
    return next((family for pattern, family in CLIENT_FAMILIES if pattern in text), OTHER_FAMILY)


class DownloadCounter(Protocol):
    """Counts downloads of this process."""

    def count(self, artifact: UUID, repository: UUID, agent: str) -> None:
        """Count one. Never waits and never fails; may be called from an event loop. agent: the User-Agent header."""


class DownloadStats(msgspec.Struct, frozen=True):
    """All downloads of something. Times are a second or so late."""

    count: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None


class Day(msgspec.Struct, frozen=True):
    """Downloads on one day (UTC)."""

    day: date
    downloads: int


class Usage(Protocol):
    """Queries over what was counted, about a second late. Things that were never downloaded are absent from answers."""

    def downloads(self, artifacts: Collection[UUID]) -> dict[UUID, int]:
        """Downloads of artifacts."""

    def stats(self, artifact: UUID) -> DownloadStats:
        """All about one artifact."""

    def of_packages(self, packages: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], int]:
        """Downloads of what (repository, package) pairs have now."""

    def of_versions(self, repository: UUID, package: str) -> dict[str, int]:
        """Downloads of each version of a package that is there now."""

    def of_repositories(self, repositories: Collection[UUID]) -> dict[UUID, int]:
        """Downloads from repositories, also of artifacts that are gone."""

    def total(self) -> int:
        """Every download there ever was."""

    def trend(
        self, first: date, last: date, *, repository: UUID | None = None, artifact: UUID | None = None
    ) -> list[Day]:
        """Downloads a day, both days included; days without any are left out."""

    def families(self, first: date, last: date, *, repository: UUID | None = None) -> dict[str, int]:
        """Downloads by kind of client, both days included."""

    def trending(
        self, days: int, limit: int, repositories: Collection[UUID] | None = None
    ) -> Sequence[tuple[UUID, int]]:
        """Artifacts that are there now by downloads in the last days, today included; most first.

        repositories: only from these; None is all.
        """
