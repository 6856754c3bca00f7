"""How dnf, yum and zypper are told of errors: by the status, and a sentence for people who upload."""

from __future__ import annotations

from application.formats.rpm.names import PACKAGES
from application.wire import Answer, Request
from domain.artifact import ArtifactExists
from domain.errors import RegistryError


def answer_error(request: Request, fault: RegistryError, status: int) -> Answer:
    """The answer to a request that was refused."""
    text = str(fault)
    if isinstance(fault, ArtifactExists):
        file = str(fault.fields["path"]).removeprefix(PACKAGES)
        text = f"{file} is published already with other content; raise the version or the release"
    return Answer(status=status, body=f"{text}\n".encode())
