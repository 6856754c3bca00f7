"""Download tickets: seconds long, once, and less than whoever asked for one may do."""

from __future__ import annotations

import re
from typing import Protocol
from uuid import UUID

import msgspec

from domain.errors import Invalid, Unauthenticated

TICKET_SECONDS = 30
MAX_PATH = 2048

_FORBIDDEN = re.compile(r"[\s\x00-\x1f\x7f\\]|%(?:2e|2f|5c|00)|//|/\.\.?(?:/|\Z)", re.IGNORECASE)


class TicketRefused(Unauthenticated):
    """Unknown, used up, expired, or for another path."""

    template = "the download ticket is not valid"

    def __init__(self) -> None:
        super().__init__()


class TicketHolder(msgspec.Struct, frozen=True):
    """For whom a ticket is, and what confines it. all_repositories: an administrator asked for it."""

    user: UUID
    repositories: tuple[UUID, ...] | None = None
    all_repositories: bool = False


class Tickets(Protocol):
    """Issues and takes tickets, across processes."""

    def issue(self, holder: TicketHolder, path: str | None) -> str:
        """A ticket for one download of that path; of any path when it is None."""

    def redeem(self, ticket: str, path: str) -> TicketHolder | None:
        """For whom the ticket is; it is used up. None for a ticket that is not good here."""


def checked_path(path: str | None) -> str | None:
    """The path that a ticket may be bound to: absolute, without traversal, white space or encoded separators."""
    if path is None:
        return None
    if not path.startswith("/") or len(path) > MAX_PATH or _FORBIDDEN.search(path) or not path.isprintable():
        raise Invalid("resource_path must be an absolute path without '..', white space or encoded separators")
    return path
