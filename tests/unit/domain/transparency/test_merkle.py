import struct
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from uuid import UUID

import pytest

from domain.errors import Invalid
from domain.transparency.merkle import (
    EMPTY_ROOT,
    MAX_TOPIC_BYTES,
    CompactRange,
    entry_of,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from domain.transparency.tiles import (
    FULL_TILE_BYTES,
    TiledTree,
    TilePath,
    compact_range_at,
    consistency_proof,
    format_tile_path,
    inclusion_proof,
    parse_tile_path,
    root_at,
    width_at,
)
from tests.fakes.tiles import MemoryTiles

STREAM = UUID("00112233-4455-6677-8899-aabbccddeeff")
OTHER = UUID("00112233-4455-6677-8899-aabbccddeef0")
AT = datetime(2026, 3, 3, 12, 30, 15, 123456, tzinfo=UTC)

# The vectors that Certificate Transparency implementations share.
ENTRIES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
CONSISTENCY = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]


def root(size: int) -> bytes:
    return bytes.fromhex(ROOTS[size - 1]) if size else EMPTY_ROOT


def test_an_entry_is_the_header_in_network_order_then_the_hash_of_the_state() -> None:
    state = b'{"name":"left-pad"}'

    entry = entry_of(7, STREAM, 3, OTHER, AT, "artifact.published", state)

    microseconds = 1_772_541_015_123_456
    assert entry == (
        struct.pack(">Q", 7)
        + STREAM.bytes
        + struct.pack(">Q", 3)
        + OTHER.bytes
        + struct.pack(">q", microseconds)
        + b"\x00\x12artifact.published"
        + sha256(state).digest()
    )


def test_an_entry_depends_on_every_field() -> None:
    entries = {
        entry_of(1, STREAM, 1, None, AT, "a", b"s"),
        entry_of(2, STREAM, 1, None, AT, "a", b"s"),
        entry_of(1, OTHER, 1, None, AT, "a", b"s"),
        entry_of(1, STREAM, 2, None, AT, "a", b"s"),
        entry_of(1, STREAM, 1, OTHER, AT, "a", b"s"),
        entry_of(1, STREAM, 1, None, AT + timedelta(microseconds=1), "a", b"s"),
        entry_of(1, STREAM, 1, None, AT, "b", b"s"),
        entry_of(1, STREAM, 1, None, AT, "a", b"t"),
    }
    assert len(entries) == 8


def test_an_entry_is_the_same_in_every_time_zone() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert entry_of(1, STREAM, 1, None, AT, "a", b"") == entry_of(1, STREAM, 1, None, elsewhere, "a", b"")


def test_a_time_before_1970_has_an_entry() -> None:
    before = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert entry_of(1, STREAM, 1, None, before, "a", b"")[48:56] == struct.pack(">q", -1)


