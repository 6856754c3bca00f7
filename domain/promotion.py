"""Moving what was tried out to where it is used: promotions, rejections, and the approvals that are asked for first."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.event import Event

ApprovalStatus = Literal["pending", "approved", "rejected"]

MAX_NOTES = 4096


class AlreadyInTarget(Conflict):
    """The other repository has something at that path."""

    template = "'{path}' is in repository '{target}' already"

    def __init__(self, path: str, target: str) -> None:
        super().__init__(path=path, target=target)


class ApprovalNotFound(NotFound):
    """No such request."""

    template = "approval request not found"

    def __init__(self) -> None:
        super().__init__()


class ApprovalPending(Conflict):
    """The same was asked for and is not decided yet."""

    template = "a request to promote '{path}' to '{target}' is pending already"

    def __init__(self, path: str, target: str) -> None:
        super().__init__(path=path, target=target)


class ApprovalDecided(Conflict):
    """Somebody has decided."""

    template = "this request is {status} already"

    def __init__(self, status: str) -> None:
        super().__init__(status=status)


class OwnApproval(Forbidden):
    """Two people, or none."""

    template = "nobody approves a request of their own"

    def __init__(self) -> None:
        super().__init__()


class PromotedFile(msgspec.Struct, frozen=True):
    """One file as it was in the source. artifact: its id there."""

    artifact: UUID
    path: str
    sha256: str


class FilesPromoted(Event, frozen=True, kw_only=True):
    """Files of one repository are in another one as well, all by the same command. policy_skipped: on purpose.

    package, version: that they are the files of; empty for formats that group nothing. approval: the request, if any.
    """

    TOPIC: ClassVar[str] = "promotion.made"
    promotion: UUID
    source: UUID
    target: UUID
    files: tuple[PromotedFile, ...]
    package: str = ""
    version: str = ""
    notes: str = ""
    approval: UUID | None = None
    policy_skipped: bool = False


class PromotionRejected(Event, frozen=True, kw_only=True):
    """A file is not to leave its repository, as long as it is these bytes."""

    TOPIC: ClassVar[str] = "promotion.rejected"
    promotion: UUID
    source: UUID
    file: PromotedFile
    reason: str
    notes: str = ""


class ApprovalRequested(Event, frozen=True, kw_only=True):
    """Somebody asks that a file be promoted."""

    TOPIC: ClassVar[str] = "approval.requested"
    approval: UUID
    source: UUID
    target: UUID
    file: PromotedFile
    requested_by: UUID
    notes: str = ""
    policy_skipped: bool = False


class ApprovalGranted(Event, frozen=True, kw_only=True):
    """It was promoted, by the same command."""

    TOPIC: ClassVar[str] = "approval.granted"
    approval: UUID
    notes: str = ""


class ApprovalRefused(Event, frozen=True, kw_only=True):
    """It is not promoted."""

    TOPIC: ClassVar[str] = "approval.refused"
    approval: UUID
    notes: str = ""


class Approval(msgspec.Struct, frozen=True):
    """What the next decision needs. asked: None while nothing was."""

    asked: ApprovalRequested | None = None
    status: ApprovalStatus = "pending"


def evolve(state: Approval, event: Event) -> Approval:
    """Fold one event."""
    match event:
        case ApprovalRequested():
            return Approval(asked=event)
        case ApprovalGranted():
            return msgspec.structs.replace(state, status="approved")
        case ApprovalRefused():
            return msgspec.structs.replace(state, status="rejected")
        case _:
            return state


def require_pending(state: Approval) -> ApprovalRequested:
    """What was asked for; raises ApprovalNotFound, ApprovalDecided."""
    if state.asked is None:
        raise ApprovalNotFound
    if state.status != "pending":
        raise ApprovalDecided(state.status)
    return state.asked


def grant(state: Approval, by: UUID | None, notes: str) -> list[Event]:
    """Let it be promoted. Raises ApprovalNotFound, ApprovalDecided, OwnApproval."""
    asked = require_pending(state)
    if by == asked.requested_by:
        raise OwnApproval
    return [ApprovalGranted(approval=asked.approval, notes=notes)]


def refuse(state: Approval, notes: str) -> list[Event]:
    """Let it not be promoted. Raises ApprovalNotFound, ApprovalDecided."""
    return [ApprovalRefused(approval=require_pending(state).approval, notes=notes)]


def checked_notes(text: str | None, name: str = "notes") -> str:
    """What people say of a decision: at most 4,096 characters, of which only line breaks need not be printable."""
    found = (text or "").strip()
    if len(found) > MAX_NOTES or not found.replace("\n", "").isprintable():
        raise Invalid(f"{name}: at most {MAX_NOTES} characters and no control characters")
    return found
