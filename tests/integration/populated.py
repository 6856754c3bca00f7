"""Real accounts and a search of a few lines for the registry of `harness`, for formats whose clients ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec

from application.identity.client_accounts import ClientAccounts
from application.log import Change
from application.searching import Hit, PackageHit, SearchQuery, SearchResult
from domain.event import SYSTEM
from domain.ids import grant_id
from domain.permissions import Action, GrantGiven
from tests.fakes.accounts import Fixture
from tests.integration.harness import Registry

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Index:
    """The search ports over a list of packages: words match descriptions, parts match names."""

    def __init__(self) -> None:
        self.known: list[tuple[str, str, UUID]] = []

    def search(self, query: SearchQuery) -> SearchResult:
        names = [name for name, text, home in self.known if query.text in text and home in (query.repositories or ())]
        hits = [Hit(uuid4(), uuid4(), "", name, name, "", "", 0, "", NOW) for name in names]
        return SearchResult([*hits, *hits], len(hits), True, {}, {})

    def packages(
        self, text: str, repositories: frozenset[UUID] | None, *, limit: int, offset: int
    ) -> tuple[list[PackageHit], int]:
        found = [name for name, _, home in self.known if text in name and home in (repositories or ())]
        return [PackageHit(uuid4(), uuid4(), name, name, None, 1, 0, NOW, NOW) for name in found], len(found)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is not asked by npm")


def populate(running: Registry) -> tuple[Fixture, Index]:
    """From now on callers are who the accounts say they are, and not whoever they like."""
    people, index = Fixture(), Index()
    accounts = ClientAccounts(people.directory, people.sign_ins, people.tokens, people.limits, people.seals)
    services = msgspec.structs.replace(running.services, client_accounts=accounts, search=index, shelves=index)
    running.wire._services = services
    running.access._authenticator = people.authenticator
    return people, index


def grant(people: Fixture, user: UUID, repository: UUID, actions: Sequence[Action]) -> None:
    """Give somebody actions on a repository."""
    given = grant_id(user, repository)
    event = GrantGiven(
        grant=given,
        principal_type="user",
        principal=user,
        target_type="repository",
        target=repository,
        actions=tuple(actions),
    )
    people.log.execute(lambda: [Change(given, 0, [event])], SYSTEM)
    people.authenticator.access_changed()
