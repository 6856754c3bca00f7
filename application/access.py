"""Who may do what to which repository: decided here, once, for package routes and management routes alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol
from uuid import UUID

import msgspec

from application.catalogue import RepositoryRow
from application.resolving import Resolved, Resolver
from domain.errors import Forbidden, RegistryError, Unauthenticated, Unavailable
from domain.event import Metadata
from domain.permissions import Action, Principal, may
from domain.repository import RepositoryNotFound

MAX_REMEMBERED = 10_000


class CredentialNeeded(Unauthenticated):
    """Nobody said who they are, and only somebody may."""

    template = "authentication required"

    def __init__(self) -> None:
        super().__init__()


class ActionForbidden(Forbidden):
    """The caller may see the repository and not do this to it."""

    template = "you do not have {action} access to repository '{repository}'"

    def __init__(self, action: str, repository: str) -> None:
        super().__init__(action=action, repository=repository)


class Shown(msgspec.Struct, frozen=True):
    """What a request shows of its sender. headers: names in lower case. client: the address. ticket: of the query."""

    headers: Mapping[str, str]
    client: str
    ticket: str = ""
    path: str = ""


class Authenticator(Protocol):
    """Credentials to principals."""

    def remembered(self, headers: Mapping[str, str]) -> Principal | None:
        """The principal of headers that were verified lately; never waits. None when it must be asked."""

    def authenticate(self, headers: Mapping[str, str], client: str) -> Principal:
        """The principal of these headers, the anonymous one for none; raises Unauthenticated for a bad credential."""

    def redeem(self, ticket: str, path: str, client: str) -> Principal:
        """The principal that a download ticket stands for; it is used up. Raises Unauthenticated."""


class Denials(Protocol):
    """Takes down what was refused."""

    def record(
        self,
        principal: Principal,
        action: str,
        resource: str,
        repository: UUID | None,
        client: str,
        *,
        agent: str = "",
        request: str = "",
    ) -> None:
        """Record, off the request; repeated ones are counted together."""


SealClient = Callable[[UUID | None, str, str], bytes]
"""Person, address and user agent to a sealed text."""


class Access:
    """Authentication, resolution and authorisation of a request.

    generation: a number that changes whenever repositories change; what was resolved before is asked anew.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        resolver: Resolver,
        denials: Denials,
        seal_client: SealClient,
        generation: Callable[[], int],
        *,
        guests: bool = True,
    ) -> None:
        self._authenticator = authenticator
        self._resolver = resolver
        self._denials = denials
        self._seal_client = seal_client
        self._generation = generation
        self._guests = guests
        self._resolved: dict[str, Resolved] = {}
        self._resolved_generation = -1

    @property
    def generation(self) -> int:
        """Changes whenever repositories were created, changed or deleted."""
        return self._generation()

    def remembered_principal(self, headers: Mapping[str, str]) -> Principal | None:
        """Who this is, when it is known without waiting."""
        return self._authenticator.remembered(headers)

    def remembered_repository(self, text: str) -> Resolved | None:
        """What the address means, when it is known without waiting."""
        if self._resolved_generation != self._generation():
            return None
        return self._resolved.get(text)

    def authenticate(self, shown: Shown) -> Principal:
        """Who this is; raises Unauthenticated for a credential that is not good. Headers go before tickets."""
        principal = self._authenticator.authenticate(shown.headers, shown.client)
        if shown.ticket and not principal.authenticated:
            return self._authenticator.redeem(shown.ticket, shown.path, shown.client)
        return principal

    def identify(self, shown: Shown, text: str) -> tuple[Principal, Resolved | None]:
        """Who asks, and for what; None for a repository that is not there or must not be known to them."""
        principal = self.authenticate(shown)
        return principal, self.resolve(principal, text)

    def resolve(self, principal: Principal, text: str) -> Resolved | None:
        """The repository of an address. A position or time that cannot be is told only to those who may read."""
        generation = self._generation()
        try:
            resolved = self._resolver.resolve(text)
        except RepositoryNotFound:
            return None
        except Unavailable:
            raise  # nothing is known of any repository now, so nothing is told
        except RegistryError:
            present = self._present(text)
            if present is None or not self.allows(principal, present, "read"):
                return None
            raise
        if generation != self._resolved_generation or len(self._resolved) >= MAX_REMEMBERED:
            self._resolved = {}
            self._resolved_generation = generation
        self._resolved[text] = resolved
        return resolved

    def allows(self, principal: Principal, resolved: Resolved, action: Action) -> bool:
        """Whether the principal may do the action to the repository."""
        if not self._guests and not principal.authenticated:
            return False
        row = resolved.repository
        if action in {"write", "delete"} and row.settings.promotion_only and not principal.acts_as_admin:
            return False
        return may(principal, action, row.id, public=row.public)

    def visible(self, principal: Principal, rows: Iterable[RepositoryRow]) -> list[RepositoryRow]:
        """Those of the repositories that the principal may read."""
        return [row for row in rows if self.allows(principal, Resolved(row, row.id, None), "read")]

    def require(
        self,
        principal: Principal,
        resolved: Resolved,
        action: Action,
        client: str,
        *,
        agent: str = "",
        request: str = "",
    ) -> None:
        """Let pass, or refuse: 401 to nobody, 404 to those who may not know of it, 403 to those who may.

        client, agent, request: address, program and id of the request, for the audit.
        """
        if self.allows(principal, resolved, action):
            return
        row = resolved.repository
        self.denied(principal, action, row.key, row.id, client, agent=agent, request=request)
        if principal.authenticated and action != "read" and self.allows(principal, resolved, "read"):
            raise ActionForbidden(action, row.key)
        raise self.refusal(principal, row.key)

    def denied(
        self,
        principal: Principal,
        action: str,
        resource: str,
        repository: UUID | None,
        client: str,
        *,
        agent: str = "",
        request: str = "",
    ) -> None:
        """Take down that something was refused."""
        self._denials.record(principal, action, resource, repository, client, agent=agent, request=request)

    def refusal(self, principal: Principal, text: str) -> RegistryError:
        """The answer for a repository that is absent or hidden; both look the same."""
        if not principal.authenticated:
            return CredentialNeeded()
        return RepositoryNotFound(text.partition("@")[0])

    def metadata(self, principal: Principal, request_id: str, client: str, agent: str) -> Metadata:
        """What events caused by this request say of their origin."""
        return Metadata(
            by=principal.id,
            kind=principal.kind,
            via=principal.via,
            request=request_id,
            client=self._seal_client(principal.id, client, agent[:512]),
        )

    def _present(self, text: str) -> Resolved | None:
        try:
            return self._resolver.resolve(text.partition("@")[0])
        except RepositoryNotFound:
            return None
