"""Checksums that clients upload: compared with the stored bytes, and never served.

One that comes before its file, as parallel clients send them, is held at its own path until the file is there.
"""

from __future__ import annotations

from collections.abc import Sequence

from application.catalogue import ArtifactRow
from application.formats.maven.names import CHECKSUMS, split_checksum
from application.formats.maven.reading import digest_of
from application.ports import BlobStore, Spooled
from application.publishing import NewFile, Target
from application.services import Services
from domain.artifact import ArtifactNotFound
from domain.digests import parse_hex_digest
from domain.errors import DigestMismatch, Invalid

MAX_CHECKSUM_BYTES = 4_096


class ChecksumInvalid(Invalid):
    """The file beside a file holds no digest."""

    template = "{path}: no {algorithm} digest in hexadecimal"

    def __init__(self, path: str, algorithm: str) -> None:
        super().__init__(path=path[:300], algorithm=algorithm)


class ChecksumMismatch(DigestMismatch):
    """The digest that a client uploaded is not that of the bytes it uploaded."""

    template = "{path}: the uploaded {algorithm} checksum is {expected}, the file's is {actual}"

    def __init__(self, path: str, algorithm: str, expected: str, actual: str) -> None:
        super(DigestMismatch, self).__init__(path=path, algorithm=algorithm, expected=expected, actual=actual)


def read_checksum(data: bytes, path: str, algorithm: str) -> str:
    """The digest in the text of a checksum file: alone, or among names as sha1sum and md5 write it.

    Raises ChecksumInvalid.
    """
    if len(data) <= MAX_CHECKSUM_BYTES:
        for word in data.decode("ascii", "replace").split():
            digest = parse_hex_digest(algorithm, word)
            if digest is not None:
                return digest
    raise ChecksumInvalid(path, algorithm)


def accept_checksum(services: Services, target: Target, path: str, algorithm: str, spooled: Spooled) -> None:
    """Take the checksum of the file at a path. Raises ChecksumInvalid, ChecksumMismatch."""
    own_path = f"{path}.{algorithm}"
    announced = _read_spooled(spooled, own_path, algorithm)
    row = services.catalogue.artifact(target.repository, path)
    if row is None:
        held = NewFile(path=own_path, spooled=spooled, media_type="text/plain", overwrite="replace")
        services.publishing.publish(target, [held])
        row = services.catalogue.artifact(target.repository, path)
        if row is None:
            return
        take_held_away(services, target, [own_path])  # the file came meanwhile
    _compare(services.blobs, row, algorithm, announced)


def require_announced(services: Services, target: Target, path: str, spooled: Spooled) -> Sequence[str]:
    """Check a file that is about to be published against the checksums that came before it; gives where those are.

    Raises ChecksumMismatch, and forgets them then: the client will send all of it again.
    """
    taken = services.finder.occupancy(target.repository, [f"{path}.{algorithm}" for algorithm in CHECKSUMS]).taken
    held = sorted(taken)
    for own_path in held:
        row = services.catalogue.artifact(target.repository, own_path)
        if row is None:
            continue
        algorithm = split_checksum(own_path)[1]
        with services.blobs.open(row.sha256) as file:
            announced = read_checksum(file.read(MAX_CHECKSUM_BYTES + 1), own_path, algorithm)
        if spooled.digests[algorithm] != announced:
            take_held_away(services, target, held)
            raise ChecksumMismatch(path, algorithm, announced, spooled.digests[algorithm])
    return held


def take_held_away(services: Services, target: Target, paths: Sequence[str]) -> None:
    """Forget held checksums; another process may have done so."""
    for path in paths:
        try:
            services.publishing.delete(target, [path], "compared")
        except ArtifactNotFound:
            continue


def _read_spooled(spooled: Spooled, path: str, algorithm: str) -> str:
    with spooled.open() as file:
        return read_checksum(file.read(MAX_CHECKSUM_BYTES + 1), path, algorithm)


def _compare(blobs: BlobStore, row: ArtifactRow, algorithm: str, announced: str) -> None:
    actual = digest_of(blobs, row, algorithm)
    if announced != actual:
        raise ChecksumMismatch(row.path, algorithm, announced, actual)
