"""Another archive as a repository: its signed files pass unchanged, and nothing is kept that they do not vouch for.

An index is fetched by the digest that the Release file tells, a package by the one of an index that was fetched. What
was kept stays: clients that saw an earlier Release file still find what it names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from application.catalogue import ArtifactRow
from application.formats.debian.address import Asked, NoSuchIndex, asked_of
from application.formats.debian.metadata import read_binary
from application.formats.debian.names import Kind, kind_of, media_type_of
from application.formats.debian.upstream import (
    MAX_RELEASE_BYTES,
    ListedIndex,
    UpstreamRelease,
    find_path,
    read_index,
    read_release,
    source_files,
)
from application.ports import Spooled
from application.proxying.proxy import Fetched, proxy_of
from application.proxying.resources import Resource
from application.wire import AnyAnswer, Call
from domain.artifact import ArtifactNotFound
from domain.digests import parse_hex_digest
from domain.errors import Invalid, NotFound

KEPT = ".index"
"""Where what an upstream says is kept, apart from its files."""

RELEASE_SECONDS = 60
UNVOUCHED_SECONDS = 3600
"""After this long a file that no fetched index names is compared with the upstream's again."""

_MAX_KEY_BYTES = 1 << 20
_MAX_INDEX_FILE_BYTES = 1 << 30
_MAX_KEPT_INDEXES = 5_000
_MAX_SEARCHED_INDEXES = 30
_DIGESTS = {"MD5Sum": "md5", "SHA1": "sha1", "SHA256": "sha256", "SHA512": "sha512"}
_TEXT = "text/plain; charset=utf-8"
_INDEX_TYPES = {"gz": "application/gzip", "xz": "application/x-xz", "zst": "application/zstd"}


class _Kept(msgspec.Struct, frozen=True):
    """What the proxy notes of a thing that may change: where it came from."""

    url: str = ""


def get_dists(call: Call) -> AnyAnswer:
    """GET dists/…: what vouches, as it is; indexes as it vouches for them."""
    path = _path(call)
    if kind_of(path) is not None:  # some archives have their packages below `dists/`
        return get_file(call)
    asked = asked_of(call.request)
    match asked.wanted:
        case "InRelease" | "Release" | "Release.gpg":
            return proxy_of(call).file(call, _vouching(asked.suite, asked.wanted))
        case "gpg-key.asc" | "gpg-key.gpg":
            return get_key(call)
        case "hash":
            return proxy_of(call).file(call, _by_hash(asked))
        case "index" | "stub":
            release = load_release(call, asked.suite)
            listed = release.indexes.get(asked.path)
            if listed is None:
                raise NoSuchIndex(asked.path)
            return proxy_of(call).file(call, index_resource(asked.suite, asked.path, listed, by_hash=release.by_hash))


def get_file(call: Call) -> AnyAnswer:
    """GET pool/…, or wherever the archive has its packages."""
    path = _path(call)
    kind = kind_of(path)
    if kind is None:
        raise ArtifactNotFound(path)
    row = call.services.catalogue.artifact(call.content, path, call.at)
    if row is not None and _is_vouched(row):
        return proxy_of(call).sent(Fetched(row), Resource(path=path, url=path, lifetime="immutable"))
    listed = _vouched(call, path)
    if listed is None:
        return proxy_of(call).file(call, _unvouched_file(path, kind))
    name, _, rest = path.rpartition("/")[2].partition("_")
    resource = Resource(
        path=path,
        url=path,
        lifetime="immutable" if row is None or row.sha256 == listed.sha256 else "mutable",
        ttl_seconds=0,
        digests={"sha256": listed.sha256},
        size_bytes=listed.size_bytes,
        media_type=media_type_of(path),
        package=name if kind == "binary" else "",
        name=name,
        version=rest.rpartition("_")[0] if kind == "binary" else "",
    )
    return proxy_of(call).file(call, resource)


def get_key(call: Call) -> AnyAnswer:
    """GET gpg-key.asc: of an upstream that offers its key in the same place."""
    name = call.request.segments[-1]
    resource = Resource(path=f"{KEPT}/{name}", url=name, lifetime="mutable", max_bytes=_MAX_KEY_BYTES)
    return proxy_of(call).file(call, resource)


def load_release(call: Call, suite: str) -> UpstreamRelease:
    """What the upstream says of a suite just now, or said at the position that is read. Raises NotFound."""
    return read_release(proxy_of(call).read(fetch_release(call, suite), MAX_RELEASE_BYTES))


