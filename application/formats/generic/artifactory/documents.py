"""The JSON documents: what there is to say of a file, a directory, a list of files, properties, and errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from urllib.parse import quote
from uuid import UUID

import msgspec

from application.catalogue import ArtifactRow, Child, RepositoryRow
from application.wire import Answer, Request
from domain.errors import NotFound, RegistryError

CONTEXT = "artifactory"
FILE = "application/vnd.org.jfrog.artifactory.storage.FileInfo+json"
FOLDER = "application/vnd.org.jfrog.artifactory.storage.FolderInfo+json"
FILE_LIST = "application/vnd.org.jfrog.artifactory.storage.FileList+json"
PROPERTIES = "application/vnd.org.jfrog.artifactory.storage.ItemProperties+json"
STATISTICS = "application/vnd.org.jfrog.storage.StatsInfo+json"
VERSION = {"version": "7.90.0", "revision": "0", "addons": [], "license": "MIT", "product": "artifact-keeper"}
"""Clients refuse to speak to servers older than what they need; this is the protocol that is spoken here."""

_BATCH = 500


class People:
    """Names of those who published, as far as they are known."""

    def __init__(self, names: Mapping[UUID, str]) -> None:
        self._names = names

    def name(self, person: UUID | None) -> str:
        """A user name, or a word for nobody in particular."""
        return self._names.get(person, "unknown") if person is not None else "anonymous"


class Addresses:
    """The addresses of one repository, as they stand in documents. key: as the client wrote it, with `@when`."""

    def __init__(self, base_url: str, key: str) -> None:
        self._base, self._key = f"{base_url}/{CONTEXT}", key

    def download(self, path: str) -> str:
        """Where the bytes are."""
        return f"{self._base}/{self._key}/{quote(path)}"

    def storage(self, path: str) -> str:
        """Where it is told about."""
        return f"{self._base}/api/storage/{self._key}/{quote(path)}".rstrip("/")


def addresses_of(request: Request) -> Addresses:
    """Of the repository that the request names, below whichever prefix."""
    return Addresses(request.base_url, request.mount.rpartition("/")[2])


def file_info(
    row: ArtifactRow, first: ArtifactRow, key: str, addresses: Addresses, people: People
) -> dict[str, object]:
    """FileInfo. first: the oldest revision at that path."""
    checksums = {name: row.digests[name] for name in ("sha1", "md5") if name in row.digests} | {"sha256": row.sha256}
    return {
        "repo": key,
        "path": f"/{row.path}",
        "created": moment(first.published_at),
        "createdBy": people.name(first.published_by),
        "lastModified": moment(row.published_at),
        "modifiedBy": people.name(row.published_by),
        "lastUpdated": moment(row.published_at),
        "downloadUri": addresses.download(row.path),
        "mimeType": row.media_type,
        "size": str(row.size_bytes),
        "checksums": checksums,
        "originalChecksums": checksums,
        "uri": addresses.storage(row.path),
    }


def folder_info(path: str, repository: RepositoryRow, addresses: Addresses) -> dict[str, object]:
    """FolderInfo but its children. Directories have no history of their own: the repository's stands for it."""
    return {
        "repo": repository.key,
        "path": f"/{path}",
        "created": moment(repository.created_at),
        "createdBy": "_system_",
        "lastModified": moment(repository.updated_at),
        "modifiedBy": "_system_",
        "lastUpdated": moment(repository.updated_at),
        "uri": addresses.storage(path),
    }


def child_entry(child: Child) -> dict[str, object]:
    """One of the `children` of a FolderInfo."""
    return {"uri": f"/{child.name}", "folder": child.folder}


def file_entry(row: ArtifactRow, below: str) -> dict[str, object]:
    """One of the `files` of a FileList. below: its path from the listed directory on."""
    return {
        "uri": f"/{below}",
        "size": row.size_bytes,
        "lastModified": moment(row.published_at),
        "folder": False,
        "sha1": row.digests.get("sha1", ""),
        "sha2": row.sha256,
    }


def pieces(head: dict[str, object], name: str, entries: Iterable[dict[str, object]]) -> Iterator[bytes]:
    """A document whose last member is a list, however long, in pieces."""
    yield msgspec.json.encode(head)[:-1] + b',"' + name.encode() + b'":['
    first = True
    remaining = iter(entries)
    while batch := list(islice(remaining, _BATCH)):
        yield (b"" if first else b",") + msgspec.json.encode(batch)[1:-1]
        first = False
    yield b"]}"


def moment(at: datetime) -> str:
    """A time with milliseconds, in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def answer(document: object, media_type: str = "application/json", status: int = 200) -> Answer:
    """A document as an answer."""
    return Answer(status=status, body=msgspec.json.encode(document), media_type=media_type)


def answer_error(request: Request, error: RegistryError, status: int) -> Answer:
    """`{"errors":[{"status","message"}]}`. Clients look for these words where nothing is there."""
    message = str(error)
    if isinstance(error, NotFound) and not message.startswith("No properties"):
        message = f"Unable to find item: {message}"
    return answer({"errors": [{"status": status, "message": message}]}, status=status)
