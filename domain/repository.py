"""A repository: its key, format, kind, visibility and settings."""

from __future__ import annotations

import re
from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from domain.errors import Invalid, NotFound
from domain.event import Event
from domain.name_policy import NamePolicy
from domain.upstream import Upstream

Kind = Literal["local", "remote", "virtual", "staging", "snapshot"]

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")


class RepositoryNotFound(NotFound):
    """No repository of that key, or none that this caller may know of."""

    template = "repository '{key}' not found"

    def __init__(self, key: str) -> None:
        super().__init__(key=key)


class Member(msgspec.Struct, frozen=True):
    """One repository of a virtual one. The lowest priority is asked first."""

    repository: UUID
    priority: int


class Settings(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an administrator chose for one repository.

    overwrite: `default` follows the format; `allow` replaces, `once` refuses a second publish of a path.
    record_access: every download becomes an event. quota_bytes: what all its artifacts may have together.
    promotion_only: nobody but administrators puts files there otherwise than by promotion. release_target: of a staging
    one, the repository to which alone its files are promoted. upstream: of
    a remote one. Of a virtual one, members; publish_to: the one that takes what is published; shared_names: patterns of
    packages that may be taken from a remote member although a hosted one has them. apt_*: what the suites of a Debian
    archive say of themselves. name_policy: what may come from an upstream, of a remote one or through a virtual one.
    """

    overwrite: Literal["default", "allow", "once"] = "default"
    versioning_enabled: bool = False
    record_access: bool = False
    quota_bytes: int | None = None
    promotion_only: bool = False
    release_target: UUID | None = None
    upstream: Upstream | None = None
    members: tuple[Member, ...] = ()
    publish_to: UUID | None = None
    shared_names: tuple[str, ...] = ()
    apt_origin: str = ""
    apt_label: str = ""
    apt_release_version: str = ""
    apt_description: str = ""
    name_policy: NamePolicy = NamePolicy()


class RepositoryCreated(Event, frozen=True, kw_only=True):
    """A repository exists from here on. source and source_position: of a snapshot, what it shows."""

    TOPIC: ClassVar[str] = "repository.created"
    repository: UUID
    key: str
    name: str
    description: str | None = None
    format: str
    kind: Kind
    public: bool = False
    settings: Settings = Settings()
    source: UUID | None = None
    source_position: int | None = None


class RepositoryUpdated(Event, frozen=True, kw_only=True):
    """Some attributes changed; UNSET ones did not."""

    TOPIC: ClassVar[str] = "repository.updated"
    repository: UUID
    key: str | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    public: bool | msgspec.UnsetType = msgspec.UNSET
    settings: Settings | msgspec.UnsetType = msgspec.UNSET


class RepositoryDeleted(Event, frozen=True, kw_only=True):
    """The repository and all its content vanish from every view of the present."""

    TOPIC: ClassVar[str] = "repository.deleted"
    repository: UUID
    key: str


class Repository(msgspec.Struct, frozen=True):
    """What the next decision needs."""

    id: UUID | None = None
    key: str = ""
    kind: Kind = "local"
    format: str = ""
    settings: Settings = Settings()
    deleted: bool = False


def evolve(state: Repository, event: Event) -> Repository:
    """Fold one event."""
    match event:
        case RepositoryCreated():
            return Repository(
                id=event.repository, key=event.key, kind=event.kind, format=event.format, settings=event.settings
            )
        case RepositoryUpdated():
            key = state.key if event.key is msgspec.UNSET else event.key
            settings = state.settings if event.settings is msgspec.UNSET else event.settings
            return msgspec.structs.replace(state, key=key, settings=settings)
        case RepositoryDeleted():
            return msgspec.structs.replace(state, deleted=True)
        case _:
            return state


def checked_key(text: str) -> str:
    """A repository key: 1 to 128 of letters, digits, `-`, `_`, `.`; not starting with `.` or `-`; no `..`."""
    if not _KEY.match(text) or ".." in text:
        raise Invalid(
            f"repository key {text!r}: use 1 to 128 letters, digits, '-', '_' or '.', not starting with '.' or '-', "
            "and without '..'"
        )
    return text


def require_live(state: Repository, key: str) -> Repository:
    """The repository, or RepositoryNotFound when it never was or no longer is."""
    if state.id is None or state.deleted:
        raise RepositoryNotFound(key)
    return state
