"""The pipeline of remote repositories: known and fresh, or asked for, verified, kept, recorded.

What was fetched is an artifact like any other, so what an upstream said at any time can be read as of that time.
Source: RFC 9111 (freshness, validation, stale answers), RFC 9211 (how that is told).
"""

from __future__ import annotations

import logging
import math
import random
import time
from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import NoReturn
from uuid import UUID

import msgspec

from application.catalogue import ArtifactRow, Catalogue
from application.ports import BlobStore, PersonalData, Spooled
from application.proxying.asking import host_of, outbound_request
from application.proxying.flights import Flight, Flights
from application.proxying.incidents import Incidents
from application.proxying.ports import (
    AddressRefused,
    GrowingSpool,
    Known,
    Outbound,
    OutboundReply,
    OutboundRequest,
    UpstreamAway,
    UpstreamCache,
    UpstreamLied,
    UpstreamRefused,
)
from application.proxying.resources import MISSING_SECONDS, Resource
from application.proxying.token_service import TokenService
from application.publishing import NewFile, Publishing, Target
from application.wire import Call, Derived, Document, File, Stream
from domain.errors import BadGateway, Invalid, NotAllowed, NotFound, TooLarge
from domain.event import SYSTEM
from domain.ids import artifact_id
from domain.upstream import Upstream

_log = logging.getLogger(__name__)

MAX_FETCHES = 32
"""Fetches at once in a process."""

MAX_REMEMBERED = 50_000
MAX_READ_BYTES = 256 << 20
MAX_PASSED_BYTES = 4 << 20
WAIT_BYTES = 1 << 20
"""A file of up to this size is waited for; of a larger one, the client gets the bytes as they come."""

ATTEMPTS = 3
BACKOFF_SECONDS = 0.3
AWAY_SECONDS = 10.0
"""After a failure, what is kept is served as it is for this long before the upstream is asked again."""

_encode = msgspec.json.encode
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_ABSENT = frozenset({404, 410})


class NotFetched(NotFound):
    """A remote repository as it was has what had been fetched by then, and no more."""

    template = "{path} had not been fetched from the upstream at position {at}"

    def __init__(self, path: str, at: int) -> None:
        super().__init__(path=path[:200], at=at)


class Fetched(msgspec.Struct, frozen=True):
    """Something kept of an upstream. stale: the upstream could not be asked whether it is still so."""

    row: ArtifactRow
    stale: bool = False
    fresh_seconds: float = 0.0


