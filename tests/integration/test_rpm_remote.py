"""Remote and virtual RPM repositories: what is handed on is checked, what is merged is ours."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from application.formats.rpm.fragments import make_fragments, primary_of
from application.formats.rpm.index import KINDS, decompress, foot, head, make_part
from application.formats.rpm.metadata import read_package
from tests.integration.harness import Reply
from tests.integration.product import Product, product
from tests.samples.rpm import make
from tests.servers.upstream import Upstream

API = "/api/v1"
REPO = "{http://linux.duke.edu/metadata/repo}"
COMMON = "{http://linux.duke.edu/metadata/common}"
MODULES = b"---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: demo\n"


GROUPS = (
    b'<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd"><comps><group><id>core</id>'
    b'<name xml:lang="de">Kern</name></group></comps>'
)


def updates(*ids: str) -> bytes:
    told = "".join(f'<update type="security"><id>{name}</id><title>A &amp; B</title></update>' for name in ids)
    return f"<updates>{told}</updates>".encode()


class World:
    """An upstream, and repositories that are made for one test each."""

    def __init__(self, running: Product, upstream: Upstream) -> None:
        self.running, self.upstream = running, upstream
        self._count = int(time.monotonic() * 1000)

    def create(self, kind: str, **fields: Any) -> str:
        self._count += 1
        key = f"{kind}{self._count}"
        body = {"key": key, "name": key, "format": "rpm", "repo_type": kind, "is_public": True, **fields}
        self.running.done("POST", f"{API}/repositories", body)
        return key

    def local(self, *packages: bytes, **fields: Any) -> str:
        key = self.create("local", **fields)
        for package in packages:
            self.running.done("POST", f"/rpm/{key}/upload", package)
        return key

    def remote(self, **fields: Any) -> str:
        return self.create("remote", upstream_url=f"{self.upstream.url}/el", **fields)

    def virtual(self, *members: str, **fields: Any) -> str:
        return self.create("virtual", member_repos=[{"repo_key": member} for member in members], **fields)

    def offer(
        self,
        *packages: bytes,
        pool: str = "Packages/x/",
        extra: dict[str, bytes] | None = None,
        fixed: bool = False,
    ) -> None:
        """Have the upstream offer these packages, and documents that were uploaded there by their types. fixed: the
        names of documents are always the same.
        """
        told, pieces = dict(extra or {}), []
        for data in packages:
            package = read_package(io.BytesIO(data))
            path = pool + package.nevra.filename
            fragments = make_fragments(package, hashlib.sha256(data).hexdigest(), len(data))
            pieces.append((primary_of(fragments, path, 1), fragments.filelists, fragments.other))
            self.upstream.put(f"/el/{path}", data)
        for number, own in enumerate(KINDS):
            parts = (head(own, len(pieces)), make_part("".join(one[number] for one in pieces)), foot(own))
            told[own] = b"".join(decompress(part.data) for part in parts)
        listed = []
        for kind, body in told.items():
            # some are compressed in one way, some in another
            packed, ending = (lzma.compress(body), "xz") if kind == "filelists" else (gzip.compress(body), "gz")
            digest = hashlib.sha256(packed).hexdigest()
            path = f"repodata/{kind}.{ending}" if fixed else f"repodata/{digest}-{kind}.{ending}"
            self.upstream.put(f"/el/{path}", packed)
            listed.append(
                f'<data type="{kind}"><checksum type="sha256">{digest}</checksum>'
                f'<location href="{path}"/><size>{len(packed)}</size></data>'
            )
        repomd = f'<repomd xmlns="{REPO[1:-1]}"><revision>1</revision>{"".join(listed)}</repomd>'
        self.upstream.put("/el/repodata/repomd.xml", repomd.encode())
        self.upstream.put("/el/repodata/repomd.xml.asc", b"signature of " + hashlib.sha256(repomd.encode()).digest())

    def get(self, key: str, path: str, **options: Any) -> Reply:
        return self.running.call("GET", f"/rpm/{key}/{path}", **options)

    def entries(self, key: str, **options: Any) -> list[tuple[str, str, str]]:
        """Type, address and digest of each document."""
        reply = self.get(key, "repodata/repomd.xml", **options)
        assert reply.status == 200, reply.body
        found = []
        for data in ET.fromstring(reply.body).iter(f"{REPO}data"):
            location, checksum = data.find(f"{REPO}location"), data.find(f"{REPO}checksum")
            assert location is not None
            assert checksum is not None
            found.append((data.attrib["type"], location.attrib["href"], checksum.text or ""))
        return found

    def document(self, key: str, kind: str, **options: Any) -> bytes:
        """A document, after the checks that clients make."""
        found = {name: (href, digest) for name, href, digest in self.entries(key, **options)}
        href, digest = found[kind]
        reply = self.get(key, href, **options)
        assert reply.status == 200, (href, reply.body)
        assert hashlib.sha256(reply.body).hexdigest() == digest
        unpack = {"gz": gzip.decompress, "xz": lzma.decompress}.get(href.rpartition(".")[2], bytes)
        return unpack(reply.body)

    def packages(self, key: str, **options: Any) -> list[str]:
        """What the first document lists, by the names of the files; all documents must list the same."""
        root = ET.fromstring(self.document(key, "primary", **options))
        ids = [checksum.text for checksum in root.iter(f"{COMMON}checksum")]
        for kind in ("filelists", "other"):
            told = ET.fromstring(self.document(key, kind, **options))
            assert [package.attrib["pkgid"] for package in told] == ids
            assert told.attrib["packages"] == root.attrib["packages"] == str(len(ids))
        hrefs = [location.attrib["href"] for location in root.iter(f"{COMMON}location")]
        return [href.rpartition("/")[2] for href in hrefs]

    def expire(self, key: str) -> None:
        """Have the upstream asked again."""
        self.running.done("POST", f"{API}/repositories/{key}/cache/invalidate")


@pytest.fixture(scope="module")
def shared(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, Upstream]]:
    directory: Path = tmp_path_factory.mktemp("data")
    with (
        Upstream() as upstream,
        product(postgres_dsn, directory, AK_SSRF_ALLOW_PRIVATE_CIDRS="127.0.0.0/8") as running,
    ):
        yield running, upstream


@pytest.fixture
def world(shared: tuple[Product, Upstream]) -> World:
    running, upstream = shared
    upstream.files.clear()
    upstream.asked.clear()
    upstream.bodies.clear()
    upstream.away = False
    return World(running, upstream)


ONE, TWO = make.rpm("demo", "1.0"), make.rpm("demo", "2.0")


# remote


def test_documents_and_packages_are_asked_for_once(world: World) -> None:
    world.offer(ONE, TWO)
    key = world.remote()
    for _ in range(2):
        assert world.packages(key) == ["demo-1.0-1.noarch.rpm", "demo-2.0-1.noarch.rpm"]
        reply = world.get(key, "Packages/x/demo-1.0-1.noarch.rpm")
        assert (reply.status, reply.body) == (200, ONE)
    assert set(world.upstream.asked.values()) == {1}
    assert "/el/Packages/x/demo-1.0-1.noarch.rpm" in world.upstream.asked
    catalogue = world.running.workers[0].app.catalogue
    repository = catalogue.repository(key)
    assert repository is not None
    assert [row.version for row in catalogue.versions(repository.id, "demo")] == ["1.0-1"]


def test_a_signature_goes_with_its_document(world: World) -> None:
    key = world.remote()
    for packages in ((ONE,), (ONE, TWO)):
        world.offer(*packages)
        world.expire(key)
        page = world.get(key, "repodata/repomd.xml").body
        assert page == world.upstream.files["/el/repodata/repomd.xml"][1]
        signature = world.get(key, "repodata/repomd.xml.asc")
        assert signature.body == b"signature of " + hashlib.sha256(page).digest()


def test_a_package_with_other_bytes_than_were_told_is_refused(world: World) -> None:
    world.offer(ONE)
    world.upstream.put("/el/Packages/x/demo-1.0-1.noarch.rpm", TWO)
    key = world.remote()
    assert world.get(key, "Packages/x/demo-1.0-1.noarch.rpm").status == 502
    world.upstream.put("/el/Packages/x/demo-1.0-1.noarch.rpm", ONE)
    assert world.get(key, "Packages/x/demo-1.0-1.noarch.rpm").body == ONE


def test_a_document_with_other_bytes_than_were_told_is_refused(world: World) -> None:
    world.offer(ONE)
    key = world.remote()
    href = next(href for kind, href, _ in world.entries(key) if kind == "primary")
    world.upstream.put(f"/el/{href}", gzip.compress(b"<metadata/>"))
    assert world.get(key, href).status == 502


def test_a_document_that_has_one_name_for_ever_is_not_kept_for_ever(world: World) -> None:
    key = world.remote()
    for packages in ((ONE,), (TWO,)):
        world.offer(*packages, fixed=True)
        world.expire(key)
        reply = world.get(key, "repodata/primary.gz")
        assert world.document(key, "primary") == gzip.decompress(reply.body)
        assert "immutable" not in reply.header("cache-control")


def test_what_is_not_told_of_is_not_there(world: World) -> None:
    world.offer(ONE)
    world.upstream.put("/el/Packages/x/other-1.0-1.noarch.rpm", TWO)
    world.upstream.put("/el/.treeinfo", b"[general]")
    world.upstream.put("/el/images/boot.iso", b"boot")
    key = world.remote()
    for path in (
        "Packages/x/other-1.0-1.noarch.rpm",
        "repodata/other.xml.gz",
        ".index/repodata/repomd.xml",
        "media.1/media",
        "..%2fx.rpm",
    ):
        assert world.get(key, path).status in {400, 404}, path
    assert world.get(key, "images/boot.iso").body == b"boot"


def test_an_index_that_is_none_is_not_kept(world: World) -> None:
    key = world.remote()
    for body in (b"", b"<html/>", b"<!DOCTYPE r [<!ENTITY a 'b'>]><repomd>&a;</repomd>", b"<repomd/>"):
        world.upstream.put("/el/repodata/repomd.xml", body)
        assert world.get(key, "repodata/repomd.xml").status == 502, body
    world.offer(ONE)
    world.expire(key)
    assert world.packages(key) == ["demo-1.0-1.noarch.rpm"]


def test_while_the_upstream_is_away_what_is_kept_is_served(world: World) -> None:
    world.offer(ONE)
    key = world.remote()
    before = world.packages(key)
    world.upstream.away = True
    world.expire(key)
    assert world.packages(key) == before
    assert world.get(key, "Packages/x/demo-1.0-1.noarch.rpm").status == 502


def test_a_file_for_yum_promises_no_signature_of_others(world: World) -> None:
    assert "repo_gpgcheck=0" in world.get(world.remote(), "config.repo").body.decode()
    assert "repo_gpgcheck=1" in world.get(world.virtual(world.local()), "config.repo").body.decode()


def test_nobody_publishes_to_a_remote_repository(world: World) -> None:
    reply = world.running.call("POST", f"/rpm/{world.remote()}/upload", ONE, auth=world.running.admin)
    assert reply.status == 405


def test_the_past_of_a_remote_repository_is_what_was_served_then(world: World) -> None:
    world.offer(ONE)
    key = world.remote()
    assert world.packages(key) == ["demo-1.0-1.noarch.rpm"]
    then = world.running.head()
    world.offer(TWO)
    world.expire(key)
    assert world.packages(key) == ["demo-2.0-1.noarch.rpm"]
    assert world.packages(f"{key}@{then}") == ["demo-1.0-1.noarch.rpm"]


# virtual


def test_a_virtual_repository_tells_of_all_members_under_its_own_key(world: World) -> None:
    world.offer(ONE, make.rpm("remote-only"))
    key = world.virtual(world.local(make.rpm("ours")), world.remote())
    names = ["demo-1.0-1.noarch.rpm", "ours-1.0-1.noarch.rpm", "remote-only-1.0-1.noarch.rpm"]
    assert sorted(world.packages(key)) == names
    assert world.get(key, "packages/ours-1.0-1.noarch.rpm").body == make.rpm("ours")
    assert world.get(key, "Packages/x/demo-1.0-1.noarch.rpm").body == ONE
    signed = [world.get(key, f"repodata/repomd.xml.{ending}") for ending in ("asc", "key")]
    assert [reply.status for reply in signed] == [200, 200]
    assert signed[0].body.startswith(b"-----BEGIN PGP SIGNATURE-----")
    part = world.get(key, world.entries(key)[0][1], headers={"range": "bytes=0-1"})
    assert (part.status, part.body) == (206, b"\x1f\x8b")
    assert "immutable" in part.header("cache-control")
    assert "immutable" not in world.get(key, "repodata/primary.xml.gz").header("cache-control")


def test_what_a_hosted_member_has_the_name_of_is_not_taken_from_elsewhere(world: World) -> None:
    world.offer(make.rpm("demo", "9.0"), make.rpm("other"))
    remote, hosted = world.remote(), world.local(ONE)
    key = world.virtual(remote, hosted)
    assert sorted(world.packages(key)) == ["demo-1.0-1.noarch.rpm", "other-1.0-1.noarch.rpm"]
    assert world.get(key, "Packages/x/demo-9.0-1.noarch.rpm").status == 404
    shared = world.virtual(remote, hosted, shared_names=["dem*"])
    assert len(world.packages(shared)) == 3
    assert world.get(shared, "Packages/x/demo-9.0-1.noarch.rpm").status == 200


def test_of_one_package_in_two_members_the_first_wins(world: World) -> None:
    first, second = world.local(ONE), world.local(make.rpm("demo", "1.0", mark="other"), TWO)
    for members, body in (((first, second), ONE), ((second, first), make.rpm("demo", "1.0", mark="other"))):
        key = world.virtual(*members)
        assert sorted(world.packages(key)) == ["demo-1.0-1.noarch.rpm", "demo-2.0-1.noarch.rpm"]
        assert hashlib.sha256(body).hexdigest().encode() in world.document(key, "primary")
        assert world.get(key, "packages/demo-1.0-1.noarch.rpm").body == body


def test_a_member_that_may_not_be_read_is_not_told_of_and_keeps_its_names(world: World) -> None:
    world.offer(make.rpm("secret", "9.0"))
    hidden = world.local(make.rpm("secret"), is_public=False)
    key = world.virtual(hidden, world.local(ONE), world.remote())
    assert world.packages(key) == ["demo-1.0-1.noarch.rpm"]
    admin = world.running.admin
    assert sorted(world.packages(key, auth=admin)) == ["demo-1.0-1.noarch.rpm", "secret-1.0-1.noarch.rpm"]
    href = next(href for kind, href, _ in world.entries(key, auth=admin) if kind == "primary")
    assert world.get(key, href).status == 404


def test_documents_of_earlier_states_stay_where_they_were(world: World) -> None:
    world.offer(make.rpm("remote-only"))
    member, remote = world.local(ONE), world.remote()
    key = world.virtual(member, remote)
    before = {href: world.get(key, href).body for _, href, _ in world.entries(key)}
    then, names = world.running.head(), world.packages(key)
    world.running.done("POST", f"/rpm/{member}/upload", TWO)
    world.offer(make.rpm("remote-newer"))
    world.expire(remote)
    assert "remote-newer-1.0-1.noarch.rpm" in world.packages(key)
    assert {href: world.get(key, href).body for href in before} == before
    assert world.packages(f"{key}@{then}") == names
    href = world.entries(key)[0][1]
    assert world.get(f"{key}@{then}", href).status == 404


def test_neither_a_download_nor_asking_again_changes_a_document(world: World) -> None:
    world.offer(make.rpm("remote-only"))
    remote = world.remote()
    key = world.virtual(world.local(ONE), remote)
    before = world.get(key, "repodata/repomd.xml").body
    assert world.get(key, "Packages/x/remote-only-1.0-1.noarch.rpm").status == 200
    assert world.get(key, "repodata/repomd.xml").body == before
    world.expire(remote)
    assert world.get(key, "repodata/repomd.xml").body == before
    assert world.upstream.asked["/el/repodata/repomd.xml"] == 2


def test_names_of_a_hidden_member_change_what_is_told(world: World) -> None:
    world.offer(make.rpm("late"))
    hidden = world.local(is_public=False)
    key = world.virtual(hidden, world.remote())
    assert world.packages(key) == ["late-1.0-1.noarch.rpm"]
    world.running.done("POST", f"/rpm/{hidden}/upload", make.rpm("late", "0.1"))
    assert world.packages(key) == []


def test_uploaded_documents_are_merged(world: World) -> None:
    world.offer(ONE, extra={"modules": MODULES, "updateinfo": updates("A", "B"), "group": GROUPS})
    member = world.local(make.rpm("ours"))
    for name, body in (("modules.yaml", MODULES), ("updateinfo.xml", updates("B", "C"))):
        world.running.done("PUT", f"/rpm/{member}/repodata/{name}", body)
    key = world.virtual(member, world.remote())
    assert world.document(key, "modules") == MODULES * 2
    told = ET.fromstring(world.document(key, "updateinfo"))
    assert [update.findtext("id") for update in told] == ["B", "C", "A"]
    assert [update.findtext("title") for update in told] == ["A & B"] * 3
    assert [group.findtext("id") for group in ET.fromstring(world.document(key, "group"))] == ["core"]


def test_what_is_published_to_a_virtual_repository_goes_to_one_member(world: World) -> None:
    member = world.local()
    key = world.virtual(member, publish_to=member)
    assert world.running.call("POST", f"/rpm/{key}/upload", ONE, auth=world.running.admin).status == 201
    assert world.packages(key) == world.packages(member) == ["demo-1.0-1.noarch.rpm"]


def test_a_virtual_repository_without_members_is_empty(world: World) -> None:
    key = world.virtual(world.remote())
    assert world.packages(key) == []
