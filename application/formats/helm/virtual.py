"""Several chart repositories as one: the first member's version counts, and no remote one adds to charts of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from fnmatch import fnmatchcase

import msgspec

from application.catalogue import PACKAGES_SCOPE, TREE_SCOPE
from application.formats.helm import reading, remote
from application.formats.helm.charts import every_entry
from application.formats.helm.dialect import ChartNotFound
from application.formats.helm.index import INDEX_TYPE, Entry, render_index
from application.formats.helm.names import FOLDER, PROVENANCE
from application.kinds import Part, hosted_parts
from application.proxying.ageing import gate_key
from application.proxying.proxy import upstream_of
from application.wire import Answer, AnyAnswer, Call, Derived, Document, File, Stream
from domain.errors import NotFound


class Source(msgspec.Struct, frozen=True):
    """A member. key: everything that its charts depend on."""

    is_ours: bool
    key: str
    changed_at: datetime
    load: Callable[[], list[Entry]]


def get_index(call: Call, members: Sequence[Call]) -> AnyAnswer:
    """GET index.yaml."""
    sources, parts = list(_sources(members)), hosted_parts(call, call.at)
    held = [
        f"{part.content.hex}:{call.services.catalogue.revision(part.content, PACKAGES_SCOPE, part.at)}"
        for part in parts
    ]

    def render() -> Document:
        changed_at = max([call.repository.created_at, *(source.changed_at for source in sources)])
        return Document(body=render_index(_merged(call, sources, parts), changed_at), media_type=INDEX_TYPE)

    shared = call.repository.settings.shared_names
    return Derived(key=" ".join([*(source.key for source in sources), "", *held, "", *shared]), render=render)


def get_file(call: Call, members: Sequence[Call]) -> AnyAnswer:
    """GET charts/{name}: from the member whose chart the index tells; or what is told of a chart."""
    name = call.params["name"]
    if not reading.is_file(name):
        return get_versions(call, members)
    parts = hosted_parts(call, call.at)
    for member in members:
        found = _file(call, member, name.removesuffix(PROVENANCE), parts)
        if found is not None:
            return msgspec.structs.replace(found, holder=member.repository)
    raise ChartNotFound


def list_charts(call: Call, members: Sequence[Call]) -> Answer:
    """GET api/charts."""
    return reading.told_charts(call, _every(call, members))


def get_versions(call: Call, members: Sequence[Call]) -> Answer:
    """GET api/charts/{name}."""
    return reading.told_versions(call, _every(call, members))


def get_version(call: Call, members: Sequence[Call]) -> Answer:
    """GET api/charts/{name}/{version}."""
    return reading.told_version(call, _every(call, members))


def _every(call: Call, members: Sequence[Call]) -> list[Entry]:
    return _merged(call, list(_sources(members)), hosted_parts(call, call.at))


def _sources(members: Sequence[Call]) -> Iterator[Source]:
    """The members that tell of charts."""
    for member in members:
        if member.repository.kind != "remote":
            yield _ours(member)
            continue
        try:
            fetched = remote.fetch_index(member)
        except NotFound:
            continue
        key = f"{member.content.hex}:{fetched.row.sha256}:{gate_key(upstream_of(member))}"
        at = fetched.row.published_at
        yield Source(False, key, at, lambda member=member, fetched=fetched: remote.shown(member, fetched))  # type: ignore[misc]


def _ours(member: Call) -> Source:
    services = member.services
    revision = services.catalogue.revision(member.content, TREE_SCOPE, member.at)
    there = msgspec.structs.replace(member, at=revision)
    changed_at = member.repository.created_at
    if revision and services.recorded_at is not None:
        changed_at = services.recorded_at(revision)
    return Source(True, f"{member.content.hex}:{revision}", changed_at, lambda: every_entry(there))


def _merged(call: Call, sources: Sequence[Source], parts: Sequence[Part]) -> list[Entry]:
    """Every version of every chart once, by the file that it is."""
    found: dict[str, Entry] = {}
    protected: frozenset[str] | None = None
    for source in sources:
        if not source.is_ours and protected is None:
            protected = _protected(call, parts)
        for entry in source.load():
            if source.is_ours or protected is None or entry.name not in protected:
                found.setdefault(entry.file, entry)
    return list(found.values())


def _file(call: Call, member: Call, archive: str, parts: Sequence[Part]) -> File | Stream | None:
    """What a member has, if the index would tell of its chart."""
    if member.repository.kind != "remote":
        row = member.services.catalogue.artifact(member.content, FOLDER + archive, member.at)
        return reading.stored_file(member, FOLDER + call.params["name"]) if row is not None else None
    try:
        offer = remote.offers_of(member, remote.fetch_index(member)).get(archive)
    except NotFound:
        return None
    if offer is None or _is_protected(call, parts, offer.entry.name):
        return None
    return remote.get_file(member)


# names that are ours


def _protected(call: Call, parts: Sequence[Part]) -> frozenset[str]:
    """The charts that remote members have no say in."""
    catalogue = call.services.catalogue
    names = {row.package for part in parts for row in catalogue.packages(part.content, part.at)}
    return frozenset(name for name in names if not _is_shared(call, name))


def _is_protected(call: Call, parts: Sequence[Part], name: str) -> bool:
    catalogue = call.services.catalogue
    return not _is_shared(call, name) and any(catalogue.versions(part.content, name, part.at) for part in parts)


def _is_shared(call: Call, name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in call.repository.settings.shared_names)
