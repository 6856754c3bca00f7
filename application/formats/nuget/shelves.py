"""Where versions of packages come from: what is kept here, what an upstream tells, or the members of several as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial
from itertools import islice
from typing import Protocol
from uuid import UUID

from application.catalogue import package_scope
from application.formats.nuget import remote
from application.formats.nuget.dialect import PackageNotFound
from application.formats.nuget.finding import Query, find_packages
from application.formats.nuget.index import Entry
from application.formats.nuget.names import PackageKey
from application.formats.nuget.packages import every_key, find_package
from application.kinds import Part, hosted_parts
from application.proxying.ageing import gate_key
from application.proxying.proxy import Fetched, proxy_of, upstream_of
from application.wire import AnyAnswer, Call, Derived, Document
from domain.errors import NotFound

MAX_ASKED = 50
"""How many packages that an upstream's search found are looked up for a feed of the second protocol."""


class Shelf(Protocol):
    """The packages of a repository, whatever its kind."""

    def load(self, key: PackageKey) -> list[Entry]:
        """Every version of a package, from the lowest on; empty when there is none."""

    def find(self, query: Query, skip: int, take: int) -> tuple[list[list[Entry]], int]:
        """A page of what a search finds, each as the versions that are seen; and how many packages there are."""

    def keys(self) -> Iterator[PackageKey]:
        """Every package that is known."""


class LocalShelf:
    """What is kept here."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def load(self, key: PackageKey) -> list[Entry]:
        """See Shelf."""
        return find_package(self._call, key)

    def find(self, query: Query, skip: int, take: int) -> tuple[list[list[Entry]], int]:
        """See Shelf."""
        return find_packages(self._call, query, skip, take)

    def keys(self) -> Iterator[PackageKey]:
        """See Shelf."""
        return every_key(self._call)

    def version_of(self, key: PackageKey) -> str:
        """What the versions of a package depend on."""
        revision = self._call.services.catalogue.revision(self._call.content, package_scope(key), self._call.at)
        return f"{self._call.content.hex}:{revision}"


class RemoteShelf:
    """What an upstream tells; of all its packages, those that were asked for."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def load(self, key: PackageKey) -> list[Entry]:
        """See Shelf."""
        try:
            return self.read(key, self.fetch(key))
        except NotFound:
            return []

    def fetch(self, key: PackageKey) -> list[Fetched]:
        """The documents that tell of a package. Raises NotFound."""
        return remote.fetch_registration(self._call, key)

    def read(self, key: PackageKey, fetched: Sequence[Fetched]) -> list[Entry]:
        """What they tell, without what is held back."""
        return [offer.entry for offer in remote.shown(self._call, key, fetched)]

    def find(self, query: Query, skip: int, take: int) -> tuple[list[list[Entry]], int]:
        """See Shelf."""
        keys, total = remote.search(self._call, query, skip, min(take, MAX_ASKED))
        found = []
        for key in keys[:MAX_ASKED]:
            versions = [entry for entry in self.load(key) if query.sees(entry)]
            if versions:
                found.append(versions)
        return found, total

    def keys(self) -> Iterator[PackageKey]:
        """See Shelf."""
        return every_key(self._call)

    def version_of(self, key: PackageKey) -> str:
        """What the versions of a package depend on. Raises NotFound."""
        digests = " ".join(fetched.row.sha256 for fetched in self.fetch(key))
        return f"{self._call.content.hex}:{digests}:{gate_key(upstream_of(self._call))}"


