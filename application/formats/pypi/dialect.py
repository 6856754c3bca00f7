"""How Python clients are told of errors: one sentence, in plain text or, where it is preferred, in JSON.

twine and Poetry show the text as it is, and take a 409, or a 400 that says "already exists", for a file that
`--skip-existing` may pass over; uv shows the text or the JSON.
"""

from __future__ import annotations

import msgspec

from application.formats.pypi.negotiation import prefers_json
from application.wire import Answer, Request
from domain.artifact import ArtifactBurnt, ArtifactExists
from domain.errors import RegistryError


def answer_error(request: Request, fault: RegistryError, status: int) -> Answer:
    """The answer to a request that was refused."""
    text = _sentence(fault)
    # A name that is burnt is no file to be skipped: the public index answers 400 as well.
    status = 400 if isinstance(fault, ArtifactBurnt) else status
    if prefers_json(request.headers.get("accept")):
        return Answer(status=status, body=msgspec.json.encode({"message": text}), media_type="application/json")
    return Answer(status=status, body=f"{text}\n".encode())


def _sentence(fault: RegistryError) -> str:
    filename = str(fault.fields.get("path", "")).rpartition("/")[2]
    if isinstance(fault, ArtifactExists):
        return f"File already exists ('{filename}') with other content; upload it under a new version."
    if isinstance(fault, ArtifactBurnt):
        return f"This file name was used before and deleted ('{filename}'); upload it under a new version."
    return str(fault)
