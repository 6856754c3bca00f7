"""What an event means to an auditor: the action, its outcome, and what it was done to; and how auditors ask.

The log is the audit log. One table says for every event what it is called in an audit; queries, export, live stream
and the line on standard output all read it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID, uuid5

import msgspec

from application.log import Recorded
from domain import (
    account,
    artifact,
    checkpoint,
    claim,
    incident,
    package,
    permissions,
    promotion,
    repository,
    session,
    sign_in,
    signing_key,
    storage,
    token,
)
from domain.errors import Invalid
from domain.event import Event, Origin
from domain.ids import NAMESPACE

Outcome = Literal["success", "failure", "denied"]
OUTCOMES: tuple[Outcome, ...] = ("success", "failure", "denied")
ACTOR_KINDS = ("user", "service", "system", "anonymous")


class Rule(msgspec.Struct, frozen=True):
    """How one kind of event reads in an audit.

    resource: the type of what was acted upon. id: the event's field that identifies it; empty when the stream does.
    name: the field that a person recognises it by; empty when there is none.
    """

    action: str
    resource: str
    id: str = ""
    name: str = ""
    outcome: Outcome = "success"


class Choice(msgspec.Struct, frozen=True):
    """One kind of event that reads differently by what it says. pick: from the event to one of the rules."""

    rules: tuple[Rule, ...]
    pick: Callable[[Any], Rule]


def _session_end(event: session.SessionEnded) -> Rule:
    return _LOGOUT if event.reason == "logout" else _INVALIDATED


def _user_update(event: account.UserUpdated) -> Rule:
    if event.active is False:
        return _DISABLED
    if event.admin is not msgspec.UNSET:
        return _PROMOTED if event.admin else _DEMOTED
    return _UPDATED


def _grant_given(event: permissions.GrantGiven) -> Rule:
    return _ROLE_ASSIGNED if event.target == permissions.SYSTEM_TARGET else _PERMISSION_CHANGED


def _grant_revoked(event: permissions.GrantRevoked) -> Rule:
    return _ROLE_REVOKED if event.target == permissions.SYSTEM_TARGET else _PERMISSION_CHANGED


_LOGOUT = Rule("LOGOUT", "user", id="user")
_INVALIDATED = Rule("SESSIONS_INVALIDATED", "user", id="user")
_UPDATED = Rule("USER_UPDATED", "user", id="user")
_DISABLED = Rule("USER_DISABLED", "user", id="user")
_PROMOTED = Rule("ROLE_ASSIGNED", "user", id="user")
_DEMOTED = Rule("ROLE_REVOKED", "user", id="user")
_ROLE_ASSIGNED = Rule("ROLE_ASSIGNED", "role", id="principal")
_ROLE_REVOKED = Rule("ROLE_REVOKED", "role", id="principal")
_PERMISSION_CHANGED = Rule("REPOSITORY_PERMISSION_CHANGED", "repository", id="target")

_UPLOADED = Rule("ARTIFACT_UPLOADED", "artifact", name="path")
_CACHED = Rule("ARTIFACT_CACHED", "artifact", name="path")


def _published(event: Event) -> Rule:
    return _CACHED if isinstance(event, artifact.ArtifactPublished) and event.fetched_from else _UPLOADED


RULES: dict[type[Event], Rule | Choice] = {
    account.PasswordChanged: Rule("PASSWORD_CHANGED", "user", id="user"),
    account.UserCreated: Rule("USER_CREATED", "user", id="user"),
    account.UserDeleted: Rule("USER_DELETED", "user", id="user"),
    account.UserErased: Rule("USER_ERASED", "user", id="user"),
    account.UserUpdated: Choice((_UPDATED, _DISABLED, _PROMOTED, _DEMOTED), _user_update),
    artifact.ArtifactDeleted: Rule("ARTIFACT_DELETED", "artifact", name="path"),
    artifact.ArtifactDownloaded: Rule("ARTIFACT_DOWNLOADED", "artifact", id="artifact", name="path"),
    artifact.ArtifactLabelsSet: Rule("ARTIFACT_LABELS_UPDATED", "artifact", name="path"),
    artifact.ArtifactPropertiesSet: Rule("ARTIFACT_METADATA_UPDATED", "artifact", name="path"),
    artifact.ArtifactPublished: Choice((_UPLOADED, _CACHED), _published),
    checkpoint.CheckpointNamed: Rule("CHECKPOINT_NAMED", "checkpoint", name="name"),
    claim.ClaimReleased: Rule("NAME_RELEASED", "claim", name="kind"),
    claim.ClaimTaken: Rule("NAME_CLAIMED", "claim", name="kind"),
    package.LocationsSet: Rule("PACKAGE_LOCATIONS_CHANGED", "package", name="package"),
    package.OwnersSet: Rule("PACKAGE_OWNERS_CHANGED", "package", name="package"),
    package.StatusSet: Rule("PACKAGE_STATUS_CHANGED", "package", name="package"),
    package.TagRemoved: Rule("PACKAGE_TAG_REMOVED", "package", name="package"),
    package.TagSet: Rule("PACKAGE_TAG_SET", "package", name="package"),
    package.VersionYankedV1: Rule("PACKAGE_VERSION_YANKED", "package", name="package"),
    package.VersionsDeprecated: Rule("PACKAGE_VERSION_DEPRECATED", "package", name="package"),
    package.VersionsUnyanked: Rule("PACKAGE_VERSION_UNYANKED", "package", name="package"),
    package.VersionsYanked: Rule("PACKAGE_VERSION_YANKED", "package", name="package"),
    permissions.GrantGiven: Choice((_PERMISSION_CHANGED, _ROLE_ASSIGNED), _grant_given),
    permissions.GrantRevoked: Choice((_PERMISSION_CHANGED, _ROLE_REVOKED), _grant_revoked),
    promotion.ApprovalGranted: Rule("APPROVAL_GRANTED", "approval", id="approval"),
    promotion.ApprovalRefused: Rule("APPROVAL_REFUSED", "approval", id="approval"),
    promotion.ApprovalRequested: Rule("APPROVAL_REQUESTED", "approval", id="approval"),
    promotion.FilesPromoted: Rule("ARTIFACT_PROMOTED", "promotion", id="promotion"),
    promotion.PromotionRejected: Rule("PROMOTION_REJECTED", "promotion", id="promotion"),
    repository.RepositoryCreated: Rule("REPOSITORY_CREATED", "repository", id="repository", name="key"),
    repository.RepositoryDeleted: Rule("REPOSITORY_DELETED", "repository", id="repository", name="key"),
    repository.RepositoryUpdated: Rule("REPOSITORY_UPDATED", "repository", id="repository", name="key"),
    session.SessionEnded: Choice((_LOGOUT, _INVALIDATED), _session_end),
    session.SessionRefreshed: Rule("SESSION_REFRESHED", "user", id="user"),
    session.SessionStarted: Rule("LOGIN", "user", id="user"),
    incident.UpstreamRejected: Rule("UPSTREAM_REJECTED", "repository", id="repository", name="path", outcome="failure"),
    sign_in.AccessDenied: Rule("PERMISSION_DENIED", "repository", id="repository", name="resource", outcome="denied"),
    sign_in.FailuresCleared: Rule("LOGIN_FAILURES_CLEARED", "user", id="user"),
    sign_in.LoginFailed: Rule("LOGIN_FAILED", "user", id="user", outcome="failure"),
    sign_in.LoginRefused: Rule("LOGIN_FAILED", "user", id="user", outcome="denied"),
    signing_key.ArtifactSigned: Rule("ARTIFACT_SIGNED", "artifact", id="artifact", name="path"),
    signing_key.RepositorySigningChanged: Rule("REPOSITORY_SIGNING_CHANGED", "repository", id="repository"),
    signing_key.SigningKeyAssigned: Rule("SIGNING_KEY_ASSIGNED", "signing_key", id="key"),
    signing_key.SigningKeyCreated: Rule("SIGNING_KEY_CREATED", "signing_key", id="key", name="name"),
    signing_key.SigningKeyDeleted: Rule("SIGNING_KEY_DELETED", "signing_key", id="key"),
    signing_key.SigningKeyReleased: Rule("SIGNING_KEY_RELEASED", "signing_key", id="key"),
    signing_key.SigningKeyRetired: Rule("SIGNING_KEY_RETIRED", "signing_key", id="key"),
    signing_key.SigningKeyRevoked: Rule("SIGNING_KEY_REVOKED", "signing_key", id="key"),
    signing_key.SigningKeyRotated: Rule("SIGNING_KEY_ROTATED", "signing_key", id="key"),
    storage.BlobsCollected: Rule("STORAGE_COLLECTED", "storage"),
    token.TokenCreated: Rule("API_TOKEN_CREATED", "api_token", id="token", name="name"),
    token.TokenRevoked: Rule("API_TOKEN_REVOKED", "api_token", id="token"),
}
"""Every event of this release. One that is missing is still recorded, under a name made from its topic."""

_NOT_WORD = re.compile(r"[^A-Za-z0-9]+")
_SECRET = re.compile(r"passw|secret|token|hash|private|credential|profile", re.IGNORECASE)
REDACTED = "[REDACTED]"


def rule_of(event: Event, topic: str) -> Rule:
    """The rule for an event; for one that the table lacks (another release wrote it), one made from its topic."""
    rule = RULES.get(type(event))
    if rule is None:
        return _made_up(topic)
    return rule if isinstance(rule, Rule) else rule.pick(event)


def actions_of(topic: str) -> tuple[str, ...]:
    """Every action that events of a topic can be called."""
    rule = _BY_TOPIC.get(topic)
    if rule is None:
        return (_made_up(topic).action,)
    return (rule.action,) if isinstance(rule, Rule) else tuple(one.action for one in rule.rules)


_BY_TOPIC = {kind.TOPIC: rule for kind, rule in RULES.items()}


def _made_up(topic: str) -> Rule:
    return Rule(_NOT_WORD.sub("_", topic).strip("_").upper() or "UNKNOWN", topic.partition(".")[0] or "unknown")


class Entry(msgspec.Struct, frozen=True):
    """One event as an auditor sees it.

    request: the correlation id that the answer carried. client: address and user agent, sealed. stored: the row's
    bytes. resource_name: what a person knows the resource by, where the event tells it.
    """

    position: int
    at: datetime
    stream: UUID
    version: int
    topic: str
    action: str
    outcome: Outcome
    resource_type: str
    resource_id: UUID | None
    resource_name: str | None
    repository: UUID | None
    package: str | None
    path: str | None
    actor: UUID | None
    actor_kind: str
    via: str
    request: str
    cause: int | None
    origin: Origin | None
    client: bytes
    stored: bytes

    @property
    def id(self) -> UUID:
        """A name for the event that does not depend on where it is read."""
        return uuid5(NAMESPACE, f"event\0{self.stream.hex}\0{self.version}")

    def body(self) -> msgspec.Raw:
        """The event itself as JSON, with whatever is sealed or hashed in it left out."""
        return _body(self.topic, self.stored)


def entry_of(recorded: Recorded) -> Entry:
    """Read an event as an auditor does."""
    event, meta = recorded.event, recorded.meta
    rule = rule_of(event, recorded.topic)
    identifier = getattr(event, rule.id) if rule.id else recorded.stream
    where = recorded.repository or getattr(event, "repository", None)
    if where is None and rule.resource == "repository":
        where = identifier
    name = getattr(event, rule.name) if rule.name else None
    return Entry(
        recorded.position,
        recorded.at,
        recorded.stream,
        recorded.version,
        recorded.topic,
        rule.action,
        rule.outcome,
        rule.resource,
        identifier,
        name if isinstance(name, str) and name else None,
        where,
        getattr(event, "package", None) or None,
        getattr(event, "path", None) or None,
        meta.by,
        meta.kind,
        meta.via,
        meta.request,
        meta.cause,
        meta.origin,
        meta.client,
        recorded.state,
    )


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What an auditor asks for; everything that is set must hold. Empty tuples and None ask for nothing in particular.

    path: of an artifact, in any repository unless one is named. since, until: recorded times, both included. first,
    last: positions, both included.
    """

    actor: UUID | None = None
    actor_kind: str | None = None
    actions: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    outcome: Outcome | None = None
    repository: UUID | None = None
    package: str | None = None
    path: str | None = None
    request: str | None = None
    resource_type: str | None = None
    resource_id: UUID | None = None
    stream: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    first: int | None = None
    last: int | None = None

    def checked(self) -> AuditQuery:
        """The same; raises Invalid for a range that ends before it begins."""
        if self.since is not None and self.until is not None and self.since > self.until:
            raise Invalid("from is later than to")
        if self.first is not None and self.last is not None and self.first > self.last:
            raise Invalid("from_position is beyond to_position")
        return self

    def matches(self, entry: Entry) -> bool:
        """Whether an entry is one of those asked for."""
        if self.actions and entry.action not in self.actions:
            return False
        if self.topics and entry.topic not in self.topics:
            return False
        if (self.since is not None and entry.at < self.since) or (self.until is not None and entry.at > self.until):
            return False
        if (self.first or 0) > entry.position or (self.last is not None and entry.position > self.last):
            return False
        return all(
            (wanted := getattr(self, name)) is None or wanted == getattr(entry, name) for name in EQUAL_TO_A_FIELD
        )


