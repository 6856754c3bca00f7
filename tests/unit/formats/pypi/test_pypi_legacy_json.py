import json
from datetime import UTC, datetime
from typing import Any

import pytest

from application.formats.pypi.core_metadata import CoreMetadata
from application.formats.pypi.legacy_json import Release, ReleaseFile, latest_version, project_document
from application.formats.pypi.names import normalise
from domain.errors import NotFound

URL = "https://packages.example.org/pypi/libs/simple/demo/"


def file(filename: str, version: str, **changes: Any) -> ReleaseFile:
    kind = "wheel" if filename.endswith(".whl") else "sdist"
    fields: dict[str, Any] = {
        "filename": filename,
        "version": version,
        "kind": kind,
        "python_tag": "py3" if kind == "wheel" else "source",
        "digests": {"sha256": "a" * 64, "md5": "b" * 32},
        "size_bytes": 10,
        "upload_time": datetime(2026, 3, 3, 12, tzinfo=UTC),
        **changes,
    }
    return ReleaseFile(**fields)


def release(version: str = "1.0", **fields: Any) -> Release:
    return Release(
        name=normalise("demo"),
        fields=CoreMetadata(metadata_version="2.4", name="Demo", version=version, **fields),
        files=(
            file("demo-2.0.tar.gz", "2.0", yanked="bad"),
            file("demo-1.0-py3-none-any.whl", "1.0.0"),
            file("demo-1.0.tar.gz", "1.0.0"),
        ),
        last_serial=7,
    )


def test_the_document_of_a_project_lists_all_releases() -> None:
    document = json.loads(project_document(release(keywords=("a", "b"), summary="x"), URL, all_releases=True))
    assert list(document["releases"]) == ["1.0.0", "2.0"]
    assert [url["filename"] for url in document["urls"]] == ["demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"]
    assert document["last_serial"] == 7
    assert document["info"]["keywords"] == "a,b"
    assert document["info"]["yanked"] is False
    assert document["urls"][0] == {
        "comment_text": None,
        "digests": {"sha256": "a" * 64, "md5": "b" * 32},
        "downloads": -1,
        "filename": "demo-1.0-py3-none-any.whl",
        "has_sig": False,
        "md5_digest": "b" * 32,
        "packagetype": "bdist_wheel",
        "python_version": "py3",
        "requires_python": None,
        "size": 10,
        "upload_time": "2026-03-03T12:00:00",
        "upload_time_iso_8601": "2026-03-03T12:00:00.000000Z",
        "url": URL + "demo-1.0-py3-none-any.whl",
        "yanked": False,
        "yanked_reason": None,
    }


def test_the_document_of_a_release_lists_only_its_files() -> None:
    document = json.loads(project_document(release("2.0"), URL, all_releases=False))
    assert "releases" not in document
    assert [url["filename"] for url in document["urls"]] == ["demo-2.0.tar.gz"]
    assert (document["info"]["yanked"], document["info"]["yanked_reason"]) == (True, "bad")


def test_a_release_without_files_is_not_found() -> None:
    with pytest.raises(NotFound):
        project_document(release("3.0"), URL, all_releases=False)


@pytest.mark.parametrize(
    ("versions", "latest"),
    [
        ({"1.0": False, "1.10": False, "1.9": False}, "1.10"),
        ({"1.0": False, "2.0rc1": False}, "1.0"),
        ({"1.0rc1": False, "1.0rc2": False}, "1.0rc2"),
        ({"1.0": False, "2.0": True}, "1.0"),
        ({"1.0": True, "2.0": True}, "2.0"),
        ({"1.0rc1": False, "2.0": True}, "1.0rc1"),
    ],
)
def test_a_project_is_shown_as_its_best_release(versions: dict[str, bool], latest: str) -> None:
    assert latest_version(versions) == latest
