"""Rows of the catalogue, as they stream by in the order of their paths, into the index files of one suite.

One pass over the rows; memory is bounded by a page of them and some buffers. Stanzas were rendered when packages were
published: here they are only put together, hashed and compressed.
"""

from __future__ import annotations

import hashlib
import lzma
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import IO, Protocol
from uuid import UUID

import zstandard
from isal import isal_zlib

from application.catalogue import ArtifactRow, Catalogue
from application.formats.debian.contents import ContentsIndex
from application.formats.debian.index import (
    DEFAULT_ARCHITECTURES,
    Indexes,
    IndexFile,
    PoolEntry,
    packages_entry,
    sources_entry,
)
from application.formats.debian.names import DEFAULT_COMPONENT, POOL
from application.formats.debian.stored import Facts, facts_of, paths_of, suites_of
from application.ports import BlobStore, Spool, SpoolWriter

LARGE_BYTES = 4 << 20
"""From here on an index is offered as gzip and Zstandard; xz would take a second for each few megabytes."""

INLINE_BYTES = 64 << 10
MAX_CONTENTS_PACKAGES = 5_000
"""Suites with more packages than this have no list of files: it would have to be made anew with every publish."""

_PAGE = 500
_PART_BYTES = 256 << 10
_COPY_BYTES = 256 << 10
_GZIP_WBITS = 31


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class SuiteIndexer:
    """Takes rows by path and gives the indexes. suite: empty takes only what names no suite.

    Everything temporary ends with the stack.
    """

    def __init__(self, suite: str, blobs: BlobStore, spool: Spool, open_files: ExitStack) -> None:
        self._suite = suite
        self._blobs = blobs
        self._open_files = open_files
        self._writer = IndexWriter(blobs, spool, open_files)
        self._parts: dict[tuple[str, str], IO[bytes]] = {}
        self._contents: dict[tuple[str, str], ContentsIndex] = {}
        self._directories: dict[str, _Directory] = {}
        self._members = self._packages = 0

    def add(self, row: ArtifactRow) -> None:
        """Take the next row."""
        for directory in [name for name in self._directories if not row.path.startswith(f"{name}/")]:
            self._close(directory)
        facts = facts_of(row, self._blobs)
        if facts is None:
            return
        if facts.kind == "part":
            self._directory(row).files[row.filename] = (row.size_bytes, row.sha256)
        suites = suites_of(row.properties)
        if suites and self._suite not in suites:
            return
        self._members += 1
        if facts.kind == "binary":
            self._add_binary(row, facts)
        elif facts.kind == "source":
            self._directory(row).sources.append((_entry(row), facts))

    def finish(self) -> Indexes:
        """The indexes of everything that was taken."""
        for directory in list(self._directories):
            self._close(directory)
        areas = {component.partition("/")[0] for component, _ in self._parts} | {DEFAULT_COMPONENT}
        found = {architecture for _, architecture in self._parts} - {"source"}
        architectures = tuple(sorted(found | {"all", *DEFAULT_ARCHITECTURES}))
        for component in sorted(areas | {component for component, _ in self._parts}):
            for architecture in architectures:
                parts = dict.fromkeys((architecture, "all"))
                self._write(f"{component}/binary-{architecture}/Packages", component, parts)
            self._write(f"{component}/source/Sources", component, ["source"])
        for (component, architecture), contents in sorted(self._contents.items()):
            self._writer.write_contents(f"{component}/Contents-{architecture}", contents)
        return Indexes(tuple(sorted(areas)), architectures, self._members, self._writer.files)

    # steps

    def _add_binary(self, row: ArtifactRow, facts: Facts) -> None:
        component = row.path.split("/", 2)[1]
        if row.path.endswith(".udeb"):
            component = f"{component}/debian-installer"
        self._part(component, facts.architecture).write(packages_entry(facts.stanza, _entry(row)))
        self._packages += 1
        if self._packages > MAX_CONTENTS_PACKAGES:
            self._contents.clear()
        elif paths := paths_of(row, facts, self._blobs):
            name = f"{facts.section}/{row.package}" if facts.section else row.package
            key = (component, facts.architecture)
            if key not in self._contents:
                self._contents[key] = ContentsIndex(self._open_files)
            self._contents[key].add(paths, name.encode())

    def _close(self, name: str) -> None:
        """List the source packages of a directory of which all files are there, with the bytes that were signed for."""
        directory = self._directories.pop(name)
        for entry, facts in directory.sources:
            wanted = {file.name: (file.size_bytes, file.sha256) for file in facts.files}
            if all(directory.files.get(name) == identity for name, identity in wanted.items()):
                component = entry.path.split("/", 2)[1]
                self._part(component, "source").write(sources_entry(facts.stanza, entry, facts.files))

    def _directory(self, row: ArtifactRow) -> _Directory:
        return self._directories.setdefault(row.path.rpartition("/")[0], _Directory())

    def _part(self, component: str, architecture: str) -> IO[bytes]:
        key = (component, architecture)
        if key not in self._parts:
            self._parts[key] = self._writer.part()
        return self._parts[key]

    def _write(self, path: str, component: str, architectures: Iterable[str]) -> None:
        self._writer.write(
            path, [self._parts[key] for one in architectures if (key := (component, one)) in self._parts]
        )


