"""View rows to the documents that npm clients fetch.

Manifests arrive as JSON text and leave as JSON text: a packument is joined, never parsed, because packuments of tens of
megabytes are ordinary. Only the newest manifest is read, for the fields that a packument repeats at its top.
Source: https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from application.formats.npm.names import NpmName, highest, order_key
from application.formats.npm.people import Person

LATEST = "latest"
ABBREVIATED_TYPE = "application/vnd.npm.install-v1+json"
FULL_TYPE = "application/json"

_encode = msgspec.json.encode


class Signature(msgspec.Struct, frozen=True):
    """An ECDSA P-256 signature over `name@version:integrity`, base64, and the id of its key."""

    keyid: str
    sig: str


class VersionEntry(msgspec.Struct, frozen=True):
    """One published version as the view holds it.

    manifest, abbreviated: JSON objects as `metadata.Release` has them. tarball: the file name below `/-/`.
    deprecated: a message; empty or None when it is not. predicate_type: of the provenance, when there is one.
    """

    version: str
    manifest: msgspec.Raw
    abbreviated: msgspec.Raw
    tarball: str
    sha1: str
    integrity: str
    size_bytes: int
    published_at: datetime
    deprecated: str | None = None
    file_count: int | None = None
    unpacked_bytes: int | None = None
    publisher: Person | None = None
    predicate_type: str | None = None
    signatures: tuple[Signature, ...] = ()


class Package(msgspec.Struct, frozen=True):
    """Everything that a packument is made of.

    revision: opaque, changes with every write. tags: as set by publishers; `latest` may be missing. removed: version to
    the time of its publication, for versions that were unpublished. stars: who starred it.
    """

    name: NpmName
    revision: str
    versions: Sequence[VersionEntry]
    created_at: datetime
    modified_at: datetime
    tags: Mapping[str, str] = {}
    removed: Mapping[str, datetime] = {}
    maintainers: Sequence[Person] = ()
    stars: Sequence[str] = ()
    readme: str = ""
    readme_file: str = ""


class SearchHit(msgspec.Struct, frozen=True):
    """One package as a search finds it. score: between 0 and 1, higher is better."""

    name: str
    version: str
    published_at: datetime
    description: str = ""
    keywords: Sequence[str] = ()
    license: str = ""
    homepage: str = ""
    repository: str = ""
    bugs: str = ""
    author: Person | None = None
    publisher: Person | None = None
    maintainers: Sequence[Person] = ()
    score: float = 1.0


_SUMMARY = ("description", "keywords", "license", "author", "contributors", "homepage", "repository", "bugs")
"""The fields that a packument repeats from its latest version."""


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, as JavaScript's `toISOString` writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def effective_tags(tags: Mapping[str, str], versions: Sequence[str]) -> dict[str, str]:
    """The tags that clients see: those that point to a version that is there, and always a `latest`.

    Without a `latest` that still exists, the highest stable version takes its place, whenever it was uploaded.
    """
    present = set(versions)
    seen = {tag: version for tag, version in tags.items() if version in present}
    newest = seen.get(LATEST) or highest(versions)
    return {LATEST: newest, **seen} if newest else seen


def render_packument(package: Package, base_url: str) -> bytes:
    """The full document. base_url: of the repository, without a final slash; every tarball address starts with it."""
    ordered = _ordered(package)
    tags = effective_tags(package.tags, [entry.version for entry in ordered])
    latest = next((entry for entry in ordered if entry.version == tags.get(LATEST)), None)
    prefix = _tarball_prefix(package.name, base_url)
    versions = (_member(entry.version, _full_version(package.name, entry, prefix)) for entry in ordered)
    head: dict[str, Any] = {"_id": package.name, "_rev": package.revision, "name": package.name, "dist-tags": tags}
    tail: dict[str, Any] = {
        "time": _times(package),
        "maintainers": list(package.maintainers),
        **(_summary(latest) if latest else {}),
        "readme": package.readme,
        "readmeFilename": package.readme_file,
    }
    if package.stars:
        tail["users"] = dict.fromkeys(package.stars, True)
    return b'%s,"versions":{%s},%s' % (_encode(head)[:-1], b",".join(versions), _encode(tail)[1:])


def render_abbreviated(package: Package, base_url: str) -> bytes:
    """The document that installs read: name, time of change, tags, and the short form of every version."""
    ordered = _ordered(package)
    tags = effective_tags(package.tags, [entry.version for entry in ordered])
    prefix = _tarball_prefix(package.name, base_url)
    versions = (_member(entry.version, _splice(entry.abbreviated, package.name, entry, prefix)) for entry in ordered)
    head = {"name": package.name, "modified": timestamp(package.modified_at), "dist-tags": tags}
    return b'%s,"versions":{%s}}' % (_encode(head)[:-1], b",".join(versions))


def render_version(name: NpmName, entry: VersionEntry, base_url: str) -> bytes:
    """The full object of one version."""
    return _full_version(name, entry, _tarball_prefix(name, base_url))


def render_dist_tags(package: Package) -> bytes:
    """Tag to version."""
    return _encode(effective_tags(package.tags, [entry.version for entry in package.versions]))


def render_search(hits: Sequence[SearchHit], total: int, now: datetime, base_url: str) -> bytes:
    """A page of search results. base_url: of the repository, for the link to each package.

    Source: https://github.com/npm/registry/blob/main/docs/REGISTRY-API.md#get-v1search
    """
    return _encode({"objects": [_hit(hit, base_url) for hit in hits], "total": total, "time": timestamp(now)})


def render_attestations(bundles: Sequence[tuple[str, bytes]]) -> bytes:
    """The attestations of one version, from predicate types and Sigstore bundles in JSON."""
    return _encode(
        {"attestations": [{"predicateType": kind, "bundle": msgspec.Raw(bundle)} for kind, bundle in bundles]}
    )


def render_keys(keys: Sequence[tuple[str, bytes]]) -> bytes:
    """The keys that signatures name, from their ids and DER forms.

    Source: https://github.com/npm/cli/blob/latest/lib/utils/verify-signatures.js
    """
    kind = "ecdsa-sha2-nistp256"
    return _encode(
        {
            "keys": [
                {"expires": None, "keyid": keyid, "keytype": kind, "scheme": kind, "key": b64encode(spki).decode()}
                for keyid, spki in keys
            ]
        }
    )


def signed_text(name: str, version: str, integrity: str) -> str:
    """What a registry signature covers.

    Source: https://github.com/npm/documentation/blob/main/content/packages-and-modules/securing-your-code/about-registry-signatures.mdx
    """
    return f"{name}@{version}:{integrity}"


def _ordered(package: Package) -> list[VersionEntry]:
    return sorted(package.versions, key=lambda entry: order_key(entry.version))


def _tarball_prefix(name: str, base_url: str) -> str:
    return f"{base_url}/{quote(name, safe='@/~!*()')}/-/"


def _member(key: str, value: bytes) -> bytes:
    return b'"%s":%s' % (key.encode(), value)


def _full_version(name: str, entry: VersionEntry, prefix: str) -> bytes:
    spliced = _splice(entry.manifest, name, entry, prefix)
    if entry.publisher is None:
        return spliced
    return b'%s,"_npmUser":%s}' % (spliced[:-1], _encode(entry.publisher))


def _splice(manifest: msgspec.Raw, name: str, entry: VersionEntry, prefix: str) -> bytes:
    """The manifest with the members that are not its own; its closing brace is the only byte that is touched."""
    deprecated = b',"deprecated":' + _encode(entry.deprecated) if entry.deprecated else b""
    return b'%s%s,"dist":%s}' % (bytes(manifest)[:-1], deprecated, _encode(_dist(name, entry, prefix)))


def _dist(name: str, entry: VersionEntry, prefix: str) -> dict[str, Any]:
    dist: dict[str, Any] = {
        "integrity": entry.integrity,
        "shasum": entry.sha1,
        "tarball": prefix + quote(entry.tarball, safe="~!*()"),
    }
    if entry.file_count is not None:
        dist["fileCount"] = entry.file_count
    if entry.unpacked_bytes is not None:
        dist["unpackedSize"] = entry.unpacked_bytes
    if entry.predicate_type is not None:
        dist["attestations"] = {
            "url": _attestations_url(name, entry.version, prefix),
            "provenance": {"predicateType": entry.predicate_type},
        }
    if entry.signatures:
        dist["signatures"] = entry.signatures
    return dist


def _attestations_url(name: str, version: str, prefix: str) -> str:
    """The whole address; clients keep only its path and put that on their registry's host."""
    base_url = prefix.removesuffix(f"/{quote(name, safe='@/~!*()')}/-/")
    return f"{base_url}/-/npm/v1/attestations/{quote(f'{name}@{version}', safe='@')}"


