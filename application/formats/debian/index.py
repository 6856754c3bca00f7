"""What is kept of packages to the documents that apt fetches. Pure: the same input gives the same bytes.

Source: https://wiki.debian.org/DebianRepository/Format
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime

import msgspec

from application.formats.debian.sources import ListedFile

DEFAULT_ARCHITECTURES = ("amd64", "arm64")
"""Told of by every suite, so that machines find their index before the first package is there for them."""

_BREAKS = re.compile(r"\s*[\x00-\x1f\x7f]+\s*")


class Identity(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an administrator has a suite say of itself; single lines."""

    origin: str = ""
    label: str = ""
    version: str = ""
    description: str = ""


class IndexFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One index in one compression. body: of small ones; others are the blob `sha256`, when `stored`. What is neither
    is only told of, as the uncompressed form of a large index.
    """

    size_bytes: int
    md5: str
    sha256: str
    body: bytes | None = None
    stored: bool = False


class Indexes(msgspec.Struct, frozen=True):
    """Every index of a suite, by its path below that. members: how many files are in the suite."""

    components: tuple[str, ...]
    architectures: tuple[str, ...]
    members: int
    files: dict[str, IndexFile]


class PoolEntry(msgspec.Struct, frozen=True):
    """Where a file is and what it hashes to."""

    path: str
    size_bytes: int
    md5: str
    sha1: str
    sha256: str
    sha512: str


def packages_entry(stanza: str, entry: PoolEntry) -> bytes:
    """The paragraph of a binary package, an empty line behind it."""
    return (
        f"{stanza}Filename: {entry.path}\nSize: {entry.size_bytes}\nMD5sum: {entry.md5}\nSHA1: {entry.sha1}\n"
        f"SHA256: {entry.sha256}\nSHA512: {entry.sha512}\n\n"
    ).encode()


def sources_entry(stanza: str, entry: PoolEntry, files: Sequence[ListedFile]) -> bytes:
    """The paragraph of a source package: its .dsc is one of its files."""
    directory, _, name = entry.path.rpartition("/")
    own = ListedFile(name=name, size_bytes=entry.size_bytes, md5=entry.md5, sha1=entry.sha1, sha256=entry.sha256)
    every = (own, *files)
    lists = (
        ("Files", [(file.md5, file) for file in every]),
        ("Checksums-Sha1", [(file.sha1, file) for file in every]),
        ("Checksums-Sha256", [(file.sha256, file) for file in every]),
    )
    told = "".join(
        f"{field}:\n" + "".join(f" {digest} {file.size_bytes} {file.name}\n" for digest, file in lines)
        for field, lines in lists
        if all(digest for digest, _ in lines)
    )
    return f"{stanza}Directory: {directory}\n{told}\n".encode()


def render_release(suite: str, indexes: Indexes, identity: Identity, made_at: datetime) -> bytes:
    """The file that vouches for all indexes of a suite. made_at: when the last fact of it was recorded."""
    origin = identity.origin or "Artifact Keeper"
    fields = [
        ("Origin", origin),
        ("Label", identity.label or origin),
        ("Suite", suite),
        ("Version", identity.version),
        ("Codename", suite),
        ("Date", format_datetime(made_at.astimezone(UTC).replace(microsecond=0)).replace("+0000", "UTC")),
        ("Acquire-By-Hash", "yes"),
        ("Architectures", " ".join(indexes.architectures)),
        ("Components", " ".join(indexes.components)),
        ("Description", identity.description),
    ]
    head = "".join(f"{name}: {single_line(value)}\n" for name, value in fields if value)
    ordered = sorted(indexes.files.items())
    return (head + _digests("MD5Sum", ordered) + _digests("SHA256", ordered)).encode()


def render_component_release(
    suite: str, component: str, architecture: str, identity: Identity, *, label: str = ""
) -> bytes:
    """The small file beside an index, which apt has not read for long and other tools still look for."""
    origin = identity.origin or "Artifact Keeper"
    fields = [
        ("Archive", suite),
        ("Origin", origin),
        ("Label", identity.label or origin),
        ("Version", identity.version),
        ("Acquire-By-Hash", "yes"),
        ("Component", component),
        ("Architecture", architecture),
    ]
    return "".join(f"{name}: {single_line(value)}\n" for name, value in fields if value).encode()


def render_sources_list(url: str, suite: str, components: Sequence[str], key: bytes) -> bytes:
    """A file for /etc/apt/sources.list.d. key: the armored public key, which stands in it; empty leaves it out."""
    fields = f"Types: deb deb-src\nURIs: {url}/\nSuites: {suite}\nComponents: {' '.join(components)}\n"
    if key:
        lines = key.decode("ascii", "replace").strip().split("\n")
        fields += "Signed-By:\n" + "".join(f" {line.strip() or '.'}\n" for line in lines)
    return fields.encode()


def dearmored(armored: bytes) -> bytes:
    """The binary form of one or more armored blocks. Source: RFC 9580 section 6.2."""
    blocks = armored.decode("ascii", "replace").split("-----BEGIN ")[1:]
    return b"".join(base64.b64decode(_armored_data(block)) for block in blocks)


def single_line(text: str) -> str:
    """The text with everything that could begin a field of its own made a blank."""
    return _BREAKS.sub(" ", text).strip()


def _armored_data(block: str) -> str:
    _, _, rest = block.replace("\r", "").partition("\n\n")
    lines = rest.partition("-----END ")[0].split("\n")
    return "".join(line.strip() for line in lines if not line.startswith("="))


def _digests(field: str, ordered: Sequence[tuple[str, IndexFile]]) -> str:
    algorithm = "md5" if field == "MD5Sum" else "sha256"
    return f"{field}:\n" + "".join(
        f" {getattr(file, algorithm)} {file.size_bytes:>10} {path}\n" for path, file in ordered
    )


BY_HASH: Mapping[str, str] = {"MD5Sum": "md5", "SHA256": "sha256"}
"""The folders below `by-hash`, and the digests they are for."""
