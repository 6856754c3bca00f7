"""The debian format over the real gate, log and catalogue."""

from __future__ import annotations

import gzip
import hashlib
import lzma
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import pytest
import zstandard

from application.formats.debian import FORMAT, indexing
from application.repositories import RepositoryChange
from domain.event import SYSTEM
from domain.repository import Settings
from tests.integration.harness import Registry, Reply, multipart, registry
from tests.samples.debian import make

POOL = "pool/main/h/hello"
_numbers = count(1)


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(postgres_dsn, tmp_path_factory.mktemp("debian"), [FORMAT]) as started:
        yield started
        assert started.spooled_files() == []


class Repository:
    """One repository of the running registry, as apt sees it."""

    def __init__(self, running: Registry, **options: Any) -> None:
        self.running, self.key = running, f"apt{next(_numbers)}"
        self.row = running.repository(self.key, "debian", **options)

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        user: str | None = "admin",
        at: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        return self.running.request(method, f"/debian/{self.key}{at}/{path}", body, user=user, headers=headers or {})

    def get(self, path: str, at: str = "") -> Reply:
        return self.request("GET", path, user=None, at=at)

    def put(self, data: bytes, name: str = "hello_1.0-1_amd64.deb", suites: str = "", folder: str = POOL) -> Reply:
        query = f"?distribution={suites}" if suites else ""
        return self.request("PUT", f"{folder}/{name}{query}", data)

    def release(self, suite: str = "stable", at: str = "") -> dict[str, str]:
        reply = self.get(f"dists/{suite}/Release", at)
        assert reply.status == 200, reply.text
        return fields(reply.text)

    def packages(self, suite: str = "stable", arch: str = "amd64", component: str = "main", at: str = "") -> list[str]:
        """`name version` of every package of an index."""
        reply = self.get(f"dists/{suite}/{component}/binary-{arch}/Packages", at)
        assert reply.status == 200, reply.text
        return [f"{one['Package']} {one['Version']}" for one in stanzas(reply.text)]

    def head(self) -> str:
        return f"@{self.running.log.head()}"


def fields(text: str) -> dict[str, str]:
    """The fields of a paragraph; folded lines as they stand."""
    found: dict[str, str] = {}
    name = ""
    for line in text.rstrip("\n").split("\n"):
        if line.startswith(" "):
            found[name] += f"\n{line}"
        else:
            name, _, value = line.partition(":")
            assert name not in found
            found[name] = value.strip()
    return found


def stanzas(text: str) -> list[dict[str, str]]:
    return [fields(part) for part in text.split("\n\n") if part.strip()]


def listed(release: Mapping[str, str], field: str = "SHA256") -> dict[str, tuple[str, int]]:
    lines = [line.split() for line in release[field].strip("\n").split("\n")]
    return {path: (digest, int(size)) for digest, size, path in lines}


@pytest.fixture
def apt(running: Registry) -> Repository:
    return Repository(running)


# publishing and indexes


def test_a_package_is_in_the_index_when_it_is_answered(apt: Repository) -> None:
    data = make.deb(Depends="libc6 (>= 2.36)")
    reply = apt.put(data)
    assert (reply.status, reply.text) == (201, "Created\n")
    (found,) = stanzas(apt.get("dists/stable/main/binary-amd64/Packages").text)
    assert (found["Package"], found["Version"], found["Depends"]) == ("hello", "1.0-1", "libc6 (>= 2.36)")
    assert found["Description"] == "the package hello\n It greets.\n .\n At length."
    assert (found["Filename"], found["Size"]) == (f"{POOL}/hello_1.0-1_amd64.deb", str(len(data)))
    for field, algorithm in (("MD5sum", "md5"), ("SHA1", "sha1"), ("SHA256", "sha256"), ("SHA512", "sha512")):
        assert found[field] == hashlib.new(algorithm, data).hexdigest()
    fetched = apt.get(found["Filename"])
    assert (fetched.status, fetched.body) == (200, data)
    assert fetched.header("content-type") == "application/vnd.debian.binary-package"
    assert "immutable" in fetched.header("cache-control")


