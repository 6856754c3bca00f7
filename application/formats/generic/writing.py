"""PUT, POST and DELETE: files come and go, one by one, many in a form, or out of an archive."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from application.catalogue import ArtifactRow
from application.formats.generic import properties
from application.formats.generic.addresses import address_of, file_path, flag, has, precondition_of, uri_of
from application.formats.generic.digests import stored
from application.formats.generic.exploding import explode
from application.formats.generic.index import file_info
from application.formats.generic.names import check_path
from application.formats.generic.storing import new_file, paths_below, remove, require_room, store, target_of
from application.ports import Spooled, Stored
from application.publishing import NewFile
from application.wire import Answer, Call
from domain.artifact import ArtifactNotFound, Precondition, PreconditionUnmet
from domain.digests import parse_hex_digest
from domain.errors import Conflict, Invalid, NotFound

_BATCH = 5_000
"""How many files one command of a recursive deletion takes away."""


class PartialPut(Invalid):
    """A part of a file was sent as if it were the file (RFC 9110 section 14.5)."""

    template = "PUT takes whole files; upload large ones in parts at /api/v1/uploads"

    def __init__(self) -> None:
        super().__init__()


class BytesUnknown(NotFound):
    """No repository that the caller may read has these bytes; send them."""

    template = "no file with that checksum is known to you here"

    def __init__(self) -> None:
        super().__init__()


class DirectoryNotEmpty(Conflict):
    """A directory would take its files along."""

    template = "{path} is not empty; recursive=true deletes what is in it"

    def __init__(self, path: str) -> None:
        super().__init__(path=path or "the repository")


class _Item(msgspec.Struct, frozen=True):
    path: str
    size: int
    sha256: str


def admit(call: Call) -> None:
    """Refuse early what is certain to be refused once all bytes are here."""
    address = address_of(call)
    if has(call.request, "properties"):
        return
    if "content-range" in call.request.headers:
        raise PartialPut
    if not address.folder and not wants_explosion(call):
        require_room(call.services, target_of(call), [address.path])
        precondition = precondition_of(call.request)
        if precondition is not None:
            _foresee(call.services.catalogue.artifact(call.content, address.path), address.path, precondition)


def put_file(call: Call) -> Answer:
    """PUT {path}[;k=v]: a file, its properties, the bytes of another file by their checksum, or an archive.

    An archive is taken apart beside the place where it would have been: clients put its name behind the directory's.
    """
    if has(call.request, "properties"):
        return properties.put(call)
    headers = call.request.headers
    if "content-range" in headers:
        raise PartialPut
    address = address_of(call)
    if address.folder:
        return put_directory(call)
    if wants_explosion(call):
        return report(call, explode_into(call, address.path.rpartition("/")[0]))
    file = new_file(
        file_path(call),
        content_of(call),
        media_type=headers.get("content-type", ""),
        properties=address.properties or None,
        precondition=precondition_of(call.request),
    )
    created = store(call.services, target_of(call), [file])
    return _stored(call, file.path, created=created)


def put_directory(call: Call) -> Answer:
    """PUT {dir}/ with `X-Explode-Archive: true`: the files of an archive, all or none."""
    if has(call.request, "properties"):
        return properties.put(call)
    if not wants_explosion(call):
        raise Invalid("an address that ends in '/' takes an archive, with the header X-Explode-Archive: true")
    return report(call, explode_into(call, address_of(call).path))


def wants_explosion(call: Call) -> bool:
    """Whether the body is an archive to be taken apart."""
    headers = call.request.headers
    return any(headers.get(f"x-explode-archive{tail}", "").lower() == "true" for tail in ("", "-atomic"))


def explode_into(call: Call, directory: str) -> Sequence[NewFile]:
    """Store the files of the archive that was sent, all or none, each with the matrix parameters of the address."""
    assert call.upload is not None  # noqa: S101 - the route asks for it
    prefix = f"{directory}/" if directory else ""
    given = address_of(call).properties or None
    with explode(call.upload, call.services.spool) as members:
        files = [new_file(check_path(prefix + name), content, properties=given) for name, content in members]
        store(call.services, target_of(call), files)
    return files


def post_form(call: Call) -> Answer:
    """POST {dir}/ with multipart/form-data: every file part into the directory, or one at the path of a text part."""
    assert call.form is not None  # noqa: S101 - the route asks for it
    directory = address_of(call).path
    prefix = f"{directory}/" if directory else ""
    wanted = call.form.value("path").removeprefix("/")
    if not call.form.files:
        raise Invalid("the form has no file")
    if wanted and not wanted.endswith("/") and len(call.form.files) > 1:
        raise Invalid("path names one file, and the form has several; end it with '/' for a directory")
    files = []
    for _, filename, content in call.form.files:
        name = wanted if wanted and not wanted.endswith("/") else wanted + _last_segment(filename)
        files.append(new_file(check_path(prefix + name), content))
    store(call.services, target_of(call), files)
    return report(call, files)


def delete_file(call: Call) -> Answer:
    """DELETE {path}: a file or its properties, or a directory that is named without its slash."""
    if has(call.request, "properties"):
        return properties.delete(call)
    path = file_path(call)
    try:
        remove(call, path, precondition_of(call.request))
    except ArtifactNotFound:
        return _delete_below(call, path)
    return Answer(status=204)


def delete_directory(call: Call) -> Answer:
    """DELETE {dir}/?recursive=true: everything below it."""
    if has(call.request, "properties"):
        return properties.delete(call)
    return _delete_below(call, address_of(call).path)


def delete_below(call: Call, path: str) -> int:
    """Take everything below a directory away, by batches; gives how much it was."""
    removed = 0
    while paths := paths_below(call, path, at_most=_BATCH):
        call.services.publishing.delete(target_of(call), paths)
        removed += len(paths)
    return removed


def content_of(call: Call) -> Spooled | Stored:
    """What is to be stored: the body, or with `X-Checksum-Deploy: true` bytes that the caller may read already.

    Raises BytesUnknown. That others have the bytes must not be told: who could claim them by their checksum alone
    would get to read them.
    """
    assert call.upload is not None  # noqa: S101 - the route asks for it
    headers, services = call.request.headers, call.services
    if headers.get("x-checksum-deploy", "").lower() != "true":
        return call.upload
    wanted = parse_hex_digest("sha256", headers.get("x-checksum-sha256") or headers.get("x-checksum", ""))
    if wanted is None:
        raise BytesUnknown  # only SHA-256 names bytes here; told so, clients send them
    visible = services.access.visible(call.principal, services.catalogue.repositories())
    rows = services.finder.with_blob(wanted, [row.id for row in visible])
    if not rows:
        raise BytesUnknown
    return stored(services.blobs, rows[0])


def report(call: Call, files: Sequence[NewFile]) -> Answer:
    """201 with what was stored."""
    items = [_Item(file.path, file.spooled.size_bytes, file.spooled.sha256) for file in files]
    return Answer(status=201, body=msgspec.json.encode({"items": items}), media_type="application/json")


def _stored(call: Call, path: str, *, created: bool) -> Answer:
    row = call.services.catalogue.artifact(call.content, path)
    uri = uri_of(call.request, path)
    headers: tuple[tuple[str, str], ...] = (("location", uri),)
    if row is None:  # somebody took it away at once, or the read model is late; the write stands
        return Answer(status=202, headers=headers)
    headers = (*headers, ("etag", f'"{row.sha256}"'), ("x-artifact-revision", str(row.revision)))
    body = msgspec.json.encode(file_info(row, uri))
    return Answer(status=201 if created else 200, body=body, media_type="application/json", headers=headers)


def _foresee(row: ArtifactRow | None, path: str, precondition: Precondition) -> None:
    """What the log will decide anew when the bytes are here."""
    match, none_match = precondition.match, precondition.none_match
    if match is not None and (row is None or not {"*", row.sha256}.intersection(match)):
        raise PreconditionUnmet(path, "is not what If-Match says")
    if none_match is not None and row is not None and {"*", row.sha256}.intersection(none_match):
        raise PreconditionUnmet(path, "exists already")


def _delete_below(call: Call, path: str) -> Answer:
    if not paths_below(call, path, at_most=1):
        raise ArtifactNotFound(path)
    if not flag(call.request, "recursive") and call.request.headers.get("depth", "").lower() != "infinity":
        raise DirectoryNotEmpty(path)
    delete_below(call, path)
    return Answer(status=204)


def _last_segment(filename: str) -> str:
    name = filename.replace("\\", "/").rpartition("/")[2]
    if not name:
        raise Invalid("a file of the form has no name")
    return name
