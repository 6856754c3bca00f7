"""The catalogue against a plain model: whatever happened, every position reads as it was, in batches of any size."""

from __future__ import annotations

import random
from collections.abc import Iterator
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from application.catalogue import NIL, REPOSITORIES_SCOPE, package_scope
from application.comparing import Difference
from application.log import Change
from domain import artifact, package
from domain.artifact import Artifact, ArtifactPublished
from domain.event import Event
from domain.ids import artifact_id, package_id
from domain.package import Package
from domain.repository import RepositoryCreated, RepositoryDeleted
from infrastructure.postgres.migrate import migrate
from projections.catalogue.comparison import CatalogueComparison
from projections.catalogue.fold import CatalogueProjection
from projections.catalogue.view import CatalogueView
from projections.rebuild import Rebuild
from projections.runner import Projector
from tests.integration.folding import Registry, registry

State = dict[str, tuple[str, str | None]]
"""Path to digest and the yank of its version."""


@pytest.fixture
def running(empty_postgres_dsn: str) -> Iterator[Registry]:
    migrate(empty_postgres_dsn)
    with registry(empty_postgres_dsn) as opened:
        yield opened


class Story:
    """Random things happen to one repository; the model remembers the state after each."""

    def __init__(self, running: Registry, seed: int) -> None:
        self.running = running
        self.repository = uuid4()
        self.random = random.Random(seed)
        self.files: dict[str, str] = {}
        self.yanked: dict[str, str] = {}
        self.after: dict[int, State] = {}
        self.tags: dict[int, dict[str, str]] = {}
        self.tag: dict[str, str] = {}
        created = RepositoryCreated(
            repository=self.repository, key=f"r{self.repository.hex[:8]}", name="r", format="generic", kind="local"
        )
        self.append(self.repository, 0, [created])

    def append(self, stream: UUID, version: int, events: list[Event]) -> None:
        receipt = self.running.log.append([Change(stream, version, events, self.repository)])
        if receipt.position:
            present = {path.split("/")[0] for path in self.files}
            self.yanked = {name: why for name, why in self.yanked.items() if name in present}
            self.after[receipt.position] = {
                path: (sha, self.yanked.get(path.split("/")[0])) for path, sha in self.files.items()
            }
            self.tags[receipt.position] = dict(self.tag)

    def step(self) -> None:
        version = self.random.choice(["1.0", "1.1", "2.0"])
        path = f"{version}/{self.random.choice('abc')}"
        stream = artifact_id(self.repository, path)
        state, count = self.running.log.load(stream, Artifact(), artifact.evolve)
        match self.random.randrange(6):
            case 0 | 1:
                sha = f"{self.random.getrandbits(256):064x}"
                proposed = ArtifactPublished(
                    repository=self.repository,
                    path=path,
                    package="p",
                    version=version,
                    sha256=sha,
                    size_bytes=self.random.randrange(100),
                    media_type="x/y",
                )
                self.files[path] = sha
                self.append(stream, count, artifact.publish(state, proposed, "replace"))
            case 2 if path in self.files:
                del self.files[path]
                self.append(stream, count, artifact.delete(state, path, "test"))
            case 3 | 4:
                self.judge(version)
            case _:
                known, count = self.running.log.load(package_id(self.repository, "p"), Package(), package.evolve)
                self.tag["latest"] = version
                self.append(
                    package_id(self.repository, "p"),
                    count,
                    package.set_tag(known, self.repository, "p", "latest", version),
                )

    def judge(self, version: str) -> None:
        stream = package_id(self.repository, "p")
        state, count = self.running.log.load(stream, Package(), package.evolve)
        if not any(path.startswith(version) for path in self.files):
            return
        if version in self.yanked:
            del self.yanked[version]
            self.append(stream, count, package.unyank(state, self.repository, "p", (version,)))
        elif version not in state.yanked:
            self.yanked[version] = "bad"
            self.append(stream, count, package.yank(state, self.repository, "p", (version,), "bad"))


def state_at(view: CatalogueView, repository: UUID, at: int | None) -> State:
    yanked = {row.version: row.yanked for row in view.versions(repository, "p", at)}
    return {row.path: (row.sha256, yanked[row.version]) for row in view.artifacts(repository, "p", at)}


@pytest.mark.parametrize(("seed", "batch"), [(1, 1), (2, 7), (3, 1000), (4, 3)])
def test_every_position_reads_as_it_was(running: Registry, seed: int, batch: int) -> None:
    story = Story(running, seed)
    for _ in range(80):
        story.step()
    running.fold(CatalogueProjection(), batch=batch)
    view = CatalogueView(running.connect)
    seen: set[str] = set()
    for position, expected in story.after.items():
        assert state_at(view, story.repository, position) == expected, position
        outline = view.outline(story.repository, "", position)
        assert [path for path, _ in outline] == sorted(expected)
        assert all(since <= position for _, since in outline)
        present = {path.partition("/")[0] for path in expected}
        seen |= present
        assert view.former_versions(story.repository, "p", position).keys() == seen - present
        assert view.marks(story.repository, "p", "tag", position) == story.tags[position]
    last = max(story.after)
    assert state_at(view, story.repository, None) == story.after[last]
    assert view.former_versions(story.repository, "p") == view.former_versions(story.repository, "p", last)
    assert view.revision(story.repository, package_scope("p"), last) == last
    held = sum(row.size_bytes for row in view.artifacts(story.repository, "p"))
    assert view.used_bytes([story.repository]).get(story.repository, 0) == held