def test_every_compression_has_the_same_packages_and_the_digests_that_release_tells(apt: Repository) -> None:
    apt.put(make.deb())
    release = apt.release()
    for field, algorithm, folder in (("SHA256", "sha256", "SHA256"), ("MD5Sum", "md5", "MD5Sum")):
        for path, (digest, size) in listed(release, field).items():
            reply = apt.get(f"dists/stable/{path}")
            if path.rpartition("/")[2].startswith("Contents-") and not path.endswith(".gz"):
                assert reply.status == 404
                continue
            assert reply.status == 200, path
            assert (hashlib.new(algorithm, reply.body).hexdigest(), len(reply.body)) == (digest, size)
            directory = path.rpartition("/")[0]
            by_hash = apt.get(f"dists/stable/{directory}/by-hash/{folder}/{digest}")
            assert (by_hash.status, by_hash.body) == (200, reply.body), path
    plain = apt.get("dists/stable/main/binary-amd64/Packages").body
    assert gzip.decompress(apt.get("dists/stable/main/binary-amd64/Packages.gz").body) == plain
    assert lzma.decompress(apt.get("dists/stable/main/binary-amd64/Packages.xz").body) == plain
    assert release["Acquire-By-Hash"] == "yes"
    assert (release["Suite"], release["Codename"], release["Components"]) == ("stable", "stable", "main")


def test_large_indexes_are_files_with_zstandard_instead_of_xz(apt: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "LARGE_BYTES", 400)
    monkeypatch.setattr(indexing, "INLINE_BYTES", 100)
    apt.put(make.deb())
    release = listed(apt.release())
    assert "main/binary-amd64/Packages.xz" not in release
    packed = apt.get("dists/stable/main/binary-amd64/Packages.zst")
    digest, size = release["main/binary-amd64/Packages.zst"]
    assert (hashlib.sha256(packed.body).hexdigest(), len(packed.body)) == (digest, size)
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(packed.body)
    assert hashlib.sha256(plain).hexdigest() == release["main/binary-amd64/Packages"][0]
    assert apt.get("dists/stable/main/binary-amd64/Packages").status == 404
    apt.running.blobs.delete(digest)
    again = apt.get(f"dists/stable/main/binary-amd64/by-hash/SHA256/{digest}")
    assert (again.status, again.body) == (200, packed.body), "what the collector took is made anew"
    assert "immutable" in again.header("cache-control")


def test_indexes_of_a_while_ago_are_still_there_by_their_digest(apt: Repository) -> None:
    kept = []
    for number in range(4):
        apt.put(make.deb(version=f"1.{number}-1"), f"hello_1.{number}-1_amd64.deb")
        digest, _ = listed(apt.release())["main/binary-amd64/Packages.gz"]
        kept.append((digest, apt.get("dists/stable/main/binary-amd64/Packages.gz").body))
    assert len({digest for digest, _ in kept}) == 4
    for digest, body in kept:
        reply = apt.get(f"dists/stable/main/binary-amd64/by-hash/SHA256/{digest}")
        assert (reply.status, reply.body) == (200, body)
    for path in (f"SHA256/{'0' * 64}", f"SHA512/{'0' * 128}", f"SHA256/{kept[0][0][:-1]}", f"MD5Sum/{kept[0][0]}"):
        assert apt.get(f"dists/stable/main/binary-amd64/by-hash/{path}").status == 404
    assert apt.get(f"dists/stable/main/binary-arm64/by-hash/SHA256/{kept[0][0]}").status == 404
    past = apt.head()
    apt.put(make.deb(version="9-1"), "hello_9-1_amd64.deb")
    later, _ = listed(apt.release())["main/binary-amd64/Packages.gz"]
    assert apt.get(f"dists/stable/main/binary-amd64/by-hash/SHA256/{later}", past).status == 404


