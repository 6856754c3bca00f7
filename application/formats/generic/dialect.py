"""Errors as the clients of raw files are told them."""

from __future__ import annotations

import msgspec

from application.wire import Answer, Request
from domain.errors import DigestMismatch, RegistryError


def answer_error(request: Request, error: RegistryError, status: int) -> Answer:
    """`{"code","message"}`. Bytes that are not the announced ones are 422: the request is well-formed."""
    if isinstance(error, DigestMismatch):
        status = 422
    body = msgspec.json.encode({"code": error.code, "message": str(error)})
    return Answer(status=status, body=body, media_type="application/json")
