"""Finding artifacts and packages by words: what is indexed, what may be asked, and the port that engines fill."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec

from domain.errors import Invalid

Sort = Literal["relevance", "name", "created_at", "size_bytes"]
SORTS: Mapping[str, Sort] = {
    "relevance": "relevance",
    "score": "relevance",
    "name": "name",
    "created_at": "created_at",
    "created": "created_at",
    "updated_at": "created_at",
    "date": "created_at",
    "size_bytes": "size_bytes",
    "size": "size_bytes",
}
"""Accepted names of orders."""

CHECKSUMS = {"sha256": 64, "sha1": 40, "md5": 32}
"""Algorithm to the length of its hexadecimal form."""

MAX_COUNTED = 10_000
"""Up to so many matches are counted exactly where an index must be walked to count them."""

MAX_TEXT = 1_000
MAX_QUERY_WORDS = 16
MAX_WORD = 64
MAX_INDEXED_WORDS = 400

_WORD = re.compile(r"[^\W_]+")
_PIECE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_PUNCTUATION = re.compile(r"[-_.]+")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Hit(msgspec.Struct, frozen=True):
    """An artifact that was found. package is empty where the format groups nothing."""

    artifact: UUID
    repository: UUID
    path: str
    package: str
    name: str
    version: str
    sha256: str
    size_bytes: int
    media_type: str
    published_at: datetime


class PackageHit(msgspec.Struct, frozen=True):
    """A package that was found. description: as its newest artifact tells it."""

    id: UUID
    repository: UUID
    package: str
    name: str
    description: str | None
    artifacts: int
    size_bytes: int
    created_at: datetime
    updated_at: datetime


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What to find; everything that is set must hold.

    text: words, each the beginning of one that is indexed. repositories: only in these; None is all. name, version:
    exact, or patterns with `*`; a name ignores case and which of `-`, `_`, `.` is written. path: a part of it, or a
    pattern with `*` for all of it; ignores case. Times and sizes are included. limit 0 only counts.
    """

    text: str = ""
    repositories: frozenset[UUID] | None = None
    name: str | None = None
    path: str | None = None
    version: str | None = None
    min_size: int | None = None
    max_size: int | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    sort: Sort = "relevance"
    descending: bool = True
    limit: int = 20
    offset: int = 0


class SearchResult(msgspec.Struct, frozen=True):
    """One page of what was found, and all of it counted.

    exact: whether the counts are; else there are more matches than MAX_COUNTED, and the counts are of so many.
    """

    hits: list[Hit]
    total: int
    exact: bool
    repositories: dict[UUID, int]
    media_types: dict[str, int]


class SearchIndex(Protocol):
    """Search by words. It trails the log a little; no text makes it raise."""

    def quick(self, text: str, repositories: frozenset[UUID] | None, limit: int) -> list[Hit]:
        """The best matches; names that merely resemble the text when nothing matches."""

    def search(self, query: SearchQuery) -> SearchResult:
        """One page of everything that matches."""

    def suggest(self, prefix: str, repositories: frozenset[UUID] | None, limit: int) -> list[str]:
        """Names that begin so, in order, each once."""


class Shelves(Protocol):
    """Lists that need no words, from the same read model."""

    def recent(self, repositories: frozenset[UUID] | None, limit: int) -> list[Hit]:
        """The artifacts that were published last."""

    def by_checksum(self, algorithm: str, checksum: str, repositories: frozenset[UUID] | None) -> list[Hit]:
        """The artifacts whose bytes have this digest, where it was published with them; SHA-256 always is."""

    def artifacts(self, artifacts: Sequence[UUID]) -> list[Hit]:
        """These artifacts, in this order; those that are gone are left out."""

    def packages(
        self, text: str, repositories: frozenset[UUID] | None, *, limit: int, offset: int
    ) -> tuple[list[PackageHit], int]:
        """Packages whose name contains the text, by name: one page, and how many there are."""

    def package(self, package: UUID) -> PackageHit | None:
        """The package of that id."""

    def metadata(self, versions: Sequence[tuple[UUID, str, str]]) -> dict[tuple[UUID, str, str], msgspec.Raw]:
        """The metadata of an artifact of each (repository, package, version) that has one."""


class Described(msgspec.Struct, frozen=True):
    """What an artifact's metadata says for people, whatever the format calls it."""

    description: str | None = None
    keywords: tuple[str, ...] = ()


def words(text: str) -> list[str]:
    """The words of a text in lower case: runs of letters and digits, in order, with repetitions."""
    folded = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return [word[:MAX_WORD] for word in _WORD.findall(folded)]


def query_words(text: str) -> list[str]:
    """The words that somebody looks for, each once; none for a text without any."""
    return list(dict.fromkeys(words(text[:MAX_TEXT])))[:MAX_QUERY_WORDS]


def name_words(text: str) -> list[str]:
    """The words of a name, and those within words: `MyParser2` is found by `my`, `parser` and `2` too."""
    whole = words(text)
    if text.islower() and text.isalpha():
        return whole
    pieces = (piece.lower() for piece in _PIECE.findall(text))
    return [*whole, *(piece for piece in pieces if piece not in whole)]


def name_key(text: str) -> str:
    """By which names are compared: case and the choice between `-`, `_` and `.` do not count."""
    return _PUNCTUATION.sub("-", storable(text).casefold())


def storable(text: str) -> str:
    """The text without what no database can hold."""
    return _UNSTORABLE.sub("", text)


def checked_sort(text: str) -> Sort:
    """The order of that name; raises Invalid."""
    try:
        return SORTS[text.lower()]
    except KeyError:
        known = "relevance, name, created_at, size_bytes"
        raise Invalid(f"sort_by is one of {known}, not {storable(text)[:40]!r}") from None


def checked_checksum(algorithm: str, checksum: str) -> tuple[str, str]:
    """The algorithm and the digest in lower case; raises Invalid for what is none."""
    length = CHECKSUMS.get(algorithm.lower())
    if length is None:
        raise Invalid(f"algorithm is one of {', '.join(CHECKSUMS)}, not {storable(algorithm)[:40]!r}")
    digest = checksum.strip().lower()
    if len(digest) != length or not set(digest) <= set("0123456789abcdef"):
        raise Invalid(f"a {algorithm.lower()} checksum is {length} hexadecimal digits")
    return algorithm.lower(), digest


def describe(metadata: bytes) -> Described:
    """What a format's metadata says in the fields that most of them have."""
    try:
        fields = msgspec.json.decode(metadata)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Described()
    if not isinstance(fields, dict):
        return Described()
    text = next((value for name in _DESCRIPTIONS if (value := _text(fields.get(name)))), None)
    return Described(text, tuple(_keywords(fields)))


_DESCRIPTIONS = ("summary", "description", "title")
_KEYWORDS = ("keywords", "tags", "categories")


def _text(value: Any) -> str | None:
    return storable(value).strip()[:MAX_TEXT] or None if isinstance(value, str) else None


def _keywords(fields: dict[str, Any]) -> Iterable[str]:
    for name in _KEYWORDS:
        value = fields.get(name)
        if isinstance(value, str):
            yield storable(value)[:MAX_TEXT]
        elif isinstance(value, list):
            yield from (storable(one)[:MAX_WORD] for one in value[:50] if isinstance(one, str))


def narrowed(repositories: frozenset[UUID] | None, wanted: Collection[UUID] | None) -> frozenset[UUID] | None:
    """Those that are in both; None is all."""
    if wanted is None:
        return repositories
    return frozenset(wanted) if repositories is None else repositories & frozenset(wanted)
