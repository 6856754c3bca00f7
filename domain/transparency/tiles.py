"""The log's tree in tiles of 256 hashes: their paths, growing them, and reading roots and proofs from them.

A tile at level L holds hashes of perfect subtrees of 256**L leaves. A tree of any size is its tiles' first hashes, so
one stored tile serves every earlier size too. Layout and paths: https://c2sp.org/tlog-tiles
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol, Self

import msgspec

from domain.errors import Invalid
from domain.transparency.merkle import HASH_BYTES, CompactRange, fold_peaks, perfect_root

TILE_WIDTH = 256
MAX_LEVEL = 63
FULL_TILE_BYTES = TILE_WIDTH * HASH_BYTES

_HEIGHT = 8
_PATH = re.compile(r"(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?\Z")


class Tile(msgspec.Struct, frozen=True):
    """Consecutive hashes of one level: `hashes` are concatenated, 1 to 256 of them; 256 make the tile full."""

    level: int
    index: int
    hashes: bytes

    @property
    def width(self) -> int:
        """How many hashes it holds."""
        return len(self.hashes) // HASH_BYTES


class TilePath(msgspec.Struct, frozen=True):
    """What a tile path names. level None: the entry bundle beside level 0. width 256: a full tile."""

    level: int | None
    index: int
    width: int


class TileReader(Protocol):
    """Where tiles are kept: a database, a server, a bundle."""

    def tile(self, level: int, index: int, width: int) -> bytes:
        """The first `width` hashes of a tile, concatenated; raises NotFound when it does not hold so many."""


def format_tile_path(path: TilePath) -> str:
    """The path below `tile/`: `0/x001/234.p/17`, `entries/000`."""
    digits = f"{path.index:d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    name = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    suffix = "" if path.width == TILE_WIDTH else f".p/{path.width}"
    return f"{'entries' if path.level is None else path.level}/{name}{suffix}"


def parse_tile_path(text: str) -> TilePath:
    """Read a path below `tile/`; only its one canonical spelling is taken. Raises Invalid."""
    match = _PATH.match(text)
    if match is None:
        raise Invalid("not a tile path")
    kind, digits, partial = match.groups()
    level = None if kind == "entries" else int(kind)
    path = TilePath(level, int(digits.replace("/", "").replace("x", "")), int(partial or TILE_WIDTH))
    if (level or 0) > MAX_LEVEL or path.width > TILE_WIDTH or format_tile_path(path) != text:
        raise Invalid("not a tile path")
    return path


def width_at(level: int, index: int, size: int) -> int:
    """How many hashes the tile holds in a tree of `size` leaves; 0 when the tree does not reach it."""
    return max(0, min(TILE_WIDTH, (size >> (_HEIGHT * level)) - index * TILE_WIDTH))


class TiledTree:
    """A tree that grows by leaf hashes and hands out its tiles. Holds only the open tile of each level."""

    def __init__(self, size: int = 0, open_tiles: Iterable[bytes] = ()) -> None:
        """open_tiles: the hashes of each level's last, not yet full tile, from level 0 on; may be empty."""
        self.size = size
        self._open = [bytes(hashes) for hashes in open_tiles]
        levels = range(max(len(self._open), -(-size.bit_length() // _HEIGHT)))
        self._open += [b""] * (len(levels) - len(self._open))
        for level in levels:
            if len(self._open[level]) != self._open_width(level) * HASH_BYTES:
                raise Invalid(f"the open tile of level {level} does not fit a tree of {size} leaves")

    @classmethod
    def load(cls, tiles: TileReader, size: int) -> Self:
        """Take up a tree where it was left."""
        levels = range(-(-size.bit_length() // _HEIGHT))
        edges = [(size >> (_HEIGHT * level)) for level in levels]
        return cls(
            size,
            [
                _read(tiles, level, edge // TILE_WIDTH, edge % TILE_WIDTH) if edge % TILE_WIDTH else b""
                for level, edge in enumerate(edges)
            ],
        )

    def extend(self, leaves: list[bytes]) -> list[Tile]:
        """Add leaf hashes; gives the tiles that this made full, each once, lower levels first."""
        full: list[Tile] = []
        hashes, level, before = leaves, 0, self.size
        self.size += len(leaves)
        while hashes:
            if level == len(self._open):
                self._open.append(b"")
            data = self._open[level] + b"".join(hashes)
            index = (before >> (_HEIGHT * level)) // TILE_WIDTH
            end = len(data) - len(data) % FULL_TILE_BYTES
            made = [
                Tile(level, index + number, data[at : at + FULL_TILE_BYTES])
                for number, at in enumerate(range(0, end, FULL_TILE_BYTES))
            ]
            self._open[level] = data[end:]
            full += made
            hashes, level = [perfect_root(tile.hashes) for tile in made], level + 1
        return full

    def open_tiles(self) -> list[Tile]:
        """The partial tiles at the right edge, none of them empty."""
        return [
            Tile(level, (self.size >> (_HEIGHT * level)) // TILE_WIDTH, hashes)
            for level, hashes in enumerate(self._open)
            if hashes
        ]

    def root(self) -> bytes:
        """The root of the tree; everything it is made of is in the open tiles."""
        peaks = [peak for hashes in reversed(self._open) for peak in _peaks_of(hashes)]
        return fold_peaks(peaks)

    def _open_width(self, level: int) -> int:
        return (self.size >> (_HEIGHT * level)) % TILE_WIDTH


def root_at(tiles: TileReader, size: int) -> bytes:
    """The root of the tree's first `size` leaves."""
    return compact_range_at(tiles, size).root()


def compact_range_at(tiles: TileReader, size: int) -> CompactRange:
    """The right edge of the tree's first `size` leaves."""
    return CompactRange(size, _Subtrees(tiles, size).peaks(0, size))


def inclusion_proof(tiles: TileReader, index: int, size: int) -> list[bytes]:
    """The hashes that lead from leaf `index` (from 0) to the root at `size`.

    Raises Invalid when the leaf is not in that tree. Source: https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3.1
    """
    if not 0 <= index < size:
        raise Invalid(f"leaf {index} is not in a tree of {size} leaves")
    subtrees = _Subtrees(tiles, size)
    start, end = 0, size
    proof: list[bytes] = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(subtrees.root(middle, end))
            end = middle
        else:
            proof.append(subtrees.root(start, middle))
            start = middle
    return proof[::-1]


def consistency_proof(tiles: TileReader, old_size: int, new_size: int) -> list[bytes]:
    """The hashes that show the tree at `new_size` to continue the tree at `old_size`.

    Raises Invalid when the sizes are in the wrong order. Source: https://www.rfc-editor.org/rfc/rfc9162#section-2.1.4.1
    """
    if not 0 <= old_size <= new_size:
        raise Invalid(f"a tree of {new_size} leaves does not continue one of {old_size}")
    if old_size in (0, new_size):
        return []
    subtrees = _Subtrees(tiles, new_size)
    start, end = 0, new_size
    proof: list[bytes] = []
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            proof.append(subtrees.root(middle, end))
            end = middle
        else:
            proof.append(subtrees.root(start, middle))
            start = middle
    if start > 0:  # otherwise this subtree is the old tree, whose root the verifier has
        proof.append(subtrees.root(start, end))
    return proof[::-1]


class _Subtrees:
    """Roots of aligned ranges of one tree, each tile read once."""

    def __init__(self, tiles: TileReader, size: int) -> None:
        self._tiles = tiles
        self._size = size
        self._seen: dict[tuple[int, int], bytes] = {}

    def root(self, start: int, end: int) -> bytes:
        """The root over leaves `start` to `end`, a range that the recursion of RFC 6962 reaches."""
        return fold_peaks(self.peaks(start, end))

    def peaks(self, start: int, end: int) -> list[bytes]:
        """The roots of the perfect subtrees that make up the range, from left to right."""
        found: list[bytes] = []
        while start < end:
            height = (end - start).bit_length() - 1
            found.append(self._perfect(height, start))
            start += 1 << height
        return found

    def _perfect(self, height: int, start: int) -> bytes:
        level, within = divmod(height, _HEIGHT)
        index, first = divmod(start >> (_HEIGHT * level), TILE_WIDTH)
        key = (level, index)
        if key not in self._seen:
            self._seen[key] = _read(self._tiles, level, index, width_at(level, index, self._size))
        return perfect_root(self._seen[key][first * HASH_BYTES : (first + (1 << within)) * HASH_BYTES])


def _read(tiles: TileReader, level: int, index: int, width: int) -> bytes:
    hashes = tiles.tile(level, index, width)
    if len(hashes) != width * HASH_BYTES:
        raise Invalid(f"tile {level}/{index} came with {len(hashes)} bytes instead of {width * HASH_BYTES}")
    return hashes


def _peaks_of(hashes: bytes) -> list[bytes]:
    peaks: list[bytes] = []
    start, left = 0, len(hashes) // HASH_BYTES
    while left:
        width = 1 << (left.bit_length() - 1)
        peaks.append(perfect_root(hashes[start * HASH_BYTES : (start + width) * HASH_BYTES]))
        start, left = start + width, left - width
    return peaks


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)
