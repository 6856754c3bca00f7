"""Which package brings which file: kept small with each package, told sorted for all of them.

Source: https://wiki.debian.org/DebianRepository/Format#A.22Contents.22_indices
"""

from __future__ import annotations

import base64
import binascii
import heapq
import itertools
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import IO

_MAX_UNPACKED_BYTES = 64 << 20
_RUN_LINES = 200_000
_COLUMN = 60


def pack_paths(paths: Sequence[bytes]) -> bytes:
    """Paths as they are kept."""
    return zlib.compress(b"\n".join(paths), 9)


def unpack_paths(packed: bytes) -> list[bytes]:
    """The paths again; none of what cannot be read."""
    try:
        data = zlib.decompressobj().decompress(packed, _MAX_UNPACKED_BYTES)
    except zlib.error:
        return []
    return data.split(b"\n") if data else []


def paths_to_text(packed: bytes) -> str:
    """Kept paths as JSON can hold them."""
    return base64.b64encode(packed).decode()


def text_to_paths(text: str) -> list[bytes]:
    """The paths again; none of what cannot be read."""
    try:
        return unpack_paths(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error):
        return []


class ContentsIndex:
    """Collects pairs of a path and a package, and gives the lines in order. What does not fit into memory goes to
    temporary files, which end with the stack.
    """

    def __init__(self, open_files: ExitStack) -> None:
        self._open_files = open_files
        self._pairs: list[tuple[bytes, bytes]] = []
        self._runs: list[IO[bytes]] = []

    def add(self, paths: Iterable[bytes], package: bytes) -> None:
        """The paths are brought by the package, which is written with its section."""
        self._pairs.extend((path, package) for path in paths)
        if len(self._pairs) >= _RUN_LINES:
            self._spill()

    def lines(self) -> Iterator[bytes]:
        """Every path once, with all packages that bring it, in the order of the paths' bytes."""
        runs: list[Iterable[tuple[bytes, bytes]]] = [sorted(set(self._pairs))]
        for run in self._runs:
            run.seek(0)
            runs.append(_read_run(run))
        for path, pairs in itertools.groupby(heapq.merge(*runs), key=lambda pair: pair[0]):
            packages = b",".join(dict.fromkeys(package for _, package in pairs))
            yield path.ljust(_COLUMN) + b" " + packages + b"\n"

    def _spill(self) -> None:
        run = self._open_files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - open until the lines are read
        run.writelines(path + b"\0" + package + b"\n" for path, package in sorted(set(self._pairs)))
        self._runs.append(run)
        self._pairs = []


def _read_run(run: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    for line in run:
        path, _, package = line[:-1].partition(b"\0")
        yield path, package
