"""The transparency log over a real database: what it signs, what it proves, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from application.audit.transparency import CHECKPOINT_SPAN, NotInTheLog, bundle_of
from application.log import Change, EventLog
from domain.checkpoint import CheckpointNamed
from domain.errors import Invalid
from domain.transparency.audit_report import AuditReport, Fault
from domain.transparency.bundle import Head
from domain.transparency.bundle_audit import audit
from domain.transparency.merkle import EMPTY_ROOT, leaf_hash, root_of, verify_consistency, verify_inclusion
from domain.transparency.notes import NoteUnverified, TreeHead, open_tree_head, parse_verifier_key
from infrastructure.embedded import EmbeddedPostgres
from infrastructure.postgres.events import EventRecorder
from infrastructure.postgres.migrate import migrate
from infrastructure.postgres.pool import Pool, connection, open_pool
from infrastructure.postgres.writer import Writer
from infrastructure.signing.ed25519 import Ed25519Signer, Ed25519Verifier
from projections.transparency.fold import HistoryDiverged, Transparency
from projections.transparency.view import TransparencyView

KEY = Ed25519Signer.generate("registry.example/log")
VERIFIER = Ed25519Verifier(parse_verifier_key(KEY.verifier_key))


class Clock:
    """Stands still until told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Registry:
    """A log in a database of its own, and the projection driven by hand as the runner drives it."""

    def __init__(self, dsn: str, pool: Pool, log: EventLog) -> None:
        self.dsn = dsn
        self.log = log
        self.clock = Clock()
        self.view = TransparencyView(lambda: connection(pool))
        self.restart()
        self.position = 0

    def restart(self, key: Ed25519Signer = KEY, former: list[Ed25519Verifier] | None = None) -> None:
        self.projection = Transparency(key, former or [], self.clock)

    def append(self, count: int) -> None:
        for start in range(0, count, 500):
            events = [
                CheckpointNamed(name=f"n{number}", position=number) for number in range(start, min(start + 500, count))
            ]
            self.log.append([Change(uuid4(), 0, events)])

    def step(self, limit: int = 5000, commit: Callable[[], None] = lambda: None) -> None:
        """One batch, or one idle call; `commit` may raise."""
        events = self.log.read(self.position, limit)
        with psycopg.connect(self.dsn, autocommit=True) as work, work.transaction(), work.cursor() as cursor:
            if events:
                self.projection.apply(cursor, events)
            else:
                self.projection.idle(cursor, self.position)
            commit()
        if events:
            self.position = events[-1].position

    def follow(self, limit: int = 5000) -> None:
        while self.position < self.log.head():
            self.clock.now += 0.01
            self.step(limit)
        self.clock.now += 2
        self.step()

    def tamper(self, statement: str, *parameters: Any) -> None:
        """What somebody does who owns the database."""
        with psycopg.connect(self.dsn, autocommit=True) as owner:
            owner.execute("ALTER TABLE es_events DISABLE TRIGGER es_events_append_only")
            owner.execute(statement.encode(), parameters)
            owner.execute("ALTER TABLE es_events ENABLE TRIGGER es_events_append_only")

    def rebuild(self) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as owner:
            owner.execute("TRUNCATE log_tile")
        self.restart()
        self.position = 0
        self.follow(700)

    def head(self) -> TreeHead:
        return open_tree_head(self.view.checkpoint().encode(), [VERIFIER])

    def sizes(self) -> list[int]:
        notes = self.view.checkpoints(-1, CHECKPOINT_SPAN - 1)
        return [open_tree_head(note.encode(), [VERIFIER]).size for note in notes]

    def audit(self, *known: TreeHead) -> AuditReport:
        lines = bundle_of(self.view, Head(note=self.view.checkpoint()), spread=False)
        return audit(lines, [VERIFIER], known)


@contextmanager
def opened(dsn: str) -> Iterator[Registry]:
    migrate(dsn)
    writer = Writer(dsn)
    with open_pool(dsn, 1, 4) as pool:
        try:
            yield Registry(dsn, pool, EventLog(EventRecorder(pool, writer)))
        finally:
            writer.close()


@pytest.fixture
def registry(empty_postgres_dsn: str) -> Iterator[Registry]:
    with opened(empty_postgres_dsn) as registry:
        yield registry


