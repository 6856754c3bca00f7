"""Who answers for a repository that holds nothing itself: a remote one's upstream, a virtual one's members."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from uuid import UUID

import msgspec

from application.access import Access
from application.catalogue import Catalogue, RepositoryRow, package_scope
from application.resolving import Resolved
from application.wire import Answer, AnyAnswer, Call, Derived, Document, DocumentKey, File, Merge, Route, Stream
from domain.errors import NotAllowed, NotFound
from domain.permissions import Principal

MAX_DEPTH = 8

RevisionOf = Callable[[UUID, str, int | None], int]
"""Repository, scope and position (None is now) to the revision there."""


class Part(msgspec.Struct, frozen=True):
    """A member that holds something, at the position that is read. repository: as it is now. through: the virtual ones
    between it and the one that was asked, outermost first. source: of a snapshot, what it shows.
    """

    repository: RepositoryRow
    content: UUID
    at: int | None
    through: tuple[RepositoryRow, ...] = ()
    source: RepositoryRow | None = None


class Kinds:
    """Answers reads of remote and virtual repositories, and finds where writes go."""

    def __init__(self, catalogue: Catalogue, access: Access, revision_of: RevisionOf) -> None:
        self._catalogue = catalogue
        self._access = access
        self._revision_of = revision_of

    def answer(self, route: Route, call: Call) -> AnyAnswer:
        """The answer to a read, whatever the kind of the repository."""
        match call.repository.kind:
            case "remote":
                return _from_upstream(route, call)
            case "virtual":
                return self._from_members(route, call)
            case _:
                return route.handler(call)

    def written(self, principal: Principal, resolved: Resolved) -> Resolved:
        """The repository that takes what is published to this one. Raises NotAllowed."""
        row = resolved.repository
        if row.kind == "remote":
            raise NotAllowed(
                f"'{row.key}' is a remote repository: it is filled from its upstream, nobody publishes to it"
            )
        if row.kind != "virtual":
            return resolved
        target = None if row.settings.publish_to is None else self._catalogue.repository_by_id(row.settings.publish_to)
        if target is None or not self._access.allows(principal, Resolved(target, target.id, None), "read"):
            raise NotAllowed(f"'{row.key}' is a virtual repository and names none of its members for publishing")
        return Resolved(target, target.id, resolved.at)

    # virtual

    def _from_members(self, route: Route, call: Call) -> AnyAnswer:
        parts = parts_of(self._catalogue, call.repository, call.at)
        package = route.package(call.request) if route.package is not None else None
        if package is not None and self._is_hosted(call, parts, package):
            parts = [part for part in parts if part.repository.kind != "remote"]
        parts = [part for part in parts if self._visible(call.principal, part)]
        if route.virtual is not None:
            return route.virtual(call, [_asked(call, part) for part in parts])
        if route.merge is not None and route.document is not None and route.document(call.request) is not None:
            return self._merged(route, route.merge, call, parts)
        return self._first(route, call, parts)

    def _visible(self, principal: Principal, part: Part) -> bool:
        return self._access.allows(principal, Resolved(part.repository, part.content, part.at), "read")

    def _is_hosted(self, call: Call, parts: Sequence[Part], package: str) -> bool:
        """Whether a hosted member has the name, so that no remote one may speak for it; a hidden member has names too.

        Else whoever publishes a package of that name at the upstream would have it installed in place of ours.
        """
        if any(fnmatchcase(package, pattern) for pattern in call.repository.settings.shared_names):
            return False
        hosted = [part for part in parts if part.repository.kind != "remote"]
        found = call.services.formats.by_key(call.repository.format)
        spellings = (package,) if found is None or found.spellings is None else found.spellings(package)
        return any(self._holds(call, part, name) for part in hosted for name in spellings)

    def _holds(self, call: Call, part: Part, package: str) -> bool:
        return bool(
            self._revision_of(part.content, package_scope(package), part.at)
            and not self._shares(call, part, package)
            and self._catalogue.versions(part.content, package, part.at)
        )

    def _shares(self, call: Call, part: Part, package: str) -> bool:
        found = call.services.formats.by_key(part.repository.format)
        return found is not None and found.shares is not None and found.shares(self._catalogue, part, package)

    def _first(self, route: Route, call: Call, parts: Sequence[Part]) -> AnyAnswer:
        """What the first member answers that has it."""
        absent: NotFound | None = None
        for part in parts:
            try:
                return _held(self.answer(route, _asked(call, part)), part)
            except NotFound as fault:
                absent = absent or fault
        raise absent or NotFound(f"no member of '{call.repository.key}' has this")

    def _merged(self, route: Route, merge: Merge, call: Call, parts: Sequence[Part]) -> AnyAnswer:
        asked = call if merge.ask is None else msgspec.structs.replace(call, request=merge.ask(call.request))
        wanted = route.document(asked.request) if route.document is not None else None
        found: list[Derived] = []
        for part in parts:
            try:
                found.append(self._part(route, _asked(asked, part), wanted))
            except NotFound:
                continue

        def render() -> AnyAnswer:
            answers = list(_present(found))
            if not answers:
                raise NotFound(f"no member of '{call.repository.key}' has this")
            documents = [document for answer in answers if (document := _document(answer)) is not None]
            if not documents or (len(answers) == 1 and merge.ask is None):
                return answers[0]
            combined = merge.combine(call, documents)
            if not any(isinstance(answer, Answer) and answer.status == 200 for answer in answers):
                return combined
            return Answer(body=combined.body, media_type=combined.media_type, headers=combined.headers)

        headers = {header for one in found for header in one.headers if "ttl=-" in header[1]}
        return Derived(key=" ".join(one.key for one in found), render=render, headers=tuple(headers))

    def _part(self, route: Route, call: Call, wanted: DocumentKey | None) -> Derived:
        """A member's document, to be rendered only if the combined one must be."""
        if call.repository.kind != "remote" and wanted is not None:
            revision = self._revision_of(call.content, wanted.scope, call.at)
            there = msgspec.structs.replace(call, at=revision)
            return Derived(key=f"{call.content.hex}:{revision}", render=lambda: route.handler(there))
        answer = self.answer(route, call)
        if isinstance(answer, Derived):
            return msgspec.structs.replace(answer, key=f"{call.content.hex}:{answer.key}")
        raise NotFound("nothing to combine")


