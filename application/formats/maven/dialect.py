"""How Maven and Gradle are told of errors: by the status, which is all that they print, and a sentence for people."""

from __future__ import annotations

from application.wire import Answer, Request
from domain.artifact import ArtifactExists
from domain.errors import RegistryError


def answer_error(request: Request, fault: RegistryError, status: int) -> Answer:
    """The answer to a request that was refused."""
    text = str(fault)
    if isinstance(fault, ArtifactExists):
        text = f"{fault.fields['path']} is released already with other content; deploy a new version"
    return Answer(status=status, body=f"{text}\n".encode())
