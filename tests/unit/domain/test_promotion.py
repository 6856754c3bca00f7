"""Requests for promotion: decided once, by somebody else."""

from __future__ import annotations

from uuid import UUID

import pytest

from domain.errors import Invalid
from domain.event import Event
from domain.promotion import (
    Approval,
    ApprovalDecided,
    ApprovalGranted,
    ApprovalNotFound,
    ApprovalRefused,
    ApprovalRequested,
    OwnApproval,
    PromotedFile,
    checked_notes,
    evolve,
    grant,
    refuse,
    require_pending,
)

RITA, ADA, REQUEST, LIBS, RELEASES = (UUID(int=number) for number in range(1, 6))
ASKED = ApprovalRequested(
    approval=REQUEST, source=LIBS, target=RELEASES, file=PromotedFile(UUID(int=9), "a", "0" * 64), requested_by=RITA
)
GRANTED, REFUSED = ApprovalGranted(approval=REQUEST, notes="fine"), ApprovalRefused(approval=REQUEST, notes="no")


def after(*events: Event) -> Approval:
    state = Approval()
    for event in events:
        state = evolve(state, event)
    return state


def test_a_request_is_granted_or_refused() -> None:
    assert require_pending(after(ASKED)) == ASKED
    assert grant(after(ASKED), ADA, "fine") == [GRANTED]
    assert refuse(after(ASKED), "no") == [REFUSED]


def test_nobody_grants_their_own_but_may_take_it_back() -> None:
    with pytest.raises(OwnApproval):
        grant(after(ASKED), RITA, "")
    assert refuse(after(ASKED), "no") == [REFUSED]


@pytest.mark.parametrize(("last", "status"), [(GRANTED, "approved"), (REFUSED, "rejected")])
def test_what_is_decided_is_decided(last: Event, status: str) -> None:
    state = after(ASKED, last)
    assert state.status == status
    with pytest.raises(ApprovalDecided, match=status):
        grant(state, ADA, "")
    with pytest.raises(ApprovalDecided, match=status):
        refuse(state, "")


def test_what_was_never_asked_for_is_not_found() -> None:
    with pytest.raises(ApprovalNotFound):
        grant(Approval(), ADA, "")
    with pytest.raises(ApprovalNotFound):
        refuse(Approval(), "")


def test_events_of_others_decide_nothing() -> None:
    assert evolve(after(ASKED), Event()) == after(ASKED)


def test_notes_are_text_of_some_lines() -> None:
    assert checked_notes(None) == ""
    assert checked_notes("  tested\non three machines ") == "tested\non three machines"
    for text in ("a\0b", "a\tb", "x" * 4097):
        with pytest.raises(Invalid, match="reason"):
            checked_notes(text, "reason")
