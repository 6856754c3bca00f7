import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from application.formats.pypi.index import (
    FileEntry,
    ProjectPage,
    project_html,
    project_json,
    projects_html,
    projects_json,
    versions_of,
)
from application.formats.pypi.names import PypiName, normalise

GOLDEN = Path(__file__).parents[3] / "golden" / "pypi"
MOMENT = datetime(2026, 3, 3, 12, 0, 0, 250, tzinfo=UTC)

PAGE = ProjectPage(
    name=normalise("Demo.Pkg"),
    files=(
        FileEntry(
            filename="demo_pkg-1.10-py3-none-any.whl",
            version="1.10",
            sha256="a" * 64,
            size_bytes=1234,
            upload_time=MOMENT,
            requires_python=">=3.8,<4",
            core_metadata_sha256="b" * 64,
            gpg_signature=False,
            provenance=True,
        ),
        FileEntry(
            filename="demo_pkg-1.9+local.1.tar.gz",
            version="1.9+local.1",
            sha256="c" * 64,
            size_bytes=5,
            upload_time=MOMENT.astimezone(timezone(timedelta(hours=2))),
            yanked='it\'s <b>broken</b> & "bad"',
            gpg_signature=True,
        ),
        FileEntry(
            filename="demo_pkg-1.9-py3-none-any.whl",
            version="1.9",
            sha256="d" * 64,
            size_bytes=6,
            upload_time=MOMENT,
            yanked=True,
        ),
    ),
    versions=("0.1",),
    status="deprecated",
    status_reason="use <other> instead",
    tracks=("https://example.org/simple/demo-pkg/?a=1&b=2",),
    alternate_locations=("https://mirror.example.org/simple/demo-pkg/",),
    page_url="https://packages.example.org/pypi/libs/simple/demo-pkg/",
)


