"""A log's tiles in memory."""

from domain.errors import NotFound
from domain.transparency.merkle import HASH_BYTES
from domain.transparency.tiles import Tile, TiledTree


class MemoryTiles:
    """Keeps tiles as the log does: a partial one grows in place."""

    def __init__(self, leaves: list[bytes] | None = None) -> None:
        self.kept: dict[tuple[int, int], bytes] = {}
        self.reads = 0
        tree = TiledTree()
        self.keep(tree.extend(leaves or []))
        self.keep(tree.open_tiles())

    def keep(self, tiles: list[Tile]) -> None:
        self.kept.update({(tile.level, tile.index): tile.hashes for tile in tiles})

    def tile(self, level: int, index: int, width: int) -> bytes:
        self.reads += 1
        hashes = self.kept.get((level, index), b"")[: width * HASH_BYTES]
        if len(hashes) < width * HASH_BYTES:
            raise NotFound("no such tile")
        return hashes
