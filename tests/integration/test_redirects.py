"""Downloads out of an object store: by redirect where clients follow, streamed where they do not or it is not wanted."""

from __future__ import annotations

import os
import time
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest

from tests.integration.harness import multipart
from tests.integration.product import Product, product
from tests.samples.cargo import make as cargo_make
from tests.samples.npm.make import document, tarball
from tests.samples.pypi.make import wheel
from tests.servers.s3 import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, S3Server

LARGE = os.urandom(3 * 1024 * 1024)
SMALL = b"small enough to be answered from memory"


def s3_settings(server: S3Server) -> dict[str, Any]:
    return {
        "STORAGE_BACKEND": "s3",
        "S3_ENDPOINT": server.endpoint,
        "S3_REGION": REGION,
        "S3_BUCKET": BUCKET,
        "S3_PREFIX": server.new_prefix(),
        "S3_ACCESS_KEY_ID": ACCESS_KEY,
        "S3_SECRET_ACCESS_KEY": SECRET_KEY,
    }


def filled(running: Product) -> Product:
    for key, public in (("files", True), ("secret", False)):
        running.repository(key, "generic", public=public)
        for name, content in (("large.bin", LARGE), ("small.txt", SMALL)):
            assert running.call("PUT", f"/general/{key}/{name}", content, auth=running.admin).status == 201
    return running


