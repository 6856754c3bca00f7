"""How chart clients are answered: JSON with one sentence under `error`, as ChartMuseum has it."""

from __future__ import annotations

import msgspec

from application.wire import Answer, Request
from domain.artifact import ArtifactBurnt, ArtifactExists, PreconditionUnmet
from domain.errors import Conflict, NotFound, RegistryError, Unauthenticated

JSON_TYPE = "application/json; charset=utf-8"
_CHALLENGE = (("www-authenticate", 'Basic realm="helm"'),)


class FileExists(Conflict):
    """A chart of that name and version is there; scripts look for these words."""

    template = "file already exists: {file}"

    def __init__(self, file: str) -> None:
        super().__init__(file=file)


class ChartNotFound(NotFound):
    """No such chart, or none of that version."""

    template = "chart not found"

    def __init__(self) -> None:
        super().__init__()


def answer_error(request: Request, fault: RegistryError, status: int) -> Answer:
    """The answer to a request that was refused."""
    if isinstance(fault, ArtifactExists | ArtifactBurnt | PreconditionUnmet):  # met only when the log was asked
        fault, status = FileExists(str(fault.fields["path"]).rpartition("/")[2]), 409
    headers = _CHALLENGE if isinstance(fault, Unauthenticated) else ()
    return answer_json({"error": str(fault)}, status=status, headers=headers)


def answer_json(value: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """A small JSON answer."""
    return Answer(status=status, body=msgspec.json.encode(value), media_type=JSON_TYPE, headers=headers)
