"""A package: what is true of a name rather than of one file. Tags, yanks, deprecations, owners, status, locations."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

import msgspec

from domain.errors import NotFound
from domain.event import Event


class TagNotFound(NotFound):
    """The package has no such tag."""

    template = "tag '{tag}' of {package} not found"

    def __init__(self, package: str, tag: str) -> None:
        super().__init__(package=package, tag=tag)


class TagSet(Event, frozen=True, kw_only=True):
    """A moving name points at a version (npm dist-tag, OCI tag, channel)."""

    TOPIC: ClassVar[str] = "package.tag-set"
    repository: UUID
    package: str
    tag: str
    version: str


class TagRemoved(Event, frozen=True, kw_only=True):
    """A moving name points nowhere any more."""

    TOPIC: ClassVar[str] = "package.tag-removed"
    repository: UUID
    package: str
    tag: str


class VersionYankedV1(Event, frozen=True, kw_only=True):
    """The first shape of a yank, one version an event. Kept to read old logs; new ones write VersionsYanked."""

    TOPIC: ClassVar[str] = "package.version-yanked"
    repository: UUID
    package: str
    version: str
    reason: str = ""


class VersionsYanked(Event, frozen=True, kw_only=True):
    """Versions stay installable by exact name and are otherwise passed over (PEP 592, cargo yank)."""

    TOPIC: ClassVar[str] = "package.version-yanked.v2"
    repository: UUID
    package: str
    versions: tuple[str, ...]
    reason: str = ""


class VersionsUnyanked(Event, frozen=True, kw_only=True):
    """The yank is taken back."""

    TOPIC: ClassVar[str] = "package.version-unyanked"
    repository: UUID
    package: str
    versions: tuple[str, ...]


class VersionsDeprecated(Event, frozen=True, kw_only=True):
    """Installing these versions shows the message; an empty message takes the deprecation back."""

    TOPIC: ClassVar[str] = "package.versions-deprecated"
    repository: UUID
    package: str
    versions: tuple[str, ...]
    message: str


class OwnersSet(Event, frozen=True, kw_only=True):
    """The people who are named as the package's owners are now exactly these."""

    TOPIC: ClassVar[str] = "package.owners-set"
    repository: UUID
    package: str
    owners: tuple[UUID, ...]


class StatusSet(Event, frozen=True, kw_only=True):
    """The package as a whole is `active`, `archived`, `deprecated` or `quarantined` (PEP 792)."""

    TOPIC: ClassVar[str] = "package.status-set"
    repository: UUID
    package: str
    status: str
    reason: str = ""


class LocationsSet(Event, frozen=True, kw_only=True):
    """Where else packages of this name are: those it extends, and those that are the same one (PEP 708)."""

    TOPIC: ClassVar[str] = "package.locations-set"
    repository: UUID
    package: str
    tracks: tuple[str, ...]
    alternates: tuple[str, ...]


class Package(msgspec.Struct, frozen=True):
    """What the next decision needs. deprecated: version to message."""

    tags: dict[str, str] = {}
    yanked: dict[str, str] = {}
    deprecated: dict[str, str] = {}
    owners: tuple[UUID, ...] = ()
    status: tuple[str, str] = ("active", "")
    tracks: tuple[str, ...] = ()
    alternates: tuple[str, ...] = ()


def evolve(state: Package, event: Event) -> Package:
    """Fold one event."""
    replace = msgspec.structs.replace
    match event:
        case TagSet():
            return replace(state, tags={**state.tags, event.tag: event.version})
        case TagRemoved():
            return replace(state, tags=_without(state.tags, (event.tag,)))
        case VersionsYanked():
            return replace(state, yanked={**state.yanked, **dict.fromkeys(event.versions, event.reason)})
        case VersionsUnyanked():
            return replace(state, yanked=_without(state.yanked, event.versions))
        case VersionsDeprecated(message=""):
            return replace(state, deprecated=_without(state.deprecated, event.versions))
        case VersionsDeprecated():
            return replace(state, deprecated={**state.deprecated, **dict.fromkeys(event.versions, event.message)})
        case OwnersSet():
            return replace(state, owners=event.owners)
        case StatusSet():
            return replace(state, status=(event.status, event.reason))
        case LocationsSet():
            return replace(state, tracks=event.tracks, alternates=event.alternates)
        case _:
            return state


def set_tag(state: Package, repository: UUID, package: str, tag: str, version: str) -> list[Event]:
    """Point the tag at the version."""
    if state.tags.get(tag) == version:
        return []
    return [TagSet(repository=repository, package=package, tag=tag, version=version)]


def remove_tag(state: Package, repository: UUID, package: str, tag: str) -> list[Event]:
    """Remove the tag; raises TagNotFound."""
    if tag not in state.tags:
        raise TagNotFound(package, tag)
    return [TagRemoved(repository=repository, package=package, tag=tag)]


def yank(state: Package, repository: UUID, package: str, versions: tuple[str, ...], reason: str) -> list[Event]:
    """Yank those of the versions that are not yanked for that reason already."""
    changed = tuple(version for version in versions if state.yanked.get(version) != reason)
    if not changed:
        return []
    return [VersionsYanked(repository=repository, package=package, versions=changed, reason=reason)]


def unyank(state: Package, repository: UUID, package: str, versions: tuple[str, ...]) -> list[Event]:
    """Take the yank of these versions back."""
    changed = tuple(version for version in versions if version in state.yanked)
    return [VersionsUnyanked(repository=repository, package=package, versions=changed)] if changed else []


def deprecate(state: Package, repository: UUID, package: str, versions: tuple[str, ...], message: str) -> list[Event]:
    """Set or, with an empty message, remove the deprecation of these versions."""
    changed = tuple(version for version in versions if state.deprecated.get(version, "") != message)
    if not changed:
        return []
    return [VersionsDeprecated(repository=repository, package=package, versions=changed, message=message)]


def set_owners(state: Package, repository: UUID, package: str, owners: tuple[UUID, ...]) -> list[Event]:
    """Name the owners."""
    return [] if state.owners == owners else [OwnersSet(repository=repository, package=package, owners=owners)]


def set_status(state: Package, repository: UUID, package: str, status: str, reason: str) -> list[Event]:
    """Set the status of the whole package."""
    if state.status == (status, reason):
        return []
    return [StatusSet(repository=repository, package=package, status=status, reason=reason)]


def set_locations(
    state: Package, repository: UUID, package: str, tracks: tuple[str, ...], alternates: tuple[str, ...]
) -> list[Event]:
    """Say where else the package is."""
    if (state.tracks, state.alternates) == (tracks, alternates):
        return []
    return [LocationsSet(repository=repository, package=package, tracks=tracks, alternates=alternates)]


def _without(mapping: dict[str, str], keys: tuple[str, ...]) -> dict[str, str]:
    return {key: value for key, value in mapping.items() if key not in keys}
