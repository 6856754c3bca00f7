"""What other registries tell: configuration, files of an index, results of a search. Pure; bytes give it or Invalid.

Source: https://doc.rust-lang.org/cargo/reference/registry-index.html, …/registry-web-api.html#search
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import urlsplit

import msgspec

from application.formats.cargo.dependencies import Dependency, Features
from application.formats.cargo.index import SearchHit
from application.formats.cargo.names import CrateKey, CrateVersion, VersionInvalid, crate_key, index_path, parse_version
from domain.errors import Invalid

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_MARKERS = ("{crate}", "{version}", "{prefix}", "{lowerprefix}", "{sha256-checksum}")
_FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class ConfigMalformed(Invalid):
    """Not the configuration of an index."""

    template: ClassVar[str] = "not the configuration of a cargo index: {detail}"


class IndexMalformed(Invalid):
    """Not a crate's file in an index: no line of it is about a version of the crate."""

    template: ClassVar[str] = "the index has no line that tells of a version of `{name}`"

    def __init__(self, name: str) -> None:
        super().__init__(name=name[:100])


class SearchMalformed(Invalid):
    """Not the result of a search."""

    template: ClassVar[str] = "not the result of a search for crates: {detail}"


class UpstreamConfig(msgspec.Struct, frozen=True):
    """Where the rest of a registry is. dl: an address or a template of one; api: None when there is no web API."""

    dl: str
    api: str | None = None


class UpstreamLine(msgspec.Struct, frozen=True, kw_only=True):
    """One version as an upstream tells of it. raw: its line; published_at: None when it is not told."""

    name: str
    version: CrateVersion
    sha256: str
    published_at: datetime | None
    raw: bytes


class Told(msgspec.Struct, frozen=True):
    """What a line says that an install depends on."""

    deps: tuple[Dependency, ...] = ()
    features: Features = {}
    features2: Features | None = None
    links: str | None = None
    rust_version: str | None = None


class _Line(msgspec.Struct):
    name: str
    vers: str
    cksum: str
    pubtime: str | None = None


class _Crate(msgspec.Struct):
    name: str
    max_version: str = ""
    description: str | None = None


class _Meta(msgspec.Struct):
    total: int = 0


class _Found(msgspec.Struct):
    crates: list[_Crate]
    meta: _Meta = msgspec.field(default_factory=_Meta)


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_told = msgspec.json.Decoder(Told).decode


def read_config(body: bytes) -> UpstreamConfig:
    """The `config.json` of an index. Raises ConfigMalformed."""
    try:
        config = msgspec.json.decode(body, type=UpstreamConfig)
    except _FAULTS as error:
        raise ConfigMalformed(str(error)[:200]) from None
    for address in (config.dl, config.api):
        if address is not None and not _is_address(address):
            raise ConfigMalformed(f"{address[:200]!r} is not an http or https address")
    return msgspec.structs.replace(config, api=config.api.rstrip("/")) if config.api else config


def read_lines(body: bytes, key: CrateKey) -> list[UpstreamLine]:
    """The versions of the crate, in their order; lines that tell of anything else are left out, as cargo does.

    Raises IndexMalformed when none is left.
    """
    lines = list(_lines(body, key))
    if not lines:
        raise IndexMalformed(key)
    return lines


def read_told(line: UpstreamLine) -> Told:
    """The rest of a line; nothing when it is told in a way that only newer clients understand."""
    try:
        return _decode_told(line.raw)
    except _FAULTS:
        return Told()


def crate_url(config: UpstreamConfig, line: UpstreamLine) -> str:
    """Where the bytes of a version are."""
    template = config.dl
    if not any(marker in template for marker in _MARKERS):
        template += "/{crate}/{version}/download"
    prefix = "/".join(index_path(CrateKey(line.name))[:-1])
    values = (line.name, line.version, prefix, prefix.lower(), line.sha256)
    for marker, value in zip(_MARKERS, values, strict=True):
        template = template.replace(marker, value)
    return template


def read_search(body: bytes) -> tuple[list[SearchHit], int]:
    """What a search found, and how many there are. Raises SearchMalformed."""
    try:
        found = msgspec.json.decode(body, type=_Found)
    except _FAULTS as error:
        raise SearchMalformed(str(error)[:200]) from None
    hits = [
        SearchHit(name=crate.name, max_version=crate.max_version, description=crate.description or "")
        for crate in found.crates
        if crate_key(crate.name) is not None
    ]
    return hits, max(found.meta.total, len(hits))


def _lines(body: bytes, key: CrateKey) -> Iterator[UpstreamLine]:
    for raw in body.split(b"\n"):
        if not raw.strip():
            continue
        try:
            line = _decode_line(raw)
            version = parse_version(line.vers)
        except (*_FAULTS, VersionInvalid):
            continue
        if crate_key(line.name) != key or not _SHA256.match(line.cksum):
            continue
        yield UpstreamLine(
            name=line.name, version=version, sha256=line.cksum, published_at=_moment(line.pubtime), raw=raw.strip()
        )


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(parts.scheme in {"http", "https"} and parts.hostname) and text.isprintable() and " " not in text
    except ValueError:
        return False
