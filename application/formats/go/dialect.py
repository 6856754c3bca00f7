"""How the go command is told of errors: it prints plain text as it is, and shows no other.

It goes on to the next proxy of its list after 404 and 410 alone, so a refusal must be neither.
"""

from __future__ import annotations

from application.formats.go.address import asked_path
from application.formats.go.index import TEXT_TYPE
from application.wire import Answer, Request
from domain.artifact import ArtifactBurnt, ArtifactExists
from domain.errors import Invalid, RegistryError


def answer_error(request: Request, fault: RegistryError, status: int) -> Answer:
    """The answer to a request that was refused."""
    text = str(fault)
    if isinstance(fault, ArtifactExists | ArtifactBurnt):
        text = _taken(str(fault.fields["path"]), burnt=isinstance(fault, ArtifactBurnt))
    return Answer(status=status, body=f"{text}\n".encode(), media_type=TEXT_TYPE)


def _taken(path: str, *, burnt: bool) -> str:
    try:
        asked = asked_path(path)
    except Invalid:
        return f"{path} exists already"
    name = f"{asked.module}@{asked.version}"
    if burnt:
        return f"{name} was published and deleted; clients may remember its sums, so its number is never given again"
    return f"{name} is published already with other content; publish a new version"