def test_what_is_for_all_architectures_is_in_every_index(apt: Repository) -> None:
    apt.put(make.deb("common", architecture="all"), "common_1.0-1_all.deb")
    apt.put(make.deb("board", architecture="riscv64"), "board_1.0-1_riscv64.deb")
    assert apt.release()["Architectures"] == "all amd64 arm64 riscv64"
    assert apt.packages(arch="amd64") == apt.packages(arch="arm64") == apt.packages(arch="all") == ["common 1.0-1"]
    assert apt.packages(arch="riscv64") == ["board 1.0-1", "common 1.0-1"]
    assert apt.get("dists/stable/main/binary-s390x/Packages").status == 404
    stub = fields(apt.get("dists/stable/main/binary-amd64/Release").text)
    assert (stub["Archive"], stub["Component"], stub["Architecture"]) == ("stable", "main", "amd64")


def test_components_and_installer_packages_have_indexes_of_their_own(apt: Repository) -> None:
    apt.put(make.deb("extra"), "extra_1.0-1_amd64.deb", folder="pool/contrib/e/extra")
    apt.put(make.deb("tiny"), "tiny_1.0-1_amd64.udeb", folder="pool/main/t/tiny")
    assert apt.release()["Components"] == "contrib main"
    assert apt.packages(component="contrib") == ["extra 1.0-1"]
    assert apt.packages(component="main/debian-installer") == ["tiny 1.0-1"]
    assert apt.packages() == []


def test_suites_have_what_names_them_and_what_names_none(apt: Repository) -> None:
    apt.put(make.deb("one"), "one_1.0-1_amd64.deb", "bookworm,trixie")
    apt.put(make.deb("two"), "two_1.0-1_amd64.deb", "trixie")
    assert apt.packages("bookworm") == ["one 1.0-1"]
    assert apt.packages("trixie") == ["one 1.0-1", "two 1.0-1"]
    assert apt.get("dists/sid/Release").status == 404
    apt.put(make.deb("every"), "every_1.0-1_amd64.deb")
    assert apt.packages("bookworm") == ["every 1.0-1", "one 1.0-1"]
    assert apt.packages("sid") == apt.packages("stable/updates") == ["every 1.0-1"]


def test_an_empty_repository_can_be_read(apt: Repository) -> None:
    assert apt.packages() == []
    release = apt.release("anything")
    assert (release["Architectures"], release["Components"]) == ("all amd64 arm64", "main")


def test_the_same_bytes_again_add_suites_and_other_bytes_are_refused(apt: Repository) -> None:
    assert apt.put(make.deb(), suites="bookworm").status == 201
    assert apt.put(make.deb(), suites="trixie").status == 200
    assert apt.packages("bookworm") == apt.packages("trixie") == ["hello 1.0-1"]
    taken = apt.put(make.deb(mark="other"))
    assert (taken.status, "already exists" in taken.text) == (409, True)
    elsewhere = apt.put(make.deb(mark="other"), suites="trixie", folder="pool/main/o/other")
    assert (elsewhere.status, f"{POOL}/hello_1.0-1_amd64.deb" in elsewhere.text) == (409, True)
    assert apt.put(make.deb(mark="other"), suites="sid", folder="pool/main/o/other").status == 201


def test_a_repository_that_overwrites_takes_other_bytes(running: Registry) -> None:
    apt = Repository(running, settings=Settings(overwrite="allow"))
    apt.put(make.deb())
    assert apt.put(make.deb(mark="other")).status == 200
    (found,) = stanzas(apt.get("dists/stable/main/binary-amd64/Packages").text)
    assert found["SHA256"] == hashlib.sha256(make.deb(mark="other")).hexdigest()