@pytest.fixture(scope="module")
def redirecting(postgres_dsn: str, s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    settings = s3_settings(s3_server) | {"PRESIGNED_DOWNLOADS_ENABLED": "true", "PRESIGNED_DOWNLOAD_EXPIRY_SECS": "90"}
    with product(postgres_dsn, tmp_path_factory.mktemp("redirecting"), **settings) as running:
        yield filled(running)


def followed(location: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    with urllib.request.urlopen(urllib.request.Request(location, headers=headers)) as answer:
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.headers.items()}


def test_a_large_file_is_fetched_from_the_store_by_a_signed_address(redirecting: Product, s3_server: S3Server) -> None:
    reply = redirecting.call("GET", "/general/files/large.bin")

    assert (reply.status, reply.body) == (302, b"")
    assert reply.header("cache-control") == "no-store"
    assert reply.header("x-artifact-storage") == "redirect-s3"
    location = reply.header("location")
    assert location.startswith(f"{s3_server.endpoint}/{BUCKET}/")
    assert parse_qs(urlsplit(location).query)["X-Amz-Expires"] == ["90"]
    status, body, headers = followed(location)
    assert (status, body) == (200, LARGE)
    assert headers["content-disposition"].startswith('attachment; filename="large.bin"')
    assert followed(location, Range="bytes=10-19")[:2] == (206, LARGE[10:20])


def test_the_management_api_sends_there_too(redirecting: Product) -> None:
    reply = redirecting.call("GET", "/api/v1/repositories/files/download/large.bin")
    assert (reply.status, reply.header("x-artifact-storage")) == (302, "redirect-s3")
    assert followed(reply.header("location"))[1] == LARGE


def test_what_no_signature_is_good_for_is_answered_here(redirecting: Product) -> None:
    head = redirecting.call("HEAD", "/general/files/large.bin")
    assert (head.status, head.header("content-length")) == (200, str(len(LARGE)))
    assert redirecting.call("GET", "/general/files/small.txt").body == SMALL
    unchanged = redirecting.call("GET", "/general/files/large.bin", headers={"if-none-match": head.header("etag")})
    assert unchanged.status == 304
    several = redirecting.call("GET", "/general/files/large.bin", headers={"range": "bytes=0-0,5-6"})
    assert several.status == 206
    assert several.header("content-type").startswith("multipart/byteranges")
    condition = {"range": "bytes=5-6", "if-range": head.header("etag")}
    part = redirecting.call("GET", "/general/files/large.bin", headers=condition)
    assert (part.status, part.body) == (206, LARGE[5:7])
    beyond = redirecting.call("GET", "/general/files/large.bin", headers={"range": f"bytes={len(LARGE)}-"})
    assert beyond.status == 416


def test_nobody_is_given_an_address_of_what_they_may_not_read(redirecting: Product) -> None:
    stranger = redirecting.person("stranger")
    for auth in (None, stranger):
        reply = redirecting.call("GET", "/general/secret/large.bin", auth=auth)
        assert reply.status in {401, 404}
        assert reply.header("location") == ""
    reader = redirecting.person("reader", secret="read")
    reply = redirecting.call("GET", "/general/secret/large.bin", auth=reader)
    assert reply.status == 302
    assert followed(reply.header("location"))[1] == LARGE


def test_a_redirected_download_counts_and_the_past_redirects_too(redirecting: Product) -> None:
    repository = UUID(redirecting.repository("counted", "generic")["id"])
    target = "/general/counted/a.bin"
    assert redirecting.call("PUT", target, LARGE, auth=redirecting.admin).status == 201
    then = redirecting.head()
    assert redirecting.call("DELETE", target, auth=redirecting.admin).status < 300
    for _ in range(3):
        reply = redirecting.call("GET", f"/general/counted@{then}/a.bin")
        assert reply.status == 302
    assert followed(reply.header("location"))[1] == LARGE
    usage = redirecting.workers[0].app.usage
    deadline = time.monotonic() + 10
    while usage.of_repositories([repository]) != {repository: 3}:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_python_packages_are_streamed_because_their_clients_lose_ranges_on_the_way(redirecting: Product) -> None:
    redirecting.repository("python", "pypi")
    sample = wheel("big", extra={"big/data.bin": os.urandom(200_000)})
    form = [(":action", "file_upload"), ("filetype", "bdist_wheel"), ("name", "big"), ("version", "1.0")]
    form.append(("metadata_version", "2.4"))
    body, media_type = multipart(form, [("content", sample.filename, sample.content)])
    headers = {"content-type": media_type}
    assert redirecting.call("POST", "/pypi/python/", body, auth=redirecting.admin, headers=headers).status == 200

    reply = redirecting.call("GET", f"/pypi/python/simple/big/{sample.filename}")

    assert (reply.status, reply.body) == (200, sample.content)


def test_npm_tarballs_redirect_and_their_documents_do_not(redirecting: Product) -> None:
    redirecting.repository("node", "npm")
    data = tarball({"data.txt": os.urandom(100_000).hex()}, name="big", version="1.0.0")
    published = redirecting.call("PUT", "/npm/node/big", document(data, "big", "1.0.0"), auth=redirecting.admin)
    assert published.status == 201, published.body
    assert redirecting.call("GET", "/npm/node/big").status == 200
    reply = redirecting.call("GET", "/npm/node/big/-/big-1.0.0.tgz")
    assert reply.status == 302
    assert followed(reply.header("location"))[1] == data
    assert redirecting.call("HEAD", "/npm/node/big/-/big-1.0.0.tgz").status == 200


def test_crates_redirect_and_their_index_does_not(redirecting: Product) -> None:
    redirecting.repository("rust", "cargo")
    content = cargo_make.crate("big", extra={"data.txt": os.urandom(100_000)})
    body = cargo_make.upload(cargo_make.announced("big"), content)
    redirecting.done("PUT", "/cargo/rust/api/v1/crates/new", body)
    assert redirecting.call("GET", "/cargo/rust/3/b/big").status == 200
    reply = redirecting.call("GET", "/cargo/rust/api/v1/crates/big/1.0.0/download")
    assert reply.status == 302
    assert followed(reply.header("location"))[1] == content


def test_the_address_is_one_that_clients_reach(
    fresh_postgres_dsn: str, s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    public = s3_server.endpoint.replace("127.0.0.1", "localhost")
    settings = s3_settings(s3_server) | {"PRESIGNED_DOWNLOADS_ENABLED": "true", "AK_S3_PUBLIC_ENDPOINT": public}
    with product(fresh_postgres_dsn, tmp_path_factory.mktemp("public"), **settings) as running:
        location = filled(running).call("GET", "/general/files/large.bin").header("location")
        assert location.startswith(f"{public}/")
        assert followed(location)[1] == LARGE


def test_without_the_setting_ranges_are_streamed_from_the_store(
    fresh_postgres_dsn: str, s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with product(fresh_postgres_dsn, tmp_path_factory.mktemp("streaming"), **s3_settings(s3_server)) as running:
        filled(running)
        target = "/general/files/large.bin"
        assert running.call("GET", target).body == LARGE
        for asked, wanted in (("5-9", LARGE[5:10]), ("-7", LARGE[-7:]), (f"{len(LARGE) - 3}-", LARGE[-3:])):
            reply = running.call("GET", target, headers={"range": f"bytes={asked}"})
            assert (reply.status, reply.body) == (206, wanted)
        several = running.call("GET", target, headers={"range": "bytes=0-1,1000000-1000003"})
        assert several.status == 206
        assert LARGE[1_000_000:1_000_004] in several.body
