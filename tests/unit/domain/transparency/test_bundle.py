import io
import json
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from msgspec.structs import replace

from domain.errors import Invalid
from domain.transparency.audit_report import MAX_FINDINGS, AuditReport, Fault
from domain.transparency.bundle import (
    MAX_LINE_BYTES,
    BundleMalformed,
    Garbled,
    Head,
    LeafHashes,
    Line,
    LoggedEvent,
    SignedCheckpoint,
    format_line,
    parse_line,
    read_lines,
)
from domain.transparency.bundle_audit import MAX_OWED, audit
from domain.transparency.merkle import EMPTY_ROOT, CompactRange, root_of
from domain.transparency.notes import TreeHead
from tests.fakes.bundles import KEY, HashKey, bundle, events, head_of, signed

EVENTS = events(700)
LEAVES = [event.leaf() for event in EVENTS]
SIZES = (100, 256, 300, 512, 600)


def check(lines: Sequence[Line | Garbled], known: Sequence[TreeHead] = ()) -> AuditReport:
    return audit(lines, [KEY], known)


def faults(report: AuditReport) -> list[tuple[Fault, int, int]]:
    assert not report.verified
    return [(finding.fault, finding.first, finding.last) for finding in report.findings]


def changed(number: int, event: LoggedEvent) -> list[LoggedEvent]:
    return [*EVENTS[: number - 1], event, *EVENTS[number:]]


def other_state(position: int) -> LoggedEvent:
    return replace(EVENTS[position - 1], state=b"{}")


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 512, 700])
def test_a_log_as_it_was_signed_verifies(count: int) -> None:
    report = check(bundle(EVENTS[:count], [size for size in SIZES if size < count]))
    assert report.verified
    assert report.findings == ()
    assert (report.events, report.proven) == (count, count)
    assert report.until == (EVENTS[count - 1].recorded_at if count else None)


@pytest.mark.parametrize(
    "event",
    [
        replace(EVENTS[42], stream=UUID(int=99)),
        replace(EVENTS[42], version=3),
        replace(EVENTS[42], repository=UUID(int=99)),
        replace(EVENTS[42], repository=None),
        replace(EVENTS[42], topic="artifact.deleted"),
        replace(EVENTS[42], recorded_at=EVENTS[42].recorded_at + timedelta(microseconds=1)),
        replace(EVENTS[42], state=EVENTS[42].state.replace(b"simple", b"Simple")),
        replace(EVENTS[42], version=-1),
        replace(EVENTS[42], topic="\ud800"),
    ],
)
def test_an_event_altered_in_any_field_is_the_one_named(event: LoggedEvent) -> None:
    report = check(bundle(changed(43, event), SIZES, LEAVES))
    assert faults(report) == [(Fault.ALTERED, 43, 43)]
    assert str(event) in report.findings[0].detail
    assert report.proven == 700


@pytest.mark.parametrize("position", [1, 256, 257, 600, 601, 700])
def test_an_altered_event_is_named_wherever_it_stands(position: int) -> None:
    report = check(bundle(changed(position, other_state(position)), SIZES, LEAVES))
    assert faults(report) == [(Fault.ALTERED, position, position)]


def test_several_altered_events_are_each_named_and_neighbours_together() -> None:
    logged = list(EVENTS)
    for position in (5, 250, 255, 256, 257, 258, 699):
        logged[position - 1] = other_state(position)
    report = check(bundle(logged, SIZES, LEAVES))
    assert faults(report) == [
        (Fault.ALTERED, 5, 5),
        (Fault.ALTERED, 250, 250),
        (Fault.ALTERED, 255, 258),
        (Fault.ALTERED, 699, 699),
    ]


def test_two_events_that_changed_places_in_the_log_are_both_named() -> None:
    logged = list(EVENTS)
    logged[9], logged[19] = replace(EVENTS[19], position=10), replace(EVENTS[9], position=20)
    assert faults(check(bundle(logged, SIZES, LEAVES))) == [(Fault.ALTERED, 10, 10), (Fault.ALTERED, 20, 20)]