class _Directory:
    """What was seen of one directory of the pool."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[int, str]] = {}
        self.sources: list[tuple[PoolEntry, Facts]] = []


class IndexWriter:
    """Writes index files in all their compressions; `files` has them by their paths. Temporary files end with the
    stack.
    """

    def __init__(self, blobs: BlobStore, spool: Spool, open_files: ExitStack) -> None:
        self._blobs = blobs
        self._spool = spool
        self._open_files = open_files
        self.files: dict[str, IndexFile] = {}

    def part(self) -> IO[bytes]:
        """A temporary file; in memory while it is small."""
        file = tempfile.SpooledTemporaryFile(max_size=_PART_BYTES)  # noqa: SIM115 - ends with the stack
        return self._open_files.enter_context(file)

    def write(self, path: str, parts: Sequence[IO[bytes]]) -> None:
        """One index: the parts in order, each of which stands at its end, before and after."""
        large = sum(part.tell() for part in parts) > LARGE_BYTES
        compressors: dict[str, _Compressor] = {".gz": _gzip()}
        if large:
            compressors[".zst"] = zstandard.ZstdCompressor(level=3).compressobj()
        else:
            compressors[".xz"] = lzma.LZMACompressor(preset=1)
        outputs = {"": self._output(keep=not large), **{extension: self._output() for extension in compressors}}
        for chunk in _chunks(parts):
            outputs[""].write(chunk)
            for extension, compressor in compressors.items():
                outputs[extension].write(compressor.compress(chunk))
        for extension, compressor in compressors.items():
            outputs[extension].write(compressor.flush())
        self.files.update({f"{path}{extension}": output.finish() for extension, output in outputs.items()})

    def write_contents(self, path: str, contents: ContentsIndex) -> None:
        """A list of files, of which only the compressed form is kept."""
        plain, packed, compressor = self._output(keep=False), self._output(), _gzip()
        for line in contents.lines():
            plain.write(line)
            packed.write(compressor.compress(line))
        packed.write(compressor.flush())
        self.files.update({path: plain.finish(), f"{path}.gz": packed.finish()})

    def _output(self, *, keep: bool = True) -> _Output:
        return _Output(self._blobs, self._spool, self._open_files, keep=keep)


class _Output:
    """The bytes of one index file: hashed; held while they are few, and on disk from then on, when they are kept."""

    def __init__(self, blobs: BlobStore, spool: Spool, open_files: ExitStack, *, keep: bool) -> None:
        self._blobs = blobs
        self._spool = spool
        self._open_files = open_files
        self._keep = keep
        self._held = bytearray()
        self._writer: SpoolWriter | None = None
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._size_bytes = 0

    def write(self, data: bytes) -> None:
        if not data:
            return
        self._md5.update(data)
        self._sha256.update(data)
        self._size_bytes += len(data)
        if not self._keep:
            return
        if self._writer is not None:
            self._writer.write(data)
            return
        self._held += data
        if len(self._held) > INLINE_BYTES:
            self._writer = self._open_files.enter_context(self._spool.create())
            self._writer.write(self._held)
            self._held = bytearray()

    def finish(self) -> IndexFile:
        if self._writer is not None:
            self._blobs.keep(self._writer.finish())
        return IndexFile(
            self._size_bytes,
            self._md5.hexdigest(),
            self._sha256.hexdigest(),
            bytes(self._held) if self._keep and self._writer is None else None,
            stored=self._writer is not None,
        )


def index_suite(suite: str, rows: Iterable[ArtifactRow], blobs: BlobStore, spool: Spool) -> Indexes:
    """The indexes of a suite from all artifacts below `pool/`, in the order of their paths."""
    with ExitStack() as open_files:
        indexer = SuiteIndexer(suite, blobs, spool, open_files)
        for row in rows:
            indexer.add(row)
        return indexer.finish()


def pool_rows(catalogue: Catalogue, repository: UUID, at: int) -> Iterator[ArtifactRow]:
    """All artifacts below `pool/` at a position, by path. Pages lie between known paths: each is found by the index,
    however much there is behind it.
    """
    prefix = f"{POOL}/"
    paths = [path for path, _ in catalogue.outline(repository, prefix, at)]
    after = ""
    for start in range(0, len(paths), _PAGE):
        upto = paths[min(start + _PAGE, len(paths)) - 1]
        yield from catalogue.artifacts_below(repository, prefix, at, after=after, upto=upto, limit=_PAGE)
        after = upto


def _entry(row: ArtifactRow) -> PoolEntry:
    digests = row.digests
    return PoolEntry(
        row.path,
        row.size_bytes,
        digests.get("md5", ""),
        digests.get("sha1", ""),
        row.sha256,
        digests.get("sha512", ""),
    )


def _gzip() -> _Compressor:
    compressor: _Compressor = isal_zlib.compressobj(2, isal_zlib.DEFLATED, _GZIP_WBITS)
    return compressor


def _chunks(parts: Iterable[IO[bytes]]) -> Iterator[bytes]:
    for part in parts:
        end = part.tell()
        part.seek(0)
        while chunk := part.read(_COPY_BYTES):
            yield chunk
        part.seek(end)