def _times(package: Package) -> dict[str, str]:
    published = {entry.version: entry.published_at for entry in package.versions} | dict(package.removed)
    return {
        "created": timestamp(package.created_at),
        "modified": timestamp(package.modified_at),
        **{version: timestamp(published[version]) for version in sorted(published, key=published.__getitem__)},
    }


def _summary(latest: VersionEntry) -> dict[str, msgspec.Raw]:
    fields = msgspec.json.decode(latest.manifest, type=dict[str, msgspec.Raw])
    return {field: fields[field] for field in _SUMMARY if field in fields}


def _hit(hit: SearchHit, base_url: str) -> dict[str, Any]:
    links = {"npm": f"{base_url}/{hit.name}", "homepage": hit.homepage, "repository": hit.repository, "bugs": hit.bugs}
    scope = hit.name[1:].partition("/")[0] if hit.name.startswith("@") else "unscoped"
    found: dict[str, Any] = {
        "name": hit.name,
        "scope": scope,
        "version": hit.version,
        "description": hit.description,
        "keywords": list(hit.keywords),
        "date": timestamp(hit.published_at),
        "license": hit.license,
        "links": {link: address for link, address in links.items() if address},
        "author": hit.author,
        "publisher": _publisher(hit.publisher),
        "maintainers": [_publisher(person) for person in hit.maintainers],
    }
    detail = {"quality": hit.score, "popularity": hit.score, "maintenance": hit.score}
    return {
        "package": {field: value for field, value in found.items() if value not in (None, "")},
        "score": {"final": hit.score, "detail": detail},
        "searchScore": hit.score,
    }


def _publisher(person: Person | None) -> dict[str, str] | None:
    """Search results say `username` where packuments say `name`; clients read either."""
    return {"username": person.name, "name": person.name, "email": person.email} if person else None
