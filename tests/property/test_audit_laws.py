import io

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.transparency.audit_report import AuditReport, Fault
from domain.transparency.bundle import Garbled, Line, LoggedEvent, format_line, read_lines
from domain.transparency.bundle_audit import audit
from tests.fakes.bundles import KEY, bundle, events

COUNT = 600
EVENTS = events(COUNT)
LEAVES = [event.leaf() for event in EVENTS]

positions = st.sets(st.integers(1, COUNT), max_size=40)
sizes = st.sets(st.integers(1, COUNT), max_size=8)


def named(report: AuditReport, fault: Fault) -> set[int]:
    return {
        position
        for finding in report.findings
        if finding.fault is fault
        for position in range(finding.first, finding.last + 1)
    }


@given(positions, positions, sizes)
def test_exactly_what_was_altered_or_removed_is_named(altered: set[int], gone: set[int], points: set[int]) -> None:
    logged = [replace(event, state=b"{}") if event.position in altered else event for event in EVENTS]
    lines = [
        line for line in bundle(logged, points, LEAVES) if not (isinstance(line, LoggedEvent) and line.position in gone)
    ]
    report = audit(lines, [KEY])
    assert report.verified == (not altered and not gone)
    assert named(report, Fault.ALTERED) == altered - gone
    assert named(report, Fault.MISSING) | named(report, Fault.TRUNCATED) == gone
    assert len(report.findings) == sum(
        1 for finding in report.findings if finding.fault in (Fault.ALTERED, Fault.MISSING, Fault.TRUNCATED)
    )


@given(st.permutations(range(1, 40)))
def test_events_in_any_order_are_neither_missing_nor_altered(order: list[int]) -> None:
    lines: list[Line] = [line for line in bundle(EVENTS[:39]) if not isinstance(line, LoggedEvent)]
    report = audit([*lines, *(EVENTS[position - 1] for position in order)], [KEY])
    assert report.verified == (order == sorted(order))
    assert {finding.fault for finding in report.findings} <= {Fault.REORDERED}


WHOLE = b"".join(map(format_line, bundle(EVENTS[:300], [7, 256])))


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_no_byte_of_a_bundle_can_change_what_it_says_unnoticed(at: int, byte: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] = byte
    lines = list(read_lines(io.BytesIO(bytes(damaged))))
    if audit(lines, [KEY]).verified:
        assert lines == list(read_lines(io.BytesIO(WHOLE)))


@given(st.binary() | st.lists(st.sampled_from(WHOLE.splitlines(keepends=True)), max_size=30).map(b"".join))
def test_any_bytes_as_a_bundle_give_a_report(data: bytes) -> None:
    report = audit(read_lines(io.BytesIO(data)), [KEY])
    assert not report.verified


@given(st.binary())
def test_any_line_is_read_or_garbled(data: bytes) -> None:
    assert all(isinstance(line, Garbled | Line) for line in read_lines(io.BytesIO(data)))
