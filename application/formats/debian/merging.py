"""Several archives as one: their indexes joined and signed anew; files come from the first member that has them.

Of one version of a package the first member's counts. A package that a hosted member has is taken from no remote one,
or whoever publishes a higher version there would have it installed in place of ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from fnmatch import fnmatchcase
from io import BytesIO
from typing import BinaryIO

import msgspec

from application.catalogue import PACKAGES_SCOPE, TREE_SCOPE
from application.formats.debian import reading
from application.formats.debian.address import Asked, NoSuchIndex, asked_of
from application.formats.debian.index import BY_HASH, DEFAULT_ARCHITECTURES, Indexes, IndexFile, render_release
from application.formats.debian.indexing import IndexWriter
from application.formats.debian.names import SuiteNotFound, kind_of, package_of_path
from application.formats.debian.remote import fetch_release, get_file, index_resource
from application.formats.debian.suites import Found, load_indexes, made_at, require_stored, revision_of
from application.formats.debian.upstream import (
    MAX_RELEASE_BYTES,
    UpstreamEntry,
    UpstreamRelease,
    compressions_of,
    package_indexes,
    read_index,
    read_release,
)
from application.kinds import Part, hosted_parts
from application.proxying.proxy import Fetched, proxy_of
from application.wire import AnyAnswer, Call, Derived, Document
from domain.artifact import ArtifactNotFound
from domain.errors import NotFound

_MSGPACK = "application/vnd.msgpack"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Indexes).decode


class _Hosted:
    """A suite of a member that holds its packages itself."""

    def __init__(self, call: Call, suite: str) -> None:
        self.revision = revision_of(call)
        self.indexes = load_indexes(call, suite, self.revision)
        self.key = f"{call.content.hex}:{self.revision}"
        self.made_at = made_at(call, self.revision)
        self.components = self.indexes.components
        self.architectures = self.indexes.architectures
        self.paths = {path for path in self.indexes.files if path.endswith(("/Packages", "/Sources"))}
        self._call = call
        self._suite = suite

    def open(self, path: str) -> BinaryIO:
        """An index; the plain form is there unless it is large."""
        for name in (path, f"{path}.zst", f"{path}.gz"):
            file = self.indexes.files.get(name)
            if file is not None and file.body is not None:
                return BytesIO(file.body)
            if file is not None and file.stored:
                require_stored(self._call, Found(self._suite, self.revision, name, file))
                return self._call.services.blobs.open(file.sha256)
        raise NoSuchIndex(path)


class _Remote:
    """A suite of a member that stands in for another archive."""

    def __init__(self, call: Call, suite: str) -> None:
        self._fetched: Fetched = fetch_release(call, suite)
        self.release: UpstreamRelease = read_release(proxy_of(call).read(self._fetched, MAX_RELEASE_BYTES))
        self.key = f"{call.content.hex}:{self._fetched.row.sha256}"
        self.made_at = self._fetched.row.published_at
        self.components = self.release.components
        self.paths = package_indexes(self.release)
        self._call = call
        self._suite = suite

    def open(self, path: str) -> BinaryIO:
        """An index, fetched when it is not here yet."""
        for name, listed in compressions_of(self.release, path):
            resource = index_resource(self._suite, name, listed, by_hash=self.release.by_hash)
            try:
                fetched = proxy_of(self._call).fetch(self._call, resource)
            except NotFound:
                continue
            return self._call.services.blobs.open(fetched.row.sha256)
        raise NoSuchIndex(path)


class _Joined:
    """A suite of all members that have it. state: everything that its documents depend on."""

    def __init__(self, call: Call, members: Sequence[Call], suite: str) -> None:
        self._call = call
        self._suite = suite
        self.members: list[_Hosted | _Remote] = []
        for member in members:
            try:
                kind = _Remote if member.repository.kind == "remote" else _Hosted
                self.members.append(kind(member, suite))
            except NotFound:
                continue
        if not self.members:
            raise SuiteNotFound(suite)
        own = revision_of(call)
        settled_at = _settled_at(call)
        keys = [str(own), str(settled_at), *(member.key for member in self.members)]
        self._parts = hosted_parts(call, call.at) if any(isinstance(member, _Remote) for member in self.members) else []
        catalogue = call.services.catalogue
        keys += [
            f"{part.content.hex}:{catalogue.revision(part.content, PACKAGES_SCOPE, part.at)}" for part in self._parts
        ]
        self.state = hashlib.sha256(" ".join(keys).encode()).hexdigest()
        times = [member.made_at for member in self.members]
        self.made_at = max(*times, made_at(call, own), settled_at).replace(microsecond=0)

    def indexes(self) -> Indexes:
        """The joined indexes, made once for a state."""
        return _decode(self.kept(self.state, lambda: Document(body=_encode(self._make()), media_type=_MSGPACK)))

    def remade(self) -> Indexes:
        """The joined indexes, with their files stored once more."""
        return self._make()

    def find(self, asked: Asked) -> tuple[str, IndexFile]:
        """The index with a digest, of this state or of one that was made before. Raises NotFound."""
        algorithm = BY_HASH.get(asked.folder, "")
        for indexes in (self.indexes, lambda: _decode(self.kept(self._remembered(asked), _nothing))):
            for path, file in indexes().files.items():
                if algorithm and getattr(file, algorithm) == asked.name and path.rpartition("/")[0] == asked.directory:
                    return path, file
        raise NotFound("no such index, or one from long ago")

    def kept(self, title: str, render: Callable[[], Document]) -> bytes:
        """What is kept under a title for this suite."""
        documents = self._call.services.documents
        if documents is None:
            return render().body
        name = f"debian joined {self._suite} {title}"
        return documents.get(self._call.content, TREE_SCOPE, name, 0, render).body

    def _make(self) -> Indexes:
        services = self._call.services
        hosted = [member for member in self.members if isinstance(member, _Hosted)]
        own = {one for member in hosted for one in member.architectures} | {"all", *DEFAULT_ARCHITECTURES}
        taken = _protected(self._call, self._parts)
        with ExitStack() as open_files:
            writer = IndexWriter(services.blobs, services.spool, open_files)
            count = 0
            for path in sorted({path for member in self.members for path in member.paths if _is_wanted(path, own)}):
                part = writer.part()
                for entry in self._entries(path, taken):
                    part.write(entry.text + b"\n\n")
                    count += 1
                writer.write(path, [part])
        components = tuple(dict.fromkeys(one for member in self.members for one in member.components))
        told = tuple(sorted(own))
        self._remember(writer.files)
        return Indexes(components, told, count, writer.files)

    def _entries(self, path: str, taken: frozenset[str]) -> Iterator[UpstreamEntry]:
        seen: set[tuple[str, str, str]] = set()
        for member in self.members:
            if path not in member.paths:
                continue
            with member.open(path) as file:
                for entry in read_index(file):
                    key = (entry.package, entry.version, entry.architecture)
                    if key in seen or (isinstance(member, _Remote) and entry.package in taken):
                        continue
                    seen.add(key)
                    yield entry

    def _remember(self, files: dict[str, IndexFile]) -> None:
        told = Document(body=self.state.encode(), media_type="text/plain")
        for path, file in files.items():
            if file.stored or file.body is not None:
                self.kept(f"by-hash {path.rpartition('/')[0]} {file.sha256}", lambda: told)

    def _remembered(self, asked: Asked) -> str:
        return self.kept(f"by-hash {asked.directory} {asked.name}", _nothing).decode()


def get_dists(call: Call, members: Sequence[Call]) -> AnyAnswer:
    """GET dists/… of a virtual repository."""
    if kind_of(call.request.segments[-1]) is not None:
        return _file_of_remote(call, members)
    asked = asked_of(call.request)
    if asked.wanted in {"gpg-key.asc", "gpg-key.gpg"}:
        return reading.get_key(call)
    joined = _Joined(call, members, asked.suite)
    if asked.wanted == "index":
        file = joined.indexes().files.get(asked.path)
        if file is None:
            raise NoSuchIndex(asked.path)
        return _answer(call, joined, asked.path, file, immutable=False)
    if asked.wanted == "hash":
        return _answer(call, joined, *joined.find(asked), immutable=True)
    if asked.wanted == "stub":
        raise NoSuchIndex(asked.path)
    return Derived(key=f"{asked.wanted} {joined.state}", render=lambda: _vouching(call, joined, asked))


def get_key(call: Call, members: Sequence[Call]) -> AnyAnswer:
    """GET gpg-key.asc of a virtual repository: its own, which signs what is joined."""
    return reading.get_key(call)


def get_sources_list(call: Call, members: Sequence[Call]) -> AnyAnswer:
    """GET {repository}.sources of a virtual repository."""
    return reading.get_sources_list(call)


def _vouching(call: Call, joined: _Joined, asked: Asked) -> Document:
    release = render_release(asked.suite, joined.indexes(), reading.identity_of(call), joined.made_at)
    return reading.vouching_document(call, asked.wanted, release, joined.made_at)


def _file_of_remote(call: Call, members: Sequence[Call]) -> AnyAnswer:
    """A package of an archive that has its packages below `dists/`; no hosted one does."""
    path = "/".join(call.request.segments)
    package = package_of_path(path)
    if package is None or package not in _protected(call, hosted_parts(call, call.at)):
        for member in (member for member in members if member.repository.kind == "remote"):
            try:
                return get_file(member)
            except NotFound:
                continue
    raise ArtifactNotFound(path)


def _answer(call: Call, joined: _Joined, path: str, file: IndexFile, *, immutable: bool) -> AnyAnswer:
    if file.stored and not call.services.blobs.exists(file.sha256):
        file = joined.remade().files.get(path, file)
    return reading.index_answer(path, file, immutable=immutable)


def _is_wanted(path: str, architectures: set[str]) -> bool:
    """Whether an index is joined: of other archives, those of architectures that are told of here."""
    _, binary, architecture = path.rpartition("/")[0].rpartition("/binary-")
    return architecture in architectures if binary else path.endswith("/source/Sources")


def _settled_at(call: Call) -> datetime:
    """When it was said last what the repository is made of."""
    past = None if call.at is None else call.services.catalogue.repository_by_id(call.repository.id, call.at)
    return (past or call.repository).updated_at


def _protected(call: Call, parts: Sequence[Part]) -> frozenset[str]:
    """The packages that remote members have no say in."""
    shared, catalogue = call.repository.settings.shared_names, call.services.catalogue
    names = {row.package for part in parts for row in catalogue.packages(part.content, part.at)}
    return frozenset(name for name in names if not any(fnmatchcase(name, pattern) for pattern in shared))


def _nothing() -> Document:
    raise NotFound("no such index, or one from long ago")