class Links(HTMLParser):
    """The anchors and metas of a page as an installer sees them."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.anchors: list[dict[str, str | None]] = []
        self.metas: list[dict[str, str | None]] = []
        self._text: str | None = None
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._text = ""
            self.anchors.append(dict(attrs))
        elif tag == "meta":
            self.metas.append(dict(attrs))
        else:
            assert tag in ("html", "head", "body", "title", "h1", "br")

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self.anchors[-1]["text"] = self._text = self._text + data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._text = None


def compare_with_golden(name: str, document: bytes) -> None:
    path = GOLDEN / name
    if os.environ.get("WRITE_GOLDEN"):
        path.write_bytes(document)
    assert document == path.read_bytes()


def test_the_pages_are_those_that_were_agreed_on() -> None:
    compare_with_golden("project.html", project_html(PAGE))
    compare_with_golden("project.json", msgspec.json.format(project_json(PAGE), indent=1) + b"\n")
    names = [normalise("Zope.Interface"), normalise("demo")]
    compare_with_golden("projects.html", projects_html(names))
    compare_with_golden("projects.json", projects_json(names) + b"\n")


def test_the_json_page_has_what_the_specification_asks() -> None:
    page = json.loads(project_json(PAGE))
    assert page["meta"] == {"api-version": "1.4", "tracks": ["https://example.org/simple/demo-pkg/?a=1&b=2"]}
    assert page["name"] == "demo-pkg"
    assert page["versions"] == ["0.1", "1.9", "1.9+local.1", "1.10"]
    assert page["alternate-locations"] == ["https://mirror.example.org/simple/demo-pkg/"]
    assert page["project-status"] == {"status": "deprecated", "reason": "use <other> instead"}
    plain, local, best = page["files"]
    assert best == {
        "filename": "demo_pkg-1.10-py3-none-any.whl",
        "url": "demo_pkg-1.10-py3-none-any.whl",
        "hashes": {"sha256": "a" * 64},
        "requires-python": ">=3.8,<4",
        "size": 1234,
        "upload-time": "2026-03-03T12:00:00.000250Z",
        "yanked": False,
        "core-metadata": {"sha256": "b" * 64},
        "dist-info-metadata": {"sha256": "b" * 64},
        "gpg-sig": False,
        "provenance": "https://packages.example.org/pypi/libs/simple/demo-pkg/demo_pkg-1.10-py3-none-any.whl.provenance",
    }
    assert local["url"] == "demo_pkg-1.9%2Blocal.1.tar.gz"
    assert local["upload-time"] == "2026-03-03T12:00:00.000250Z"
    assert local["yanked"] == 'it\'s <b>broken</b> & "bad"'
    assert (plain["yanked"], plain["core-metadata"], plain["dist-info-metadata"]) == (True, False, False)
    assert "requires-python" not in plain
    assert plain["provenance"] is None


def test_the_html_page_says_the_same_as_the_json_page() -> None:
    seen = Links(project_html(PAGE))
    for anchor, file in zip(seen.anchors, json.loads(project_json(PAGE))["files"], strict=True):
        assert anchor["text"] == file["filename"]
        assert anchor["href"] == f"{file['url']}#sha256={file['hashes']['sha256']}"
        assert anchor.get("data-requires-python") == file.get("requires-python")
        yanked = anchor.get("data-yanked", False)
        assert (True if yanked == "" else yanked) == file["yanked"]
        metadata = f"sha256={file['core-metadata']['sha256']}" if file["core-metadata"] else None
        assert anchor.get("data-core-metadata") == anchor.get("data-dist-info-metadata") == metadata
        assert anchor.get("data-gpg-sig") == {True: "true", False: "false", None: None}[file.get("gpg-sig")]
        assert anchor.get("data-provenance") == file["provenance"]
    metas = {(meta["name"], meta["content"]) for meta in seen.metas if "name" in meta}
    assert metas == {
        ("pypi:repository-version", "1.4"),
        ("pypi:tracks", "https://example.org/simple/demo-pkg/?a=1&b=2"),
        ("pypi:alternate-locations", "https://mirror.example.org/simple/demo-pkg/"),
        ("pypi:project-status", "deprecated"),
        ("pypi:project-status-reason", "use <other> instead"),
    }


def test_the_order_of_rows_does_not_change_a_page() -> None:
    shuffled = msgspec.structs.replace(PAGE, files=PAGE.files[::-1])
    assert project_json(shuffled) == project_json(PAGE)
    assert project_html(shuffled) == project_html(PAGE)


def test_markup_in_any_field_stays_text() -> None:
    evil = "'\"><script>alert(1)</script>"
    page = ProjectPage(
        name=normalise("demo"),
        files=(
            FileEntry(filename=f"demo-1.0{evil}.whl", requires_python=evil, yanked=evil, core_metadata_sha256=evil),
        ),
        status_reason=evil,
        tracks=(evil,),
    )
    anchor = Links(project_html(page)).anchors[0]
    assert anchor["text"] == f"demo-1.0{evil}.whl"
    assert anchor["data-requires-python"] == anchor["data-yanked"] == evil
    assert anchor["data-core-metadata"] == f"sha256={evil}"


def test_an_empty_yank_reason_still_yanks() -> None:
    page = ProjectPage(name=normalise("demo"), files=(FileEntry(filename="demo-1.tar.gz", yanked="", size_bytes=1),))
    assert json.loads(project_json(page))["files"][0]["yanked"] is True
    assert Links(project_html(page)).anchors[0]["data-yanked"] == ""


def test_files_of_an_upstream_that_tells_little_are_listed_as_an_older_version_allows() -> None:
    files = (FileEntry(filename="demo-1.0.tar.bz2"), FileEntry(filename="demo-0.9.tar.gz", size_bytes=1))
    page = json.loads(project_json(ProjectPage(name=normalise("demo"), files=files)))
    assert page["meta"] == {"api-version": "1.0"}
    assert page["versions"] == ["0.9", "1"]
    assert page["files"][1]["hashes"] == {}
    assert not {"size", "upload-time", "gpg-sig"} & page["files"][1].keys()


def test_a_quarantined_project_offers_no_files() -> None:
    page = msgspec.structs.replace(PAGE, status="quarantined")
    assert json.loads(project_json(page))["files"] == []
    assert Links(project_html(page)).anchors == []


def test_provenance_is_named_over_https_alone() -> None:
    for url in (None, "http://localhost:8080/pypi/libs/simple/demo-pkg/"):
        page = msgspec.structs.replace(PAGE, page_url=url)
        assert all(file["provenance"] is None for file in json.loads(project_json(page))["files"])
        assert b"data-provenance" not in project_html(page)


def test_a_release_with_two_spellings_is_shown_once() -> None:
    files = tuple(FileEntry(filename=f"demo-{v}.tar.gz", version=v) for v in ("1.0.0", "1.0", "2.0", "2.00"))
    assert versions_of(ProjectPage(name=normalise("demo"), files=files)) == ["1.0", "2.0"]


def test_the_list_of_projects_is_sorted_and_links_to_their_pages() -> None:
    names = [normalise("b"), normalise("A.x")]
    assert [(a["href"], a["text"]) for a in Links(projects_html(names)).anchors] == [("a-x/", "a-x"), ("b/", "b")]
    assert json.loads(projects_json(names)) == {
        "meta": {"api-version": "1.4"},
        "projects": [{"name": "a-x"}, {"name": "b"}],
    }


@pytest.mark.parametrize("render", [projects_json, projects_html])
def test_an_empty_list_is_a_page_too(render: Callable[[list[PypiName]], bytes]) -> None:
    assert render([])
