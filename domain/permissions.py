"""Actions, grants, and the one rule that decides whether a principal may do something."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from domain.errors import Conflict, Invalid, NotFound
from domain.event import Event
from domain.token import scope_allows

Action = Literal["read", "write", "delete", "admin"]
ACTIONS: tuple[Action, ...] = ("read", "write", "delete", "admin")
SYSTEM_TARGET = UUID(int=0)
"""The target of grants on the whole system."""

_SCOPES = {
    "read": "read:artifacts",
    "write": "write:artifacts",
    "delete": "delete:artifacts",
    "admin": "write:repositories",
}


class GrantExists(Conflict):
    """The principal already has a grant on that target."""

    template = "a permission of this principal on this target already exists"

    def __init__(self) -> None:
        super().__init__()


class GrantNotFound(NotFound):
    """No such permission."""

    template = "permission not found"

    def __init__(self) -> None:
        super().__init__()


class GrantGiven(Event, frozen=True, kw_only=True):
    """A principal may do these actions to a target, in place of what was granted on it before."""

    TOPIC: ClassVar[str] = "grant.given"
    grant: UUID
    principal_type: str
    principal: UUID
    target_type: str
    target: UUID
    actions: tuple[Action, ...]


class GrantRevoked(Event, frozen=True, kw_only=True):
    """The principal's grant on the target is gone."""

    TOPIC: ClassVar[str] = "grant.revoked"
    grant: UUID
    principal: UUID
    target: UUID


class Grant(msgspec.Struct, frozen=True):
    """What the next decision needs."""

    id: UUID | None = None
    principal_type: str = ""
    principal: UUID = SYSTEM_TARGET
    target_type: str = ""
    target: UUID = SYSTEM_TARGET
    actions: tuple[Action, ...] = ()
    live: bool = False


def evolve(state: Grant, event: Event) -> Grant:
    """Fold one event."""
    match event:
        case GrantGiven():
            return Grant(
                id=event.grant,
                principal_type=event.principal_type,
                principal=event.principal,
                target_type=event.target_type,
                target=event.target,
                actions=event.actions,
                live=True,
            )
        case GrantRevoked():
            return msgspec.structs.replace(state, live=False)
        case _:
            return state


def checked_actions(actions: list[str]) -> tuple[Action, ...]:
    """Actions in their canonical order, without repetition; raises Invalid for unknown ones or none."""
    unknown = sorted(set(actions) - set(ACTIONS))
    if unknown or not actions:
        raise Invalid(f"actions are some of {', '.join(ACTIONS)}" + (f", not {unknown[0]!r}" if unknown else ""))
    return tuple(action for action in ACTIONS if action in actions)


class Principal(msgspec.Struct, frozen=True):
    """Who asks, as established for one request.

    id: None for anonymous callers. scopes: None is every scope (sessions, passwords). repositories: None is not
    confined. grants: repository id to the actions granted there; `SYSTEM_TARGET` for the whole system.
    """

    id: UUID | None = None
    kind: str = "anonymous"
    username: str = ""
    via: str = ""
    admin: bool = False
    must_change_password: bool = False
    scopes: tuple[str, ...] | None = None
    repositories: frozenset[UUID] | None = None
    grants: dict[UUID, frozenset[str]] = {}

    @property
    def authenticated(self) -> bool:
        """Whether a credential was shown."""
        return self.id is not None

    @property
    def is_admin(self) -> bool:
        """Whether the caller acts as administrator: an administrator's scoped token does so only with that scope."""
        return self.admin and scope_allows(self.scopes, "admin")


ANONYMOUS_PRINCIPAL = Principal()


def may(principal: Principal, action: str, repository: UUID, *, public: bool) -> bool:
    """Whether the principal may do the action to the repository.

    Visibility, grants, token scope and token confinement are all required to agree. A public repository is readable by
    everyone; writing and deleting always need a grant. `admin` implies the rest.
    """
    if principal.repositories is not None and repository not in principal.repositories:
        return False
    if not scope_allows(principal.scopes, _SCOPES[action]):
        return False
    if action == "read" and public:
        return True
    if principal.admin:
        return True
    granted = principal.grants.get(repository, frozenset()) | principal.grants.get(SYSTEM_TARGET, frozenset())
    return action in granted or "admin" in granted


def may_administer(principal: Principal) -> bool:
    """Whether the principal may create repositories: an administrator, or a system grant of `admin`."""
    if not scope_allows(principal.scopes, "write:repositories"):
        return False
    return principal.admin or "admin" in principal.grants.get(SYSTEM_TARGET, frozenset())