class Proxy:
    """What handlers of remote repositories call. generation: changes whenever repositories change."""

    def __init__(
        self,
        outbound: Outbound,
        cache: UpstreamCache,
        *,
        catalogue: Catalogue,
        publishing: Publishing,
        spool: GrowingSpool,
        blobs: BlobStore,
        seals: PersonalData,
        incidents: Incidents,
        generation: Callable[[], int],
        count: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._outbound = outbound
        self._tokens = TokenService(outbound)
        self._cache = cache
        self._catalogue = catalogue
        self._publishing = publishing
        self._spool = spool
        self._blobs = blobs
        self._seals = seals
        self._incidents = incidents
        self._generation = generation
        self._count = count
        self._executor = ThreadPoolExecutor(MAX_FETCHES, thread_name_prefix="upstream")
        self._flights: Flights[Fetched] = Flights(self._executor)
        self._known: OrderedDict[tuple[UUID, str], Known] = OrderedDict()
        self._known_generation = -1
        self._away: dict[UUID, float] = {}

    def close(self) -> None:
        """Take no more; those under way end with their connections."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    # what handlers ask for

    def fetch(self, call: Call, resource: Resource) -> Fetched:
        """The thing, fresh, or as it was at the position that is read.

        Raises NotFound, UpstreamAway, UpstreamRefused, and Invalid for what is not what it should be.
        """
        found = self._held(call, resource)
        if found is not None:
            return found
        return self._flights.join((call.content, resource.path), partial(self._fly, call, resource)).result()

    def read(self, fetched: Fetched, max_bytes: int = MAX_READ_BYTES) -> bytes:
        """The bytes of something that was fetched. Raises TooLarge."""
        if fetched.row.size_bytes > max_bytes:
            raise TooLarge(f"{fetched.row.path} has {fetched.row.size_bytes} bytes; at most {max_bytes} are read")
        with self._blobs.open(fetched.row.sha256) as file:
            return file.read()

    def passed(self, call: Call, resource: Resource, max_bytes: int = MAX_PASSED_BYTES) -> bytes:
        """The bytes as the upstream has them now, neither kept nor recorded: the answer to one question, say a search.

        Raises NotFound, UpstreamAway, UpstreamRefused, TooLarge.
        """
        request = outbound_request(upstream_of(call), resource, partial(self._opened, call.content), None)
        with self._outbound.open(request) as reply:
            if reply.status in _ABSENT:
                raise NotFound(f"{resource.path} is not at the upstream")
            if reply.status != 200:
                raise UpstreamRefused(host_of(reply.url), str(reply.status))
            body = bytearray()
            for chunk in reply.chunks():
                body += chunk
                if len(body) > max_bytes:
                    raise TooLarge(f"{resource.path} has more than {max_bytes} bytes at the upstream")
            return bytes(body)

    def document(self, sources: Sequence[Fetched], name: str, render: Callable[[], Document]) -> Derived:
        """A document made of what was fetched; name: its own, with every variant. `render` depends on nothing else."""
        stale = any(source.stale for source in sources)
        return Derived(
            key=" ".join([name, *(source.row.sha256 for source in sources)]),
            fresh_seconds=0.0 if stale else min((source.fresh_seconds for source in sources), default=0.0),
            render=render,
            headers=(_status(sources),),
        )

    def file(self, call: Call, resource: Resource) -> File | Stream:
        """The thing as bytes: what is kept, or what comes just now, while it is kept."""
        found = self._held(call, resource)
        if found is None:
            flight = self._flights.join((call.content, resource.path), partial(self._fly, call, resource))
            large = flight.begun() and (flight.size_bytes is None or flight.size_bytes > WAIT_BYTES)
            followed = flight.follow() if large and not call.repository.settings.record_access else None
            if followed is not None:
                return _following(call, resource, flight, followed)
            found = flight.result()
        return self.sent(found, resource)

    def sent(self, fetched: Fetched, resource: Resource) -> File:
        """Something that was fetched, as an answer."""
        row = fetched.row
        return File(
            sha256=row.sha256,
            size_bytes=row.size_bytes,
            media_type=row.media_type,
            filename=resource.path.rpartition("/")[2],
            headers=(_status([fetched]),),
            last_modified=row.published_at,
            artifact=row.id,
            immutable=resource.lifetime == "immutable",
        )

    # what is known

    def _held(self, call: Call, resource: Resource) -> Fetched | None:
        """What needs no asking; None when the upstream must be asked. Raises NotFound for what it lately had not."""
        row = self._catalogue.artifact(call.content, resource.path, call.at)
        if call.at is not None:
            if row is None:
                raise NotFetched(resource.path, call.at)
            return Fetched(row, fresh_seconds=math.inf)
        if row is not None and resource.lifetime == "immutable":
            self._count("hit")
            return Fetched(row, fresh_seconds=math.inf)
        left = self._seconds_left(call, resource, row)
        if left > 0:
            self._count("hit")
            if row is None:
                raise NotFound(f"{resource.path} is not at the upstream")
            return Fetched(row, fresh_seconds=left)
        if row is not None and self._away.get(call.content, 0.0) > time.monotonic():
            self._count("stale")
            return Fetched(row, stale=True)
        return None

    def _seconds_left(self, call: Call, resource: Resource, row: ArtifactRow | None) -> float:
        """For how long what is known is good; memory first, then what other processes noted."""
        self._forget_when_changed()
        left = _left(call, resource, row, self._known.get((call.content, resource.path)))
        return left if left > 0 else _left(call, resource, row, self._noted(call, resource))

    def _noted(self, call: Call, resource: Resource) -> Known | None:
        known = self._cache.known(call.content, resource.path)
        if known is not None:
            self._remember(call.content, resource.path, known)
        return known

    def _remember(self, repository: UUID, path: str, known: Known) -> None:
        self._known[repository, path] = known
        while len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)

    def _forget_when_changed(self) -> None:
        generation = self._generation()
        if generation != self._known_generation:
            self._known_generation = generation
            self._known.clear()
            self._away.clear()

    # asking

    def _fly(self, call: Call, resource: Resource, flight: Flight[Fetched]) -> Fetched:
        with self._cache.alone(call.content, resource.path):
            self._known.pop((call.content, resource.path), None)
            found = self._held(call, resource)  # another process may have been first
            if found is not None:
                return found
            row = self._catalogue.artifact(call.content, resource.path)
            try:
                return self._ask(call, resource, row, flight)
            except BadGateway as fault:
                self._failed(call, resource, fault)
                if row is None:
                    raise
                _log.warning("remote repository %s: %s; serving what is kept", call.repository.key, fault)
                self._count("stale")
                return Fetched(row, stale=True)

    def _failed(self, call: Call, resource: Resource, fault: BadGateway) -> None:
        self._count("failed")
        if isinstance(fault, AddressRefused | UpstreamLied):
            self._incidents.record(call.repository, resource.path, str(fault))
        else:
            self._away[call.content] = time.monotonic() + AWAY_SECONDS

    def _ask(self, call: Call, resource: Resource, row: ArtifactRow | None, flight: Flight[Fetched]) -> Fetched:
        noted = None
        if row is not None:
            noted = self._cache.known(call.content, resource.path)
            if noted is not None and noted.sha256 != row.sha256:
                noted = None  # it speaks of other bytes than those that are held
        request = outbound_request(upstream_of(call), resource, partial(self._opened, call.content), noted)
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(BACKOFF_SECONDS * 2**attempt * random.uniform(0.5, 1))
            last = attempt + 1 == ATTEMPTS
            try:
                with self._open(call.content, resource, request) as reply:
                    if reply.status not in _RETRIED or last:
                        return self._take(call, resource, row, reply, flight)
            except UpstreamAway:
                if last or flight.begun_already:
                    raise
        raise UpstreamAway(host_of(request.url), "no attempt is left")

    @contextmanager
    def _open(self, repository: UUID, resource: Resource, request: OutboundRequest) -> Iterator[OutboundReply]:
        """The answer to a request; where the upstream has a token service, with a token of it."""
        scope, own = resource.scope, request.authorization
        known = self._tokens.known(repository, scope, own) if scope else ""
        with self._outbound.open(msgspec.structs.replace(request, authorization=known or own)) as reply:
            if reply.status != 401 or not scope:
                yield reply
                return
            url, challenge = reply.url, reply.headers.get("www-authenticate", "")
        token = self._tokens.answer(repository, scope, request, url, challenge)
        with self._outbound.open(msgspec.structs.replace(request, authorization=token or own)) as reply:
            yield reply

    def _take(
        self, call: Call, resource: Resource, row: ArtifactRow | None, reply: OutboundReply, flight: Flight[Fetched]
    ) -> Fetched:
        status = reply.status
        if status == 304 and row is not None:
            self._note(call, resource, row.sha256, reply.headers)
            self._count("revalidated")
            return Fetched(row, fresh_seconds=_lifetime(upstream_of(call), resource))
        if status in _ABSENT:
            self._gone(call, resource, row)
        if status != 200:
            raise UpstreamRefused(host_of(reply.url), str(status))
        self._count("fetched")
        kept = self._keep(call, resource, reply, flight)
        self._note(call, resource, kept.sha256, reply.headers)
        return Fetched(kept, fresh_seconds=_lifetime(upstream_of(call), resource))

    def _gone(self, call: Call, resource: Resource, row: ArtifactRow | None) -> NoReturn:
        """The upstream has no such thing, or no longer."""
        if row is not None:
            self._publishing.delete(_target(call), [resource.path], "the upstream no longer has it")
        self._note(call, resource, None, {})
        raise NotFound(f"{resource.path} is not at the upstream")

    def _keep(self, call: Call, resource: Resource, reply: OutboundReply, flight: Flight[Fetched]) -> ArtifactRow:
        announced = _length(reply.headers)
        expected = resource.size_bytes if resource.size_bytes is not None else announced
        media_type = resource.media_type or reply.headers.get("content-type", "application/octet-stream")
        algorithms = tuple({*resource.algorithms, *(set(resource.digests) - {"sha256"})})
        with self._spool.create(algorithms, resource.max_bytes) as writer:
            flight.begin(writer.reader, expected, media_type)
            for chunk in reply.chunks():
                writer.write(chunk)
                flight.grown()
            spooled = writer.finish()
        try:
            _verify(resource, reply.url, expected, spooled, media_type)
            file = NewFile(
                path=resource.path,
                spooled=spooled,
                media_type=media_type,
                package=resource.package,
                name=resource.name,
                version=resource.version,
                algorithms=resource.algorithms,
                metadata=resource.metadata if resource.lifetime == "immutable" else _encode({"url": reply.url}),
                overwrite="replace",
                fetched_from=reply.url,
            )
            held = self._catalogue.artifact(call.content, resource.path)
            if held is not None and _is_same(held, file):
                return held  # an upstream without validators sends it again and again, which is no news
            self._publishing.publish(_target(call), [file])
        finally:
            self._spool.discard(spooled)
        row = self._catalogue.artifact(call.content, resource.path)
        if row is None:
            raise UpstreamAway(host_of(reply.url), "what was fetched is not visible yet")
        return row

    def _note(self, call: Call, resource: Resource, sha256: str | None, headers: Mapping[str, str]) -> None:
        if resource.lifetime == "immutable" and sha256 is not None:
            return
        known = Known(sha256, headers.get("etag", ""), headers.get("last-modified", ""), datetime.now(UTC))
        self._cache.note(call.content, resource.path, known)
        self._remember(call.content, resource.path, known)

    def _opened(self, repository: UUID, sealed: str) -> str:
        return open_secret(self._seals, repository, sealed)


def proxy_of(call: Call) -> Proxy:
    """What asks the upstream. Raises NotAllowed where nothing does."""
    if call.services.proxy is None:
        raise NotAllowed("nothing here asks upstreams")
    return call.services.proxy


def upstream_of(call: Call) -> Upstream:
    """What the repository stands in for. Raises NotAllowed for one that stands in for nothing."""
    upstream = call.repository.settings.upstream
    if upstream is None:
        raise NotAllowed(f"repository '{call.repository.key}' has no upstream")
    return upstream


def source_url(fetched: Fetched) -> str:
    """Where a mutable thing came from, after redirects: what its relative addresses are relative to."""
    return msgspec.json.decode(fetched.row.metadata, type=_Source).url


class _Source(msgspec.Struct):
    url: str = ""


def seal_secret(seals: PersonalData, repository: UUID, text: str) -> str:
    """A secret as settings keep it: readable here, and nowhere else."""
    return b64encode(seals.seal(repository, text.encode())).decode()


def open_secret(seals: PersonalData, repository: UUID, sealed: str) -> str:
    """The secret; empty when it was destroyed."""
    return (seals.open(repository, b64decode(sealed)) or b"").decode()


def _following(call: Call, resource: Resource, flight: Flight[Fetched], followed: Iterator[bytes]) -> Stream:
    headers = [_status_text("fwd=miss; stored")]
    if flight.size_bytes is not None:
        headers.append(("content-length", str(flight.size_bytes)))
    return Stream(
        chunks=followed,
        media_type=flight.media_type,
        headers=tuple(headers),
        artifact=artifact_id(call.content, resource.path),
        waits=True,
    )


def _verify(resource: Resource, url: str, expected_bytes: int | None, spooled: Spooled, media_type: str) -> None:
    if expected_bytes is not None and spooled.size_bytes != expected_bytes:
        problem = f"{spooled.size_bytes} bytes instead of {expected_bytes}"
        raise UpstreamLied(host_of(url), resource.path, problem)
    for algorithm, digest in resource.digests.items():
        if spooled.digests[algorithm] != digest.lower():
            problem = f"the {algorithm} digest {spooled.digests[algorithm]} instead of {digest.lower()}"
            raise UpstreamLied(host_of(url), resource.path, problem)
    if resource.check is not None:
        try:
            resource.check(spooled, media_type)
        except Invalid as fault:
            raise UpstreamLied(host_of(url), resource.path, f"content that is not valid: {fault}") from None


def _is_same(held: ArtifactRow, file: NewFile) -> bool:
    stated = (held.sha256, held.media_type, bytes(held.metadata))
    return stated == (file.spooled.sha256, file.media_type, file.metadata)


def _target(call: Call) -> Target:
    """What an upstream changed is changed here, too: what publishers may do is set for those who publish."""
    settings = msgspec.structs.replace(call.repository.settings, overwrite="allow")
    return Target(call.content, settings, SYSTEM)


def _left(call: Call, resource: Resource, row: ArtifactRow | None, known: Known | None) -> float:
    """For how many seconds what is known is good; none when something else is held."""
    if known is None or known.sha256 != (None if row is None else row.sha256):
        return 0.0
    lifetime = MISSING_SECONDS if known.sha256 is None else _lifetime(upstream_of(call), resource)
    return lifetime - (datetime.now(UTC) - known.checked_at).total_seconds()


def _lifetime(upstream: Upstream, resource: Resource) -> float:
    return upstream.cache_ttl_seconds if upstream.cache_ttl_seconds is not None else resource.ttl_seconds


def _length(headers: Mapping[str, str]) -> int | None:
    """How many bytes will come; None when they are compressed on the way, or the upstream does not say."""
    text = headers.get("content-length", "")
    plain = headers.get("content-encoding", "identity") == "identity"
    return int(text) if plain and text.isascii() and text.isdigit() else None


def _status(sources: Sequence[Fetched]) -> tuple[str, str]:
    if any(source.stale for source in sources):
        return _status_text("hit; ttl=-1; detail=upstream-unavailable")
    return _status_text("hit")


def _status_text(what: str) -> tuple[str, str]:
    """RFC 9211."""
    return "cache-status", f"artifact-keeper; {what}"
