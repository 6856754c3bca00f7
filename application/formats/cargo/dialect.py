"""How cargo is answered: every refusal is a list of errors, whose details it prints.

Source: https://doc.rust-lang.org/cargo/reference/registry-web-api.html
"""

from __future__ import annotations

import re

import msgspec

from application.formats.cargo.index import JSON_TYPE
from application.wire import Answer, Request
from domain.artifact import ArtifactBurnt, ArtifactExists
from domain.errors import Conflict, RegistryError, Unauthenticated

_BASIC = 'Basic realm="cargo"'
"""Other tools than cargo show a name and a password."""

_UNSAFE = re.compile(r'["\\\x00-\x1f\x7f]')


class VersionTaken(Conflict):
    """The version is there, or was there once. `1.0.0` and `1.0.0+x` are the same version."""

    template = "crate version `{name}@{version}` was published before; a version is never given twice"

    def __init__(self, name: str, version: str) -> None:
        super().__init__(name=name, version=version)


def answer_error(request: Request, fault: RegistryError, status: int) -> Answer:
    """The answer to a request that was refused; one without a credential is told where to get a token."""
    if isinstance(fault, ArtifactExists | ArtifactBurnt):  # the same refusal, met only when the log was asked
        name, _, rest = str(fault.fields["path"]).partition("/")
        fault = VersionTaken(name, rest.partition("/")[0])
    body = msgspec.json.encode({"errors": [{"detail": str(fault)}]})
    challenges = (_challenge(request), _BASIC) if isinstance(fault, Unauthenticated) else ()
    headers = tuple(("www-authenticate", challenge) for challenge in challenges)
    return Answer(status=status, body=body, media_type=JSON_TYPE, headers=headers)


def answer_json(value: object) -> Answer:
    """A small JSON answer."""
    return answer_bytes(msgspec.json.encode(value))


def answer_bytes(body: bytes) -> Answer:
    """An answer that is JSON already."""
    return Answer(body=body, media_type=JSON_TYPE)


def _challenge(request: Request) -> str:
    """Which repository was asked for is not part of it, so that a hidden one and none at all are answered alike.

    Source: https://doc.rust-lang.org/cargo/reference/registry-authentication.html
    """
    return f'Cargo login_url="{_UNSAFE.sub("", request.base_url)}/cargo/me"'