EQUAL_TO_A_FIELD = (
    "actor",
    "actor_kind",
    "outcome",
    "repository",
    "package",
    "path",
    "request",
    "resource_type",
    "resource_id",
    "stream",
)
"""Members of a query that ask for the entry's member of the same name."""


class AuditPage(msgspec.Struct, frozen=True):
    """Entries in the asked order. more: whether there are further ones beyond the last."""

    entries: list[Entry]
    more: bool


class AuditTrail(Protocol):
    """Queries over the whole log. Entries become visible when the audit projection has passed them."""

    def newest(self, query: AuditQuery, *, before: int | None = None, limit: int = 100) -> AuditPage:
        """Matching entries, newest first, at positions below `before`."""

    def oldest(self, query: AuditQuery, *, after: int = 0, limit: int = 100) -> AuditPage:
        """Matching entries, oldest first, at positions above `after`."""

    def numbered(self, query: AuditQuery, page: int, per_page: int) -> tuple[list[Entry], int]:
        """Page `page` (from 1) of the matching entries, newest first, and how many there are in all."""

    def export(self, query: AuditQuery, *, after: int = 0) -> Iterator[list[Entry]]:
        """All matching entries, oldest first, in batches and bounded memory; ends where the log ended at the start."""

    def events(self, after: int, limit: int) -> list[Recorded]:
        """Events of the log as stored, in order, whether projected or not."""

    def stream(self, stream: UUID) -> Iterator[Recorded]:
        """The events of one stream, by version, page by page."""