@pytest.fixture(scope="module")
def settled(postgres_server: EmbeddedPostgres, postgres_dsn: str) -> Iterator[Registry]:
    """700 events and several checkpoints; tests leave it as it is."""
    with opened(postgres_dsn) as registry:
        for count in (1, 99, 156, 1, 300, 143):
            registry.append(count)
            registry.follow()
        yield registry


def test_an_empty_log_is_signed_too(registry: Registry) -> None:
    with pytest.raises(NotInTheLog):
        registry.view.checkpoint()
    registry.step()
    assert registry.head() == TreeHead(KEY.name, 0, EMPTY_ROOT)
    registry.step()
    assert registry.sizes() == [0]
    assert registry.audit().verified


def test_every_event_is_a_leaf_of_the_signed_tree(settled: Registry) -> None:
    leaves = [event.leaf() for event in settled.view.events(0, 1000)]
    assert len(leaves) == 700
    assert settled.head() == TreeHead(KEY.name, 700, root_of(leaves))
    assert settled.sizes() == [1, 100, 256, 257, 557, 700]


def test_a_log_that_nobody_touched_verifies(settled: Registry) -> None:
    report = settled.audit()
    assert report.verified
    assert (report.events, report.checkpoints, report.proven) == (700, 7, 700)


def test_checkpoints_wait_for_a_second_or_a_thousand_events(registry: Registry) -> None:
    registry.append(3)
    registry.step()
    assert registry.sizes() == [3]
    for _ in range(3):
        registry.append(300)
        registry.step()
    registry.step()
    assert registry.sizes() == [3]
    registry.append(100)
    registry.step()
    assert registry.sizes() == [3, 1003]
    registry.append(1)
    registry.step()
    registry.clock.now += 1
    registry.step()
    assert registry.sizes() == [3, 1003, 1004]
    assert registry.audit().verified


def test_a_restart_takes_up_events_that_were_not_signed_yet(registry: Registry) -> None:
    registry.append(300)
    registry.step()
    registry.append(600)
    registry.step()
    assert registry.sizes() == [300]
    registry.restart()
    registry.append(5)
    registry.step()
    assert registry.sizes() == [300, 905]
    assert registry.audit().verified


@pytest.mark.parametrize("pause", [0.0, 5.0])
def test_a_batch_rolled_back_leaves_no_trace(registry: Registry, pause: float) -> None:
    def lost() -> None:
        raise ConnectionError

    registry.append(10)
    registry.step()
    registry.append(500)
    for _ in range(2):
        registry.clock.now += pause
        with pytest.raises(ConnectionError):
            registry.step(commit=lost)
    registry.step()
    registry.clock.now += 2
    with pytest.raises(ConnectionError):
        registry.step(commit=lost)
    registry.follow()
    assert registry.head().size == 510
    assert registry.audit().verified


def test_the_tree_is_the_same_whatever_the_batches(registry: Registry) -> None:
    registry.append(2100)
    registry.follow(limit=77)
    head = registry.head()
    assert head.root == root_of(
        [event.leaf() for page in (0, 1000, 2000) for event in registry.view.events(page, page + 1000)]
    )
    assert len(registry.sizes()) >= 2
    assert registry.audit().verified


@pytest.mark.parametrize(
    "change",
    [
        "state = convert_to(replace(convert_from(state, 'UTF8'), '\"n', '\"m'), 'UTF8')",
        "state = state || ' '::bytea",
        "topic = 'checkpoint.renamed'",
        "originator_id = gen_random_uuid()",
        "originator_version = originator_version + 100000",
        "recorded_at = recorded_at + interval '1 microsecond'",
        "repository = gen_random_uuid()",
    ],
)
def test_an_altered_row_is_named(registry: Registry, change: str) -> None:
    registry.append(400)
    registry.follow()
    registry.tamper(f"UPDATE es_events SET {change} WHERE notification_id = 313")
    report = registry.audit()
    assert [(found.fault, found.first, found.last) for found in report.findings] == [(Fault.ALTERED, 313, 313)]
    assert not report.verified


def test_altered_deleted_and_exchanged_rows_are_each_named(registry: Registry) -> None:
    registry.append(600)
    registry.follow()
    registry.tamper("UPDATE es_events SET state = '{}' WHERE notification_id IN (7, 300)")
    registry.tamper("DELETE FROM es_events WHERE notification_id BETWEEN 40 AND 42")
    registry.tamper("UPDATE es_events SET notification_id = -1 WHERE notification_id = 500")
    registry.tamper("UPDATE es_events SET notification_id = 500 WHERE notification_id = 501")
    registry.tamper("UPDATE es_events SET notification_id = 501 WHERE notification_id = -1")
    assert [(found.fault, found.first, found.last) for found in registry.audit().findings] == [
        (Fault.ALTERED, 7, 7),
        (Fault.MISSING, 40, 42),
        (Fault.ALTERED, 300, 300),
        (Fault.ALTERED, 500, 501),
    ]


