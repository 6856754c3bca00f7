"""What the file system says when it cannot serve, in the registry's own error families."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from domain.digests import parse_hex_digest
from domain.errors import Invalid, Unavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def storage_faults(doing: str, *, absence: bool = False) -> Iterator[None]:
    """Turn an OSError into Unavailable. The message names what was being done, never a path of this machine.

    absence: let FileNotFoundError pass, for callers to whom it means something.
    """
    try:
        yield
    except OSError as fault:
        if absence and isinstance(fault, FileNotFoundError):
            raise
        reason = "the storage is full" if fault.errno in _FULL else errno.errorcode.get(fault.errno or 0, "I/O error")
        raise Unavailable(f"storage cannot {doing}: {reason}") from fault


def checked_sha256(text: str) -> str:
    """`text` when it is exactly 64 lower-case hexadecimal characters; raises Invalid otherwise.

    Every name that reaches a file system or an object store passes through here, so no other text ever can.
    """
    if parse_hex_digest("sha256", text) != text:
        raise Invalid("not a SHA-256 digest in lower-case hexadecimal")
    return text


def checked_prefix(text: str) -> str:
    """`text` when it could begin such a digest; raises Invalid otherwise."""
    if len(text) > 64 or text.strip("0123456789abcdef"):
        raise Invalid("not the beginning of a SHA-256 digest in lower-case hexadecimal")
    return text
