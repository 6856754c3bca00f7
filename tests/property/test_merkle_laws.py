import contextlib
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.transparency.merkle import CompactRange, leaf_hash, node_hash, root_of, verify_consistency, verify_inclusion
from domain.transparency.notes import parse_note, parse_tree_head, parse_verifier_key
from domain.transparency.tiles import (
    TiledTree,
    TilePath,
    compact_range_at,
    consistency_proof,
    format_tile_path,
    inclusion_proof,
    parse_tile_path,
    root_at,
)
from tests.fakes.tiles import MemoryTiles

MOST = 600
LEAVES = [leaf_hash(number.to_bytes(2)) for number in range(MOST)]
TILES = MemoryTiles(LEAVES)


def split(count: int) -> int:
    k = 1
    while k * 2 < count:
        k *= 2
    return k


# RFC 6962 section 2.1, word for word, over LEAVES[start:end].


@cache
def mth(start: int, end: int) -> bytes:
    if end - start == 1:
        return LEAVES[start]
    k = split(end - start)
    return node_hash(mth(start, start + k), mth(start + k, end))


def path(m: int, start: int, end: int) -> list[bytes]:
    if end - start == 1:
        return []
    k = split(end - start)
    if m < k:
        return [*path(m, start, start + k), mth(start + k, end)]
    return [*path(m - k, start + k, end), mth(start, start + k)]


def subproof(m: int, start: int, end: int, *, complete: bool) -> list[bytes]:
    if m == end - start:
        return [] if complete else [mth(start, end)]
    k = split(end - start)
    if m <= k:
        return [*subproof(m, start, start + k, complete=complete), mth(start + k, end)]
    return [*subproof(m - k, start + k, end, complete=False), mth(start, start + k)]


