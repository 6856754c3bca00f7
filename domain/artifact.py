"""An artifact: one stored file at a path in a repository. One stream per path."""

from __future__ import annotations

import re
from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from domain.errors import Conflict, Invalid, NotFound, PreconditionFailed
from domain.event import Event

Overwrite = Literal["never", "replace", "burn"]
"""Whether a path may be published again: `replace` gives a new revision, `never` refuses while the artifact is there,
`burn` refuses for ever, also after a delete (PyPI file names, npm versions)."""


Labels = dict[str, str]

MAX_LABELS = 100
MAX_LABEL_VALUE = 256
_LABEL_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}\Z")


class LabelInvalid(Invalid):
    """Not a label."""

    template = "label {key!r}: {reason}"

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(key=key[:150], reason=reason)


class ArtifactExists(Conflict):
    """The path is taken by other bytes."""

    template = "{path} already exists with other content; published artifacts do not change"

    def __init__(self, path: str) -> None:
        super().__init__(path=path)


class ArtifactBurnt(Conflict):
    """The path was published and deleted before, and this format never gives a name twice."""

    template = "{path} already existed and was deleted; this name cannot be used again"

    def __init__(self, path: str) -> None:
        super().__init__(path=path)


class ArtifactNotFound(NotFound):
    """No artifact at that path, now or at the asked position."""

    template = "{path} not found"

    def __init__(self, path: str) -> None:
        super().__init__(path=path)


class RevisionNotFound(NotFound):
    """There never was such a revision, or not yet at the asked position."""

    template = "{path} has no revision {revision}"

    def __init__(self, path: str, revision: str) -> None:
        super().__init__(path=path, revision=revision[:40])


class PreconditionUnmet(PreconditionFailed):
    """What the client made its request depend on is not so."""

    template = "{path} {state}"

    def __init__(self, path: str, state: str) -> None:
        super().__init__(path=path, state=state)


class Precondition(msgspec.Struct, frozen=True):
    """What must be true of a path for a write to count (RFC 9110 section 13.1), decided in the log itself.

    match: digests of which one must be there; `("*",)` is any. none_match: digests that must not be there; `("*",)` is
    nothing at all. None demands nothing.
    """

    match: tuple[str, ...] | None = None
    none_match: tuple[str, ...] | None = None


class ArtifactPublished(Event, frozen=True, kw_only=True):
    """Bytes are at a path.

    package: the name by which the format groups, normalised; empty when it groups nothing. metadata: the format's own
    facts, JSON of at most 16 KiB; larger ones are a blob named by `metadata_blob`. digests: further ones that the
    format publishes. blobs: every other blob the artifact needs (extracted metadata files), by role. fetched_from: the
    address at an upstream that it came from.
    """

    TOPIC: ClassVar[str] = "artifact.published"
    repository: UUID
    path: str
    package: str = ""
    name: str = ""
    version: str = ""
    sha256: str
    size_bytes: int
    media_type: str
    digests: dict[str, str] = {}
    metadata: msgspec.Raw = msgspec.Raw(b"{}")
    metadata_blob: str | None = None
    blobs: dict[str, str] = {}
    revision: int = 1
    fetched_from: str = ""


class ArtifactDeleted(Event, frozen=True, kw_only=True):
    """Nothing is at the path any more. The bytes stay for history until they are purged or their time is over."""

    TOPIC: ClassVar[str] = "artifact.deleted"
    repository: UUID
    path: str
    package: str = ""
    version: str = ""
    reason: str = ""


class ArtifactPropertiesSet(Event, frozen=True, kw_only=True):
    """The artifact's properties are now exactly these; name to values."""

    TOPIC: ClassVar[str] = "artifact.properties-set"
    repository: UUID
    path: str
    package: str = ""
    properties: dict[str, tuple[str, ...]]


class ArtifactLabelsSet(Event, frozen=True, kw_only=True):
    """The artifact's labels are now exactly these; key to value. They stay when other bytes take its place."""

    TOPIC: ClassVar[str] = "artifact.labels-set"
    repository: UUID
    path: str
    package: str = ""
    labels: Labels