def fetch_release(call: Call, suite: str) -> Fetched:
    """The InRelease file of a suite, or the Release file of archives that have none. Raises NotFound."""
    try:
        return proxy_of(call).fetch(call, _vouching(suite, "InRelease"))
    except NotFound:
        return proxy_of(call).fetch(call, _vouching(suite, "Release"))


def index_resource(suite: str, path: str, listed: ListedIndex, *, by_hash: bool) -> Resource:
    """An index that a Release file vouches for, kept under its digest."""
    directory, _, _ = path.rpartition("/")
    own = f"dists/{suite}/{directory}/by-hash/SHA256/{listed.sha256}"
    return Resource(
        path=f"{KEPT}/{own}",
        url=own if by_hash else f"dists/{suite}/{path}",
        lifetime="immutable",
        digests={"sha256": listed.sha256},
        size_bytes=listed.size_bytes,
        media_type=_INDEX_TYPES.get(path.rpartition(".")[2], _TEXT),
    )


# steps


def _path(call: Call) -> str:
    path = "/".join(call.request.segments)
    if any("/" in segment or segment.startswith(".") for segment in call.request.segments):
        raise ArtifactNotFound(path)
    return path


def _vouching(suite: str, name: str) -> Resource:
    path = f"dists/{suite}/{name}"

    def check(spooled: Spooled, _: str) -> object:
        return read_release(spooled.path.read_bytes())

    return Resource(
        path=f"{KEPT}/{path}",
        url=path,
        lifetime="mutable",
        ttl_seconds=RELEASE_SECONDS,
        max_bytes=MAX_RELEASE_BYTES,
        media_type="application/pgp-signature" if name.endswith(".gpg") else _TEXT,
        check=None if name.endswith(".gpg") else check,
    )


def _by_hash(asked: Asked) -> Resource:
    """An index by its digest, which is all that need be known of it."""
    algorithm = _DIGESTS.get(asked.folder)
    digest = parse_hex_digest(algorithm, asked.name) if algorithm else None
    if algorithm is None or digest != asked.name:
        raise NoSuchIndex(asked.path)
    path = f"dists/{asked.suite}/{asked.directory}/by-hash/{asked.folder}/{digest}"
    return Resource(
        path=f"{KEPT}/{path}",
        url=path,
        lifetime="immutable",
        digests={algorithm: digest},
        max_bytes=_MAX_INDEX_FILE_BYTES,
        media_type="application/octet-stream",
    )


def _unvouched_file(path: str, kind: Kind) -> Resource:
    """A file that no fetched index names: good for a while, and only if it is what its name says."""
    return Resource(
        path=path,
        url=path,
        lifetime="mutable",
        ttl_seconds=UNVOUCHED_SECONDS,
        media_type=media_type_of(path),
        check=_check_package if kind == "binary" else None,
    )


def _is_vouched(row: ArtifactRow) -> bool:
    """Whether it was verified when it came; of what may change it is kept from where it came."""
    return not msgspec.json.decode(row.metadata, type=_Kept).url


def _vouched(call: Call, path: str) -> ListedIndex | None:
    """What an index that was fetched says of a file; the newest that names it counts."""
    folder = "/binary-" if kind_of(path) == "binary" else "/source/"
    rows = sorted((row for row in _kept_indexes(call) if folder in row.path), key=lambda row: -row.since)
    for row in rows[:_MAX_SEARCHED_INDEXES]:
        try:
            with call.services.blobs.open(row.sha256) as file:
                found = _listed(file, path)
        except Invalid:
            continue
        if found is not None:
            return found
    return None


def _listed(file: BinaryIO, path: str) -> ListedIndex | None:
    if kind_of(path) == "binary":
        entry = find_path(file, path)
        return ListedIndex(entry.sha256, entry.size_bytes) if entry is not None and len(entry.sha256) == 64 else None
    below = (source_files(entry) for entry in read_index(file) if path.startswith(f"{entry.path}/"))
    return next((files[path] for files in below if path in files), None)


def _kept_indexes(call: Call) -> Iterator[ArtifactRow]:
    catalogue = call.services.catalogue
    rows = catalogue.artifacts_below(call.content, f"{KEPT}/dists/", call.at, limit=_MAX_KEPT_INDEXES)
    return (row for row in rows if "/by-hash/" in row.path)


def _check_package(spooled: Spooled, _: str) -> object:
    with spooled.open() as file:
        return read_binary(file)
