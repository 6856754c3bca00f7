"""The error families. Each family means one kind of answer; `api/errors.py` maps it to a status, a format to a dialect.

A concrete error is a small class with fields and a one-line template. Raise a family itself only where no caller
will ever tell the case apart from its neighbours.
"""

from __future__ import annotations

from typing import ClassVar


class RegistryError(Exception):
    """The base of everything that is refused or missing.

    template: one line with the fields' names in braces. code: the machine-readable name in JSON error bodies.
    """

    template: ClassVar[str] = "{detail}"
    code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(self, detail: str = "", **fields: object) -> None:
        self.fields: dict[str, object] = {"detail": detail, **fields}
        super().__init__(self.template.format(**self.fields))


class Invalid(RegistryError):
    """The input is not what it claims to be: syntax, structure, a digest that differs."""

    code = "VALIDATION_ERROR"


class Unauthenticated(RegistryError):
    """A credential is needed, or the one that was sent is not good."""

    code = "AUTH_ERROR"


class Forbidden(RegistryError):
    """The caller is known and may not do this."""

    code = "FORBIDDEN"


class NotFound(RegistryError):
    """Absent, or hidden from this caller."""

    code = "NOT_FOUND"


class NotAllowed(RegistryError):
    """The thing exists and does not take this verb: writing to a snapshot, publishing to a proxy."""

    code = "METHOD_NOT_ALLOWED"


class Conflict(RegistryError):
    """A duplicate, a wrong state, or a race that was lost after retries."""

    code = "CONFLICT"


class PreconditionFailed(RegistryError):
    """A conditional write whose condition does not hold (RFC 9110 section 13.1)."""

    code = "PRECONDITION_FAILED"


class PreconditionRequired(RegistryError):
    """The caller must do something else first (RFC 6585 section 3)."""

    code = "PRECONDITION_REQUIRED"


class Gone(RegistryError):
    """It existed and will not come back: an expired upload session, purged bytes."""

    code = "GONE"


class TooLarge(RegistryError):
    """Over a limit that the message names."""

    code = "PAYLOAD_TOO_LARGE"


class TooSlow(RegistryError):
    """The body of a request did not come in time (RFC 9110 section 15.5.9)."""

    code = "REQUEST_TIMEOUT"


class TooMany(RegistryError):
    """Too many requests from this caller; `retry_after_seconds` says when to come back."""

    code = "RATE_LIMITED"

    def __init__(self, detail: str, retry_after_seconds: int) -> None:
        super().__init__(detail, retry_after_seconds=retry_after_seconds)


class QuotaExceeded(RegistryError):
    """The repository's quota would be exceeded."""

    code = "QUOTA_EXCEEDED"


class Unavailable(RegistryError):
    """A part of the system is away for a while; the same request may succeed later."""

    code = "SERVICE_UNAVAILABLE"


class BadGateway(RegistryError):
    """Another server that is needed for the answer cannot be reached, or answers badly."""

    code = "BAD_GATEWAY"


class Withheld(RegistryError):
    """It is there, and a rule keeps it from being handed out (RFC 7725)."""

    code = "UNAVAILABLE_FOR_LEGAL_REASONS"


class DigestMismatch(Invalid):
    """The bytes that arrived are not the bytes that were announced."""

    template = "{algorithm} digest mismatch: expected {expected}, received bytes hash to {actual}"

    def __init__(self, algorithm: str, expected: str, actual: str) -> None:
        super().__init__(algorithm=algorithm, expected=expected, actual=actual)


class SizeMismatch(Invalid):
    """The number of bytes that arrived is not the number that was announced."""

    template = "size mismatch: expected {expected} bytes, received {actual}"

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(expected=expected, actual=actual)
