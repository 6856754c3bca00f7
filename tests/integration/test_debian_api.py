"""Debian archives in the whole product: what an administrator sets, and what is signed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from application.formats.debian.suites import GENERATIONS
from tests.integration.product import Product, product
from tests.samples.debian import make

FILE = "pool/main/h/hello/hello_1.0-1_amd64.deb"


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with product(postgres_dsn, tmp_path_factory.mktemp("debian-api")) as started:
        yield started


def test_an_administrator_says_what_the_suites_say_of_themselves(running: Product) -> None:
    created = running.repository("named", "debian", apt_origin="Acme", apt_description="Ours,\nall of it")
    assert (created["apt_origin"], "apt_label" in created) == ("Acme", False)
    release = running.call("GET", "/debian/named/dists/stable/Release").body.decode()
    assert "Origin: Acme\nLabel: Acme\n" in release
    assert "Description: Ours, all of it\n" in release
    changed = running.done("PATCH", "/api/v1/repositories/named", {"apt_label": "Tools", "apt_origin": ""})
    assert (changed["apt_label"], "apt_origin" in changed) == ("Tools", False)
    assert "Label: Tools\n" in running.call("GET", "/debian/named/dists/stable/Release").body.decode()


@pytest.mark.parametrize(
    "body",
    [
        {"format": "debian", "apt_origin": "a\nSuite: evil"},
        {"format": "debian", "apt_label": "x" * 1001},
        {"format": "npm", "apt_origin": "a"},
        {"format": "debian", "repo_type": "virtual", "apt_origin": "a"},
    ],
)
def test_it_is_one_line_of_a_hosted_archive(running: Product, body: dict[str, str]) -> None:
    reply = running.call("POST", "/api/v1/repositories", {"key": "x", "name": "x", **body}, auth=running.admin)
    assert reply.status == 400, reply.body


def test_a_suite_is_signed_by_the_key_that_is_offered(running: Product) -> None:
    running.repository("signed", "debian")
    assert running.call("PUT", f"/debian/signed/{FILE}", make.deb(), auth=running.admin).status == 201
    release = running.call("GET", "/debian/signed/dists/stable/Release").body
    signed = running.call("GET", "/debian/signed/dists/stable/InRelease")
    assert signed.body.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----\n")
    assert release.rstrip(b"\n") in signed.body
    assert signed.body == running.call("GET", "/debian/signed/dists/stable/InRelease").body
    detached = running.call("GET", "/debian/signed/dists/stable/Release.gpg")
    assert detached.body.startswith(b"-----BEGIN PGP SIGNATURE-----")
    key = running.call("GET", "/debian/signed/gpg-key.asc")
    assert key.header("content-type") == "application/pgp-keys"
    assert key.body == running.call("GET", "/debian/signed/dists/stable/gpg-key.asc").body
    assert b"PRIVATE" not in key.body
    assert running.call("GET", "/debian/signed/gpg-key.gpg").body[:1] in {b"\x98", b"\x99", b"\xc6"}
    sources = running.call("GET", "/debian/signed/signed.sources").body.decode()
    assert "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n" in sources


def test_bare_packages_of_the_management_api_find_their_place(running: Product) -> None:
    running.repository("bare", "debian")
    target = "/api/v1/repositories/bare/artifacts/any/hello.deb"
    running.done("PUT", target, make.deb(), headers={"content-type": "application/octet-stream"})
    assert running.call("GET", f"/debian/bare/{FILE}").body == make.deb()


def test_an_index_stays_by_its_digest_however_much_is_published_meanwhile(running: Product) -> None:
    running.repository("busy", "debian")
    base = "/debian/busy/dists/stable"
    release = running.call("GET", f"{base}/Release").text
    lines = release.partition("\nSHA256:\n")[2].splitlines()
    digest = next(line.split()[0] for line in lines if line.endswith(" main/binary-amd64/Packages.gz"))
    for number in range(GENERATIONS + 2):
        target = f"/debian/busy/pool/main/h/hello/hello_{number}-1_amd64.deb"
        running.done("PUT", target, make.deb(version=f"{number}-1"))
    reply = running.call("GET", f"{base}/main/binary-amd64/by-hash/SHA256/{digest}")
    assert hashlib.sha256(reply.body).hexdigest() == digest
