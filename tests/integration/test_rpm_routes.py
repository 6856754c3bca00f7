"""The RPM format over the real gate, log and catalogue."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator
from itertools import count
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import zstandard

from application.formats.rpm import FORMAT, reading
from tests.integration.harness import Registry, Reply, multipart, registry
from tests.samples.rpm import make

REPO = "{http://linux.duke.edu/metadata/repo}"
COMMON = "{http://linux.duke.edu/metadata/common}"
MODULES = b"---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: demo\n"
UPDATES = b'<?xml version="1.0"?><updates><update type="security"><id>AK-1</id></update></updates>'
COMPS = b'<?xml version="1.0"?><!DOCTYPE comps PUBLIC "-//Red Hat//DTD Comps info//EN" "comps.dtd"><comps><group><id>core</id></group></comps>'
_numbers = count(1)


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(postgres_dsn, tmp_path_factory.mktemp("rpm"), [FORMAT]) as started:
        started.person("rita")
        yield started
        assert started.spooled_files() == []


class Repository:
    """One repository of the running registry, as dnf sees it."""

    def __init__(self, running: Registry, **options: Any) -> None:
        self.running, self.key = running, f"el{next(_numbers)}"
        self.row = running.repository(self.key, "rpm", **options)

    def request(
        self, method: str, path: str, body: bytes = b"", *, user: str | None = "admin", at: str = "", **headers: str
    ) -> Reply:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.running.request(method, f"/rpm/{self.key}{at}/{path}", body, user=user, headers=sent)

    def get(self, path: str, **options: Any) -> Reply:
        return self.request("GET", path, user=None, **options)

    def publish(self, name: str = "demo", version: str = "1.0", **options: Any) -> Reply:
        body = make.rpm(name, version, **options)
        return self.request("PUT", f"packages/{name}-{version}-1.noarch.rpm", body)

    def listed(self, at: str = "", below: str = "") -> dict[str, tuple[str, str]]:
        """Type to address and digest, as repomd.xml has them."""
        reply = self.get(f"{below}repodata/repomd.xml", at=at)
        assert (reply.status, reply.header("content-type")) == (200, "application/xml"), reply.text
        found = {}
        for data in ET.fromstring(reply.body).iter(f"{REPO}data"):
            location, checksum = data.find(f"{REPO}location"), data.find(f"{REPO}checksum")
            assert location is not None
            assert checksum is not None
            found[data.attrib["type"]] = location.attrib["href"], checksum.text or ""
        return found

    def document(self, kind: str, at: str = "") -> bytes:
        """A listed document, after the checks that clients make."""
        href, digest = self.listed(at)[kind]
        reply = self.get(href, at=at)
        assert reply.status == 200, (href, reply.text)
        assert hashlib.sha256(reply.body).hexdigest() == digest
        return gzip.decompress(reply.body) if href.endswith(".gz") else reply.body

    def packages(self, at: str = "") -> list[str]:
        """What the first document lists, by the names of the files."""
        root = ET.fromstring(self.document("primary", at))
        hrefs = [location.attrib["href"] for location in root.iter(f"{COMMON}location")]
        assert root.attrib["packages"] == str(len(hrefs))
        return [href.removeprefix("packages/") for href in hrefs]

    def head(self) -> str:
        return f"@{self.running.log.head()}"


@pytest.fixture
def repo(running: Registry) -> Repository:
    return Repository(running)


# packages


def test_a_package_is_in_the_documents_when_its_upload_is_answered(repo: Repository) -> None:
    body = make.rpm(epoch=2)
    reply = repo.request("PUT", "packages/demo-1.0-1.noarch.rpm", body)
    assert reply.status == 201
    assert reply.json() == {
        "name": "demo",
        "epoch": 2,
        "version": "1.0",
        "release": "1",
        "arch": "noarch",
        "sha256": hashlib.sha256(body).hexdigest(),
        "size": len(body),
        "path": "packages/demo-1.0-1.noarch.rpm",
        "signatures": [],
    }
    assert repo.packages() == ["demo-1.0-1.noarch.rpm"]
    assert hashlib.sha256(body).hexdigest().encode() in repo.document("primary")
    download = repo.get("packages/demo-1.0-1.noarch.rpm")
    assert (download.status, download.body, download.header("content-type")) == (200, body, "application/x-rpm")
    part = repo.get("packages/demo-1.0-1.noarch.rpm", range="bytes=0-3")
    assert (part.status, part.body) == (206, body[:4])


def test_what_rpmbuild_made_is_told_as_createrepo_tells_it(repo: Repository) -> None:
    for name in make.BUILT:
        assert repo.request("PUT", f"packages/{name}", (make.HERE / name).read_bytes()).status == 201
    golden = make.HERE.parents[1] / "golden" / "rpm"
    for kind in ("filelists", "other"):
        assert ET.canonicalize(repo.document(kind)) == ET.canonicalize((golden / f"{kind}.xml").read_bytes())
    ours = re.sub(rb'<time file="[0-9]+"', b'<time file="1795283841"', repo.document("primary"))
    ours = ours.replace(b'href="packages/', b'href="')
    assert ET.canonicalize(ours) == ET.canonicalize((golden / "primary.xml").read_bytes())


def test_the_same_again_changes_nothing_and_other_bytes_are_a_conflict(repo: Repository) -> None:
    assert repo.publish().status == 201
    before = repo.listed()
    assert repo.publish().status == 200
    assert repo.listed() == before
    refused = repo.publish(mark="other bytes")
    assert refused.status == 409
    assert (
        refused.text
        == "demo-1.0-1.noarch.rpm is published already with other content; raise the version or the release\n"
    )
    assert repo.publish(epoch=1).status == 409, "the file of another epoch has the same name"


def test_a_package_goes_where_its_header_says(repo: Repository) -> None:
    body = make.rpm("other", "2.0", arch="x86_64")
    assert repo.request("PUT", "packages/o/other.rpm", body).json()["path"] == "packages/other-2.0-1.x86_64.rpm"
    for path in ("packages/other-2.0-1.x86_64.rpm", "packages/o/other-2.0-1.x86_64.rpm"):
        assert repo.get(path).body == body
    refused = repo.request("PUT", "packages/other-2.1-1.x86_64.rpm", body)
    assert refused.status == 400
    assert "must be called other-2.0-1.x86_64.rpm" in refused.text
    for path in ("packages/other.deb", "packages/repodata%2Frepomd.rpm"):
        assert repo.request("PUT", path, body).status == 400, path


def test_an_upload_without_a_name_is_a_body_or_a_form(repo: Repository) -> None:
    assert repo.request("POST", "upload", make.rpm("bare")).status == 201
    named = repo.request("POST", "upload", make.rpm("named"), content_disposition='attachment; filename="named.rpm"')
    assert named.status == 201
    form, content_type = multipart([], [("file", "formed.rpm", make.rpm("formed"))])
    assert repo.request("POST", "upload", form, content_type=content_type).status == 201
    assert repo.packages() == [f"{name}-1.0-1.noarch.rpm" for name in ("bare", "formed", "named")]
    wrong = repo.request("POST", "upload", make.rpm("bare"), x_package_filename="other-1.0-1.noarch.rpm")
    assert wrong.status == 400


@pytest.mark.parametrize("body", [b"", b"no package", make.rpm()[:-1], make.lead(), make.rpm() + b"more"])
def test_what_is_no_whole_package_is_refused(repo: Repository, body: bytes) -> None:
    refused = repo.request("PUT", "packages/demo-1.0-1.noarch.rpm", body)
    assert refused.status == 400
    assert "not an RPM package" in refused.text
    assert repo.packages() == []


def test_a_deleted_package_is_told_no_more(repo: Repository) -> None:
    repo.publish()
    repo.publish("kept")
    assert repo.request("DELETE", "packages/demo-1.0-1.noarch.rpm").status == 204
    assert repo.packages() == ["kept-1.0-1.noarch.rpm"]
    assert repo.get("packages/demo-1.0-1.noarch.rpm").status == 404
    assert repo.request("DELETE", "packages/demo-1.0-1.noarch.rpm").status == 404


def test_only_who_may_write_writes(running: Registry) -> None:
    repo = Repository(running, public=False)
    for user, status in ((None, 401), ("rita", 404)):
        assert repo.request("PUT", "packages/demo-1.0-1.noarch.rpm", make.rpm(), user=user).status == status
        assert repo.request("GET", "repodata/repomd.xml", user=user).status == status
    assert repo.request("GET", "repodata/repomd.xml", user=None).header("www-authenticate").startswith("Basic")


def test_a_package_with_very_many_files_keeps_its_list_elsewhere(repo: Repository) -> None:
    files = [f"/usr/share/demo/{number:06d}.txt" for number in range(2_000)]
    assert repo.publish(files=files).status == 201
    told = repo.document("filelists")
    assert all(f"<file>{path}</file>".encode() in told for path in files)
    (row,) = repo.running.catalogue.artifacts(repo.row.id, "demo")
    assert row.blobs.keys() == {"fragments"}


# documents


def test_a_repository_without_packages_has_documents_too(repo: Repository) -> None:
    assert repo.listed().keys() == {"primary", "filelists", "other"}
    assert repo.packages() == []
    assert repo.get("repodata/repomd.xml.asc").status == 404
    assert repo.get("repodata/repomd.xml.key").status == 404


def test_documents_of_earlier_revisions_stay_where_they_were(repo: Repository) -> None:
    repo.publish()
    before = {href: repo.get(href).body for href, _ in repo.listed().values()}
    for number in range(3):
        repo.publish("more", f"1.{number}")
    repo.request("DELETE", "packages/demo-1.0-1.noarch.rpm")
    for href, body in before.items():
        assert repo.get(href).body == body
    assert not before.keys() & {href for href, _ in repo.listed().values()}


def test_a_document_that_never_was_is_not_found(repo: Repository) -> None:
    repo.publish()
    href, digest = repo.listed()["primary"]
    revision = int(href.removeprefix("repodata/").partition("-")[0])
    for name in (
        f"{revision}-{digest[::-1]}-primary.xml.gz",
        f"{revision - 1}-{digest}-primary.xml.gz",
        f"{revision + 1}-{digest}-primary.xml.gz",
        f"{revision}-{digest}-filelists.xml.gz",
        f"{revision}-{digest}-modules.yaml.gz",
        "primary.sqlite.bz2",
        "modules.yaml",
        "repomd.xml.gz",
    ):
        assert repo.get(f"repodata/{name}").status == 404, name


def test_documents_have_fixed_names_too(repo: Repository) -> None:
    repo.publish()
    for kind in ("primary", "filelists", "other"):
        assert gzip.decompress(repo.get(f"repodata/{kind}.xml.gz").body) == repo.document(kind)
        assert repo.get(f"repodata/{kind}.xml").body == repo.document(kind)


def test_long_documents_are_sent_as_they_are_made(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("demo", "other"):
        repo.publish(name)
    before = repo.document("primary")
    monkeypatch.setattr(reading, "MAX_HELD_BYTES", 10)
    assert repo.document("primary") == before
    href = repo.listed()["primary"][0]
    reply = repo.get(href)
    assert reply.header("content-length") == str(len(reply.body))
    head = repo.request("HEAD", href, user=None)
    assert (head.status, head.header("content-length"), head.body) == (200, str(len(reply.body)), b"")


def test_the_same_is_there_in_zstandard(repo: Repository) -> None:
    for name in ("demo", "other"):
        repo.publish(name)
    repo.request("PUT", "repodata/modules.yaml", MODULES)
    listed = repo.listed(below="zstd/")
    assert listed.keys() == repo.listed().keys()
    for kind in ("primary", "filelists", "other"):
        href, digest = listed[kind]
        assert href.endswith(f"-{kind}.xml.zst")
        reply = repo.get(f"zstd/{href}")
        assert (reply.status, reply.header("content-type")) == (200, "application/zstd")
        assert hashlib.sha256(reply.body).hexdigest() == digest
        with zstandard.ZstdDecompressor().stream_reader(reply.body, read_across_frames=True) as reader:
            assert reader.read() == repo.document(kind)
    assert repo.get(f"zstd/{listed['modules'][0]}").status == 200
    assert repo.get("zstd/packages/demo-1.0-1.noarch.rpm").body == make.rpm()


def test_documents_are_validated(repo: Repository) -> None:
    repo.publish()
    for path in ("repodata/repomd.xml", repo.listed()["primary"][0]):
        first = repo.get(path)
        assert repo.get(path, if_none_match=first.header("etag")).status == 304
        assert repo.request("HEAD", path, user=None).header("etag") == first.header("etag")
        assert first.header("last-modified") == "", "two changes may be made in one second"


def test_many_packages_are_told_in_parts(repo: Repository) -> None:
    names = [f"p{number:03d}" for number in range(80)]
    for name in names:
        assert repo.request("POST", "upload", make.rpm(name)).status == 201
    assert repo.packages() == [f"{name}-1.0-1.noarch.rpm" for name in names]
    assert repo.request("DELETE", "packages/p047-1.0-1.noarch.rpm").status == 204
    assert len(repo.packages()) == 79


# documents that are uploaded


def test_uploaded_documents_are_listed_and_replaced(repo: Repository) -> None:
    repo.publish()
    for name, body, types in (
        ("modules.yaml", MODULES, {"modules"}),
        ("updateinfo.xml", UPDATES, {"updateinfo"}),
        ("comps.xml", COMPS, {"group", "group_gz"}),
        ("productid", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", {"productid"}),
    ):
        before = repo.listed()
        assert repo.request("PUT", f"repodata/{name}", body).status == 204
        assert repo.listed().keys() - before.keys() == types
        assert all(repo.document(kind) == body for kind in types)
        assert repo.get(f"repodata/{name}").body == body
    old = repo.listed()["modules"][0]
    assert "immutable" in repo.get(old).header("cache-control")
    assert "immutable" not in repo.get("repodata/modules.yaml").header("cache-control")
    assert repo.request("PUT", "repodata/modules.yaml", MODULES * 2).status == 204
    assert repo.document("modules") == MODULES * 2
    assert gzip.decompress(repo.get(old).body) == MODULES
    assert gzip.decompress(repo.get("repodata/updateinfo.xml.gz").body) == UPDATES
    assert repo.request("DELETE", "repodata/modules.yaml").status == 204
    assert "modules" not in repo.listed()


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("modules.yaml", b"a: [", 400),
        ("modules.yaml", b"", 400),
        ("modules.yaml", b"document: something\n", 400),
        ("modules.yaml", b"document: modulemd\ndata: &a [*a]\n", 400),
        ("updateinfo.xml", COMPS, 400),
        ("updateinfo.xml", b'<!DOCTYPE u [<!ENTITY a "b">]><updates>&a;</updates>', 400),
        ("comps.xml", b"<comps>", 400),
        ("productid", b"no certificate", 400),
        ("primary.xml.gz", b"", 404),
        ("repomd.xml", b"<repomd/>", 404),
    ],
)
def test_documents_that_clients_cannot_read_are_refused(repo: Repository, name: str, body: bytes, status: int) -> None:
    assert repo.request("PUT", f"repodata/{name}", body).status == status
    assert repo.listed().keys() == {"primary", "filelists", "other"}


# the past


def test_the_past_is_read_as_it_was(repo: Repository) -> None:
    empty = repo.head()
    repo.publish()
    repo.request("PUT", "repodata/modules.yaml", MODULES)
    then, page = repo.head(), repo.get("repodata/repomd.xml").body
    repo.publish("later")
    repo.request("DELETE", "packages/demo-1.0-1.noarch.rpm")
    repo.request("DELETE", "repodata/modules.yaml")
    assert repo.packages(empty) == []
    assert repo.get("repodata/repomd.xml", at=then).body == page
    assert repo.packages(then) == ["demo-1.0-1.noarch.rpm"]
    assert repo.document("modules", then) == MODULES
    assert repo.get("packages/demo-1.0-1.noarch.rpm", at=then).body == make.rpm()
    assert repo.get(repo.listed()["primary"][0], at=then).status == 404, "what came later was not there"
    assert repo.request("PUT", "packages/demo-1.0-1.noarch.rpm", make.rpm(), at=then).status == 405


def test_a_file_for_yum_says_where_the_repository_is(repo: Repository) -> None:
    told = repo.get("config.repo").text
    assert told.startswith(f"[{repo.key}]\n")
    assert f"baseurl=http://registry.example/rpm/{repo.key}/\n" in told
    assert "repo_gpgcheck=0" in told
