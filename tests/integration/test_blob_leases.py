"""Leases on blobs against the collector, in a real PostgreSQL: the rules one by one, then the race itself."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import psycopg
import pytest

from application.collecting import Collector
from application.log import Change, EventLog, Receipt
from domain.errors import Conflict, Invalid, Unavailable
from domain.event import SYSTEM, Metadata
from domain.storage import BlobsCollected
from infrastructure.blobs.folder import FolderBlobs
from infrastructure.blobs.leases import PostgresLeases
from infrastructure.blobs.spool import FolderSpool
from infrastructure.embedded import EmbeddedPostgres
from infrastructure.postgres.migrate import migrate
from infrastructure.postgres.pool import Pool, connection, open_pool

A, B, C = (hashlib.sha256(text).hexdigest() for text in (b"a", b"b", b"c"))


@pytest.fixture(scope="module")
def pool(postgres_dsn: str) -> Iterator[Pool]:
    pool = open_pool(postgres_dsn, max_size=12)
    yield pool
    pool.close()


@pytest.fixture
def leases(pool: Pool) -> Iterator[PostgresLeases]:
    leases = PostgresLeases(pool)
    yield leases
    leases.close()
    with connection(pool) as own:
        own.execute("DELETE FROM blob_lease WHERE sha256 <> ''")


@pytest.fixture
def new_leases(pool: Pool) -> Iterator[Callable[[float], PostgresLeases]]:
    made: list[PostgresLeases] = []

    def make(lease_seconds: float) -> PostgresLeases:
        made.append(PostgresLeases(pool, lease_seconds=lease_seconds))
        return made[-1]

    yield make
    for one in made:
        one.close()


def free(leases: PostgresLeases, *digests: str) -> frozenset[str]:
    with leases.collecting() as run, run.exclude(digests) as exclusion:
        return exclusion.free


def test_held_digests_are_not_free_for_any_process(leases: PostgresLeases, pool: Pool) -> None:
    elsewhere = PostgresLeases(pool)
    with leases.hold([A, B]) as lease:
        assert free(elsewhere, A, B, C) == {C}
        lease.extend([C, C, A])
        assert free(elsewhere, A, B, C) == set()
        lease.check()
    leases.flush()
    assert free(elsewhere, A, B, C) == {A, B, C}


def test_a_finished_lease_is_given_back_within_moments(leases: PostgresLeases) -> None:
    with leases.hold([A]):
        pass
    deadline = time.monotonic() + 5
    while A not in free(leases, A):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_two_leases_on_one_digest_both_count(leases: PostgresLeases) -> None:
    with leases.hold([A]):
        with leases.hold([A]):
            pass
        leases.flush()
        assert free(leases, A) == set()


def test_an_empty_lease_is_good(leases: PostgresLeases) -> None:
    with leases.hold([]) as lease:
        lease.check()


@pytest.mark.parametrize("text", ["", "A" * 64, "'; DROP TABLE blob_lease; --"])
def test_only_digests_can_be_held_or_excluded(leases: PostgresLeases, text: str) -> None:
    with pytest.raises(Invalid), leases.hold([text]):
        pass
    with pytest.raises(Invalid):
        free(leases, text)


def test_whoever_asks_for_an_excluded_digest_waits_until_the_collector_is_done(leases: PostgresLeases) -> None:
    asked, got = threading.Event(), threading.Event()

    def publish() -> None:
        asked.set()
        with leases.hold([A]):
            got.set()

    with leases.collecting() as run:
        with run.exclude([A, B]) as exclusion:
            publisher = threading.Thread(target=publish)
            publisher.start()
            asked.wait()
            with leases.hold([C]):  # others do not wait
                pass
            assert not got.wait(0.2)
            exclusion.check()
        assert got.wait(5)
    publisher.join()


def test_there_is_one_collector_at_a_time(leases: PostgresLeases, pool: Pool) -> None:
    with leases.collecting(), pytest.raises(Conflict, match="already running"), PostgresLeases(pool).collecting():
        pass
    with leases.collecting():
        pass


def test_a_lease_that_is_not_renewed_ends_and_its_holder_knows_first(
    new_leases: Callable[[float], PostgresLeases], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = new_leases(0.4)
    monkeypatch.setattr(short, "renew", lambda: None)
    with short.hold([A]) as lease:
        lease.check()
        assert free(short, A) == set()
        time.sleep(0.32)
        with pytest.raises(Unavailable, match="too long"):
            lease.check()
        assert free(short, A) == set()
        time.sleep(0.15)
        assert free(short, A) == {A}


def test_a_long_upload_is_renewed(new_leases: Callable[[float], PostgresLeases]) -> None:
    short = new_leases(0.6)
    with short.hold([A]) as lease:
        for _ in range(8):
            time.sleep(0.15)
            lease.check()
            assert free(short, A) == set()


def test_a_lost_lease_is_noticed_and_never_becomes_good_again(leases: PostgresLeases, pool: Pool) -> None:
    with leases.hold([A, B]) as lease, leases.hold([C]) as other:
        with connection(pool) as own:
            own.execute("DELETE FROM blob_lease WHERE sha256 = %s", [A])
        leases.renew()
        leases.renew()
        other.check()
        with pytest.raises(Unavailable):
            lease.check()


def test_an_append_of_unknown_outcome_keeps_its_lease_until_that_ends(
    new_leases: Callable[[float], PostgresLeases],
) -> None:
    short = new_leases(0.3)
    with pytest.raises(Unavailable), short.hold([A]):
        raise Unavailable("the log did not answer")
    with pytest.raises(KeyboardInterrupt), short.hold([B]):
        raise KeyboardInterrupt
    with pytest.raises(Conflict), short.hold([C]):
        raise Conflict("refused for certain")
    short.flush()
    assert free(short, A, B, C) == {C}
    time.sleep(0.35)
    assert free(short, A, B, C) == {A, B, C}


def test_a_collector_whose_connection_is_cut_may_not_go_on(leases: PostgresLeases, postgres_dsn: str) -> None:
    cut = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
    with leases.collecting() as run, run.exclude([A]) as exclusion:
        exclusion.check()
        with psycopg.connect(postgres_dsn, autocommit=True) as other:
            other.execute(cut)
        with pytest.raises(Unavailable):
            exclusion.check()
    with leases.collecting():
        pass


def test_a_crash_of_the_database_makes_the_collector_wait_for_lost_leases(servers_directory: Path) -> None:
    directory = servers_directory / "crash"
    directory.mkdir(mode=0o711)
    with EmbeddedPostgres(directory) as server:
        migrate(server.dsn())
        with psycopg.connect(server.dsn(), autocommit=True) as own:
            own.execute("SELECT blob_lease_take(gen_random_uuid(), %s, 60)", [A])
        assert server.process is not None
        server.process.kill()
        server.process.wait()
        server.start()
        pool = open_pool(server.dsn(), max_size=2)
        try:
            after = PostgresLeases(pool, lease_seconds=0.5)
            with pytest.raises(Unavailable, match="can begin at"), after.collecting():
                pass
            time.sleep(0.6)
            assert free(after, A) == {A}
        finally:
            pool.close()


# --- the race -------------------------------------------------------------------------------------------------------


class Registry:
    """Stands for the log and its read model: a reference is a row, committed when `publish` returns."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.collected = 0

    def publish(self, sha256: str) -> int:
        with connection(self.pool) as own:
            row = own.execute("INSERT INTO test_reference (sha256) VALUES (%s) RETURNING id", [sha256]).fetchone()
        assert row is not None
        return cast("int", row[0])

    def withdraw(self, reference: int) -> None:
        with connection(self.pool) as own:
            own.execute("DELETE FROM test_reference WHERE id = %s", [reference])

    def unreferenced(self, sha256s: Sequence[str]) -> set[str]:
        with connection(self.pool) as own:
            rows = own.execute("SELECT sha256 FROM test_reference WHERE sha256 = ANY(%s)", [list(sha256s)]).fetchall()
        return set(sha256s) - {sha256 for (sha256,) in rows}

    def former_artifacts(self, sha256s: Sequence[str]) -> int:
        return 0

    def head(self) -> int:
        return 0

    def append(self, changes: Iterable[Change], meta: Metadata = SYSTEM) -> Receipt:
        for change in changes:
            for event in change.events:
                assert isinstance(event, BlobsCollected)
                self.collected += len(event.blobs)
        return Receipt(1)

    def reached(self, names: Iterable[str], position: int, timeout_seconds: float = 6.0) -> bool:
        return True