def test_a_cut_off_end_is_named(registry: Registry) -> None:
    registry.append(400)
    registry.follow()
    registry.tamper("DELETE FROM es_events WHERE notification_id > 390")
    assert [(found.fault, found.first, found.last) for found in registry.audit().findings] == [
        (Fault.TRUNCATED, 391, 400)
    ]


def test_an_altered_tile_is_told_apart_and_stops_the_signing(registry: Registry) -> None:
    registry.append(400)
    registry.follow()
    registry.tamper("UPDATE log_tile SET hashes = overlay(hashes PLACING sha256('x') FROM 1 FOR 32) WHERE idx = 1")
    assert [(found.fault, found.first, found.last) for found in registry.audit().findings] == [
        (Fault.LEAF_HASH, 257, 257)
    ]
    registry.append(1)
    registry.restart()
    with pytest.raises(HistoryDiverged):
        registry.step()
    assert registry.head().size == 400


def test_a_rebuild_comes_to_the_same_tree_and_signs_nothing(settled: Registry) -> None:
    before = settled.view.checkpoint(), settled.sizes(), settled.view.tile(0, 2, 188)
    settled.rebuild()
    assert (settled.view.checkpoint(), settled.sizes(), settled.view.tile(0, 2, 188)) == before
    assert settled.audit().verified


def test_a_rebuild_over_an_altered_row_is_refused(registry: Registry) -> None:
    for _ in range(3):
        registry.append(200)
        registry.follow()
    registry.tamper("UPDATE es_events SET state = state || ' ' WHERE notification_id = 313")
    for _ in range(2):
        with pytest.raises(HistoryDiverged, match="400"):
            registry.rebuild()
    assert registry.sizes() == [200, 400, 600]


def test_history_signed_anew_contradicts_the_auditors_checkpoint(registry: Registry) -> None:
    registry.append(300)
    registry.follow()
    first = registry.head()
    registry.append(300)
    registry.follow()
    kept = registry.head()
    registry.tamper(
        "UPDATE es_events SET state = '{\"meta\":{},\"data\":{}}', topic = 'other' WHERE notification_id = 313"
    )
    registry.tamper("DELETE FROM log_checkpoint WHERE size > 300")
    registry.rebuild()
    registry.append(10)
    registry.follow()
    assert registry.audit().verified
    report = registry.audit(first, kept)
    assert [(found.fault, found.first, found.last) for found in report.findings] == [(Fault.FORKED, 301, 600)]


def test_a_restored_older_log_is_a_rollback_to_the_auditor(registry: Registry) -> None:
    registry.append(300)
    registry.follow()
    kept = registry.head()
    registry.tamper("DELETE FROM es_events WHERE notification_id > 200")
    registry.tamper("UPDATE es_head SET position = 200")
    registry.tamper("DELETE FROM log_checkpoint")
    registry.rebuild()
    assert [found.fault for found in registry.audit(kept).findings] == [Fault.ROLLED_BACK]


def test_events_folded_again_must_be_those_that_were_signed(registry: Registry) -> None:
    registry.append(700)
    registry.follow()
    for start in (0, 300, 511, 699):
        registry.restart()
        registry.position = start
        registry.follow(200)
    assert registry.sizes()[-1] == 700
    registry.tamper("UPDATE es_events SET state = state || ' ' WHERE notification_id = 650")
    registry.restart()
    registry.position = 300
    with pytest.raises(HistoryDiverged, match="650"):
        registry.follow(200)