def test_deleted_packages_leave_the_index_and_dates_go_on(apt: Repository) -> None:
    apt.put(make.deb(), suites="bookworm,trixie")
    path = f"{POOL}/hello_1.0-1_amd64.deb"
    assert apt.request("DELETE", f"{path}?distribution=sid").status == 404
    assert apt.request("DELETE", f"{path}?distribution=trixie").status == 204
    assert apt.packages("bookworm") == ["hello 1.0-1"]
    assert apt.get("dists/trixie/Release").status == 404
    before = apt.head()
    assert apt.request("DELETE", f"{path}?distribution=bookworm").status == 204
    assert apt.get(path).status == 404
    assert apt.packages("bookworm", at=before) == ["hello 1.0-1"]
    apt.put(make.deb())
    assert apt.request("DELETE", f"{path}?distribution=bookworm").status == 409
    assert apt.request("DELETE", path).status == 204
    assert apt.request("DELETE", path).status == 404


# other ways in


def test_uploads_find_their_place_by_what_they_say(apt: Repository) -> None:
    data = make.deb("libzip4", "2:1.7-1", Source="libzip (1.7-1)")
    reply = apt.request(
        "POST", "upload?distribution=stable&component=contrib", data, headers={"x-filename": "whatever.deb"}
    )
    told = reply.json()
    assert (reply.status, told["package"], told["version"]) == (201, "libzip4", "2:1.7-1")
    assert told["path"] == "pool/contrib/libz/libzip/libzip4_1.7-1_amd64.deb"
    assert apt.packages(component="contrib") == ["libzip4 2:1.7-1"]
    body, content_type = multipart([("distribution", "stable")], [("file", "x.deb", make.deb())])
    form = apt.request("POST", "upload", body, headers={"content-type": content_type})
    assert (form.status, form.json()["path"]) == (201, f"{POOL}/hello_1.0-1_amd64.deb")
    for headers in ({"x-filename": "x.txt"}, {"x-filename": "../x.deb"}):
        assert apt.request("POST", "upload", data, headers=headers).status == 400


def test_parameters_behind_the_name_are_understood(apt: Repository) -> None:
    matrix = ";deb.distribution=bookworm;deb.distribution=trixie;deb.component=main;deb.architecture=amd64"
    reply = apt.request("PUT", f"{POOL}/hello_1.0-1_amd64.deb{matrix}", make.deb())
    assert reply.status == 201
    assert apt.packages("bookworm") == apt.packages("trixie") == ["hello 1.0-1"]
    assert apt.get("dists/stable/Release").status == 404


def test_a_queue_publishes_what_a_changes_file_names_together(apt: Repository) -> None:
    files = {**make.source(), "hello_1.0-1_amd64.deb": make.deb()}
    changes = make.clearsigned(make.changes(files, suites="unstable"))
    for name, data in files.items():
        reply = apt.request("PUT", f"incoming/{name}", data)
        assert (reply.status, reply.json()) == (201, {"status": "waiting", "published": []})
    assert apt.packages("unstable") == []
    reply = apt.request("PUT", "incoming/hello_1.0-1_source.changes", changes)
    assert (reply.status, reply.json()["status"]) == (201, "published")
    assert apt.packages("unstable") == ["hello 1.0-1"]
    (source,) = stanzas(apt.get("dists/unstable/main/source/Sources").text)
    assert (source["Package"], source["Directory"]) == ("hello", POOL)
    assert {line.split()[2] for line in source["Checksums-Sha256"].strip().split("\n")} == make.source().keys()
    for name, data in files.items():
        assert apt.get(f"{POOL}/{name}").body == data
    catalogue = apt.running.catalogue
    assert catalogue.artifacts_below(apt.row.id, "incoming/") == []