def samples(size: int) -> set[int]:
    """Every number up to size where that is little, else those around powers of two, tiles and both ends."""
    if size <= 40:
        return set(range(size + 1))
    edges = {0, 1, size // 3, size // 2, size - 1, size, size & ~255}
    return edges | {around for bit in (3, 8, 9) for around in (2**bit - 1, 2**bit, 2**bit + 1) if around <= size}


def test_the_root_of_every_size_is_that_of_the_recursion() -> None:
    edge, tree = CompactRange(), TiledTree()
    for size, leaf in enumerate(LEAVES, 1):
        edge.append(leaf)
        tree.extend([leaf])
        assert edge.root() == tree.root() == root_at(TILES, size) == mth(0, size)


def test_inclusion_proofs_of_every_size_are_those_of_the_recursion_and_verify() -> None:
    for size in range(1, MOST + 1):
        for index in samples(size - 1):
            proof = inclusion_proof(TILES, index, size)
            assert proof == path(index, 0, size)
            assert verify_inclusion(index, size, LEAVES[index], proof, mth(0, size))


def test_consistency_proofs_of_every_size_are_those_of_the_recursion_and_verify() -> None:
    for new in range(1, MOST + 1):
        for old in samples(new) - {0}:
            proof = consistency_proof(TILES, old, new)
            assert proof == subproof(old, 0, new, complete=True)
            assert verify_consistency(old, mth(0, old), new, mth(0, new), proof)


def test_a_tree_resumed_at_every_size_grows_on() -> None:
    for size in range(MOST):
        tree = TiledTree.load(TILES, size)
        edge = compact_range_at(TILES, size)
        tree.extend(LEAVES[size:])
        for leaf in LEAVES[size:]:
            edge.append(leaf)
        assert tree.root() == edge.root() == mth(0, MOST)


sizes = st.integers(1, MOST)


@st.composite
def leaf_of_tree(draw: st.DrawFn) -> tuple[int, int]:
    size = draw(sizes)
    return draw(st.integers(0, size - 1)), size


def flipped(hashes: list[bytes], bit: int) -> list[bytes]:
    number, within = divmod(bit, 256)
    step = bytearray(hashes[number % len(hashes)])
    step[within // 8] ^= 1 << within % 8
    return [*hashes[: number % len(hashes)], bytes(step), *hashes[number % len(hashes) + 1 :]]


@given(leaf_of_tree(), st.integers(0, 256 * 12), st.sampled_from(["step", "shorter", "longer", "leaf", "root"]))
def test_a_tampered_inclusion_proof_fails(where: tuple[int, int], bit: int, how: str) -> None:
    index, size = where
    proof = inclusion_proof(TILES, index, size)
    leaf, root = LEAVES[index], mth(0, size)
    match how:
        case "step" if proof:
            proof = flipped(proof, bit)
        case "shorter" if proof:
            proof.pop(bit % len(proof))
        case "leaf":
            (leaf,) = flipped([leaf], bit % 256)
        case "root":
            (root,) = flipped([root], bit % 256)
        case _:
            proof.insert(bit % (len(proof) + 1), LEAVES[0])
    assert not verify_inclusion(index, size, leaf, proof, root)


@given(leaf_of_tree(), leaf_of_tree())
def test_an_inclusion_proof_holds_for_its_own_leaf_only(one: tuple[int, int], other: tuple[int, int]) -> None:
    index, size = one
    proof = inclusion_proof(TILES, index, size)
    if other[0] != index:
        assert not verify_inclusion(index, size, LEAVES[other[0]], proof, mth(0, size))
    if other[1] != size:
        assert not verify_inclusion(index, size, LEAVES[index], proof, mth(0, other[1]))


@given(
    st.lists(sizes, min_size=2, max_size=2, unique=True),
    st.integers(0, 256 * 12),
    st.sampled_from(["step", "shorter", "longer", "old", "new"]),
)
def test_a_tampered_consistency_proof_fails(ends: list[int], bit: int, how: str) -> None:
    old, new = sorted(ends)
    proof = consistency_proof(TILES, old, new)
    old_root, new_root = mth(0, old), mth(0, new)
    match how:
        case "step":
            proof = flipped(proof, bit)
        case "shorter":
            proof.pop(bit % len(proof))
        case "old":
            (old_root,) = flipped([old_root], bit % 256)
        case "new":
            (new_root,) = flipped([new_root], bit % 256)
        case _:
            proof.insert(bit % (len(proof) + 1), LEAVES[0])
    assert not verify_consistency(old, old_root, new, new_root, proof)


@given(st.integers(-3, MOST), st.integers(-3, MOST), st.lists(st.binary(max_size=40) | st.sampled_from(LEAVES)))
def test_verifiers_never_raise_and_never_believe_noise(one: int, two: int, proof: list[bytes]) -> None:
    assert not verify_inclusion(one, two, LEAVES[0], proof, b"\x00" * 32)
    assert not verify_consistency(one, b"\x00" * 32, two, b"\x01" * 32, proof)


@given(st.lists(st.integers(0, 300), max_size=6))
def test_the_tree_is_the_same_whatever_the_batches(batches: list[int]) -> None:
    tree = TiledTree()
    kept = MemoryTiles()
    for count in batches:
        kept.keep(tree.extend(LEAVES[tree.size : tree.size + count]))
    kept.keep(tree.open_tiles())
    whole = MemoryTiles(LEAVES[: tree.size])
    assert kept.kept == whole.kept
    assert tree.root() == root_of(LEAVES[: tree.size])


@given(
    st.none() | st.integers(0, 63),
    st.integers(0, 2**56),
    st.integers(1, 256),
)
def test_tile_paths_read_back(level: int | None, index: int, width: int) -> None:
    path = TilePath(level, index, width)
    assert parse_tile_path(format_tile_path(path)) == path


@given(st.text() | st.text(alphabet="0123456789x/.pentris"))
def test_any_text_as_a_tile_path_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(Invalid):
        assert format_tile_path(parse_tile_path(text)) == text


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_as_a_note_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(Invalid):
        parse_tree_head(parse_note(data).text)


@given(st.text(alphabet=st.characters()))
def test_any_text_as_a_verifier_key_is_read_or_refused(text: str) -> None:
    for candidate in (text, f"{text}+00000000+{text}"):
        with contextlib.suppress(Invalid):
            assert str(parse_verifier_key(candidate)) == candidate
