"""How npm clients are told of success and of errors: JSON with `error`, which npm prints, and `reason`."""

from __future__ import annotations

import msgspec

from application.formats.npm.index import FULL_TYPE
from application.wire import Answer, Request
from domain.artifact import ArtifactBurnt, ArtifactExists
from domain.errors import Forbidden, RegistryError


class VersionPublished(Forbidden):
    """The version is there, or was there once.

    Release tools recognise this sentence together with the status 403, and take the release for done.
    """

    template = "You cannot publish over the previously published versions: {version}."

    def __init__(self, version: str) -> None:
        super().__init__(version=version)


def answer_error(request: Request, fault: RegistryError, status: int) -> Answer:
    """The answer to a request that was refused."""
    if isinstance(fault, ArtifactExists | ArtifactBurnt):  # the same refusal, met only when the log was asked
        fault, status = VersionPublished(_version(str(fault.fields["path"]))), 403
    text = str(fault)
    return answer_json({"error": text, "reason": text}, status)


def _version(path: str) -> str:
    """The version that a tarball's path holds: `@s/name/-/name-1.0.0.tgz`."""
    name, _, file_name = path.partition("/-/")
    return file_name.removeprefix(f"{name.rpartition('/')[2]}-").removesuffix(".tgz")


def answer_json(value: object, status: int = 200) -> Answer:
    """A small JSON answer."""
    return answer_bytes(msgspec.json.encode(value), status)


def answer_bytes(body: bytes, status: int = 200) -> Answer:
    """An answer that is JSON already."""
    return Answer(status=status, body=body, media_type=FULL_TYPE)
