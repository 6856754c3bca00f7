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


def give(
    state: Grant, grant: UUID, principal_type: str, principal: UUID, target_type: str, target: UUID, actions: list[str]
) -> list[Event]:
    """Grant the actions; raises GrantExists while another grant of the principal on that target stands."""
    if state.live and state.id != grant:
        raise GrantExists
    given = checked_actions(actions)
    if state.live and (state.actions, state.principal_type, state.target_type) == (given, principal_type, target_type):
        return []
    return [
        GrantGiven(
            grant=grant,
            principal_type=principal_type,
            principal=principal,
            target_type=target_type,
            target=target,
            actions=given,
        )
    ]


def revoke(state: Grant) -> list[Event]:
    """Take the grant back; raises GrantNotFound when there is none."""
    if not state.live or state.id is None:
        raise GrantNotFound
    return [GrantRevoked(grant=state.id, principal=state.principal, target=state.target)]


def checked_actions(actions: list[str]) -> tuple[Action, ...]:
    """Actions in their canonical order, without repetition; raises Invalid for unknown ones or none."""
    unknown = sorted(set(actions) - set(ACTIONS))
    if unknown or not actions:
        raise Invalid(f"actions are some of {', '.join(ACTIONS)}" + (f", not {unknown[0]!r}" if unknown else ""))
    return tuple(action for action in ACTIONS if action in actions)


class Principal(msgspec.Struct, frozen=True):
    """Who asks, as established for one request.

    id: None for anonymous callers. via: how they proved it (`password`, `session`, `token:<id>`, `ticket`). session:
    the one a session's token belongs to. scopes: None is every scope (sessions, passwords). repositories: None is not
    confined. grants: repository id to the actions granted there; `SYSTEM_TARGET` for the system itself (creating
    repositories). everywhere: actions on every repository for which there is no grant of the caller's own.
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
    everywhere: frozenset[str] = frozenset()
    session: UUID | None = None

    @property
    def authenticated(self) -> bool:
        """Whether a credential was shown."""
        return self.id is not None

    @property
    def is_admin(self) -> bool:
        """Whether the caller acts as administrator of everything.

        An administrator's scoped token does so only with the scope `admin`, one confined to repositories never.
        """
        return self.acts_as_admin and self.repositories is None

    @property
    def acts_as_admin(self) -> bool:
        """Whether an administrator's rights count, within what the credential is confined to."""
        return self.admin and scope_allows(self.scopes, "admin")


ANONYMOUS_PRINCIPAL = Principal()


def may(principal: Principal, action: str, repository: UUID, *, public: bool) -> bool:
    """Whether the principal may do the action to the repository.

    Visibility, grants, token scope and token confinement are all required to agree. A public repository is readable by
    everyone; writing and deleting always need a grant. Grants on the repository itself decide alone where there are
    any. `admin` implies the rest.
    """
    if principal.repositories is not None and repository not in principal.repositories:
        return False
    if not scope_allows(principal.scopes, _SCOPES[action]):
        return False
    if action == "read" and public:
        return True
    if principal.acts_as_admin:
        return True
    granted = principal.grants.get(repository, principal.everywhere)
    return action in granted or "admin" in granted or "admin" in principal.everywhere


def may_administer(principal: Principal) -> bool:
    """Whether the principal may create repositories: an administrator, or a system grant of `admin`."""
    if principal.repositories is not None or not scope_allows(principal.scopes, "write:repositories"):
        return False
    return principal.acts_as_admin or "admin" in principal.grants.get(SYSTEM_TARGET, frozenset())
