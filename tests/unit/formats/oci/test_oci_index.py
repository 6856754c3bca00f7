"""Lists of tags, images and referrers, and how errors are told."""

from __future__ import annotations

import json

import pytest

from application.formats.oci.dialect import answer_error, challenge, code_of, image_of, received_range, wanted_scope
from application.formats.oci.index import Referrer, next_link, page, render_referrers, render_tags
from application.formats.oci.names import Digest
from application.formats.oci.stored import BlobUnknown, ManifestUnknown
from application.uploading.sessions import UploadBusy, UploadNotFound
from application.uploading.streamed import OutOfOrder
from application.wire import Request
from domain.errors import Conflict, DigestMismatch, Forbidden, Invalid, NotAllowed, RegistryError, TooLarge, TooMany
from domain.repository import RepositoryNotFound


def asked(method: str, *segments: str, mount: str = "/v2/libs", base_url: str = "https://r.example:8443") -> Request:
    return Request(method=method, segments=segments, params={}, query=(), headers={}, base_url=base_url, mount=mount)


# lists


def test_a_page_begins_after_the_last_name_whether_that_exists_or_not() -> None:
    names = ["b", "a", "B", "c", "ab"]
    assert page(names, "", None).names == ["B", "a", "ab", "b", "c"]
    assert page(names, "aa", None).names == ["ab", "b", "c"]
    assert page(names, "ab", None).names == ["b", "c"]


@pytest.mark.parametrize(
    ("limit", "names", "more"), [(0, [], False), (2, ["a", "b"], True), (3, ["a", "b", "c"], False)]
)
def test_a_page_says_whether_more_follows(limit: int, names: list[str], *, more: bool) -> None:
    found = page(["c", "b", "a"], "", limit)
    assert (found.names, found.more) == (names, more)


def test_the_next_page_is_linked() -> None:
    assert next_link("/v2/libs/img/tags/list", "a+b", 2) == (
        "link",
        '</v2/libs/img/tags/list?n=2&last=a%2Bb>; rel="next"',
    )


def test_an_image_without_tags_has_a_list() -> None:
    assert json.loads(render_tags("libs/img", [])) == {"name": "libs/img", "tags": []}


def test_referrers_are_an_index_in_the_order_of_their_digests() -> None:
    later = Referrer(digest=Digest("sha256", "b" * 64), media_type="m", size_bytes=2, artifact_type="t")
    sooner = Referrer(digest=Digest("sha256", "a" * 64), media_type="m", size_bytes=1, annotations={"k": "v"})
    listed = json.loads(render_referrers([later, sooner]))
    assert listed["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert listed["schemaVersion"] == 2
    assert listed["manifests"] == [
        {"mediaType": "m", "digest": f"sha256:{'a' * 64}", "size": 1, "annotations": {"k": "v"}},
        {"mediaType": "m", "digest": f"sha256:{'b' * 64}", "size": 2, "artifactType": "t"},
    ]


# errors


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (BlobUnknown("img", "sha256:00"), 404, "BLOB_UNKNOWN"),
        (ManifestUnknown("img", "1"), 404, "MANIFEST_UNKNOWN"),
        (UploadNotFound(), 404, "BLOB_UPLOAD_UNKNOWN"),
        (UploadBusy(), 409, "BLOB_UPLOAD_INVALID"),
        (RepositoryNotFound("libs"), 404, "NAME_UNKNOWN"),
        (DigestMismatch("sha256", "a", "b"), 400, "DIGEST_INVALID"),
        (TooLarge("much"), 413, "SIZE_INVALID"),
        (Forbidden("no"), 403, "DENIED"),
        (Conflict("no"), 409, "DENIED"),
        (NotAllowed("no"), 405, "UNSUPPORTED"),
        (TooMany("later", 1), 429, "TOOMANYREQUESTS"),
        (Invalid("what"), 400, "NAME_INVALID"),
        (RegistryError("broken"), 500, "UNKNOWN"),
    ],
)
def test_errors_have_names_that_clients_know(fault: RegistryError, status: int, code: str) -> None:
    assert code_of(fault, status) == code
    answer = answer_error(asked("GET"), fault, status)
    assert json.loads(answer.body)["errors"] == [{"code": code, "message": str(fault), "detail": None}]
    assert (answer.status, answer.media_type) == (status, "application/json")


def test_a_piece_out_of_order_is_told_what_is_here() -> None:
    answer = answer_error(asked("PATCH"), OutOfOrder(10), 400)
    assert (answer.status, dict(answer.headers)["range"]) == (416, "0-9")
    assert received_range(0) == "0-0"


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "img/manifests/1", "repository:libs/img:pull"),
        ("HEAD", "a/b/blobs/sha256:00", "repository:libs/a/b:pull"),
        ("GET", "img/tags/list", "repository:libs/img:pull"),
        ("GET", "img/referrers/sha256:00", "repository:libs/img:pull"),
        ("PUT", "img/manifests/1", "repository:libs/img:pull,push"),
        ("POST", "img/blobs/uploads/", "repository:libs/img:pull,push"),
        ("PATCH", "img/blobs/uploads/1", "repository:libs/img:pull,push"),
        ("DELETE", "img/blobs/uploads/1", "repository:libs/img:pull,push"),
        ("DELETE", "img/manifests/1", "repository:libs/img:delete"),
        ("GET", "manifests/1", "repository:libs:pull"),
        ("GET", "manifests/blobs/uploads/tags/list", "repository:libs/manifests/blobs/uploads:pull"),
        ("GET", "what", ""),
        ("GET", 'a"b/manifests/1', ""),
    ],
)
def test_a_challenge_says_what_a_token_must_be_good_for(method: str, path: str, scope: str) -> None:
    request = asked(method, *path.split("/"))
    assert wanted_scope(request) == scope
    said = challenge(request)
    assert said.startswith('Bearer realm="https://r.example:8443/v2/token",service="r.example:8443"')
    assert ("scope=" in said) == bool(scope)


def test_a_challenge_for_the_list_of_images_says_so() -> None:
    assert wanted_scope(asked("GET", mount="/v2/_catalog")) == "registry:catalog:*"
    assert wanted_scope(asked("GET", mount="/v2/")) == ""


def test_words_of_routes_may_be_in_names() -> None:
    assert image_of(("blobs", "uploads", "manifests", "1")) == "blobs/uploads"
    assert image_of(("tags", "list", "tags", "list")) == "tags/list"
