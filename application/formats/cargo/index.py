"""Catalogue rows to the documents that cargo fetches.

Source: https://doc.rust-lang.org/cargo/reference/registry-index.html
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from application.formats.cargo.dependencies import Dependency, Features, is_modern

JSON_TYPE = "application/json"
INDEX_TYPE = "text/plain; charset=utf-8"
_MODERN_SCHEMA = 2

_encode = msgspec.json.encode


class IndexEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One published version as the catalogue has it. sha256: of the crate."""

    name: str
    version: str
    sha256: str
    published_at: datetime
    yanked: bool = False
    dependencies: tuple[Dependency, ...] = ()
    features: Features = {}
    links: str | None = None
    rust_version: str | None = None


class SearchHit(msgspec.Struct, frozen=True):
    """One crate as a search finds it."""

    name: str
    max_version: str
    description: str


class Owner(msgspec.Struct, frozen=True):
    """Somebody named as an owner. id: a number, which is what cargo wants; nothing else is known by it here."""

    id: int
    login: str
    name: str | None = None


class _Line(msgspec.Struct, kw_only=True):
    name: str
    vers: str
    deps: tuple[Dependency, ...]
    cksum: str
    features: Features
    yanked: bool
    links: str | None
    v: int | msgspec.UnsetType = msgspec.UNSET
    features2: Features | msgspec.UnsetType = msgspec.UNSET
    rust_version: str | msgspec.UnsetType = msgspec.UNSET
    pubtime: str


def render_index(entries: Sequence[IndexEntry]) -> bytes:
    """The file of a crate: a line for each version, in the order of their publication."""
    ordered = sorted(entries, key=lambda entry: entry.published_at)
    return b"".join(_encode(_line(entry)) + b"\n" for entry in ordered)


def render_config(repository_url: str, *, auth_required: bool) -> bytes:
    """The file by which cargo finds everything else. repository_url: without a final slash, as has to be.

    auth_required: whether a token is to be sent with every request; a registry that says so without need makes
    everybody get one.
    """
    config: dict[str, object] = {"dl": f"{repository_url}/api/v1/crates", "api": repository_url}
    return _encode({**config, "auth-required": True} if auth_required else config)


def render_search(hits: Sequence[SearchHit], total: int) -> bytes:
    """A page of search results."""
    return _encode({"crates": hits, "meta": {"total": total}})


def render_owners(owners: Sequence[Owner]) -> bytes:
    """Who is named as owner."""
    return _encode({"users": owners})


def _line(entry: IndexEntry) -> _Line:
    """What cargo before 1.60 cannot read stands apart, with a number that has it pass over the whole line."""
    modern = {name: values for name, values in entry.features.items() if any(map(is_modern, values))}
    return _Line(
        name=entry.name,
        vers=entry.version,
        deps=entry.dependencies,
        cksum=entry.sha256,
        features={name: values for name, values in entry.features.items() if name not in modern},
        yanked=entry.yanked,
        links=entry.links,
        v=_MODERN_SCHEMA if modern else msgspec.UNSET,
        features2=modern or msgspec.UNSET,
        rust_version=entry.rust_version or msgspec.UNSET,
        pubtime=entry.published_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
