"""What administrators set of remote and virtual repositories: the upstream and the way to it, the members."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

import msgspec

from application.catalogue import Catalogue, RepositoryRow
from application.kinds import MAX_DEPTH
from application.log import Change, EventLog
from application.ports import PersonalData
from application.proxying.asking import outbound_request
from application.proxying.ports import AddressRefused, Outbound, UpstreamAway, UpstreamCache
from application.proxying.proxy import open_secret, seal_secret
from application.proxying.resources import Resource
from application.publishing import Progress
from domain import repository
from domain.errors import Conflict, Invalid, NotFound
from domain.event import Metadata
from domain.repository import Member, Repository, RepositoryUpdated, Settings
from domain.upstream import AuthKind, Egress, Upstream, checked_url

MAX_MEMBERS = 200

ChangeSettings = Callable[[Settings], Settings]


class Credential(msgspec.Struct, frozen=True):
    """What an upstream is shown. secret: a password or a bearer token, in the clear."""

    kind: AuthKind
    username: str = ""
    secret: str = ""


class Tried(msgspec.Struct, frozen=True):
    """What an upstream answered to a try."""

    status: int
    url: str


class Configuring:
    """The commands on the settings of repositories. seals: keep credentials, each under its repository's id."""

    def __init__(
        self,
        log: EventLog,
        catalogue: Catalogue,
        progress: Progress,
        *,
        seals: PersonalData,
        outbound: Outbound,
        cache: UpstreamCache,
    ) -> None:
        self._log = log
        self._catalogue = catalogue
        self._progress = progress
        self._seals = seals
        self._outbound = outbound
        self._cache = cache

    def change(self, row: RepositoryRow, change: ChangeSettings, meta: Metadata) -> RepositoryRow:
        """Make new settings out of those that the repository has; called again after a lost race."""

        def decide() -> list[Change]:
            state, version = self._log.load(row.id, Repository(), repository.evolve)
            state = repository.require_live(state, row.key)
            settings = change(state.settings)
            if settings == state.settings:
                return []
            return [Change(row.id, version, [RepositoryUpdated(repository=row.id, settings=settings)], row.id)]

        receipt = self._log.execute(decide, meta)
        self._progress.reached(("catalogue",), receipt.position)
        found = self._catalogue.repository_by_id(row.id)
        if found is None:
            raise NotFound(f"repository '{row.key}' not found")
        return found

    # remote

    def change_upstream(
        self, row: RepositoryRow, change: Callable[[Upstream], Upstream], meta: Metadata
    ) -> RepositoryRow:
        """Make a new description of the upstream out of the one there is. Raises Invalid for other kinds."""

        def changed(settings: Settings) -> Settings:
            return msgspec.structs.replace(settings, upstream=change(_upstream(row, settings)))

        return self.change(row, changed, meta)

    def checked_address(self, url: str) -> str:
        """The address of an upstream in its plain form. Raises Invalid, for one that nobody may be led to too."""
        url = checked_url(url)
        try:
            self._outbound.check(url)
        except AddressRefused as refused:
            raise Invalid(str(refused)) from None
        return url

    def with_credential(self, repository_id: UUID, upstream: Upstream, credential: Credential) -> Upstream:
        """The upstream with a credential, sealed."""
        if credential.kind == "none":
            return msgspec.structs.replace(upstream, auth="none", username="", secret="")
        if not credential.secret or (credential.kind == "basic" and not credential.username):
            raise Invalid("a basic credential has a user name and a password, a bearer credential a token")
        secret = seal_secret(self._seals, repository_id, credential.secret)
        return msgspec.structs.replace(upstream, auth=credential.kind, username=credential.username, secret=secret)

    def with_proxy(self, repository_id: UUID, upstream: Upstream, egress: Egress) -> Upstream:
        """The upstream reached another way. egress: its proxy in the clear."""
        proxy = ""
        if egress.mode == "explicit":
            if not egress.proxy.startswith(("http://", "https://")):
                raise Invalid("an explicit proxy needs a proxy_url that begins with http:// or https://")
            proxy = seal_secret(self._seals, repository_id, egress.proxy)
        return msgspec.structs.replace(upstream, egress=msgspec.structs.replace(egress, proxy=proxy))

    def proxy_of(self, row: RepositoryRow) -> str:
        """The proxy's URL in the clear; empty when there is none."""
        proxy = _upstream(row, row.settings).egress.proxy
        return open_secret(self._seals, row.id, proxy) if proxy else ""

    def try_upstream(self, row: RepositoryRow) -> Tried:
        """Ask the upstream for its address, whatever is there. Raises UpstreamAway, AddressRefused."""
        upstream = _upstream(row, row.settings)
        resource = Resource(path="", url="", lifetime="mutable")
        request = outbound_request(upstream, resource, lambda sealed: open_secret(self._seals, row.id, sealed), None)
        with self._outbound.open(request) as reply:
            if reply.status >= 500:
                raise UpstreamAway(upstream.url, f"it answered {reply.status}")
            return Tried(reply.status, upstream.url)

    def invalidate(self, row: RepositoryRow, pattern: str, meta: Metadata) -> int:
        """Ask the upstream again before what matches is served next; gives how much did."""
        _upstream(row, row.settings)
        expired = self._cache.expire(row.id, pattern)
        receipt = self._log.execute(lambda: [self._touch(row)], meta)
        self._progress.reached(("catalogue",), receipt.position)
        return expired

    def _touch(self, row: RepositoryRow) -> Change:
        """An update that changes nothing: every process forgets what it knows of the repository."""
        _, version = self._log.load(row.id, Repository(), repository.evolve)
        return Change(row.id, version, [RepositoryUpdated(repository=row.id)], row.id)

    # virtual

    def set_members(self, row: RepositoryRow, members: Sequence[Member], meta: Metadata) -> RepositoryRow:
        """These and no others. Raises Invalid, Conflict."""
        return self.change(row, lambda settings: self.with_members(row.id, row.format, settings, members), meta)

    def add_member(self, row: RepositoryRow, member: Member, meta: Metadata) -> RepositoryRow:
        """One more; raises Conflict for one that is there, or that contains this one."""

        def changed(settings: Settings) -> Settings:
            if any(one.repository == member.repository for one in settings.members):
                raise Conflict("the repository is a member already")
            return self.with_members(row.id, row.format, settings, (*settings.members, member))

        return self.change(row, changed, meta)

    def remove_member(self, row: RepositoryRow, member: UUID, meta: Metadata) -> RepositoryRow:
        """One less; raises NotFound."""

        def changed(settings: Settings) -> Settings:
            left = tuple(one for one in settings.members if one.repository != member)
            if len(left) == len(settings.members):
                raise NotFound("the repository is no member")
            publish_to = None if settings.publish_to == member else settings.publish_to
            return msgspec.structs.replace(settings, members=left, publish_to=publish_to)

        return self.change(row, changed, meta)

    def with_members(self, virtual: UUID, format_key: str, settings: Settings, members: Iterable[Member]) -> Settings:
        """The settings with these members, if they can be. Raises Invalid, Conflict."""
        chosen = tuple(sorted(members, key=lambda member: member.priority))
        if len(chosen) > MAX_MEMBERS or len({member.repository for member in chosen}) != len(chosen):
            raise Invalid(f"members are at most {MAX_MEMBERS} different repositories")
        for member in chosen:
            row = self._catalogue.repository_by_id(member.repository)
            if row is None or row.format != format_key:
                raise Invalid(f"a member is a repository of the format {format_key}")
            if member.repository == virtual:
                raise Invalid("a repository cannot be a member of itself")
            if row.kind == "virtual" and self._contains(row, virtual, MAX_DEPTH):
                raise Conflict(f"'{row.key}' contains this repository already: the members would go in a circle")
        kept = {member.repository for member in chosen}
        publish_to = settings.publish_to if settings.publish_to in kept else None
        return msgspec.structs.replace(settings, members=chosen, publish_to=publish_to)

    def _contains(self, row: RepositoryRow, wanted: UUID, depth: int) -> bool:
        for member in row.settings.members:
            found = self._catalogue.repository_by_id(member.repository)
            if member.repository == wanted or depth == 0:
                return True
            if found is not None and found.kind == "virtual" and self._contains(found, wanted, depth - 1):
                return True
        return False


def _upstream(row: RepositoryRow, settings: Settings) -> Upstream:
    if row.kind != "remote" or settings.upstream is None:
        raise Invalid(f"'{row.key}' is not a remote repository")
    return settings.upstream
