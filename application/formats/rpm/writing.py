"""PUT, POST and DELETE: packages, and the documents that are uploaded; the others follow by themselves."""

from __future__ import annotations

from email.message import Message

import msgspec

from application.formats.rpm.extras import EXTRAS, publish_extra
from application.formats.rpm.names import REPODATA, NotRpm, package_path
from application.formats.rpm.publishing import publish
from application.formats.rpm.signatures import Signature
from application.ports import Spooled
from application.publishing import Target
from application.wire import Answer, Call
from domain.errors import Invalid, NotFound


class Published(msgspec.Struct, frozen=True):
    """What is told of a package that came in."""

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    sha256: str
    size: int
    path: str
    signatures: tuple[Signature, ...]


class NotUploadable(NotFound):
    """No document of that name is taken; most are generated."""

    template = "{name} is not a document that can be uploaded; those are {known}"

    def __init__(self, name: str) -> None:
        super().__init__(name=name[:100], known=", ".join(EXTRAS))


def admit_package(call: Call) -> None:
    """Refuse what is not called a package before its bytes are sent."""
    filename = call.request.segments[-1]
    if not filename.endswith(".rpm") or "/" in filename:
        raise NotRpm("/".join(call.request.segments))


def put_package(call: Call) -> Answer:
    """PUT packages/{path}: a package; the directory, if there is one, does not matter."""
    admit_package(call)
    return _publish(call, call.upload, call.request.segments[-1])


def post_package(call: Call) -> Answer:
    """POST upload: a package as the body or as the file of a form; it says itself what it is."""
    if call.form is None:
        return _publish(call, call.upload, _announced_name(call))
    if len(call.form.files) != 1:
        raise Invalid("expected one file")
    _, filename, spooled = call.form.files[0]
    return _publish(call, spooled, filename)


def delete_package(call: Call) -> Answer:
    """DELETE packages/{path}."""
    call.services.publishing.delete(_target(call), [package_path(call.request.segments[-1])])
    return Answer(status=204)


def admit_extra(call: Call) -> None:
    """Refuse a document that is not taken before its bytes are sent."""
    if call.params["file"] not in EXTRAS:
        raise NotUploadable(call.params["file"])


def put_extra(call: Call) -> Answer:
    """PUT repodata/{file}: a document, in the place of the one that was there."""
    admit_extra(call)
    if call.upload is None:
        raise Invalid("expected a document")
    publish_extra(call.services, _target(call), call.params["file"], call.upload)
    return Answer(status=204)


def delete_extra(call: Call) -> Answer:
    """DELETE repodata/{file}: repomd.xml lists it no more."""
    admit_extra(call)
    call.services.publishing.delete(_target(call), [REPODATA + call.params["file"]])
    return Answer(status=204)


def _publish(call: Call, spooled: Spooled | None, filename: str) -> Answer:
    if spooled is None:
        raise Invalid("expected a package")
    package, is_new = publish(call.services, _target(call), spooled, filename)
    nevra = package.nevra
    told = Published(
        nevra.name,
        nevra.epoch,
        nevra.version,
        nevra.release,
        nevra.arch,
        spooled.sha256,
        spooled.size_bytes,
        package_path(nevra.filename),
        package.signatures,
    )
    body = msgspec.json.encode(told)
    return Answer(status=201 if is_new else 200, body=body, media_type="application/json")


def _announced_name(call: Call) -> str:
    """The file's name as headers say it, if they do."""
    headers = call.request.headers
    if given := headers.get("x-package-filename"):
        return given
    message = Message()
    message["content-disposition"] = headers.get("content-disposition", "")
    return message.get_filename() or ""


def _target(call: Call) -> Target:
    return Target(call.content, call.repository.settings, call.meta)