class Client(msgspec.Struct, frozen=True):
    """From where a request came."""

    address: str | None = None
    agent: str | None = None


def checked_outcome(text: str) -> Outcome:
    """One of OUTCOMES; raises Invalid."""
    for outcome in OUTCOMES:
        if text == outcome:
            return outcome
    raise Invalid(f"an outcome is one of {', '.join(OUTCOMES)}, not {text[:40]!r}")


def checked_actor_kind(text: str) -> str:
    """One of ACTOR_KINDS; raises Invalid."""
    if text not in ACTOR_KINDS:
        raise Invalid(f"an actor_kind is one of {', '.join(ACTOR_KINDS)}, not {text[:40]!r}")
    return text


class _Stored(msgspec.Struct, frozen=True):
    data: msgspec.Raw


_stored = msgspec.json.Decoder(_Stored)


def secret_fields(kind: type[Event]) -> frozenset[str]:
    """Fields that no audit shows: everything in bytes is sealed or a hash, and some text is named like a secret."""
    found = set()
    for field in msgspec.inspect.type_info(kind).fields:  # type: ignore[attr-defined]
        parts = getattr(field.type, "types", (field.type,))
        if any(isinstance(part, msgspec.inspect.BytesType) for part in parts) or (
            _SECRET.search(field.name) and any(isinstance(part, msgspec.inspect.StrType) for part in parts)
        ):
            found.add(field.encode_name)
    return frozenset(found)


_SECRETS = {kind.TOPIC: fields for kind in RULES if (fields := secret_fields(kind))}
_KNOWN = frozenset(kind.TOPIC for kind in RULES)


def _body(topic: str, stored: bytes) -> msgspec.Raw:
    raw = _stored.decode(stored).data
    if topic in _KNOWN and topic not in _SECRETS:
        return raw
    fields = _SECRETS.get(topic)
    value = msgspec.json.decode(raw)
    return msgspec.Raw(msgspec.json.encode(_hide(value, fields) if isinstance(value, dict) else REDACTED))


def _hide(value: dict[str, Any], fields: frozenset[str] | None) -> dict[str, Any]:
    """fields: those to hide; None goes by their names, at any depth."""
    return {
        name: REDACTED
        if (name in fields if fields is not None else _SECRET.search(name))
        else (_hide_within(inner) if fields is None else inner)
        for name, inner in value.items()
    }


def _hide_within(value: Any) -> Any:
    if isinstance(value, dict):
        return _hide(value, None)
    if isinstance(value, list):
        return [_hide_within(inner) for inner in value]
    return value


def entries_of(recorded: Sequence[Recorded]) -> list[Entry]:
    """Read several events."""
    return [entry_of(one) for one in recorded]
