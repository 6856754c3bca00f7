from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from application.audit.transparency import bundle_of
from domain.errors import NotFound
from domain.transparency.audit_report import AuditReport, Fault
from domain.transparency.bundle import Garbled, Head, LoggedEvent
from domain.transparency.bundle_audit import audit
from domain.transparency.tiles import compact_range_at
from tests.fakes.bundles import KEY, events
from tests.fakes.transparency import MemoryLog

EVENTS = events(700)
SIZES = (1, 100, 256, 257, 300, 600)


def check(log: MemoryLog, *, spread: bool = False) -> AuditReport:
    return audit(bundle_of(log, Head(note=log.checkpoint()), spread=spread), [KEY])


@pytest.mark.parametrize("page", [1, 7, 256, 1000])
def test_the_bundle_of_a_log_verifies_whatever_its_pages(page: int) -> None:
    log = MemoryLog(EVENTS, SIZES)
    log.page = page
    report = check(log)
    assert report.verified
    assert (report.events, report.checkpoints) == (700, 8)


def test_a_bundle_may_take_one_checkpoint_a_tile() -> None:
    assert check(MemoryLog(EVENTS, SIZES), spread=True).checkpoints == 4


def test_a_bundle_may_begin_at_a_later_tile() -> None:
    log = MemoryLog(EVENTS, SIZES)
    lines = bundle_of(log, Head(note=log.checkpoint()), 1)
    report = audit(lines, [KEY], begin=compact_range_at(log, 256))
    assert report.verified
    assert report.events == 444


def test_events_that_the_log_has_lost_or_changed_are_named() -> None:
    log = MemoryLog(EVENTS, SIZES)
    log.stored[299] = replace(EVENTS[299], state=b"{}")
    del log.stored[9:12]
    report = check(log)
    assert [(found.fault, found.first, found.last) for found in report.findings] == [
        (Fault.MISSING, 10, 12),
        (Fault.ALTERED, 300, 300),
    ]


def test_a_log_that_withholds_its_leaf_hashes_is_not_verified() -> None:
    class Withholding(MemoryLog):
        def tile(self, level: int, index: int, width: int) -> bytes:
            if index == 1:
                raise NotFound("gone")
            return super().tile(level, index, width)

    report = check(Withholding(EVENTS, SIZES))
    assert not report.verified
    assert [found.fault for found in report.findings] == [Fault.MALFORMED]


@pytest.mark.parametrize("answer", [EVENTS[:1], EVENTS[5:6], [EVENTS[3], EVENTS[1]], [Garbled(1, "noise")]])
def test_a_log_that_always_gives_the_same_page_does_not_hold_the_auditor(answer: Sequence[LoggedEvent]) -> None:
    class Repeating(MemoryLog):
        def events(self, after: int, until: int) -> list[LoggedEvent]:
            return list(answer)

    assert not check(Repeating(EVENTS, SIZES)).verified


def test_a_log_with_a_checkpoint_that_is_none_is_not_verified() -> None:
    log = MemoryLog(EVENTS, SIZES)
    log.notes[300] = "nonsense"
    assert not check(log).verified
    log.notes[700] = "nonsense"
    assert not check(log).verified