def test_an_altered_leaf_hash_is_told_apart_from_an_altered_event() -> None:
    stored = [*LEAVES[:299], LEAVES[0], *LEAVES[300:]]
    lines = bundle(EVENTS, leaves=stored, heads=[head_of(LEAVES, size) for size in (*SIZES, 700)])
    report = check(lines)
    assert faults(report) == [(Fault.LEAF_HASH, 300, 300)]
    assert report.proven == 700


def test_events_and_leaf_hashes_altered_together_are_confined_between_checkpoints() -> None:
    stored = [*LEAVES[:399], other_state(400).leaf(), *LEAVES[400:]]
    lines = bundle(
        changed(400, other_state(400)), leaves=stored, heads=[head_of(LEAVES, size) for size in (*SIZES, 700)]
    )
    report = check(lines)
    assert faults(report) == [(Fault.DIVERGED, 301, 512)]
    assert "after checkpoint 300" in report.findings[0].detail
    assert report.proven == 300


def test_a_history_rewritten_and_signed_anew_contradicts_a_kept_checkpoint() -> None:
    rewritten = changed(400, other_state(400))
    kept = [head_of(LEAVES, 350), head_of(LEAVES, 450)]
    assert check(bundle(rewritten, (350, 512))).verified
    report = check(bundle(rewritten, (350, 512)), kept)
    assert faults(report) == [(Fault.FORKED, 351, 450)]
    assert report.head is not None
    assert report.head.size == 700


def test_two_checkpoints_of_one_size_cannot_both_be_right() -> None:
    right = head_of(LEAVES, 300)
    wrong = TreeHead(KEY.name, 300, EMPTY_ROOT)
    final = head_of(LEAVES, 700)
    for heads in ([right, wrong, final], [wrong, right, final]):
        report = check(bundle(EVENTS, heads=heads))
        assert [fault for fault, _, _ in faults(report)] == [Fault.FORKED]
        assert report.findings[0].last == 300


def test_a_log_shorter_than_a_kept_checkpoint_was_rolled_back() -> None:
    report = check(bundle(EVENTS[:600]), [head_of(LEAVES, 700)])
    assert faults(report) == [(Fault.ROLLED_BACK, 601, 700)]


def test_kept_checkpoints_that_agree_change_nothing() -> None:
    kept = [TreeHead(KEY.name, 0, EMPTY_ROOT), head_of(LEAVES, 256), head_of(LEAVES, 1), head_of(LEAVES, 700)]
    assert check(bundle(EVENTS), kept).verified


@pytest.mark.parametrize(("first", "last"), [(1, 1), (3, 3), (200, 300), (256, 257), (1, 512)])
def test_missing_events_are_named(first: int, last: int) -> None:
    lines = [
        line for line in bundle(EVENTS, SIZES) if not (isinstance(line, LoggedEvent) and first <= line.position <= last)
    ]
    assert faults(check(lines)) == [(Fault.MISSING, first, last)]


def test_an_altered_event_is_named_beside_a_missing_one() -> None:
    lines = [line for line in bundle(changed(40, other_state(40)), SIZES, LEAVES) if line != EVENTS[19]]
    assert faults(check(lines)) == [(Fault.MISSING, 20, 20), (Fault.ALTERED, 40, 40)]


def test_a_duplicated_event_is_named() -> None:
    lines = bundle(EVENTS, SIZES)
    lines.insert(lines.index(EVENTS[9]), EVENTS[9])
    lines.append(EVENTS[499])
    assert faults(check(lines)) == [(Fault.DUPLICATED, 10, 10), (Fault.DUPLICATED, 500, 500)]


