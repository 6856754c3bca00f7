"""PUT, POST and DELETE: files into the pool by path, by name or by dput's queue, and out of it again."""

from __future__ import annotations

import re
from urllib.parse import unquote

import msgspec

from application.formats.debian.dialect import InEverySuite
from application.formats.debian.incoming import receive
from application.formats.debian.names import DEFAULT_COMPONENT, INCOMING, PoolFile, checked_suite, parse_pool_path
from application.formats.debian.publishing import publish, reading, reading_named, suites_asked
from application.formats.debian.stored import DISTRIBUTION, suites_of
from application.ports import Spooled
from application.publishing import Target
from application.wire import Answer, Call
from domain.artifact import ArtifactNotFound
from domain.errors import Invalid

_FILENAME = re.compile(r'filename="?([^";]+)"?', re.IGNORECASE)
_JSON = "application/json"


class _Uploaded(msgspec.Struct, frozen=True):
    """What POST answers."""

    status: str
    package: str
    version: str
    architecture: str
    path: str
    sha256: str
    size: int


class _Received(msgspec.Struct, frozen=True):
    """What an upload into the queue answers."""

    status: str
    published: list[str]


def admit(call: Call) -> None:
    """Refuse a path that no file can have before its bytes are sent."""
    _place(call)


def put_file(call: Call) -> Answer:
    """PUT pool/{component}/{path}[;deb.distribution=…][?distribution=stable,testing]."""
    assert call.upload is not None  # noqa: S101 - the route asks for it
    place, suites = _place(call)
    with reading(call.services, call.upload, place) as placed:
        created = publish(call.services, _target(call), placed, suites)
    return Answer(status=201 if created else 200, body=b"Created\n" if created else b"Unchanged\n")


def post_upload(call: Call) -> Answer:
    """POST upload?distribution=&component=: one file, which says itself where it goes; a form, or the bytes alone."""
    name, upload = _uploaded(call)
    query = call.request.query_value
    component = query("component") or _field(call, "component") or DEFAULT_COMPONENT
    suites = suites_asked(query("distribution") or _field(call, "distribution"))
    with reading_named(call.services, upload, name, component) as placed:
        publish(call.services, _target(call), placed, suites)
    body = _Uploaded(
        "created",
        placed.package,
        placed.version,
        placed.architecture,
        placed.file.path,
        upload.sha256,
        upload.size_bytes,
    )
    return Answer(status=201, body=msgspec.json.encode(body), media_type=_JSON)


def put_incoming(call: Call) -> Answer:
    """PUT incoming/{file}: what dput sends, a file at a time."""
    assert call.upload is not None  # noqa: S101 - the route asks for it
    published = receive(call.services, _target(call), call.params["file"], call.upload)
    body = _Received("published" if published else "waiting", published)
    return Answer(status=201, body=msgspec.json.encode(body), media_type=_JSON)


def delete_file(call: Call) -> Answer:
    """DELETE pool/{path}[?distribution=]: a file, or only out of a suite; out of its last one it is gone."""
    path = "/".join(call.request.segments)
    suite = call.request.query_value("distribution")
    publishing, target = call.services.publishing, _target(call)
    if not suite:
        publishing.delete(target, [path])
        return Answer(status=204)
    checked_suite(suite)
    row = call.services.catalogue.artifact(call.content, path)
    if row is None:
        raise ArtifactNotFound(path)
    suites = suites_of(row.properties)
    if not suites:
        raise InEverySuite(path)
    if suite not in suites:
        raise ArtifactNotFound(f"{path} in {suite}")
    if len(suites) == 1:
        publishing.delete(target, [path])
    else:
        publishing.change_properties(target, [path], lambda properties: _without(properties, suite))
    return Answer(status=204)


def delete_incoming(call: Call) -> Answer:
    """DELETE incoming/{file}: something that waits in vain."""
    call.services.publishing.delete(_target(call), [f"{INCOMING}/{call.params['file']}"])
    return Answer(status=204)


# steps


def _place(call: Call) -> tuple[PoolFile, tuple[str, ...]]:
    """Where a PUT goes, and into which suites: by the query, or by parameters behind the name as rivals have them."""
    *parents, last = call.request.segments
    _, *matrix = call.request.raw_path.rpartition("/")[2].split(";")
    name = last
    suites = list(suites_asked(call.request.query_value("distribution")))
    if matrix:
        name = unquote(call.request.raw_path.rpartition("/")[2].partition(";")[0])
        given = [unquote(pair).partition("=")[::2] for pair in matrix]
        suites += [suite for key, value in given if key == DISTRIBUTION for suite in suites_asked(value)]
    if any("/" in segment for segment in (*parents, name)):
        raise Invalid("a name cannot have a slash in it")
    return parse_pool_path("/".join((*parents, name))), tuple(dict.fromkeys(suites))


def _uploaded(call: Call) -> tuple[str, Spooled]:
    if call.form is not None:
        if len(call.form.files) != 1:
            raise Invalid(f"expected one file in the form, found {len(call.form.files)}")
        _, name, spooled = call.form.files[0]
        return name, spooled
    assert call.upload is not None  # noqa: S101 - the route asks for it
    headers = call.request.headers
    found = _FILENAME.search(headers.get("content-disposition", ""))
    return headers.get("x-filename") or (found[1] if found else "package.deb"), call.upload


def _field(call: Call, name: str) -> str:
    return call.form.value(name) if call.form is not None else ""


def _without(properties: dict[str, tuple[str, ...]], suite: str) -> dict[str, tuple[str, ...]]:
    left = tuple(one for one in properties.get(DISTRIBUTION, ()) if one != suite)
    return {**properties, DISTRIBUTION: left}


def _target(call: Call) -> Target:
    return Target(call.content, call.repository.settings, call.meta)
