"""Searches of both protocols: which packages, the best first, and which of their versions a client may see."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import msgspec

from application.formats.nuget.index import Entry
from application.formats.nuget.names import PackageKey, package_key
from application.formats.nuget.packages import every_key, find_package
from application.searching import SearchQuery
from application.wire import Call
from domain.errors import Invalid

MAX_TAKEN = 1_000
MAX_SKIPPED = 100_000
MAX_INDEXED = 500
DEFAULT_TAKEN = 20
_MAX_WORDS = 20
_TYPE_OF_MOST = "dependency"


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What a client looks for. ids: exact ones, when it names some; words: all of them must be found.

    names_only: only in ids. tags: which a package must have.
    """

    words: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    ids: tuple[PackageKey, ...] = ()
    prerelease: bool = False
    semver2: bool = False
    package_type: str = ""
    names_only: bool = False

    def sees(self, entry: Entry) -> bool:
        """Whether a version is one that the client looks for."""
        return (
            entry.listed
            and (self.prerelease or not entry.version.is_prerelease)
            and (self.semver2 or not entry.semver2)
        )

    def fits(self, entry: Entry) -> bool:
        """Whether a package is, by its newest version that is seen."""
        nuspec = entry.nuspec
        types = {one.lower() for one in nuspec.package_types} or {_TYPE_OF_MOST}
        if self.package_type and self.package_type.lower() not in types:
            return False
        tags = set(nuspec.tags.lower().split())
        if not all(tag in tags for tag in self.tags):
            return False
        told = (nuspec.id, nuspec.title, nuspec.tags, nuspec.description, nuspec.summary, nuspec.authors)
        text = nuspec.id.lower() if self.names_only else "\0".join(told).lower()
        return all(word in text for word in self.words)


def parse_query(
    text: str, *, prerelease: bool, semver2: bool, package_type: str = "", names_only: bool = False
) -> Query:
    """A search box's text: words, and `packageid:`, `id:` or `tags:` before some of them."""
    words: list[str] = []
    tags: list[str] = []
    ids: list[PackageKey] = []
    for part in text.lower().split()[:_MAX_WORDS]:
        field, colon, value = part.partition(":")
        value = value.strip("\"'")
        if colon and field == "packageid":
            key = package_key(value)
            ids.append(key if key is not None else PackageKey(""))
        elif colon and field in {"tag", "tags"}:
            tags += [value] if value else []
        else:
            words.append(value if colon and field in {"id", "title", "description"} else part.strip("\"'"))
    return Query(
        words=tuple(word for word in words if word),
        tags=tuple(tags),
        ids=tuple(ids),
        prerelease=prerelease,
        semver2=semver2,
        package_type=package_type,
        names_only=names_only,
    )


def find_packages(call: Call, query: Query, skip: int, take: int) -> tuple[list[list[Entry]], int]:
    """A page of packages, each as the versions that are seen, from the lowest on; and how many packages there are.

    Of what lies behind the page, that number counts some that turn out not to fit.
    """
    found: list[list[Entry]] = []
    count = 0
    keys = _candidates(call, query)
    for key in keys:
        versions = [entry for entry in find_package(call, key) if query.sees(entry)]
        if not versions or not query.fits(versions[-1]):
            continue
        count += 1
        if count > skip:
            found.append(versions)
        if len(found) >= take:
            return found, count + sum(
                1 for key in keys if _is_indexed(call) or all(word in key for word in query.words)
            )
    return found, count


def page_of(call: Call) -> tuple[int, int]:
    """`skip` and `take` of a request. Raises Invalid."""
    return number(call, "skip", 0, MAX_SKIPPED), number(call, "take", DEFAULT_TAKEN, MAX_TAKEN)


def number(call: Call, name: str, default: int, most: int) -> int:
    """A parameter that is a number, and no more than `most`. Raises Invalid."""
    text = call.request.query_value(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Invalid(f"{name} is a number")
    return min(int(text), most)


def _candidates(call: Call, query: Query) -> Iterator[PackageKey]:
    """Packages that may fit, each once: those whose ids do before those that only speak of it."""
    if query.ids:
        return iter(dict.fromkeys(query.ids))
    if not query.words:
        return every_key(call)
    named = sorted(
        (key for key in every_key(call) if all(word in key for word in query.words)),
        key=lambda key: (key not in query.words, not key.startswith(query.words), key),
    )
    if query.names_only:
        return iter(named)
    return chain(named, (key for key in _speaking(call, query) if not all(word in key for word in query.words)))


def _speaking(call: Call, query: Query) -> Iterator[PackageKey]:
    """Packages that have the words elsewhere than in their ids: the search knows, of today; else all are looked at."""
    search = call.services.search
    if search is None or not _is_indexed(call):
        return every_key(call)
    wanted = SearchQuery(text=" ".join(query.words), repositories=frozenset({call.content}), limit=MAX_INDEXED)
    return iter(dict.fromkeys(PackageKey(hit.package) for hit in search.search(wanted).hits if hit.package))


def _is_indexed(call: Call) -> bool:
    """Whether the search knows what is read: it knows the present."""
    return call.services.search is not None and call.at is None