def test_a_log_shorter_than_what_was_signed_is_complained_of(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.append(400)
    registry.follow()
    registry.tamper("DELETE FROM es_events WHERE notification_id > 390")
    registry.position = 390
    registry.restart()
    registry.step()
    assert "the log ends at event 390, and 400 were signed for" in caplog.text


def test_a_silent_log_with_an_altered_tile_is_not_signed_but_stays_up(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.append(400)
    registry.follow()
    registry.tamper("UPDATE log_tile SET hashes = overlay(hashes PLACING sha256('x') FROM 1 FOR 32) WHERE idx = 1")
    registry.restart()
    for _ in range(3):
        registry.clock.now += 5
        registry.step()
    assert [record.levelname for record in caplog.records if "not signed" in record.message] == ["ERROR"]
    assert registry.head().size == 400


def test_a_deleted_row_that_is_not_signed_yet_stops_the_signing(registry: Registry) -> None:
    registry.append(10)
    registry.tamper("DELETE FROM es_events WHERE notification_id = 4")
    with pytest.raises(HistoryDiverged, match="event 4"):
        registry.step()
    with pytest.raises(NotInTheLog):
        registry.view.checkpoint()


def test_another_key_takes_over_only_when_the_former_one_is_named(registry: Registry) -> None:
    registry.append(10)
    registry.follow()
    fresh = Ed25519Signer.generate(KEY.name)
    registry.append(10)
    registry.restart(fresh)
    with pytest.raises(NoteUnverified):
        registry.step()
    assert registry.view.verifier_key() == KEY.verifier_key
    registry.restart(fresh, [VERIFIER])
    registry.follow()
    assert registry.view.verifier_key() == fresh.verifier_key
    head = open_tree_head(registry.view.checkpoint().encode(), [fresh])
    assert head.size == 20


def test_every_event_has_a_proof_and_every_checkpoint_continues_the_former_ones(settled: Registry) -> None:
    view = settled.view
    leaves = [event.leaf() for event in view.events(0, 1000)]
    heads = [open_tree_head(view.checkpoint_at(size).encode(), [VERIFIER]) for size in settled.sizes()]
    for number, head in enumerate(heads):
        for position in {1, head.size // 2 + 1, head.size}:
            proof = view.inclusion_proof(position, head.size)
            assert verify_inclusion(position - 1, head.size, leaves[position - 1], proof, head.root)
        for older in heads[: number + 1]:
            proof = view.consistency_proof(older.size, head.size)
            assert verify_consistency(older.size, older.root, head.size, head.root, proof)


def test_entry_bundles_hash_to_their_tile(settled: Registry) -> None:
    data, hashes = settled.view.entries(2, 100), b""
    while data:
        size = int.from_bytes(data[:2])
        hashes += leaf_hash(data[2 : 2 + size])
        data = data[2 + size :]
    assert hashes == settled.view.tile(0, 2, 100)


def test_what_no_checkpoint_reaches_is_not_in_the_log(settled: Registry) -> None:
    view = settled.view
    for ask in (
        lambda: view.tile(0, 2, 189),
        lambda: view.tile(0, 3, 1),
        lambda: view.tile(1, 0, 3),
        lambda: view.tile(63, 1 << 70, 256),
        lambda: view.checkpoint_at(2),
        lambda: view.checkpoint_at(1 << 70),
        lambda: view.entries(2, 189),
        lambda: view.entries(1 << 70, 256),
        lambda: view.inclusion_proof(701, 701),
        lambda: view.inclusion_proof(1, 1 << 70),
        lambda: view.consistency_proof(1, 701),
    ):
        with pytest.raises(NotInTheLog):
            ask()
    for refused in (
        lambda: view.inclusion_proof(0, 700),
        lambda: view.inclusion_proof(258, 257),
        lambda: view.consistency_proof(257, 256),
        lambda: view.checkpoints(0, CHECKPOINT_SPAN + 1),
        lambda: view.checkpoints(1 << 70, 1 << 70),
    ):
        with pytest.raises(Invalid):
            refused()
    assert view.events(700, 710) == view.events(1 << 70, 1 << 71) == view.events(0, 0) == view.events(5, 3) == []


def test_checkpoints_can_be_spread_over_the_tiles(settled: Registry) -> None:
    notes = settled.view.checkpoints(0, 700, spread=True)
    assert [open_tree_head(note.encode(), [VERIFIER]).size for note in notes] == [256, 257, 700]


def test_a_page_of_large_events_ends_early(registry: Registry) -> None:
    large = CheckpointNamed(name="x" * 1_000_000, position=1)
    for _ in range(10):
        registry.log.append([Change(uuid4(), 0, [large])])
    registry.follow()
    page = registry.view.events(0, 10)
    assert [event.position for event in page] == list(range(1, 10))
    assert [event.position for event in registry.view.events(9, 10)] == [10]
    assert len(registry.view.entries(0, 10)) > 0
