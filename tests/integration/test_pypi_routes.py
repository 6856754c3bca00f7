"""The PyPI format over the real gate, log and catalogue."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from application.format import Deposit
from application.formats.pypi import FORMAT
from application.formats.pypi.negotiation import JSON_V1
from application.publishing import Target
from domain.errors import Invalid
from domain.event import SYSTEM
from domain.repository import Settings
from tests.integration.harness import Registry, Reply, multipart, registry
from tests.samples.pypi.make import Sample, metadata_text, sdist, wheel, zip_sdist

_numbers = count(1)


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(postgres_dsn, tmp_path_factory.mktemp("pypi"), [FORMAT]) as started:
        yield started
        assert started.spooled_files() == []


class Index:
    """One repository of the running registry, as its clients and its owner see it."""

    def __init__(self, running: Registry, key: str, settings: Settings = Settings()) -> None:  # noqa: B008 - frozen
        self.running, self.key = running, key
        self.row = running.repository(key, "pypi", settings=settings)

    def upload(self, sample: Sample, *, path: str = "/", user: str | None = "admin", **changes: Any) -> Reply:
        form = {
            ":action": "file_upload",
            "protocol_version": "1",
            "filetype": "bdist_wheel" if sample.filename.endswith(".whl") else "sdist",
            "metadata_version": "2.4",
            "name": sample.filename.split("-")[0],
            "version": sample.filename.removesuffix(".tar.gz").removesuffix(".zip").split("-")[1],
            "md5_digest": hashlib.md5(sample.content).hexdigest(),
            "sha256_digest": hashlib.sha256(sample.content).hexdigest(),
            "blake2_256_digest": hashlib.blake2b(sample.content, digest_size=32).hexdigest(),
            "signature": None,
            "accept": "*/*",
        } | changes
        signature, accept = form.pop("signature"), str(form.pop("accept"))
        files = [("content", sample.filename, sample.content)]
        files += [("gpg_signature", f"{sample.filename}.asc", signature)] if signature else []
        fields = [(name, value) for name, value in form.items() if value is not None]
        body, content_type = multipart(fields, files)
        headers = {"content-type": content_type, "accept": accept}
        return self.running.request("POST", f"/pypi/{self.key}{path}", body, user=user, headers=headers)

    def get(self, path: str, accept: str = "*/*", *, at: str = "", **headers: str) -> Reply:
        sent = {"accept": accept} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.running.request("GET", f"/pypi/{self.key}{at}{path}", headers=sent)

    def page(self, project: str = "demo", *, at: str = "") -> dict[str, Any]:
        reply = self.get(f"/simple/{project}/", JSON_V1, at=at)
        assert reply.status == 200, reply.text
        document: dict[str, Any] = reply.json()
        return document

    def filenames(self, project: str = "demo", *, at: str = "") -> list[str]:
        return [file["filename"] for file in self.page(project, at=at)["files"]]

    def change(self, method: str, path: str, body: bytes = b"", *, user: str | None = "admin") -> Reply:
        return self.running.request(method, f"/pypi/{self.key}{path}", body, user=user)

    def head(self) -> str:
        return f"@{self.running.log.head()}"


@pytest.fixture
def index(running: Registry) -> Index:
    return Index(running, f"libs{next(_numbers)}")


@pytest.mark.parametrize("path", ["/", "", "/legacy", "/legacy/"])
def test_an_upload_is_on_the_page_when_it_is_answered(index: Index, path: str) -> None:
    made = wheel()
    assert index.upload(made, path=path).status == 200
    page = index.page()
    assert (page["name"], page["versions"]) == ("demo", ["1.0"])
    assert page["files"] == [
        page["files"][0]
        | {
            "filename": made.filename,
            "url": made.filename,
            "hashes": {"sha256": hashlib.sha256(made.content).hexdigest()},
            "size": len(made.content),
            "requires-python": ">=3.8",
            "yanked": False,
        }
    ]
    uploaded = datetime.fromisoformat(page["files"][0]["upload-time"])
    assert abs((datetime.now(UTC) - uploaded).total_seconds()) < 60


def test_fields_and_file_may_come_in_any_order(index: Index) -> None:
    made = wheel()
    fields = [(":action", "file_upload"), ("name", "Demo"), ("version", "1.0.0"), ("filetype", "bdist_wheel")]
    body, content_type = multipart(fields, [("content", made.filename, made.content)])
    head, *parts = body.split(b"--------------------------5f1b0c7e2a9d\r\n")
    assert head == b""
    last = parts[-1].removesuffix(b"--------------------------5f1b0c7e2a9d--\r\n")
    turned = b"".join(b"--------------------------5f1b0c7e2a9d\r\n" + part for part in [last, *parts[:-1]])
    turned += b"--------------------------5f1b0c7e2a9d--\r\n"
    reply = index.running.request(
        "POST", f"/pypi/{index.key}/", turned, user="admin", headers={"content-type": content_type}
    )
    assert reply.status == 200, reply.text
    assert index.filenames() == [made.filename]


def test_the_metadata_file_is_served_under_the_digest_that_the_page_tells(index: Index) -> None:
    index.upload(wheel())
    index.upload(sdist(metadata=metadata_text(metadata_version="2.1")))
    files = {file["filename"]: file for file in index.page()["files"]}
    told = files["demo-1.0-py3-none-any.whl"]["core-metadata"]["sha256"]
    reply = index.get("/simple/demo/demo-1.0-py3-none-any.whl.metadata")
    assert reply.status == 200
    assert hashlib.sha256(reply.body).hexdigest() == told
    assert "immutable" in reply.header("cache-control")
    assert reply.text.startswith("Metadata-Version: 2.4\nName: demo\n")
    assert files["demo-1.0.tar.gz"]["core-metadata"] is False
    assert index.get("/simple/demo/demo-1.0.tar.gz.metadata").status == 404


def test_files_come_whole_in_ranges_and_conditionally(index: Index) -> None:
    made = wheel()
    index.upload(made)
    path = f"/simple/demo/{made.filename}"
    whole = index.get(path)
    assert (whole.status, whole.body) == (200, made.content)
    assert "immutable" in whole.header("cache-control")
    part = index.get(path, range="bytes=-20")
    assert (part.status, part.body) == (206, made.content[-20:])
    assert index.get(path, if_none_match=whole.header("etag")).status == 304
    head = index.running.request("HEAD", f"/pypi/{index.key}{path}")
    assert (head.status, head.header("content-length"), head.body) == (200, str(len(made.content)), b"")
    assert [download[0] for download in index.running.downloads[-2:]]


def test_pages_are_negotiated_and_revalidated(index: Index) -> None:
    index.upload(wheel())
    for path in ("/simple/", "/simple/demo/"):
        html, as_json = index.get(path), index.get(path, JSON_V1)
        assert html.header("content-type") == "text/html; charset=utf-8"
        assert as_json.header("content-type") == JSON_V1
        assert html.body.startswith(b"<!DOCTYPE html>")
        assert json.loads(as_json.body)["meta"] == {"api-version": "1.4"}
        for reply, accept in ((html, "*/*"), (as_json, JSON_V1)):
            assert "Accept" in [value for name, value in reply.headers if name == "vary"]
            assert index.get(path, accept, if_none_match=reply.header("etag")).status == 304
        assert html.header("etag") != as_json.header("etag")
        assert index.get(path, f"{JSON_V1};q=0.1, text/html;q=0.2").body == html.body
        assert index.get(f"{path}?format={JSON_V1}", "text/html").body == as_json.body
        refused = index.get(path, "image/png")
        assert (refused.status, refused.header("content-type")) == (406, "text/plain; charset=utf-8")


def test_the_list_names_every_project_once(index: Index) -> None:
    assert index.get("/simple/", JSON_V1).json()["projects"] == []
    for sample in (wheel("Zope.Interface"), wheel("zope-interface", "2.0"), wheel("alpha")):
        index.upload(sample)
    assert index.get("/simple/", JSON_V1).json()["projects"] == [{"name": "alpha"}, {"name": "zope-interface"}]


@pytest.mark.parametrize(
    ("asked", "location"),
    [
        ("/simple", "simple/"),
        ("/simple/demo-pkg", "demo-pkg/"),
        ("/simple/Demo.Pkg", "demo-pkg/"),
        ("/simple/Demo.Pkg/", "../demo-pkg/"),
        ("/simple/Demo.Pkg/?format=text/html", "../demo-pkg/?format=text%2Fhtml"),
        ("/pypi/Demo.Pkg/json", "../demo-pkg/json"),
        ("/pypi/Demo.Pkg/1.0+x/json", "../../demo-pkg/1.0%2Bx/json"),
    ],
)
def test_other_spellings_are_redirected(index: Index, asked: str, location: str) -> None:
    reply = index.get(asked)
    assert (reply.status, reply.header("location")) == (301, location)


@pytest.mark.parametrize(
    "path",
    [
        "/simple/nothing/",
        "/simple/-/",
        "/simple/d%C3%A9mo/",
        "/simple/%3Cscript%3E/",
        "/simple/demo/demo-9.9.tar.gz",
        "/simple/demo/.metadata",
        "/simple/demo/demo-1.0-py3-none-any.whl.asc",
        "/simple/demo/demo-1.0-py3-none-any.whl.provenance",
        "/pypi/nothing/json",
        "/pypi/demo/9.9/json",
        "/pypi/demo/not-a-version/json",
        "/nothing",
    ],
)
def test_what_is_not_there_is_a_sentence_in_plain_text(index: Index, path: str) -> None:
    index.upload(wheel())
    reply = index.get(path)
    assert reply.status == 404
    assert reply.header("content-type").startswith("text/plain")
    assert "<" not in reply.text.replace("'<script>'", "")
    assert reply.text.count("\n") <= 1


def test_errors_are_json_for_those_who_prefer_it(index: Index) -> None:
    reply = index.upload(wheel(), name="other", accept="application/json;q=0.9, text/plain;q=0.8, text/html;q=0.7")
    assert (reply.status, reply.header("content-type")) == (400, "application/json")
    assert "form: name: 'other', but the file is one of demo" in reply.json()["message"]


def test_identical_bytes_again_are_fine_and_other_bytes_are_not(index: Index) -> None:
    index.upload(wheel())
    at = index.head()
    assert index.upload(wheel()).status == 200
    assert index.head() == at
    reply = index.upload(wheel(extra={"demo/more.py": b"x = 1\n"}))
    assert reply.status == 409
    assert reply.text.startswith("File already exists ('demo-1.0-py3-none-any.whl')")
    assert index.get("/simple/demo/demo-1.0-py3-none-any.whl").body == wheel().content


def test_a_repository_may_be_set_to_let_files_be_replaced(running: Registry) -> None:
    index = Index(running, f"libs{next(_numbers)}", Settings(overwrite="allow"))
    index.upload(wheel())
    path = "/simple/demo/demo-1.0-py3-none-any.whl"
    assert "immutable" not in index.get(path).header("cache-control")
    other = wheel(extra={"demo/more.py": b"x = 1\n"})
    assert index.upload(other).status == 200
    assert index.get(path).body == other.content
    assert index.page()["files"][0]["hashes"]["sha256"] == hashlib.sha256(other.content).hexdigest()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sha256_digest": "0" * 64}, "sha256 digest mismatch"),
        ({"md5_digest": "0" * 32}, "md5 digest mismatch"),
        ({"blake2_256_digest": "0" * 64}, "blake2b_256 digest mismatch"),
        ({"sha256_digest": "nonsense"}, "sha256 digest mismatch"),
        ({"version": "2.0"}, "form: version"),
        ({"filetype": "sdist"}, "form: filetype"),
        ({":action": "submit"}, ":action must be file_upload"),
        ({":action": None}, ":action must be file_upload"),
        ({"protocol_version": "2"}, "protocol_version must be 1"),
        ({"signature": b"not a signature"}, "not an ASCII-armoured signature"),
        ({"signature": b"-----BEGIN PGP SIGNATURE-----" + b"x" * 9000}, "at most 8192 bytes"),
        ({"attestations": "[]"}, "invalid attestations"),
        ({"attestations": "[" * 2000}, "invalid attestations"),
        ({"attestations": '[{"version": 1}]'}, "invalid attestations"),
    ],
)
def test_an_upload_that_contradicts_itself_leaves_nothing(index: Index, changes: dict[str, Any], said: str) -> None:
    at = index.head()
    reply = index.upload(wheel(), **changes)
    assert reply.status == 400
    assert said in reply.text
    assert index.head() == at
    assert index.get("/simple/demo/").status == 404
    assert index.running.spooled_files() == []


def test_forms_that_are_no_upload_are_refused(index: Index) -> None:
    fields = [(":action", "file_upload"), ("name", "demo"), ("version", "1.0")]
    content = ("content", wheel().filename, wheel().content)
    for files in ([], [content, content], [("content", "", b"x")], [("content", "../../etc/passwd", b"x")]):
        body, content_type = multipart(fields, files)
        reply = index.running.request(
            "POST", f"/pypi/{index.key}/", body, user="admin", headers={"content-type": content_type}
        )
        assert reply.status == 400, files
    for content_type in ("application/json", "multipart/form-data", "multipart/form-data; boundary=x"):
        reply = index.running.request(
            "POST", f"/pypi/{index.key}/", b"{}", user="admin", headers={"content-type": content_type}
        )
        assert reply.status == 400
        assert reply.header("content-type").startswith("text/plain")


def test_a_release_has_one_source_distribution(index: Index) -> None:
    assert index.upload(sdist()).status == 200
    reply = index.upload(zip_sdist())
    assert (reply.status, reply.text) == (
        409,
        "release 1.0 has a source distribution, demo-1.0.tar.gz; only one is allowed\n",
    )
    assert index.upload(sdist()).status == 200


def test_spellings_of_a_version_are_one_release(index: Index) -> None:
    index.upload(wheel(version="1.0.0"))
    index.upload(sdist(version="1.0"))
    assert index.page()["versions"] == ["1.0.0"]
    assert index.change("PUT", "/pypi/demo/1/yank").status == 204
    assert [file["yanked"] for file in index.page()["files"]] == [True, True]


def test_a_yank_is_shown_with_its_reason_and_taken_back(index: Index) -> None:
    index.upload(wheel())
    index.upload(wheel(version="2.0"))
    before = index.head()
    assert index.change("PUT", "/pypi/Demo/2.0/yank", b"it's <broken>").status == 204
    assert [file["yanked"] for file in index.page()["files"]] == [False, "it's <broken>"]
    assert 'data-yanked="it&#x27;s &lt;broken&gt;"' in index.get("/simple/demo/").text
    assert index.get("/simple/demo/demo-2.0-py3-none-any.whl").status == 200
    assert [file["yanked"] for file in index.page(at=before)["files"]] == [False, False]
    assert index.change("DELETE", "/pypi/demo/2.0/yank").status == 204
    assert [file["yanked"] for file in index.page()["files"]] == [False, False]
    assert index.change("PUT", "/pypi/demo/3.0/yank").status == 404
    assert index.change("PUT", "/pypi/demo/2.0/yank", b"\xff").status == 400
    assert index.change("PUT", "/pypi/demo/2.0/yank", b"two\nlines").status == 400


def test_a_deleted_file_name_is_never_given_again(index: Index) -> None:
    index.upload(wheel())
    index.upload(wheel(version="2.0"))
    before = index.head()
    assert index.change("DELETE", "/simple/demo/demo-2.0-py3-none-any.whl").status == 204
    assert index.filenames() == ["demo-1.0-py3-none-any.whl"]
    assert index.get("/simple/demo/demo-2.0-py3-none-any.whl").status == 404
    assert index.get("/simple/demo/demo-2.0-py3-none-any.whl.metadata").status == 404
    for again in (wheel(version="2.0"), wheel(version="2.0", extra={"x.py": b""})):
        reply = index.upload(again)
        assert (reply.status, "already exist" in reply.text) == (400, False)
        assert "was used before and deleted" in reply.text
    assert index.filenames(at=before) == ["demo-1.0-py3-none-any.whl", "demo-2.0-py3-none-any.whl"]
    assert index.get("/simple/demo/demo-2.0-py3-none-any.whl", at=before).body == wheel(version="2.0").content
    assert index.change("DELETE", "/simple/demo/demo-2.0-py3-none-any.whl").status == 404


def test_a_release_is_deleted_with_all_of_its_files(index: Index) -> None:
    for sample in (wheel(), sdist(), wheel(version="2.0")):
        index.upload(sample)
    assert index.change("DELETE", "/pypi/demo/1.0.0").status == 204
    assert index.filenames() == ["demo-2.0-py3-none-any.whl"]
    assert index.change("DELETE", "/pypi/demo/1.0.0").status == 404
    assert index.change("DELETE", "/pypi/demo/2.0").status == 204
    assert index.get("/simple/demo/").status == 404
    assert index.get("/simple/", JSON_V1).json()["projects"] == []


def test_the_past_can_be_read_and_not_written(index: Index) -> None:
    before = index.head()
    index.upload(wheel())
    assert index.get("/simple/demo/", at=before).status == 404
    assert index.get("/simple/", JSON_V1, at=before).json()["projects"] == []
    body, content_type = multipart([(":action", "file_upload")], [("content", wheel().filename, wheel().content)])
    reply = index.running.request(
        "POST", f"/pypi/{index.key}{before}/", body, user="admin", headers={"content-type": content_type}
    )
    assert reply.status == 405
    assert "the past cannot be written to" in reply.text


def test_only_those_who_may_can_publish_yank_and_delete(index: Index) -> None:
    index.running.person("reader", **{index.key: "read"})
    index.running.person("writer", **{index.key: "read write"})
    made = wheel()
    anonymous = index.upload(made, user=None)
    assert anonymous.status == 401
    assert any(value.startswith("Basic") for name, value in anonymous.headers if name == "www-authenticate")
    assert index.upload(made, user="reader").status == 403
    assert index.upload(made, user="writer").status == 200
    assert index.change("PUT", "/pypi/demo/1.0/yank", user="reader").status == 403
    assert index.change("PUT", "/pypi/demo/1.0/yank", user="writer").status == 204
    assert index.change("DELETE", "/simple/demo/demo-1.0-py3-none-any.whl", user="writer").status == 403
    assert index.change("DELETE", "/pypi/demo/1.0", user="writer").status == 403
    assert index.change("DELETE", "/pypi/demo/1.0", user="admin").status == 204


def set_status(index: Index, status: str, reason: str = "", *, user: str = "admin") -> Reply:
    return index.change(
        "PUT", "/pypi/Demo/status", json.dumps({"status": status, "reason": reason}).encode(), user=user
    )


def test_a_closed_project_takes_no_files_and_says_so(index: Index) -> None:
    index.upload(wheel())
    set_status(index, "archived", "moved to <other>")
    assert index.page()["project-status"] == {"status": "archived", "reason": "moved to <other>"}
    assert 'content="moved to &lt;other&gt;"' in index.get("/simple/demo/").text
    reply = index.upload(wheel(version="2.0"))
    assert (reply.status, reply.text) == (403, "project demo is archived and takes no new files\n")
    assert index.filenames() == [wheel().filename]
    set_status(index, "quarantined")
    assert index.page()["files"] == []
    assert index.upload(wheel(version="2.0")).status == 403
    set_status(index, "active")
    assert index.upload(wheel(version="2.0")).status == 200


def test_a_status_is_one_of_four_and_set_by_those_who_administer(index: Index) -> None:
    index.running.person("writer", **{index.key: "read write delete"})
    assert set_status(index, "archived").status == 404
    index.upload(wheel())
    before = index.head()
    assert set_status(index, "archived", user="writer").status == 403
    assert set_status(index, "gone").status == 400
    assert set_status(index, "archived", "two\nlines").status == 400
    assert index.change("PUT", "/pypi/demo/status", b"archived").status == 400
    assert set_status(index, "deprecated", "use another").status == 204
    assert index.page()["project-status"] == {"status": "deprecated", "reason": "use another"}
    assert index.page(at=before)["project-status"] == {"status": "active"}
    assert index.upload(wheel(version="2.0")).status == 200


def test_a_project_tells_where_else_it_is(index: Index) -> None:
    index.upload(wheel())
    before = index.head()
    here, there = "https://index.example.org/simple/demo/", "https://mirror.example.org/simple/demo/?a=1&b='2'"
    document = {"tracks": [here, here], "alternate-locations": [there]}
    assert index.change("PUT", "/pypi/Demo/locations", json.dumps(document).encode()).status == 204
    page = index.page()
    assert (page["meta"]["tracks"], page["alternate-locations"]) == ([here], [there])
    html = index.get("/simple/demo/").text
    assert f'<meta name="pypi:tracks" content="{here}">' in html
    assert '?a=1&amp;b=&#x27;2&#x27;">' in html
    assert "tracks" not in index.page(at=before)["meta"]
    assert index.change("PUT", "/pypi/demo/locations", b"{}").status == 204
    assert "tracks" not in index.page()["meta"]


@pytest.mark.parametrize(
    "document",
    [
        b"[]",
        b'{"tracks": "https://index.example.org/simple/demo/"}',
        b'{"tracks": ["javascript:alert(1)"]}',
        b'{"tracks": ["https://user:word@index.example.org/"]}',
        b'{"tracks": ["https://index.example.org/a b"]}',
        b'{"alternate-locations": ["ftp://index.example.org/"]}',
        json.dumps({"tracks": [f"https://index.example.org/{number}" for number in range(17)]}).encode(),
    ],
)
def test_a_location_that_is_no_address_of_a_project_is_refused(index: Index, document: bytes) -> None:
    index.upload(wheel())
    assert index.change("PUT", "/pypi/demo/locations", document).status == 400


def test_a_signature_is_kept_beside_its_file(index: Index) -> None:
    signature = b"-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n"
    index.upload(wheel(), signature=signature)
    assert index.page()["files"][0]["gpg-sig"] is True
    assert 'data-gpg-sig="true"' in index.get("/simple/demo/").text
    assert index.get("/simple/demo/demo-1.0-py3-none-any.whl.asc").body == signature


def attestation(filename: str, sha256: str) -> dict[str, Any]:
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": filename, "digest": {"sha256": sha256}}],
        "predicateType": "https://example.org/attestations/publish/v1",
        "predicate": None,
    }
    return {
        "version": 1,
        "verification_material": {"certificate": "Y2VydA==", "transparency_entries": [{"logIndex": "1"}]},
        "envelope": {"statement": base64.b64encode(json.dumps(statement).encode()).decode(), "signature": "c2ln"},
    }


def test_attestations_of_this_file_become_its_provenance(index: Index) -> None:
    made = wheel()
    digest = hashlib.sha256(made.content).hexdigest()
    one = attestation(made.filename, digest)
    assert index.upload(made, attestations=json.dumps([one])).status == 200
    provenance = index.get(f"/simple/demo/{made.filename}.provenance").json()
    assert provenance["version"] == 1
    assert provenance["attestation_bundles"][0]["attestations"] == [one]
    assert index.page()["files"][0]["provenance"] is None


@pytest.mark.parametrize(
    ("filename", "digest"),
    [("other-1.0-py3-none-any.whl", None), ("demo-1.0-py3-none-any.whl", "0" * 64), ("demo-1.0.tar.gz", None)],
)
def test_attestations_of_another_file_are_refused(index: Index, filename: str, digest: str | None) -> None:
    made = wheel()
    one = attestation(filename, digest or hashlib.sha256(made.content).hexdigest())
    reply = index.upload(made, attestations=json.dumps([one]))
    assert reply.status == 400
    assert "a statement is not about demo-1.0-py3-none-any.whl" in reply.text
    twice = attestation(made.filename, hashlib.sha256(made.content).hexdigest())
    assert index.upload(made, attestations=json.dumps([twice, twice])).status == 400


def test_the_json_document_tells_what_the_public_index_tells(index: Index) -> None:
    fields = (("Summary", "first"), ("Requires-Dist", "six>=1"), ("Classifier", "Topic :: Utilities"))
    index.upload(wheel(version="1.0", metadata=metadata_text(fields=fields, description="# Hi")))
    index.upload(sdist(version="2.0", metadata=metadata_text(version="2.0", metadata_version="2.1")))
    index.upload(wheel(version="3.0rc1"))
    document = index.get("/pypi/demo/json").json()
    assert document["info"]["version"] == "2.0"
    assert list(document["releases"]) == ["1.0", "2.0", "3.0rc1"]
    assert document["last_serial"] == index.running.log.head()
    first = index.get("/pypi/demo/1.0/json").json()
    assert "releases" not in first
    assert (first["info"]["summary"], first["info"]["requires_dist"]) == ("first", ["six>=1"])
    assert first["info"]["description"] == "# Hi"
    url = first["urls"][0]
    assert url["url"] == f"http://registry.example/pypi/{index.key}/simple/demo/demo-1.0-py3-none-any.whl"
    assert set(url["digests"]) == {"sha256", "md5", "blake2b_256"}
    assert url["md5_digest"] == url["digests"]["md5"]


def test_metadata_too_long_for_an_event_keep_the_page_whole(index: Index) -> None:
    fields = tuple(("Requires-Dist", f"package-number-{number}>={number}") for number in range(2000))
    metadata = metadata_text(
        fields=(*fields, ("Requires-Python", ">=3.9"), ("Summary", "long")), description="x" * 90_000
    )
    assert index.upload(wheel(metadata=metadata)).status == 200
    assert index.page()["files"][0]["requires-python"] == ">=3.9"
    assert len(index.get("/pypi/demo/json").json()["info"]["requires_dist"]) == 2000


def test_hostile_archives_are_refused_in_a_sentence(index: Index) -> None:
    for sample in (
        Sample("demo-1.0-py3-none-any.whl", b"PK\5\6" + b"\0" * 18),
        Sample("demo-1.0.tar.gz", gzip.compress(b"\0" * (1 << 20))),
        Sample("demo-1.0.tar.gz", b"\x1f\x8b garbage"),
        Sample("demo-1.0-py3-none-any.whl", sdist().content),
        wheel(metadata=b"\x00" * 100),
        wheel(metadata=metadata_text("d\u00e9mo")),
    ):
        reply = index.upload(sample)
        assert reply.status == 400
        assert sample.filename in reply.text
        assert reply.text.count("\n") == 1


def test_a_bare_file_is_published_by_what_it_says_itself(running: Registry, index: Index) -> None:
    made = wheel("Demo.Pkg", "1.0.0")
    with running.spool.create(FORMAT.digests) as writer:
        writer.write(made.content)
        spooled = writer.finish()
    target = Target(index.row.id, index.row.settings, SYSTEM)
    given = Deposit(
        path=f"some/folder/{made.filename}",
        spooled=spooled,
        services=running.services,
        target=target,
        properties={"team": ("a",)},
    )
    assert FORMAT.deposit is not None
    assert FORMAT.deposit(given) == f"demo-pkg/{made.filename}"
    row = running.catalogue.artifact(index.row.id, f"demo-pkg/{made.filename}")
    assert row is not None
    assert (row.properties, row.version) == ({"team": ("a",)}, "1.0.0")
    assert index.page("demo-pkg")["files"][0]["core-metadata"]
    with running.spool.create() as writer:
        writer.write(b"no wheel")
        given = msgspec.structs.replace(given, spooled=writer.finish())
    with pytest.raises(Invalid):
        FORMAT.deposit(given)
    running.spool.discard(given.spooled)


def test_the_address_of_a_snapshot_holds_its_files(running: Registry, index: Index) -> None:
    index.upload(wheel())
    position = running.log.head()
    index.upload(wheel(version="2.0"))
    key = f"{index.key}-then"
    running.repository(key, "pypi", kind="snapshot", source=index.row.id, source_position=position)
    reply = running.request("GET", f"/pypi/{key}/simple/demo/", headers={"accept": JSON_V1})
    assert reply.json()["versions"] == ["1.0"]


def test_nothing_of_the_samples_is_left_on_disk(running: Registry, tmp_path: Path) -> None:
    assert running.spooled_files() == []
    assert list(tmp_path.iterdir()) == []
