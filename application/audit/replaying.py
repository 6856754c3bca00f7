"""One stream's life, step by step: each event, and the state that the next decision was made on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from application.audit.entries import REDACTED, entry_of
from application.log import Recorded
from domain import (
    account,
    artifact,
    checkpoint,
    claim,
    package,
    permissions,
    promotion,
    repository,
    session,
    sign_in,
    signing_key,
    token,
)
from domain.event import Event, Unknown


class Kind(msgspec.Struct, frozen=True):
    """How streams of one kind are folded."""

    name: str
    initial: msgspec.Struct
    evolve: Callable[[Any, Event], Any]


class Facts(msgspec.Struct, frozen=True):
    """The state of a stream on which nothing is ever decided."""


FACTS = Kind("facts", Facts(), lambda state, _: state)
_ATTEMPTS = Kind("attempts", sign_in.Attempts(), lambda _, event: sign_in.attempts_after(event))

KINDS: dict[str, Kind] = {
    "access": FACTS,
    "upstream": FACTS,
    "approval": Kind("approval", promotion.Approval(), promotion.evolve),
    "artifact": Kind("artifact", artifact.Artifact(), artifact.evolve),
    "checkpoint": Kind("checkpoint", checkpoint.NamedPosition(), checkpoint.evolve),
    "claim": Kind("claim", claim.Claim(), claim.evolve),
    "grant": Kind("grant", permissions.Grant(), permissions.evolve),
    "package": Kind("package", package.Package(), package.evolve),
    "promotion": FACTS,
    "repository": Kind("repository", repository.Repository(), repository.evolve),
    "repository-signing": Kind("repository-signing", signing_key.RepositorySigning(), signing_key.evolve_signing),
    "session": Kind("session", session.Session(), lambda _, event: session.session_after(event)),
    "signing-key": Kind("signing-key", signing_key.SigningKey(), signing_key.evolve),
    "storage": FACTS,
    "token": Kind("token", token.Token(), token.evolve),
    "user": Kind("user", account.Account(), account.evolve),
    artifact.ArtifactDownloaded.TOPIC: FACTS,
    sign_in.LoginFailed.TOPIC: _ATTEMPTS,
    sign_in.FailuresCleared.TOPIC: _ATTEMPTS,
}
"""A topic, or its part before the first dot, to how streams that begin with such an event are folded."""


class Step(msgspec.Struct, frozen=True):
    """One event of a stream and the state after it. event and state: JSON, with secrets left out."""

    version: int
    position: int
    at: datetime
    topic: str
    action: str
    actor: UUID | None
    request: str
    event: msgspec.Raw
    state: msgspec.Raw


def kind_of(topic: str) -> Kind:
    """How the stream of an event is folded; streams of another release's kinds show their events without a state."""
    return KINDS.get(topic) or KINDS.get(topic.partition(".")[0], FACTS)


def replay(events: Iterable[Recorded]) -> Iterator[Step]:
    """The steps of one stream, from its first event on. events: all of them, by version."""
    kind: Kind | None = None
    state: Any = None
    for recorded in events:
        if kind is None:
            kind = kind_of(recorded.topic)
            state = kind.initial
        if not isinstance(recorded.event, Unknown):
            state = kind.evolve(state, recorded.event)
        entry = entry_of(recorded)
        yield Step(
            recorded.version,
            recorded.position,
            recorded.at,
            recorded.topic,
            entry.action,
            entry.actor,
            entry.request,
            entry.body(),
            state_json(state),
        )


def state_json(state: msgspec.Struct) -> msgspec.Raw:
    """A state as JSON. Bytes are sealed or hashes, and only said to be there."""
    return msgspec.Raw(
        msgspec.json.encode({name: _shown(value) for name, value in msgspec.structs.asdict(state).items()})
    )


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return REDACTED if value else None
    if isinstance(value, tuple):
        return [_shown(one) for one in value]
    return value