@pytest.mark.parametrize("positions", [(10, 11), (10, 200), (256, 257), (10, 300), (3, 699)])
def test_reordered_events_are_named_and_not_missed(positions: tuple[int, int]) -> None:
    lines = bundle(EVENTS, SIZES)
    one, two = (lines.index(EVENTS[position - 1]) for position in positions)
    lines[one], lines[two] = lines[two], lines[one]
    found = check(lines).findings
    assert {finding.fault for finding in found} == {Fault.REORDERED}
    assert any(finding.first <= position <= finding.last for finding in found for position in positions)


def test_an_event_that_comes_late_and_altered_is_altered() -> None:
    lines: list[Line] = [line for line in bundle(EVENTS, SIZES) if line != EVENTS[9]]
    lines.append(other_state(10))
    assert faults(check(lines)) == [(Fault.ALTERED, 10, 10)]


@pytest.mark.parametrize("left", [0, 1, 100, 255, 256, 257, 400, 699])
def test_a_truncated_bundle_says_from_where(left: int) -> None:
    lines = bundle(EVENTS, SIZES)
    end = lines.index(EVENTS[left])
    assert faults(check(lines[:end])) == [(Fault.TRUNCATED, left + 1, 700)]


def test_a_bundle_cut_before_leaf_hashes_is_truncated() -> None:
    lines = bundle(EVENTS)
    tile = next(line for line in lines if isinstance(line, LeafHashes) and line.index == 1)
    assert faults(check(lines[: lines.index(tile)])) == [(Fault.TRUNCATED, 257, 700)]


def test_events_after_the_head_are_not_covered() -> None:
    lines = [*bundle(EVENTS[:600]), *EVENTS[600:]]
    assert faults(check(lines)) == [(Fault.SURPLUS, 601, 700)]


def test_a_head_signed_by_another_key_proves_nothing() -> None:
    lines = bundle(EVENTS[:3])
    lines[0] = Head(note=signed(head_of(LEAVES, 3), HashKey("attacker.example")))
    report = check(lines)
    assert report.head is None
    assert {fault for fault, _, _ in faults(report)} == {Fault.UNSIGNED, Fault.MALFORMED}


def test_a_checkpoint_signed_by_another_key_is_reported() -> None:
    lines = bundle(EVENTS[:300], [100])
    lines[1] = SignedCheckpoint(note=signed(head_of(LEAVES, 100), HashKey("attacker.example")))
    assert faults(check(lines)) == [(Fault.UNSIGNED, 0, 0)]


def test_lines_that_are_none_are_reported_and_passed_over() -> None:
    lines = [*bundle(EVENTS[:300])[:10], Garbled(11, "noise"), *bundle(EVENTS[:300])[11:]]
    report = check(lines)
    assert faults(report) == [(Fault.MALFORMED, 0, 0), (Fault.MISSING, 9, 9)]
    assert "line 11" in report.findings[0].detail


@pytest.mark.parametrize(
    "lines",
    [
        [],
        EVENTS[:3],
        bundle(EVENTS[:3])[1:],
        [*bundle(EVENTS[:3]), bundle(EVENTS[:3])[0]],
        [*bundle(EVENTS[:3]), LeafHashes(index=1, hashes=b"")],
        [bundle(EVENTS)[0], LeafHashes(index=1, hashes=b"".join(LEAVES[256:512]))],
        [bundle(EVENTS)[0], LeafHashes(index=0, hashes=b"".join(LEAVES[:255]))],
        [*bundle(EVENTS), SignedCheckpoint(note=signed(head_of(LEAVES, 300)))],
    ],
)
def test_a_bundle_out_of_order_is_malformed(lines: list[Line]) -> None:
    assert Fault.MALFORMED in {fault for fault, _, _ in faults(check(lines))}


def test_a_disordered_end_hides_nothing_found_before() -> None:
    lines = [*bundle(changed(9, other_state(9)), SIZES, LEAVES), LeafHashes(index=9, hashes=b"")]
    report = check(lines, [head_of(LEAVES, 700)])
    assert (Fault.ALTERED, 9, 9) in faults(report)
    assert not report.complete