@pytest.mark.parametrize(
    ("position", "version", "topic"), [(-1, 1, "a"), (1, 2**64, "a"), (1, 1, "é" * (MAX_TOPIC_BYTES // 2 + 1))]
)
def test_what_does_not_fit_an_entry_is_refused(position: int, version: int, topic: str) -> None:
    with pytest.raises(Invalid):
        entry_of(position, STREAM, version, None, AT, topic, b"")


def test_the_longest_topic_still_fits_an_entry_bundle() -> None:
    assert len(entry_of(1, STREAM, 1, None, AT, "t" * MAX_TOPIC_BYTES, b"")) == 0xFFFF


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_shared_vectors(size: int) -> None:
    tree = TiledTree()
    tree.extend(LEAVES[:size])
    assert root_of(LEAVES[:size]) == tree.root() == root_at(MemoryTiles(LEAVES), size) == root(size)


@pytest.mark.parametrize(("index", "size", "steps"), INCLUSION)
def test_inclusion_proofs_are_those_of_the_shared_vectors(index: int, size: int, steps: list[str]) -> None:
    proof = inclusion_proof(MemoryTiles(LEAVES), index, size)
    assert [step.hex() for step in proof] == steps
    assert verify_inclusion(index, size, LEAVES[index], proof, root(size))


@pytest.mark.parametrize(("old", "new", "steps"), CONSISTENCY)
def test_consistency_proofs_are_those_of_the_shared_vectors(old: int, new: int, steps: list[str]) -> None:
    proof = consistency_proof(MemoryTiles(LEAVES), old, new)
    assert [step.hex() for step in proof] == steps
    assert verify_consistency(old, root(old), new, root(new), proof)


def test_an_inclusion_proof_shows_nothing_else() -> None:
    proof = inclusion_proof(MemoryTiles(LEAVES), 5, 8)
    assert not verify_inclusion(4, 8, LEAVES[5], proof, root(8))
    assert not verify_inclusion(5, 9, LEAVES[5], proof, root(8))
    assert not verify_inclusion(5, 8, LEAVES[4], proof, root(8))
    assert not verify_inclusion(5, 8, LEAVES[5], proof, root(7))
    assert not verify_inclusion(5, 8, LEAVES[5], proof[:-1], root(8))
    assert not verify_inclusion(5, 8, LEAVES[5], [*proof, proof[0]], root(8))
    assert not verify_inclusion(5, 8, LEAVES[5], [proof[0] + b"\x00", *proof[1:]], root(8))
    assert not verify_inclusion(8, 8, LEAVES[5], proof, root(8))
    assert not verify_inclusion(-1, 8, LEAVES[5], proof, root(8))


def test_a_consistency_proof_shows_nothing_else() -> None:
    proof = consistency_proof(MemoryTiles(LEAVES), 6, 8)
    assert not verify_consistency(5, root(5), 8, root(8), proof)
    assert not verify_consistency(6, root(5), 8, root(8), proof)
    assert not verify_consistency(6, root(6), 8, root(7), proof)
    assert not verify_consistency(6, root(6), 9, root(8), proof)
    assert not verify_consistency(6, root(6), 8, root(8), proof[:-1])
    assert not verify_consistency(6, root(6), 8, root(8), [*proof, proof[0]])
    assert not verify_consistency(6, root(6), 8, root(8), [])
    assert not verify_consistency(8, root(8), 6, root(6), proof)


def test_every_tree_continues_the_empty_one_and_itself() -> None:
    assert verify_consistency(0, EMPTY_ROOT, 8, root(8), [])
    assert not verify_consistency(0, root(1), 8, root(8), [])
    assert verify_consistency(8, root(8), 8, root(8), [])
    assert not verify_consistency(8, root(8), 8, root(7), [])
    assert consistency_proof(MemoryTiles(), 0, 0) == []


def test_proofs_of_what_is_not_in_the_tree_are_refused() -> None:
    tiles = MemoryTiles(LEAVES)
    with pytest.raises(Invalid):
        inclusion_proof(tiles, 8, 8)
    with pytest.raises(Invalid):
        consistency_proof(tiles, 8, 7)


def test_a_proof_reads_each_tile_once() -> None:
    leaves = [leaf_hash(number.to_bytes(3)) for number in range(70_000)]
    tiles = MemoryTiles(leaves)
    proof = inclusion_proof(tiles, 40_000, 70_000)
    assert verify_inclusion(40_000, 70_000, leaves[40_000], proof, root_of(leaves))
    assert tiles.reads <= 5


def test_a_tree_of_70000_has_the_tiles_of_the_specification() -> None:
    tree = TiledTree()
    full = tree.extend([leaf_hash(b"")] * 70_000)
    assert [(tile.level, tile.width) for tile in full] == [(0, 256)] * 273 + [(1, 256)]
    assert [(tile.level, tile.index, tile.width) for tile in tree.open_tiles()] == [
        (0, 273, 112),
        (1, 1, 17),
        (2, 0, 1),
    ]
    assert [width_at(0, 273, 70_000), width_at(1, 1, 70_000), width_at(2, 0, 70_000)] == [112, 17, 1]
    assert width_at(0, 274, 70_000) == width_at(3, 0, 70_000) == 0


def test_a_full_tile_is_handed_out_once_and_a_tree_of_256_has_one_hash_above_it() -> None:
    tree = TiledTree()
    assert tree.extend(LEAVES * 31) == []
    (full,) = tree.extend(LEAVES)
    assert len(full.hashes) == FULL_TILE_BYTES
    assert [(tile.level, tile.index, tile.width) for tile in tree.open_tiles()] == [(1, 0, 1)]
    assert tree.extend([]) == []


def test_a_tree_is_taken_up_where_it_was_left() -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(200)] * 5
    tree = TiledTree.load(MemoryTiles(leaves[:600]), 600)
    tree.extend(leaves[600:])
    assert tree.size == 1000
    assert tree.root() == root_of(leaves)


def test_tiles_that_do_not_fit_the_size_are_refused() -> None:
    with pytest.raises(Invalid):
        TiledTree(3, [LEAVES[0]])
    with pytest.raises(Invalid):
        CompactRange(3, [LEAVES[0]])


def test_the_edge_of_a_tree_grows_on_its_own() -> None:
    edge = compact_range_at(MemoryTiles(LEAVES), 5)
    copy = edge.copy()
    for leaf in LEAVES[5:]:
        edge.append(leaf)
    assert (edge.size, edge.root()) == (8, root(8))
    assert (copy.size, copy.root()) == (5, root(5))


def test_a_reader_that_gives_the_wrong_amount_is_noticed() -> None:
    class Careless(MemoryTiles):
        def tile(self, level: int, index: int, width: int) -> bytes:
            return super().tile(level, index, width) + b"\x00"

    with pytest.raises(Invalid):
        root_at(Careless(LEAVES), 8)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (TilePath(0, 0, 256), "0/000"),
        (TilePath(0, 1_234_067, 256), "0/x001/x234/067"),
        (TilePath(63, 999, 255), "63/999.p/255"),
        (TilePath(1, 1000, 1), "1/x001/000.p/1"),
        (TilePath(None, 5, 17), "entries/005.p/17"),
    ],
)
def test_tile_paths_have_the_spelling_of_the_specification(path: TilePath, text: str) -> None:
    assert format_tile_path(path) == text
    assert parse_tile_path(text) == path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0/",
        "0/1",
        "0/0001",
        "00/000",
        "64/000",
        "-1/000",
        "0/x000/001",
        "0/x01/001",
        "0/001/001",
        "0/x001/x002",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/01",
        "0/000.p/",
        "0/000\n",
        "0/\u0660\u0660\u0660",
        "data/000",
        "0/../000",
        "0/" + "x001/" * 40 + "000",
    ],
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_tile_path(text)