def test_a_changes_file_may_come_first_and_wrong_bytes_are_refused(apt: Repository) -> None:
    files = {"hello_1.0-1_amd64.deb": make.deb()}
    changes = make.changes(files, section="contrib/misc")
    assert apt.request("PUT", "incoming/hello_1.0-1_amd64.changes", changes).json()["status"] == "waiting"
    wrong = apt.request("PUT", "incoming/hello_1.0-1_amd64.deb", make.deb(mark="other"))
    assert (wrong.status, "digest mismatch" in wrong.text) == (400, True)
    right = apt.request("PUT", "incoming/hello_1.0-1_amd64.deb", make.deb())
    assert right.json()["published"][0] == "pool/contrib/h/hello/hello_1.0-1_amd64.deb"
    assert apt.request("PUT", "incoming/other.deb", b"x").status == 201
    assert apt.request("DELETE", "incoming/other.deb").status == 204


def test_a_source_is_listed_once_all_of_its_files_are_there(apt: Repository) -> None:
    files = make.source()
    for name, data in files.items():
        assert apt.get("dists/stable/main/source/Sources").text == ""
        assert apt.put(data, name).status == 201
    (found,) = stanzas(apt.get("dists/stable/main/source/Sources").text)
    assert found["Version"] == "1.0-1"
    assert apt.request("DELETE", f"{POOL}/hello_1.0.orig.tar.gz").status == 204
    assert apt.get("dists/stable/main/source/Sources").text == ""
    assert apt.put(b"another upstream", "hello_1.0.orig.tar.gz").status == 201
    assert apt.get("dists/stable/main/source/Sources").text == "", "other bytes than were signed for"


def test_contents_tell_which_package_brings_a_file(apt: Repository) -> None:
    apt.put(make.deb("one", files={"usr/bin/one": b"1", "usr/share/both files": b"2"}), "one_1.0-1_amd64.deb")
    apt.put(make.deb("two", files={"usr/share/both files": b"2", "usr/bad\nname": b""}), "two_1.0-1_amd64.deb")
    many = {f"usr/lib/many/{hashlib.sha256(str(number).encode()).hexdigest()}": b"" for number in range(600)}
    apt.put(make.deb("many", files=many), "many_1.0-1_amd64.deb")
    lines = gzip.decompress(apt.get("dists/stable/main/Contents-amd64.gz").body).decode().splitlines()
    told = dict(line.rsplit(maxsplit=1) for line in lines)
    assert told.pop("usr/bin/one") == "misc/one"
    assert told.pop("usr/share/both files") == "misc/one,misc/two"
    assert told == dict.fromkeys(many, "misc/many")
    assert lines == sorted(lines)


def test_a_suite_says_of_itself_what_was_chosen(running: Registry) -> None:
    apt = Repository(running, settings=Settings(apt_origin="Acme", apt_release_version="12.1"))
    first = apt.release()
    assert (first["Origin"], first["Label"], first["Version"]) == ("Acme", "Acme", "12.1")
    then = apt.head()
    change = RepositoryChange(settings=Settings(apt_origin="Acme", apt_label="Tools", apt_description="Ours"))
    running.repositories.update(apt.row, change, SYSTEM)
    later = apt.release()
    assert (later["Label"], later["Description"], "Version" in later) == ("Tools", "Ours", False)
    assert apt.release(at=then) == first


# the past, and who may


def test_the_past_reads_as_it_was(apt: Repository) -> None:
    apt.put(make.deb())
    then = apt.head()
    before = apt.get("dists/stable/Release", then)
    apt.put(make.deb(version="2.0-1"), "hello_2.0-1_amd64.deb")
    assert apt.packages() == ["hello 1.0-1", "hello 2.0-1"]
    assert apt.packages(at=then) == ["hello 1.0-1"]
    assert apt.get("dists/stable/Release", then).body == before.body
    for path, (digest, _) in listed(apt.release(at=then)).items():
        if not path.endswith(("Contents-amd64",)):
            assert hashlib.sha256(apt.get(f"dists/stable/{path}", then).body).hexdigest() == digest
    assert apt.request("PUT", f"{POOL}/x_1_amd64.deb", make.deb("x", "1"), at=then).status == 405


