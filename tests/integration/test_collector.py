"""The collector against a whole registry: real publishing, log, read model, leases and files."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from application.collecting import Collector
from application.format import Format
from application.publishing import NewFile, Target
from application.wire import Answer
from domain.event import SYSTEM, Metadata
from domain.repository import Settings
from domain.storage import BlobsCollected
from infrastructure.postgres.pool import connection
from projections.catalogue.references import CatalogueReferences
from tests.integration.harness import Registry, registry

PLAIN = Format(
    key="generic",
    title="Generic",
    prefix="general",
    routes=(),
    error=lambda _, error, status: Answer(status=status, body=str(error).encode()),
    order=str,
)


class PresentReferences(CatalogueReferences):
    """As if no history was kept: what is not needed now is not needed."""

    def unreferenced(self, sha256s: Sequence[str]) -> set[str]:
        with self._connect() as own:
            rows = own.execute(
                "SELECT DISTINCT sha256 FROM view_blob WHERE sha256 = ANY(%s) AND until IS NULL", [list(sha256s)]
            ).fetchall()
        return set(sha256s) - {row[0] for row in rows}


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(postgres_dsn, tmp_path_factory.mktemp("collecting"), [PLAIN]) as started:
        yield started


def collector_of(running: Registry, references: CatalogueReferences) -> Collector:
    return Collector(running.blobs, references, running.leases, running.log, running.progress)


def publish(running: Registry, target: Target, path: str, content: bytes, metadata: bytes = b"{}") -> str:
    with running.spool.create() as writer:
        writer.write(content)
        spooled = writer.finish()
    file = NewFile(path=path, spooled=spooled, media_type="text/plain", metadata=metadata, overwrite="replace")
    running.publishing.publish(target, [file])
    return spooled.sha256


def test_deleted_artifacts_keep_their_bytes_as_long_as_their_past_can_be_read(running: Registry) -> None:
    target = Target(running.repository("history", "generic").id, Settings(), SYSTEM)
    digest = publish(running, target, "a.txt", b"some history")
    shared = publish(running, target, "b.txt", b"shared")
    publish(running, target, "c.txt", b"shared")
    running.publishing.delete(target, ["a.txt", "b.txt"])

    with_history = collector_of(running, CatalogueReferences(lambda: connection(running.db), 30))
    assert with_history.collect(grace_seconds=0).storage_keys_deleted == 0
    without = collector_of(running, PresentReferences(lambda: connection(running.db), 30))
    dry = without.collect(grace_seconds=0, dry_run=True)
    assert (dry.storage_keys_deleted, dry.artifacts_removed, dry.bytes_freed) == (1, 1, 12)
    assert running.blobs.exists(digest)
    assert without.collect().storage_keys_deleted == 0  # younger than the grace period

    head = running.log.head()
    done = without.collect(grace_seconds=0, meta=Metadata(kind="user", request="r1"))

    assert (done.storage_keys_deleted, done.artifacts_removed, done.bytes_freed) == (1, 1, 12)
    assert not running.blobs.exists(digest)
    assert running.blobs.exists(shared)
    (recorded,) = running.log.read(head, 10)
    assert recorded.event == BlobsCollected(blobs=(digest,), bytes_freed=12)
    assert recorded.meta.request == "r1"


def test_no_published_artifact_loses_its_bytes_while_the_collector_runs(running: Registry) -> None:
    target = Target(running.repository("race", "generic").id, Settings(), SYSTEM)
    collector = collector_of(running, PresentReferences(lambda: connection(running.db), 30))
    contents = [os.urandom(200) for _ in range(3)]
    metadata = [b'{"text":"' + bytes([97 + n]) * 20_000 + b'"}' for n in range(2)]  # kept as blobs of their own
    done = threading.Event()

    def work(number: int) -> None:
        chance = random.Random(number)
        for turn in range(60):
            path, content, facts = f"{number}.bin", chance.choice(contents), chance.choice(metadata)
            digest = publish(running, target, path, content, facts)
            row = running.catalogue.artifact(target.repository, path)
            assert row is not None
            assert row.metadata_blob is not None
            with running.blobs.open(digest) as file:
                assert file.read() == content
            with running.blobs.open(row.metadata_blob) as file:
                assert file.read() == facts
            if turn % 2:
                running.publishing.delete(target, [path])

    def collect() -> tuple[int, list[str]]:
        removed = 0
        errors: list[str] = []
        while not done.is_set():
            outcome = collector.collect(grace_seconds=0)
            removed += outcome.storage_keys_deleted
            errors += outcome.errors
        return removed, errors

    with ThreadPoolExecutor(5) as threads:
        collecting = threads.submit(collect)
        try:
            list(threads.map(work, range(4)))
        finally:
            done.set()
        removed, errors = collecting.result()

    assert errors == []
    assert removed > 0
