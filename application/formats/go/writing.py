"""PUT and DELETE: the go command cannot publish, so whatever speaks HTTP does."""

from __future__ import annotations

from application.formats.go.address import Asked, asked_file
from application.formats.go.beside import accept_beside
from application.formats.go.publishing import publish_zip
from application.formats.go.versions import check_major
from application.publishing import Target
from application.wire import Answer, Call
from domain.errors import NotAllowed


class Derived(NotAllowed):
    """What is generated cannot be uploaded or deleted."""

    template = "{path} is derived from the zip"

    def __init__(self, path: str) -> None:
        super().__init__(path=path)


def admit(call: Call) -> None:
    """Refuse an address that no version can have before its bytes are sent."""
    _asked(call)


def put_file(call: Call) -> Answer:
    """PUT {module}/@v/{version}.zip; or .mod and .info, which have to agree with it and may come before it."""
    assert call.upload is not None  # noqa: S101 - the route asks for it
    asked = _asked(call)
    if asked.extension != "zip":
        accept_beside(call.services, _target(call), asked, call.upload)
        return Answer(status=201)
    created = publish_zip(call.services, _target(call), asked, call.upload)
    return Answer(status=201 if created else 200)


def delete_version(call: Call) -> Answer:
    """DELETE {module}/@v/{version}.zip: the version, whose number is never given again."""
    asked = asked_file(call.params["module"], call.params["file"])
    if asked.extension != "zip":
        raise Derived(asked.path)
    call.services.publishing.delete(_target(call), [asked.path])
    return Answer(status=204)


def _asked(call: Call) -> Asked:
    asked = asked_file(call.params["module"], call.params["file"])
    if asked.extension == "ziphash":
        raise Derived(asked.path)
    check_major(asked.module, asked.version)
    return asked


def _target(call: Call) -> Target:
    return Target(call.content, call.repository.settings, call.meta)
