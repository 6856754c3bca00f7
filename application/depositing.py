"""Publishing one file that came without its format's own protocol: the format's way if it has one, else as it is."""

from __future__ import annotations

from typing import Any

import msgspec

from application.catalogue import RepositoryRow
from application.format import Deposit
from application.ports import Spooled
from application.publishing import NewFile, Properties, Target
from application.services import Services
from application.uploading.sessions import UploadRequest, UploadResult
from domain.digests import Hasher
from domain.errors import Invalid
from domain.event import Metadata
from domain.ids import artifact_id

MAX_SEGMENT_BYTES = 255
MAX_PATH_BYTES = 2_048

_CHUNK_BYTES = 1 << 20


class PathTooLong(Invalid):
    """A path that clients could not put on their file systems."""

    template = "the artifact path is too long: at most {path} bytes, and {segment} for each segment"
    code = "PATH_TOO_LONG"

    def __init__(self) -> None:
        super().__init__(path=MAX_PATH_BYTES, segment=MAX_SEGMENT_BYTES)


def checked_artifact_path(text: str) -> str:
    """The path itself; raises Invalid unless it is one or more clean segments between single slashes."""
    try:
        segments = text.encode().split(b"/")
    except UnicodeEncodeError:
        raise Invalid("the artifact path is not valid Unicode") from None
    if any(segment in {b"", b".", b".."} for segment in segments) or not text.isprintable() or "\\" in text:
        raise Invalid("the artifact path has an empty, '.' or '..' segment, a backslash or a control character")
    if max(map(len, segments)) > MAX_SEGMENT_BYTES or len(text.encode()) > MAX_PATH_BYTES:
        raise PathTooLong
    return text


class Depositor:
    """Publishes completed uploads; keeps the port `UploadPublisher`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def algorithms(self, repository: RepositoryRow) -> tuple[str, ...]:
        """The digests besides SHA-256 that the repository's format publishes."""
        found = self._services.formats.by_key(repository.format)
        return found.digests if found is not None else ()

    def publish(
        self, repository: RepositoryRow, path: str, spooled: Spooled, request: UploadRequest, meta: Metadata
    ) -> UploadResult:
        """Publish; the result names the path at which the format put the file."""
        given = Deposit(
            path=path,
            spooled=spooled,
            services=self._services,
            target=Target(repository.id, repository.settings, meta),
            media_type=request.content_type,
            version=request.artifact_version or "",
            properties=properties_of(request.artifact_metadata_properties) or {},
        )
        metadata = msgspec.json.encode(request.artifact_metadata or {})
        path = deposit(repository, given, name=request.artifact_name or "", metadata=metadata)
        return UploadResult(artifact_id(repository.id, path), path, spooled.size_bytes, spooled.sha256)


def deposit(repository: RepositoryRow, given: Deposit, *, name: str = "", metadata: bytes = b"{}") -> str:
    """Publish a file by its format's own way if it has one, else as it is; gives the path at which it is now.

    name, metadata: for files that are taken as they are; a format that reads files knows better.
    """
    found = given.services.formats.by_key(repository.format)
    if found is None:
        raise Invalid(f"format {repository.format!r} is not supported by this version")
    given = msgspec.structs.replace(given, spooled=_with_digests(given.spooled, found.digests))
    if found.deposit is not None:
        return found.deposit(given)
    file = plain_file(given, name, metadata)
    file = msgspec.structs.replace(file, algorithms=found.digests, overwrite=found.overwrite)
    given.services.publishing.publish(given.target, [file])
    return file.path


def plain_file(given: Deposit, name: str = "", metadata: bytes = b"{}") -> NewFile:
    """A file of which only its path is known. With three segments or more the first is its name, the second its
    version; otherwise the file name is, and there is no version; what the client said goes before either.
    """
    segments = given.path.split("/")
    own_name, version = (segments[0], segments[1]) if len(segments) > 2 else (segments[-1], "")
    return NewFile(
        path=given.path,
        spooled=given.spooled,
        media_type=given.media_type or "application/octet-stream",
        name=name or own_name,
        version=given.version or version,
        metadata=metadata,
        properties=given.properties or None,
        precondition=given.precondition,
    )


def _with_digests(spooled: Spooled, algorithms: tuple[str, ...]) -> Spooled:
    """The received bytes with all digests that a format publishes; read once more where some were not computed."""
    missing = tuple(name for name in algorithms if name not in spooled.digests)
    if not missing:
        return spooled
    hasher = Hasher(missing)
    with spooled.open() as file:
        while chunk := file.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return msgspec.structs.replace(spooled, digests={**spooled.digests, **hasher.digests()})


def properties_of(given: dict[str, Any] | None) -> Properties | None:
    """Properties as clients write them, a text or a list of texts for each name; raises Invalid for anything else."""
    if given is None:
        return None
    properties: Properties = {}
    for name, value in given.items():
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str | int | float) for one in values):
            raise Invalid(f"the property {name[:100]!r} must be a text or a list of texts")
        properties[name] = tuple(_text(one) for one in values)
    return properties


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
