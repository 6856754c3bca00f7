"""Family to status, once; and the one JSON error body of the management API."""

from __future__ import annotations

import msgspec

from domain import errors
from domain.errors import RegistryError

_STATUS: tuple[tuple[type[RegistryError], int], ...] = (
    (errors.Invalid, 400),
    (errors.Unauthenticated, 401),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.NotAllowed, 405),
    (errors.TooSlow, 408),
    (errors.Conflict, 409),
    (errors.Gone, 410),
    (errors.PreconditionFailed, 412),
    (errors.TooLarge, 413),
    (errors.PreconditionRequired, 428),
    (errors.TooMany, 429),
    (errors.Withheld, 451),
    (errors.BadGateway, 502),
    (errors.QuotaExceeded, 507),
    (errors.Unavailable, 503),
)


class Unframed(errors.Invalid):
    """Where this request ends and the next begins cannot be told, or could be told in two ways."""


CHALLENGES = ('Basic realm="artifact-keeper", charset="UTF-8"', 'Bearer realm="artifact-keeper", charset="UTF-8"')
RETRY_AFTER_SECONDS = 1


def status_of(error: RegistryError) -> int:
    """The HTTP status of an error's family; 500 for one that has none."""
    return next((status for family, status in _STATUS if isinstance(error, family)), 500)


def error_body(code: str, message: str) -> bytes:
    """`{"code","message"}`."""
    return msgspec.json.encode({"code": code, "message": message})


def error_headers(error: RegistryError, *, browser: bool = False) -> list[tuple[str, str]]:
    """What an error's family owes the client: challenges, when to come back, that the line is closed.

    browser: a page asked; a Basic challenge would open the browser's own dialogue.
    """
    if isinstance(error, errors.Unauthenticated):
        return [("www-authenticate", challenge) for challenge in CHALLENGES[1 if browser else 0 :]]
    if isinstance(error, Unframed):
        return [("connection", "close")]  # what follows on this line may be anything
    if isinstance(error, errors.TooMany):
        return [("retry-after", str(error.fields["retry_after_seconds"]))]
    if isinstance(error, errors.Unavailable):
        return [("retry-after", str(RETRY_AFTER_SECONDS))]
    return []
