"""How NuGet is answered: clients print the status, and a header with one sentence; the rest is a problem document.

Source: https://learn.microsoft.com/nuget/api/nuget-protocols, RFC 9457
"""

from __future__ import annotations

import msgspec

from application.wire import Answer, Request
from domain.artifact import ArtifactBurnt, ArtifactExists
from domain.errors import Conflict, NotFound, RegistryError, Unauthenticated

_PROBLEM_TYPE = "application/problem+json"
_CHALLENGE = ("www-authenticate", 'Basic realm="NuGet"')
_MAX_SENTENCE = 500


class PackageExists(Conflict):
    """The version is there, or was there once, however it is written."""

    template = "package {id} {version} was published before; a version is never given twice"

    def __init__(self, id: str, version: str) -> None:  # noqa: A002 - the name that NuGet has for it
        super().__init__(id=id, version=version)


class PackageNotFound(NotFound):
    """No such package, or none of that version."""

    template = "package {id} not found"

    def __init__(self, id: str, version: str = "") -> None:  # noqa: A002 - the name that NuGet has for it
        super().__init__(id=f"{id} {version}".strip()[:200])


def answer_error(request: Request, fault: RegistryError, status: int) -> Answer:
    """The answer to a request that was refused."""
    if isinstance(fault, ArtifactExists | ArtifactBurnt):  # the same refusal, met only when the log was asked
        key, _, rest = str(fault.fields["path"]).partition("/")
        fault = PackageExists(key, rest.partition("/")[0])
    sentence = str(fault)
    header = "".join(letter if " " <= letter <= "~" else "?" for letter in sentence)[:_MAX_SENTENCE]
    headers = [("x-nuget-warning", header)]
    if isinstance(fault, Unauthenticated):
        headers.append(_CHALLENGE)
    body = msgspec.json.encode({"title": sentence, "status": status})
    return Answer(status=status, body=body, media_type=_PROBLEM_TYPE, headers=tuple(headers))