class ArtifactDownloaded(Event, frozen=True, kw_only=True):
    """One access, recorded only where a repository's settings ask for it.

    range: the part that was asked for, as the client wrote it; empty for everything.
    """

    TOPIC: ClassVar[str] = "artifact.downloaded"
    repository: UUID
    path: str
    sha256: str
    artifact: UUID | None = None
    package: str = ""
    version: str = ""
    range: str = ""


class Artifact(msgspec.Struct, frozen=True):
    """What the next decision needs. sha256 is None while nothing is at the path."""

    repository: UUID | None = None
    path: str = ""
    package: str = ""
    version: str = ""
    sha256: str | None = None
    revision: int = 0
    properties: dict[str, tuple[str, ...]] = {}
    labels: Labels = {}


def evolve(state: Artifact, event: Event) -> Artifact:
    """Fold one event."""
    match event:
        case ArtifactPublished():
            return Artifact(
                repository=event.repository,
                path=event.path,
                package=event.package,
                version=event.version,
                sha256=event.sha256,
                revision=event.revision,
                labels=state.labels,
            )
        case ArtifactDeleted():
            return msgspec.structs.replace(state, sha256=None, properties={}, labels={})
        case ArtifactPropertiesSet():
            return msgspec.structs.replace(state, properties=event.properties)
        case ArtifactLabelsSet():
            return msgspec.structs.replace(state, labels=event.labels)
        case _:
            return state


def require(state: Artifact, path: str, precondition: Precondition) -> None:
    """Raise PreconditionUnmet when it does not hold."""
    match, none_match = precondition.match, precondition.none_match
    if match is not None and (state.sha256 is None or ("*" not in match and state.sha256 not in match)):
        raise PreconditionUnmet(path, "is not what If-Match says" if state.sha256 else "does not exist")
    if none_match is not None and state.sha256 is not None and ("*" in none_match or state.sha256 in none_match):
        raise PreconditionUnmet(path, "exists already")


def publish(state: Artifact, proposed: ArtifactPublished, overwrite: Overwrite) -> list[Event]:
    """Put bytes at the path. The same bytes again are nothing new; other bytes go by the overwrite rule."""
    if state.sha256 == proposed.sha256 and overwrite != "replace":
        return []
    if overwrite != "replace":
        if state.sha256 is not None:
            raise ArtifactExists(proposed.path)
        if overwrite == "burn" and state.revision:
            raise ArtifactBurnt(proposed.path)
    return [msgspec.structs.replace(proposed, revision=state.revision + 1)]


def delete(state: Artifact, path: str, reason: str) -> list[Event]:
    """Take the artifact away; raises ArtifactNotFound when nothing is there."""
    if state.sha256 is None or state.repository is None:
        raise ArtifactNotFound(path)
    return [
        ArtifactDeleted(
            repository=state.repository, path=path, package=state.package, version=state.version, reason=reason
        )
    ]


def set_properties(state: Artifact, path: str, properties: dict[str, tuple[str, ...]]) -> list[Event]:
    """Replace the properties; nothing happens when they are already these."""
    if state.sha256 is None or state.repository is None:
        raise ArtifactNotFound(path)
    if state.properties == properties:
        return []
    return [ArtifactPropertiesSet(repository=state.repository, path=path, package=state.package, properties=properties)]


def set_labels(state: Artifact, path: str, labels: Labels) -> list[Event]:
    """Replace the labels; nothing happens when they are already these. Raises ArtifactNotFound, LabelInvalid."""
    if state.sha256 is None or state.repository is None:
        raise ArtifactNotFound(path)
    if len(labels) > MAX_LABELS:
        raise LabelInvalid(next(iter(labels)), f"more than {MAX_LABELS} at once")
    for key, value in labels.items():
        if not _LABEL_KEY.match(key):
            raise LabelInvalid(key, "a key has 1 to 128 letters, digits, '_', '.', ':' or '-' behind a letter or digit")
        if len(value) > MAX_LABEL_VALUE or not value.isprintable():
            raise LabelInvalid(key, f"a value has at most {MAX_LABEL_VALUE} printable characters")
    if state.labels == labels:
        return []
    return [ArtifactLabelsSet(repository=state.repository, path=path, package=state.package, labels=labels)]
