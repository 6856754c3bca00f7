"""What clients of the second protocol read: feeds of versions, asked by functions and filters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from urllib.parse import urlencode

from application.formats.nuget.dialect import PackageNotFound
from application.formats.nuget.feed import (
    ENTRY_TYPE,
    FEED_TYPE,
    PROPERTIES,
    XML_TYPE,
    Feature,
    describe,
    render_entry,
    render_feed,
    render_schema,
    render_service,
)
from application.formats.nuget.finding import MAX_SKIPPED, number, parse_query
from application.formats.nuget.index import Entry
from application.formats.nuget.names import VersionInvalid, order_key, package_key, version_key
from application.formats.nuget.odata import Filter, parse_filter, parse_order, text_value
from application.formats.nuget.packages import asked_key, asked_row
from application.formats.nuget.reading import addresses_of, archive_file
from application.formats.nuget.shelves import Shelf
from application.wire import Answer, Call, File
from domain.errors import Invalid, NotFound

PAGE = 100
MAX_FOUND = 1_000
MAX_UPDATES = 500
_ZIP = "application/zip"

_RESOURCE = re.compile(r"(?P<name>Packages|Search|FindPackagesById|GetUpdates)(?:\((?P<arguments>.*)\))?\Z", re.DOTALL)
_ARGUMENT = re.compile(r"\s*(Id|Version)\s*=\s*'((?:[^']|'')*)'\s*(?:,|\Z)", re.IGNORECASE)


def get_service(call: Call) -> Answer:
    """GET v2/: that there are packages."""
    return Answer(body=render_service(addresses_of(call)), media_type=XML_TYPE)


def get_archive(call: Call) -> File:
    """GET v2/package/{id}/{version}."""
    return archive_file(asked_row(call), _ZIP)


def get_latest_archive(call: Call, shelf: Shelf) -> Answer:
    """GET v2/package/{id}: where the latest version is."""
    text = call.params["id"]
    latest = [one for one in _described(call, shelf.load(asked_key(text))) if one.properties["IsLatestVersion"]]
    if not latest:
        raise PackageNotFound(text)
    entry = latest[0].entry
    location = addresses_of(call).legacy_content(entry.nuspec.id, entry.normalized)
    return Answer(status=302, headers=(("location", location),))


def get_resource(call: Call, shelf: Shelf) -> Answer:
    """GET v2/{resource}: `$metadata`, a function, all packages, or one version of one."""
    resource = call.params["resource"]
    if resource.lower() == "$metadata":
        return Answer(body=render_schema(), media_type=XML_TYPE)
    found = _RESOURCE.match(resource)
    if found is None:
        raise NotFound("no such address in this feed")
    arguments = found["arguments"] or ""
    if found["name"] == "Packages" and arguments.strip():
        return _one(call, shelf, arguments)
    return _feed(call, found["name"], _FUNCTIONS[found["name"]](call, shelf))


def count_resource(call: Call, shelf: Shelf) -> Answer:
    """GET v2/{resource}/$count: how many there would be on all pages."""
    found = _RESOURCE.match(call.params["resource"])
    if found is None or (found["arguments"] or "").strip():
        raise NotFound("no such address in this feed")
    return Answer(body=str(len(_filtered(call, _FUNCTIONS[found["name"]](call, shelf)))).encode())


# functions


def _every(call: Call, shelf: Shelf) -> Iterator[Feature]:
    """Every version of every package that the filter may let pass."""
    may_pass = _filter(call)
    for key in shelf.keys():  # noqa: SIM118 - no mapping
        if may_pass({"Id": key}) is not False:
            yield from _described(call, shelf.load(key))


def _search(call: Call, shelf: Shelf) -> Iterator[Feature]:
    """The listed versions of packages that a text finds, in the order of the search."""
    query = parse_query(
        _text(call, "searchTerm"), prerelease=_truth(call, "includePrerelease"), semver2=_reads_semver2(call)
    )
    found, _ = shelf.find(query, 0, MAX_FOUND)
    for versions in found:
        described = _described(call, shelf.load(asked_key(versions[-1].key)))
        yield from (feature for feature in described if query.sees(feature.entry))


def _find_by_id(call: Call, shelf: Shelf) -> Iterator[Feature]:
    """Every version of one package, listed or not."""
    key = package_key(_text(call, "id"))
    yield from _described(call, shelf.load(key)) if key is not None else ()


def _updates(call: Call, shelf: Shelf) -> Iterator[Feature]:
    """For each package that a client has, what is newer than that."""
    ids, versions = _text(call, "packageIds").split("|"), _text(call, "versions").split("|")
    if len(ids) != len(versions) or len(ids) > MAX_UPDATES:
        raise Invalid(f"packageIds and versions name the same number of packages, {MAX_UPDATES} at most")
    prerelease, every = _truth(call, "includePrerelease"), _truth(call, "includeAllVersions")
    for text, version in zip(ids, versions, strict=True):
        key = package_key(text)
        try:
            had = order_key(version)
        except VersionInvalid:
            continue
        described = _described(call, shelf.load(key)) if key is not None else []
        newer = [
            feature
            for feature in described
            if feature.entry.listed
            and feature.entry.order > had
            and (prerelease or not feature.properties["IsPrerelease"])
        ]
        yield from newer if every else newer[-1:]


_FUNCTIONS: dict[str, Callable[[Call, Shelf], Iterator[Feature]]] = {
    "Packages": _every,
    "Search": _search,
    "FindPackagesById": _find_by_id,
    "GetUpdates": _updates,
}


# steps


def _one(call: Call, shelf: Shelf, arguments: str) -> Answer:
    """`Packages(Id='…',Version='…')`."""
    named = {name.lower(): text_value(f"'{value}'") for name, value in _ARGUMENT.findall(arguments)}
    key, version = package_key(named.get("id", "")), version_key(named.get("version", ""))
    entries = shelf.load(key) if key is not None else []
    for feature in describe(addresses_of(call), entries, semver2=True):
        if feature.entry.lower == version:
            return Answer(body=render_entry(addresses_of(call), feature), media_type=ENTRY_TYPE)
    raise PackageNotFound(named.get("id", ""), named.get("version", ""))


def _feed(call: Call, title: str, features: Iterable[Feature]) -> Answer:
    """A page of features: filtered, ordered, cut."""
    found = _filtered(call, features)
    _order(call, found)
    skip, top = number(call, "$skip", 0, MAX_SKIPPED), number(call, "$top", MAX_SKIPPED, MAX_SKIPPED)
    shown = found[skip : skip + min(top, PAGE)]
    following = ""
    if top > PAGE and len(found) > skip + PAGE:
        following = _following(call, skip + PAGE, top - PAGE if call.request.query_value("$top") else None)
    counted = len(found) if call.request.query_value("$inlinecount") == "allpages" else None
    body = render_feed(addresses_of(call), title, shown, count=counted, following=following)
    return Answer(body=body, media_type=FEED_TYPE)


def _following(call: Call, skip: int, top: int | None) -> str:
    request = call.request
    kept = [(name, value) for name, value in request.query if name not in ("$skip", "$top")]
    kept += [("$skip", str(skip)), *([("$top", str(top))] if top is not None else [])]
    return f"{request.repository_url}{request.raw_path}?{urlencode(kept)}"


def _filtered(call: Call, features: Iterable[Feature]) -> list[Feature]:
    passes = _filter(call)
    return [feature for feature in features if passes(feature.properties)]


def _filter(call: Call) -> Filter:
    return parse_filter(call.request.query_value("$filter"), PROPERTIES)


def _order(call: Call, features: list[Feature]) -> None:
    """The last property first, so that the first one counts most; versions by their own order."""
    for name, downwards in reversed(parse_order(call.request.query_value("$orderby"), PROPERTIES)):
        if name in ("Version", "NormalizedVersion"):
            features.sort(key=lambda feature: feature.entry.order, reverse=downwards)
        else:
            features.sort(key=lambda feature: _sortable(feature.properties[name]), reverse=downwards)


def _sortable(value: object) -> tuple[bool, object]:
    return value is not None, value.lower() if isinstance(value, str) else 0 if value is None else value


def _described(call: Call, entries: Sequence[Entry]) -> list[Feature]:
    return describe(addresses_of(call), entries, semver2=_reads_semver2(call))


def _text(call: Call, name: str) -> str:
    return text_value(call.request.query_value(name))


def _truth(call: Call, name: str) -> bool:
    return _text(call, name).lower() == "true"


def _reads_semver2(call: Call) -> bool:
    return _text(call, "semVerLevel").startswith("2")