def parts_of(catalogue: Catalogue, repository: RepositoryRow, at: int | None) -> list[Part]:
    """The members that hold something, in order; those of a virtual member in its place."""
    return list(_parts(catalogue, repository, at, set(), ()))


def hosted_parts(call: Call, at: int | None) -> list[Part]:
    """The hosted members of the call's repository, also those that the caller may not see: they have names too."""
    parts = parts_of(call.services.catalogue, call.repository, at)
    return [part for part in parts if part.repository.kind != "remote"]


def _parts(
    catalogue: Catalogue,
    repository: RepositoryRow,
    at: int | None,
    seen: set[UUID],
    through: tuple[RepositoryRow, ...],
) -> Iterator[Part]:
    settings = repository.settings
    if at is not None:
        past = catalogue.repository_by_id(repository.id, at)
        settings = settings if past is None else past.settings
    for member in sorted(settings.members, key=lambda member: member.priority):
        if member.repository in seen:
            continue
        seen.add(member.repository)
        row = catalogue.repository_by_id(member.repository)
        if row is None:
            continue
        if row.kind == "virtual":
            if len(through) < MAX_DEPTH:
                yield from _parts(catalogue, row, at, seen, (*through, row))
        elif row.kind == "snapshot" and row.source is not None:
            source = catalogue.repository_by_id(row.source, row.source_position)
            yield Part(row, row.source, row.source_position, through, source)
        else:
            yield Part(row, row.id, at, through)


def _from_upstream(route: Route, call: Call) -> AnyAnswer:
    if route.remote is None:
        raise NotFound("a remote repository of this format does not offer that")
    return route.remote(call)


def _asked(call: Call, part: Part) -> Call:
    """The same question to a member. Its answers name the addresses of the virtual repository."""
    through = (*call.through, call.repository, *part.through)
    repository = part.source or part.repository
    return msgspec.structs.replace(call, repository=repository, content=part.content, at=part.at, through=through)


def _document(answer: AnyAnswer) -> Document | None:
    """What can be combined. An answer made for one request can be, too; what it becomes part of is not kept either."""
    if isinstance(answer, Document):
        return answer
    if isinstance(answer, Answer) and answer.status == 200:
        return Document(body=answer.body, media_type=answer.media_type, headers=answer.headers)
    return None


def _present(found: Sequence[Derived]) -> Iterator[AnyAnswer]:
    for one in found:
        try:
            yield one.render()
        except NotFound:
            continue


def _held(found: AnyAnswer, part: Part) -> AnyAnswer:
    """What a member answered. A document is rendered now, so that it is known whether there is one."""
    if isinstance(found, File | Stream):
        return msgspec.structs.replace(found, holder=part.repository)
    if isinstance(found, Derived):
        answer = found.render()
        return msgspec.structs.replace(found, render=lambda: answer)
    return found