def test_a_check_may_begin_at_a_later_tile() -> None:
    begin = CompactRange()
    for leaf in LEAVES[:512]:
        begin.append(leaf)
    kept = [head_of(LEAVES, 600)]
    whole = bundle(changed(3, other_state(3)), (600,), LEAVES)
    tile = next(line for line in whole if isinstance(line, LeafHashes) and line.index == 2)
    lines = [whole[0], *whole[whole.index(tile) - 1 :]]
    report = audit(lines, [KEY], kept, begin)
    assert report.verified
    assert report.events == 188
    assert begin.size == 512
    broken = audit(lines, [KEY], [TreeHead(KEY.name, 600, EMPTY_ROOT)], begin)
    assert faults(broken) == [(Fault.FORKED, 1, 600)]


def test_a_check_cannot_begin_within_a_tile_or_after_a_kept_checkpoint() -> None:
    begin = CompactRange()
    begin.append(LEAVES[0])
    with pytest.raises(Invalid):
        audit([], [KEY], begin=begin)
    for leaf in LEAVES[1:256]:
        begin.append(leaf)
    with pytest.raises(Invalid):
        audit([], [KEY], [head_of(LEAVES, 100)], begin)


def test_the_check_of_a_log_with_too_many_faults_stops() -> None:
    many = events(3 * MAX_FINDINGS)
    lines = [line for line in bundle(many) if not (isinstance(line, LoggedEvent) and line.position % 2)]
    lines = [*lines, *(event for event in many if event.position % 2)]
    report = check(lines)
    assert not report.complete
    assert not report.verified
    assert len(report.findings) <= MAX_FINDINGS


def test_the_check_remembers_a_bounded_number_of_missing_events() -> None:
    count = MAX_OWED + 1000
    many = events(count)
    leaves = [event.leaf() for event in many]
    lines = [line for line in bundle(many, leaves=leaves) if not isinstance(line, LoggedEvent)]
    report = check([*lines, many[-1]])
    assert {finding.fault for finding in report.findings} == {Fault.MISSING}
    assert root_of(leaves) == (report.head and report.head.root)


def test_lines_read_back() -> None:
    lines = bundle(EVENTS[:300], [5])
    file = io.BytesIO(b"".join(map(format_line, lines)))
    assert list(read_lines(file)) == lines


def test_an_event_line_is_plain_json_with_microseconds() -> None:
    assert json.loads(format_line(EVENTS[0])) == {
        "kind": "event",
        "position": 1,
        "stream": "00000000-0000-0000-0000-000000000001",
        "version": 2,
        "repository": "00000000-0000-0000-0000-000000000007",
        "topic": "artifact.published",
        "recorded_at": "2026-03-03T09:00:00.000001Z",
        "state": "eyJkYXRhIjp7InBhdGgiOiJzaW1wbGUvMSJ9fQ==",
    }


EVENT = format_line(EVENTS[0])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff\n",
        b'{"kind":"other"}',
        EVENT.replace(b'"position":1', b'"position":0'),
        EVENT.replace(b'"position":1', b'"position":1.5'),
        EVENT.replace(b"000001Z", b"000001"),
        EVENT.replace(b"}", b',"actor":"somebody"}'),
        EVENT.replace(b"eyJk", b"e*Jk"),
        format_line(Head(note="", format="artifact-keeper-log/2")),
    ],
)
def test_other_lines_are_refused(data: bytes) -> None:
    with pytest.raises(BundleMalformed):
        parse_line(data)


def test_a_line_without_end_is_passed_over_in_bounded_pieces() -> None:
    file = io.BytesIO(b"x" * (MAX_LINE_BYTES + 10) + b"\n" + EVENT)
    garbled, event = read_lines(file)
    assert isinstance(garbled, Garbled)
    assert event == EVENTS[0]


def test_a_topic_cannot_speak_to_the_terminal() -> None:
    assert "\x1b" not in str(replace(EVENTS[0], topic="\x1b[2J"))
