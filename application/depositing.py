"""Publishing one file that came without its format's own protocol: the format's way if it has one, else as it is."""

from __future__ import annotations

from typing import Any

import msgspec

from application.catalogue import RepositoryRow
from application.format import Deposit
from application.ports import Spooled
from application.publishing import NewFile, Properties, Target
from application.services import Services
from application.upload_sessions import UploadRequest, UploadResult
from domain.errors import Invalid
from domain.event import Metadata
from domain.ids import artifact_id

MAX_SEGMENT_BYTES = 255
MAX_PATH_BYTES = 2_048


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
        target = Target(repository.id, repository.settings, meta)
        found = self._services.formats.by_key(repository.format)
        if found is None:
            raise Invalid(f"format {repository.format!r} is not supported by this version")
        if found.deposit is None:
            file = plain_file(path, spooled, request)
            self._services.publishing.publish(
                target, [msgspec.structs.replace(file, algorithms=found.digests, overwrite=found.overwrite)]
            )
        else:
            path = found.deposit(
                Deposit(
                    path=path,
                    spooled=spooled,
                    services=self._services,
                    target=target,
                    media_type=request.content_type,
                    version=request.artifact_version or "",
                    properties=properties_of(request.artifact_metadata_properties) or {},
                )
            )
        return UploadResult(artifact_id(repository.id, path), path, spooled.size_bytes, spooled.sha256)


def plain_file(path: str, spooled: Spooled, request: UploadRequest) -> NewFile:
    """A file of which only its path is known. With three segments or more the first is its name, the second its
    version; otherwise the file name is, and there is no version; what the client said goes before either.
    """
    segments = path.split("/")
    name, version = (segments[0], segments[1]) if len(segments) > 2 else (segments[-1], "")
    return NewFile(
        path=path,
        spooled=spooled,
        media_type=request.content_type,
        name=request.artifact_name or name,
        version=request.artifact_version or version,
        metadata=msgspec.json.encode(request.artifact_metadata or {}),
        properties=properties_of(request.artifact_metadata_properties),
    )


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