def test_nothing_is_signed_where_there_is_no_key(apt: Repository) -> None:
    apt.put(make.deb())
    for path in ("dists/stable/InRelease", "dists/stable/Release.gpg", "gpg-key.asc", "gpg-key.gpg"):
        assert apt.get(path).status == 404
    sources = apt.get(f"{apt.key}.sources?suite=bookworm")
    assert f"URIs: http://registry.example/debian/{apt.key}/\nSuites: bookworm\n" in sources.text
    assert apt.get("other.sources").status == 404


def test_permissions_decide(running: Registry) -> None:
    apt = Repository(running, public=False)
    key = apt.key.replace("-", "_")
    running.person("rita", **{key: "read"})
    refused = apt.get("dists/stable/InRelease")
    assert (refused.status, refused.header("www-authenticate")) == (401, 'Basic realm="debian"')
    assert apt.request("GET", "dists/stable/Release", user="rita").status == 200
    for method, path in (("PUT", f"{POOL}/a_1_all.deb"), ("POST", "upload"), ("PUT", "incoming/a.deb")):
        assert apt.request(method, path, make.deb(), user="rita").status == 403
    assert apt.request("DELETE", f"{POOL}/a_1_all.deb", user="rita").status == 403


@pytest.mark.parametrize(
    "path",
    [
        "pool/main/hello.txt",
        "pool/hello_1.0-1_amd64.deb",
        "pool/main/%2e%2e/hello_1_amd64.deb",
        "pool/ma%20in/hello_1_amd64.deb",
        "pool/main/h%2fx/hello_1_amd64.deb",
        f"{POOL}/hello_1_amd64.deb?distribution=../x",
    ],
)
def test_paths_that_no_pool_has_are_refused(apt: Repository, path: str) -> None:
    assert apt.request("PUT", path, make.deb()).status == 400


@pytest.mark.parametrize(
    "path",
    [
        "dists/stable",
        "dists/Release",
        "dists/../Release",
        "dists/%2e%2e/Release",
        "dists/stable/main/binary-amd64",
        "dists/stable/main/binary-any/Packages",
        "dists/stable/main/binary-amd64/Packages.bz2",
        "dists/stable/main%2fbinary-amd64/Packages",
        "dists/stable/main/i18n/Translation-en.xz",
        "dists/stable/by-hash/SHA256/00",
        "pool/main/h/hello/none_1_all.deb",
        "pool/x",
    ],
)
def test_addresses_of_nothing_are_not_found(apt: Repository, path: str) -> None:
    apt.put(make.deb())
    assert apt.get(path).status == (400 if "/../" in path or "%2e" in path else 404)


def test_broken_packages_are_refused_with_the_reason(apt: Repository) -> None:
    forged = make.control() + "\n" + make.control("evil")
    for data, reason in (
        (b"no package", "malformed ar archive"),
        (make.deb(text=forged), "one paragraph is expected"),
        (make.deb(text=make.control().replace("Version: 1.0-1\n", "")), "no Version"),
        (make.deb(text=make.control(Homepage="x\nPackage: evil")), "twice"),
        (make.deb(name="Hello"), "package 'Hello'"),
    ):
        reply = apt.put(data)
        assert (reply.status, reason in reply.text) == (400, True), reply.text
    assert apt.packages() == []


def test_what_only_an_index_may_say_is_not_taken_from_the_package(apt: Repository) -> None:
    apt.put(make.deb(Filename="pool/evil.deb", SHA256="0" * 64, Size="1"))
    (found,) = stanzas(apt.get("dists/stable/main/binary-amd64/Packages").text)
    assert found["Filename"] == f"{POOL}/hello_1.0-1_amd64.deb"
    assert found["SHA256"] != "0" * 64