class VirtualShelf:
    """Members as one: of a version the first member's counts, and no upstream adds to a package of ours."""

    def __init__(self, call: Call, members: Sequence[Call]) -> None:
        self._call = call
        self._ours = [member for member in members if member.repository.kind != "remote"]
        self._members = members
        self._hosted = hosted_parts(call, call.at)

    def load(self, key: PackageKey) -> list[Entry]:
        """See Shelf."""
        found: dict[str, Entry] = {}
        for shelf in self._shelves(key):
            for entry in shelf.load(key):
                found.setdefault(entry.lower, entry)
        return sorted(found.values(), key=lambda entry: entry.order)

    def find(self, query: Query, skip: int, take: int) -> tuple[list[list[Entry]], int]:
        """See Shelf. What members find follows one another; every package is told once, with all of its versions."""
        names: dict[PackageKey, None] = {}
        total = 0
        for member in self._members:
            found, count = shelf_of(member).find(query, 0, skip + take)
            keys = [PackageKey(versions[-1].key) for versions in found]
            fresh = [key for key in keys if key not in names and (member in self._ours or not self._is_ours(key))]
            total += count - (len(keys) - len(fresh))
            names.update(dict.fromkeys(fresh))
        told = []
        for key in islice(names, skip, skip + take):
            versions = [entry for entry in self.load(key) if query.sees(entry)]
            if versions:
                told.append(versions)
        return told, total

    def keys(self) -> Iterator[PackageKey]:
        """See Shelf."""
        every = {key for member in self._members for key in shelf_of(member).keys()}  # noqa: SIM118 - no mapping
        return iter(sorted(every))

    def version_of(self, key: PackageKey) -> str:
        """What the versions of a package depend on."""
        found = []
        for shelf in self._shelves(key):
            try:
                found.append(shelf.version_of(key))
            except NotFound:
                continue
        return " ".join(found)

    def _shelves(self, key: PackageKey) -> Iterator[LocalShelf | RemoteShelf]:
        asked = self._ours if len(self._ours) < len(self._members) and self._is_ours(key) else self._members
        return map(shelf_of, asked)

    def _is_ours(self, key: PackageKey) -> bool:
        """Whether a hosted member has the package, also one that the caller may not see."""
        if any(fnmatchcase(key, pattern) for pattern in self._call.repository.settings.shared_names):
            return False
        catalogue = self._call.services.catalogue
        return any(_holds(catalogue.versions, part, key) for part in self._hosted)


Told = Callable[[Call, Shelf], AnyAnswer]
"""A handler, told where the versions come from."""


def local(told: Told) -> Callable[[Call], AnyAnswer]:
    """The handler of repositories that hold packages themselves."""
    return lambda call: told(call, LocalShelf(call))


def from_upstream(told: Told) -> Callable[[Call], AnyAnswer]:
    """The handler of remote repositories, for what is made anew each time."""
    return lambda call: told(call, RemoteShelf(call))


def from_members(told: Told) -> Callable[[Call, Sequence[Call]], AnyAnswer]:
    """The handler of virtual repositories, for what is made anew each time."""
    return lambda call, members: told(call, VirtualShelf(call, members))


def kept_from_upstream(told: Callable[[Call, Shelf], Document]) -> Callable[[Call], AnyAnswer]:
    """The handler of remote repositories, for documents about the package in the address."""

    def answer(call: Call) -> AnyAnswer:
        key, shelf = remote.asked(call), RemoteShelf(call)
        fetched = shelf.fetch(key)
        name = f"{_name(call)} {gate_key(upstream_of(call))}"
        return proxy_of(call).document(fetched, name, partial(told, call, shelf))

    return answer


def kept_from_members(told: Callable[[Call, Shelf], Document]) -> Callable[[Call, Sequence[Call]], AnyAnswer]:
    """The handler of virtual repositories, for documents about the package in the address."""

    def answer(call: Call, members: Sequence[Call]) -> AnyAnswer:
        key, shelf = remote.asked(call), VirtualShelf(call, members)
        version = shelf.version_of(key)
        if not version:
            raise PackageNotFound(key)
        return Derived(key=f"{_name(call)} {version}", render=partial(told, call, shelf))

    return answer


def shelf_of(member: Call) -> LocalShelf | RemoteShelf:
    """The packages of one member, which is no virtual one itself."""
    return RemoteShelf(member) if member.repository.kind == "remote" else LocalShelf(member)


def _name(call: Call) -> str:
    return f"{'/'.join(call.request.segments)} {call.request.repository_url}"


def _holds(versions: Callable[[UUID, str, int | None], Sequence[object]], part: Part, key: str) -> bool:
    return bool(versions(part.content, key, part.at))
