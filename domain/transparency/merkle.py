"""The Merkle tree of the log: how an event becomes a leaf, how leaves become a root, and how proofs are checked.

What an auditor needs is all here and needs no storage; `tiles.py` holds the tree as the log keeps and serves it.
Hashing is that of RFC 6962, proofs are those of RFC 9162.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Self
from uuid import UUID

from domain.errors import Invalid

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
"""The root of a tree without leaves."""

_HEADER = struct.Struct(">Q16sQ16sqH")
_NOWHERE = bytes(16)

MAX_TOPIC_BYTES = 0xFFFF - _HEADER.size - HASH_BYTES
"""What leaves room for the rest of an entry in the 16-bit length of an entry bundle."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def entry_of(
    position: int,
    stream_id: UUID,
    version: int,
    repository: UUID | None,
    recorded_at: datetime,
    topic: str,
    state: bytes,
) -> bytes:
    """What the log commits to for one event.

    Position (u64), stream id (16 bytes), version (u64), repository (16 bytes, zero for none), recorded time (i64,
    microseconds since 1970, UTC), topic (u16 length, then UTF-8), all big endian; then SHA-256 of the state's bytes.
    The state itself stays out, so that proofs and entry bundles disclose none of it. recorded_at must be aware. Raises
    Invalid when a number or the topic does not fit.
    """
    try:
        name = topic.encode()
    except UnicodeEncodeError as error:
        raise Invalid("a topic that is not Unicode does not fit into a log entry") from error
    if len(name) > MAX_TOPIC_BYTES:
        raise Invalid(f"a topic of {len(name)} bytes does not fit into a log entry")
    since = recorded_at - _EPOCH
    microseconds = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    try:
        where = _NOWHERE if repository is None else repository.bytes
        header = _HEADER.pack(position, stream_id.bytes, version, where, microseconds, len(name))
    except struct.error as error:
        raise Invalid(f"position {position}, version {version} does not fit into a log entry") from error
    return header + name + sha256(state).digest()


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry as a leaf. Source: https://www.rfc-editor.org/rfc/rfc6962#section-2.1."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node. Source: https://www.rfc-editor.org/rfc/rfc6962#section-2.1."""
    return sha256(b"\x01" + left + right).digest()


def perfect_root(hashes: bytes) -> bytes:
    """The root above 1, 2, 4, 8 … concatenated hashes; any other number of them is a mistake of the caller."""
    pair = 2 * HASH_BYTES
    while len(hashes) > HASH_BYTES:
        pairs = range(0, len(hashes), pair)
        hashes = b"".join([sha256(b"\x01" + hashes[at : at + pair]).digest() for at in pairs])
    return hashes


class CompactRange:
    """The right edge of a growing tree: one hash for each bit of its size, enough to append and to tell the root."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if size.bit_count() != len(peaks):
            raise Invalid(f"a tree of {size} leaves has {size.bit_count()} peaks, not {len(peaks)}")
        self.size = size
        self._peaks = list(peaks)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        size, peaks = self.size, self._peaks
        self.size += 1
        while size & 1:
            leaf = sha256(b"\x01" + peaks.pop() + leaf).digest()
            size >>= 1
        peaks.append(leaf)

    def root(self) -> bytes:
        """The root of the tree so far."""
        return fold_peaks(self._peaks)

    def copy(self) -> Self:
        """The same edge, to grow on its own."""
        return type(self)(self.size, self._peaks)


def fold_peaks(peaks: Sequence[bytes]) -> bytes:
    """The root above perfect subtrees of falling size, given from left to right."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root above these leaf hashes."""
    edge = CompactRange()
    for leaf in leaves:
        edge.append(leaf)
    return edge.root()


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `leaf` is the hash at `index` (from 0) of the tree with `size` leaves and this root.

    Source: https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3.2
    """
    if not 0 <= index < size or any(len(step) != HASH_BYTES for step in proof):
        return False
    here, last, found = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if here & 1 or here == last:
            found = node_hash(step, found)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            found = node_hash(found, step)
        here, last = here >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `new_size` only appends to the tree of `old_size`.

    Of an empty tree every tree is a continuation, shown by an empty proof.
    Source: https://www.rfc-editor.org/rfc/rfc9162#section-2.1.4.2
    """
    if not 0 <= old_size <= new_size or any(len(step) != HASH_BYTES for step in proof):
        return False
    if old_size == 0:
        return not proof and old_root == EMPTY_ROOT
    if old_size == new_size:
        return not proof and old_root == new_root
    # A power of two is a subtree of the new tree: the old root itself is the first step, and is left out of the proof.
    steps = [old_root, *proof] if old_size.bit_count() == 1 else list(proof)
    if not steps:
        return False
    here, last = old_size - 1, new_size - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            new = node_hash(new, step)
        here, last = here >> 1, last >> 1
    return last == 0 and old == old_root and new == new_root
