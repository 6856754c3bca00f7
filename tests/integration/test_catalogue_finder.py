"""Finding artifacts, and walking directories page by page."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from application.catalogue import ArtifactRow
from application.finding import ArtifactFilter, Occupancy
from application.log import Change
from domain.artifact import ArtifactDeleted, ArtifactPropertiesSet, ArtifactPublished
from domain.event import Event
from domain.ids import artifact_id
from projections.catalogue.finder import CatalogueFinder
from projections.catalogue.fold import CatalogueProjection
from projections.catalogue.view import CatalogueView
from tests.integration.folding import Registry, registry


@pytest.fixture(scope="module")
def running(postgres_dsn: str) -> Iterator[Registry]:
    with registry(postgres_dsn) as started:
        yield started


class Tree:
    """One repository, told event by event."""

    def __init__(self, running: Registry, *paths: str) -> None:
        self.running, self.id = running, uuid4()
        self.versions: dict[str, int] = {}
        self.finder, self.view = CatalogueFinder(running.connect), CatalogueView(running.connect)
        for path in paths:
            self.publish(path)
        self.fold()

    def publish(self, path: str, revision: int = 1, sha256: str = "0" * 64) -> None:
        self._append(
            path,
            ArtifactPublished(
                repository=self.id, path=path, sha256=sha256, size_bytes=1, media_type="x/y", revision=revision
            ),
        )

    def mark(self, path: str, **properties: tuple[str, ...]) -> None:
        self._append(path, ArtifactPropertiesSet(repository=self.id, path=path, properties=properties))

    def delete(self, path: str) -> None:
        self._append(path, ArtifactDeleted(repository=self.id, path=path))

    def fold(self) -> None:
        self.running.fold(CatalogueProjection())

    def entries(self, directory: str = "", at: int | None = None, page: int = 1000) -> list[str]:
        """Keys of a directory, read page by page."""
        found: list[str] = []
        while True:
            keys = [
                child.key
                for child in self.view.children(self.id, directory, at, after=found[-1] if found else "", limit=page)
            ]
            found += keys
            if len(keys) < page:
                return found

    def paths(self, **conditions: object) -> list[str]:
        return [row.path for row in self.finder.find(ArtifactFilter(repositories=[self.id], **conditions))]  # type: ignore[arg-type]

    def _append(self, path: str, event: Event) -> None:
        version = self.versions.get(path, 0)
        self.running.log.append([Change(artifact_id(self.id, path), version, [event], self.id)])
        self.versions[path] = version + 1


def revision(row: ArtifactRow) -> tuple[int, str]:
    return row.revision, row.sha256[:1]


def test_pages_of_any_size_give_the_same_entries_in_the_same_order(running: Registry) -> None:
    tree = Tree(running, "a/x/1", "a/x/2", "a-b", "a.txt", "a0", "b/1", "b-/1", "c", "ä/ö", "ä", "z%_/1")
    whole = ["a-b", "a.txt", "a/", "a0", "b-/", "b/", "c", "z%_/", "ä", "ä/"]
    assert tree.entries() == whole
    for page in (1, 2, 3, 5):
        assert tree.entries(page=page) == whole


def test_a_directory_is_read_as_it_was(running: Registry) -> None:
    tree = Tree(running, "d/1", "d/e/2", "d/e/3")
    before = running.log.head()
    for path in ("d/1", "d/e/2", "d/e/3"):
        tree.delete(path)
    tree.publish("d/f")
    tree.fold()
    assert tree.entries("d/") == ["f"]
    for page in (1, 2, 1000):
        assert tree.entries("d/", at=before, page=page) == ["1", "e/"]
    assert tree.entries("d/", at=before - 1) == ["1", "e/"]
    assert tree.entries("d/", at=before - 3) == []


def test_ten_thousand_folders_are_listed_in_one_go(running: Registry) -> None:
    tree = Tree(running)
    events = [
        (path, ArtifactPublished(repository=tree.id, path=path, sha256="0" * 64, size_bytes=1, media_type="x/y"))
        for path in (f"{number:05}/file" for number in range(10_000))
    ]
    for start in range(0, len(events), 1000):
        changes = [
            Change(artifact_id(tree.id, path), 0, [event], tree.id) for path, event in events[start : start + 1000]
        ]
        running.log.append(changes)
    tree.fold()
    assert len(tree.view.children(tree.id, "", limit=10_001)) == 10_000


def test_conditions_are_all_required(running: Registry) -> None:
    tree = Tree(running, "a/one.txt", "a/two.bin", "b/one.bin", "b/100%_sure.txt")
    tree.mark("a/one.txt", stage=("test", "live"))
    tree.mark("b/one.bin", stage=("test",), owner=("me",))
    tree.fold()
    assert tree.paths() == ["a/one.txt", "a/two.bin", "b/100%_sure.txt", "b/one.bin"]
    assert tree.paths(prefix="a/") == ["a/one.txt", "a/two.bin"]
    assert tree.paths(text="ONE") == ["a/one.txt", "b/one.bin"]
    assert tree.paths(text="0%_") == ["b/100%_sure.txt"]
    assert tree.paths(text="0_%") == []
    assert tree.paths(name_glob="*.txt") == ["a/one.txt", "b/100%_sure.txt"]
    assert tree.paths(name_glob="a*") == []
    assert tree.paths(glob="a/*.t?t") == ["a/one.txt"]
    assert tree.paths(properties={"stage": "test"}) == ["a/one.txt", "b/one.bin"]
    assert tree.paths(properties={"stage": "live"}) == ["a/one.txt"]
    assert tree.paths(properties={"owner": ""}) == ["b/one.bin"]
    assert tree.paths(properties={"stage": "test", "owner": "me"}, prefix="b/") == ["b/one.bin"]


def test_paging_goes_on_after_a_repository_and_path_or_by_offset(running: Registry) -> None:
    trees = sorted((Tree(running, "1", "2"), Tree(running, "1", "2")), key=lambda tree: tree.id)
    wanted = ArtifactFilter(repositories=[tree.id for tree in trees])
    finder = trees[0].finder

    def places(rows: list[ArtifactRow]) -> list[tuple[UUID, str]]:
        return [(row.repository, row.path) for row in rows]

    every = [(trees[0].id, "1"), (trees[0].id, "2"), (trees[1].id, "1"), (trees[1].id, "2")]
    assert places(finder.find(wanted)) == every
    assert places(finder.find(wanted, after=every[1], limit=1)) == every[2:3]
    assert places(finder.find(wanted, offset=3)) == every[3:]
    assert (finder.count(wanted), finder.count(wanted, limit=3)) == (4, 3)


def test_revisions_outlive_deletion_and_do_not_repeat_for_properties(running: Registry) -> None:
    tree = Tree(running)
    tree.publish("f", 1, "a" * 64)
    tree.mark("f", seen=("yes",))
    first = running.log.head()
    tree.publish("f", 2, "b" * 64)
    tree.delete("f")
    tree.publish("f", 3, "c" * 64)
    tree.delete("f")
    tree.fold()
    artifact = artifact_id(tree.id, "f")
    assert [revision(row) for row in tree.finder.revisions(artifact)] == [(3, "c"), (2, "b"), (1, "a")]
    assert [revision(row) for row in tree.finder.revisions(artifact, first)] == [(1, "a")]


def test_bytes_are_found_only_in_the_repositories_that_were_asked(running: Registry) -> None:
    here, there = Tree(running), Tree(running)
    here.publish("f", 1, "d" * 64)
    there.publish("g", 1, "d" * 64)
    there.publish("g", 2, "e" * 64)
    here.fold()
    finder = here.finder
    assert [row.path for row in finder.with_blob("d" * 64, [here.id, there.id], limit=9)] == ["f"]
    assert finder.with_blob("d" * 64, [there.id]) == []


def test_what_is_in_the_way_of_a_path_is_named(running: Registry) -> None:
    tree = Tree(running, "a/b", "c/d/e", "c-")

    def way(*paths: str) -> Occupancy:
        return tree.finder.occupancy(tree.id, paths)

    assert way("a/b") == Occupancy(frozenset({"a/b"}), None)
    assert way("a/c", "a/b") == Occupancy(frozenset({"a/b"}), None)
    assert way("a/c") == Occupancy(frozenset(), None)
    assert way("a/c", "a/b/c/d") == Occupancy(frozenset(), "a/b")
    assert way("c/d") == Occupancy(frozenset(), "c/d/e")
    assert way("x", "c") == Occupancy(frozenset(), "c/d/e")
    assert tree.finder.occupancy(uuid4(), ["a/b"]) == Occupancy(frozenset(), None)