UPLOADERS = 6
ROUNDS = 400


def test_no_published_blob_is_ever_collected(leases: PostgresLeases, pool: Pool, tmp_path: Path) -> None:
    """Few digests, many uploaders that publish and withdraw them, a collector without grace: each published blob is
    there for as long as it is published, and the collector did remove blobs all the while.
    """
    with connection(pool) as own:
        own.execute("CREATE TABLE IF NOT EXISTS test_reference (id bigserial PRIMARY KEY, sha256 text NOT NULL)")
        own.execute("CREATE INDEX ON test_reference (sha256)")
    spool, blobs, registry = FolderSpool(tmp_path / "spool"), FolderBlobs(tmp_path / "blobs"), Registry(pool)
    collector = Collector(blobs, registry, leases, cast("EventLog", registry), registry)
    contents = [f"content {n}".encode() for n in range(3)]
    done = threading.Event()

    def upload(seed: int) -> int:
        chance = random.Random(seed)
        published = 0
        for _ in range(ROUNDS):
            content = chance.choice(contents)
            with spool.create() as writer:
                writer.write(content)
                spooled = writer.finish()
            with leases.hold([spooled.sha256]) as lease:
                blobs.keep(spooled)
                lease.check()
                reference = registry.publish(spooled.sha256)
            for _ in range(3):
                with blobs.open(spooled.sha256) as file:  # raises NotFound if it was collected
                    assert file.read() == content
            registry.withdraw(reference)
            published += 1
            if chance.random() < 0.2:
                time.sleep(0.005)  # or some digest would always be held
        return published

    def collect() -> list[str]:
        errors: list[str] = []
        while not done.is_set():
            errors += collector.collect(grace_seconds=0).errors
        return errors

    with ThreadPoolExecutor(UPLOADERS + 1) as threads:
        collecting = threads.submit(collect)
        try:
            published = sum(threads.map(upload, range(UPLOADERS)))
        finally:
            done.set()
        assert collecting.result() == []

    assert published == UPLOADERS * ROUNDS
    assert registry.collected > 5  # or the race was none