def test_history_never_overlaps_itself(running: Registry) -> None:
    story = Story(running, 11)
    for _ in range(60):
        story.step()
    running.fold(CatalogueProjection(), batch=5)
    for table, keys in (
        ("view_artifact", "artifact"),
        ("view_version", "repository, package, version"),
        ("view_mark", "repository, package, kind, name"),
        ("view_package", "repository, package"),
    ):
        overlaps = running.rows(
            f"SELECT count(*) FROM (SELECT since, lag(until) OVER (PARTITION BY {keys} ORDER BY since) AS before FROM "
            f"(SELECT {keys}, since, until FROM {table}_h UNION ALL SELECT {keys}, since, NULL FROM {table}) a) b "
            "WHERE before > since"
        )
        assert overlaps == [(0,)], table


def test_differences_are_what_two_positions_disagree_on(running: Registry) -> None:
    story = Story(running, 21)
    for _ in range(60):
        story.step()
    running.fold(CatalogueProjection())
    positions = sorted(story.after)
    earlier, later = positions[len(positions) // 3], positions[-1]
    found = CatalogueComparison(running.connect).differences(story.repository, earlier, later, limit=1000)
    before, after = story.after[earlier], story.after[later]
    artifacts = {item.name: item for item in found if item.subject == "artifact"}
    assert artifacts.keys() == {
        path for path in before.keys() | after.keys() if before.get(path, ("",))[0] != after.get(path, ("",))[0]
    }
    for path, item in artifacts.items():
        expected = "appeared" if path not in before else "vanished" if path not in after else "changed"
        assert item.change == expected
    tags = [item for item in found if item.subject == "tag"]
    if story.tags[earlier] != story.tags[later]:
        assert isinstance(tags[0], Difference)


def test_a_deleted_repository_can_still_be_read_as_it_was(running: Registry) -> None:
    story = Story(running, 31)
    for _ in range(30):
        story.step()
    last = max(story.after)
    key = f"r{story.repository.hex[:8]}"
    deleted = RepositoryDeleted(repository=story.repository, key=key)
    gone = running.log.append([Change(story.repository, 1, [deleted], story.repository)]).position
    running.fold(CatalogueProjection())
    view = CatalogueView(running.connect)
    assert view.repository(key) is None
    assert state_at(view, story.repository, None) == {}
    past = view.repository(key, last)
    assert past is not None
    assert state_at(view, past.id, last) == story.after[last]
    assert view.revision(NIL, REPOSITORIES_SCOPE) == gone


def test_folders_are_listed_without_walking_what_is_below_them(running: Registry) -> None:
    repository = uuid4()
    for path in ("a/x/1", "a/x/2", "a/y", "b", "a.txt", "a/z/deep/er", "c/1"):
        event = ArtifactPublished(repository=repository, path=path, sha256="0" * 64, size_bytes=1, media_type="x/y")
        running.log.append([Change(artifact_id(repository, path), 0, [event], repository)])
    running.fold(CatalogueProjection())
    view = CatalogueView(running.connect)
    assert [(child.name, child.folder) for child in view.children(repository, "")] == [
        ("a.txt", False),
        ("a", True),
        ("b", False),
        ("c", True),
    ]
    assert [child.name for child in view.children(repository, "a/")] == ["x", "y", "z"]
    assert [child.name for child in view.children(repository, "a/", after="x/")] == ["y", "z"]
    assert [child.name for child in view.children(repository, "a/", limit=2)] == ["x", "y"]


def test_rebuilding_takes_the_live_tables_place_and_verifying_finds_an_altered_row(running: Registry) -> None:
    projector = Projector(running.dsn, [CatalogueProjection()], running.log.recorded)
    projector.start()
    try:
        story = Story(running, 41)
        for _ in range(40):
            story.step()
        last = max(story.after)
        _wait(running, last)
        with Rebuild(running.dsn, CatalogueProjection(), running.log.recorded) as shadow:
            assert shadow.verify().equal
        with psycopg.connect(running.dsn, autocommit=True) as connection:
            connection.execute(
                "UPDATE view_artifact SET sha256 = repeat('0', 64) WHERE repository = %s", (story.repository,)
            )
        with Rebuild(running.dsn, CatalogueProjection(), running.log.recorded) as shadow:
            found = shadow.verify()
        assert found.differing_tables == ("view_artifact",)
        assert {item.side for item in found.differences} == {"live", "rebuilt"}
        with Rebuild(running.dsn, CatalogueProjection(), running.log.recorded) as shadow:
            shadow.swap()
        view = CatalogueView(running.connect)
        assert state_at(view, story.repository, None) == story.after[last]
        for _ in range(10):
            story.step()
        _wait(running, max(story.after))
        assert state_at(view, story.repository, None) == story.after[max(story.after)]
        assert running.rows("SELECT nspname FROM pg_namespace WHERE nspname ~ '^(shadow|former)_'") == []
    finally:
        projector.stop()


def _wait(running: Registry, position: int) -> None:
    for _ in range(1000):
        rows = running.rows("SELECT position FROM es_tracking WHERE projection = 'catalogue'")
        if rows and rows[0][0] >= position:
            return
        running.rows("SELECT pg_sleep(0.01)")
    raise AssertionError("the projection did not get there")


def test_metadata_is_given_back_byte_for_byte(running: Registry) -> None:
    repository = uuid4()
    metadata = b'{"b": 1, "a": "\\u00e9"}'
    event = ArtifactPublished(
        repository=repository,
        path="x",
        sha256="0" * 64,
        size_bytes=1,
        media_type="x/y",
        metadata=msgspec.Raw(metadata),
    )
    running.log.append([Change(artifact_id(repository, "x"), 0, [event], repository)])
    running.fold(CatalogueProjection())
    row = CatalogueView(running.connect).artifact(repository, "x")
    assert row is not None
    assert bytes(row.metadata) == metadata
