"""A small log with its key, and the bundle of it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

from domain.transparency.bundle import Head, LeafHashes, Line, LoggedEvent, SignedCheckpoint
from domain.transparency.merkle import root_of
from domain.transparency.notes import TreeHead, format_tree_head, sign_note

START = datetime(2026, 3, 3, 9, tzinfo=UTC)


class HashKey:
    """Signs by hashing: fast, and as good as its name is secret."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key_id = sha256(name.encode()).digest()[:4]

    def sign(self, message: bytes) -> bytes:
        return sha256(self.name.encode() + message).digest()

    def verify(self, message: bytes, signature: bytes) -> bool:
        return signature == self.sign(message)


KEY = HashKey("registry.example/log")


def events(count: int) -> list[LoggedEvent]:
    return [
        LoggedEvent(
            position=position,
            stream=UUID(int=position // 3 + 1),
            version=position % 3 + 1,
            repository=UUID(int=7),
            topic="artifact.published",
            recorded_at=START + timedelta(microseconds=position),
            state=b'{"data":{"path":"simple/%d"}}' % position,
        )
        for position in range(1, count + 1)
    ]


def head_of(leaves: Sequence[bytes], size: int) -> TreeHead:
    return TreeHead(KEY.name, size, root_of(leaves[:size]))


def signed(head: TreeHead, key: HashKey = KEY) -> str:
    return sign_note(format_tree_head(head), [key])


def bundle(
    logged: Sequence[LoggedEvent],
    sizes: Iterable[int] = (),
    leaves: Sequence[bytes] | None = None,
    heads: Sequence[TreeHead] | None = None,
) -> list[Line]:
    """The bundle of these events. leaves: stored leaf hashes when they differ. heads: what was signed, when that
    differs; the last one is the head. sizes: of further checkpoints.
    """
    hashes = [event.leaf() for event in logged] if leaves is None else list(leaves)
    if heads is None:
        heads = [head_of(hashes, size) for size in sorted({*sizes, len(hashes)})]
    *further, head = heads
    lines: list[Line] = [Head(note=signed(head))]
    for start in range(0, head.size, 256):
        end = min(start + 256, head.size)
        lines += [SignedCheckpoint(note=signed(other)) for other in further if start < other.size <= end]
        lines.append(LeafHashes(index=start // 256, hashes=b"".join(hashes[start:end])))
        lines += logged[start:end]
    return lines
