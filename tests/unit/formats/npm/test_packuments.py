"""Packuments of other registries: what is read of them, and what is written."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from application.formats.npm.integrity import digests_of
from application.formats.npm.names import NpmName
from application.formats.npm.packuments import (
    Packument,
    PackumentMalformed,
    joined,
    moved_version,
    read_packument,
    releases,
    tarball_called,
    tarballs,
    without,
    write,
    write_abbreviated,
    write_full,
)
from tests.samples.npm import make

NAME = NpmName("hello")
SOURCE = "https://there.example/npm/hello"
HERE = "https://here.example/npm/libs"
SHA1 = "0123456789abcdef0123456789abcdef01234567"


def version(number: str, **fields: Any) -> dict[str, Any]:
    dist = {"tarball": f"https://there.example/hello/-/hello-{number}.tgz", "shasum": SHA1}
    return {"name": "hello", "version": number, **fields, "dist": {**dist, **fields.get("dist", {})}}


def document(*versions: dict[str, Any], **fields: Any) -> dict[str, Any]:
    told = {one["version"]: one for one in versions}
    return {"_id": "hello", "name": "hello", "dist-tags": {}, "versions": told, **fields}


def packument(*versions: dict[str, Any], **fields: Any) -> Packument:
    return read_packument(json.dumps(document(*versions, **fields)).encode(), NAME)


def full(told: Packument) -> Any:
    return json.loads(write_full(told, SOURCE, HERE) or b"null")


def short(told: Packument) -> Any:
    return json.loads(write_abbreviated(told, SOURCE, HERE) or b"null")


def test_what_is_not_changed_keeps_its_spelling() -> None:
    body = (
        b'{"name":"hello","readme":"\\u00fc \\/","versions":{"1.0.0":'
        b'{"odd": [1.50, 1E+2], "dist":{"tarball":"hello-1.0.0.tgz","size":1.0}}},"_attachments":{"x":1}}'
    )
    written = write_full(read_packument(body, NAME), SOURCE, HERE) or b""
    for kept in (b'"readme":"\\u00fc \\/"', b'"odd":[1.50, 1E+2]', b'"size":1.0'):
        assert kept in written, kept
    assert b"_attachments" not in written
    assert b'"tarball":"https://here.example/npm/libs/hello/-/hello-1.0.0.tgz"' in written


def test_an_abbreviated_document_has_what_installs_need() -> None:
    told = packument(
        version(
            "1.0.0",
            dependencies={"a": "^1"},
            libc=["glibc"],
            bundledDependencies=["a"],
            scripts={"install": "node-gyp rebuild"},
            _hasShrinkwrap=True,
            deprecated="no",
            readme="long",
        ),
        version("1.1.0", deprecated="", _hasShrinkwrap=False, scripts={"test": "x"}),
        time={"modified": "2020-01-01T00:00:00.000Z", "1.0.0": "2020-01-01T00:00:00.000Z"},
    )
    shown = short(told)
    assert set(shown) == {"name", "modified", "dist-tags", "versions"}
    first, second = shown["versions"]["1.0.0"], shown["versions"]["1.1.0"]
    assert {field for field in first if field != "dist"} == {
        "name", "version", "dependencies", "libc", "bundleDependencies", "hasInstallScript", "_hasShrinkwrap",
        "deprecated",
    }  # fmt: skip
    assert set(second) == {"name", "version", "dist"}


def test_a_latest_is_shown_where_none_was_told() -> None:
    told = packument(version("1.0.0"), version("2.0.0-rc.1"), **{"dist-tags": {"old": "0.1.0", "next": "2.0.0-rc.1"}})
    assert full(told)["dist-tags"] == short(told)["dist-tags"] == {"latest": "1.0.0", "next": "2.0.0-rc.1"}


@pytest.mark.parametrize(
    "broken",
    [
        {"name": "hello"},
        {"dist": 3},
        {"dist": {}},
        {"dist": {"tarball": 1}},
        {"dist": {"tarball": ""}},
        {"dist": {"tarball": "ftp://x/y"}},
        {"dist": {"tarball": "http:///y"}},
        {"dist": {"tarball": "http://x:99999/y"}},
        {"dist": {"tarball": "http://[x/y"}},
        {"dist": {"tarball": "http://x/a\nb"}},
        3,
    ],
)
def test_a_version_that_cannot_be_fetched_is_not_shown(broken: Any) -> None:
    body = json.dumps({"versions": {"1.0.0": version("1.0.0"), "2.0.0": broken}}).encode()
    told = read_packument(body, NAME)
    assert list(full(told)["versions"]) == list(short(told)["versions"]) == ["1.0.0"]
    assert [file.version for file in tarballs(told, SOURCE)] == ["1.0.0"]
    alone = read_packument(json.dumps({"versions": {"2.0.0": broken}}).encode(), NAME)
    assert write_full(alone, SOURCE, HERE) is None


@pytest.mark.parametrize("number", ["1", "x", "1.0", "../../1.0.0", "1.0.0\n", ""])
def test_what_is_no_version_is_not_shown(number: str) -> None:
    assert full(packument(version(number), version("1.0.0")))["versions"].keys() == {"1.0.0"}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"3", b'{"versions":[]}', b'{"name":"other"}', b"\xff", b"[" * 9**6]
)
def test_what_is_no_packument_is_refused(body: bytes) -> None:
    with pytest.raises(PackumentMalformed):
        read_packument(body, NAME)


def test_fields_of_another_kind_are_passed_over() -> None:
    body = json.dumps({"versions": {"1.0.0": version("1.0.0")}, "dist-tags": 3, "time": [], "name": None}).encode()
    told = full(read_packument(body, NAME))
    assert (told["dist-tags"], "time" in told) == ({"latest": "1.0.0"}, False)


def test_a_file_is_called_as_it_is_here_or_as_it_was_there() -> None:
    odd = version("1.0.2-beta", dist={"tarball": "https://x.example/a/hello-1.0.2beta.tgz?sig=1"})
    same = version("2.0.0", dist={"tarball": "https://x.example/b/hello-1.0.2-beta.tgz"})
    files = tarballs(packument(odd, same), SOURCE)
    assert [
        file.version if (file := tarball_called(files, NAME, name)) else None
        for name in ("hello-1.0.2-beta.tgz", "hello-1.0.2beta.tgz", "hello-2.0.0.tgz", "hello-3.0.0.tgz")
    ] == ["1.0.2-beta", "1.0.2-beta", "2.0.0", None]
    assert files[0].url.endswith("?sig=1")


def test_a_scoped_name_stands_in_addresses_as_clients_write_it() -> None:
    name = NpmName("@acme/x")
    dist = {"tarball": "../-/x.tgz", "attestations": {"url": "https://there.example/a", "provenance": {"p": "q"}}}
    body = json.dumps({"versions": {"1.0.0+b": {"dist": dist}}}).encode()
    (release,) = releases(read_packument(body, name), "https://there.example/npm/@acme/x")
    moved = json.loads(moved_version(name, release, HERE))["dist"]
    assert release.tarball == "https://there.example/npm/-/x.tgz"
    assert moved == {
        "tarball": f"{HERE}/@acme/x/-/x-1.0.0%2Bb.tgz",
        "attestations": {"url": f"{HERE}/-/npm/v1/attestations/@acme%2Fx@1.0.0%2Bb", "provenance": {"p": "q"}},
    }


def test_hidden_versions_leave_nothing_behind() -> None:
    told = packument(
        *(version(number) for number in ("1.0.0", "1.1.0", "1.2.0", "2.0.0", "3.0.0-a")),
        **{"dist-tags": {"latest": "1.2.0", "next": "3.0.0-a"}},
        time=dict.fromkeys(("created", "1.1.0", "1.2.0", "3.0.0-a"), "2020-01-01T00:00:00.000Z"),
    )
    shown = full(without(told, {"1.2.0", "3.0.0-a"}))
    assert list(shown["versions"]) == ["1.0.0", "1.1.0", "2.0.0"]
    assert shown["dist-tags"] == {"latest": "1.1.0"}
    assert list(shown["time"]) == ["created", "1.1.0"]
    assert full(without(told, {"1.0.0", "1.1.0", "1.2.0"}))["dist-tags"] == {"latest": "2.0.0", "next": "3.0.0-a"}
    assert without(told, ()) is told


def test_several_become_one_and_the_first_wins() -> None:
    when = "2020-01-0{}T00:00:00.000Z".format
    ours = packument(
        version("1.0.0", of="ours"),
        **{"dist-tags": {"latest": "1.0.0"}},
        time={"created": when(2), "modified": when(2), "0.1.0": when(1), "1.0.0": when(2)},
    )
    theirs = packument(
        version("2.0.0", of="theirs"),
        version("1.0.0", of="theirs"),
        **{"dist-tags": {"latest": "2.0.0", "next": "2.0.0"}},
        time={"created": when(1), "modified": when(9), "1.0.0": when(3), "2.0.0": when(4), "0.1.0": when(5)},
    )
    whole = joined([ours, theirs])
    told = json.loads(write(whole, whole.versions.items()) or b"")
    assert [(number, one["of"]) for number, one in told["versions"].items()] == [("1.0.0", "ours"), ("2.0.0", "theirs")]
    assert told["dist-tags"] == {"latest": "1.0.0"}
    assert told["time"] == {
        "created": when(2), "modified": when(9), "0.1.0": when(1), "1.0.0": when(2), "2.0.0": when(4),
    }  # fmt: skip
    backwards = joined([theirs, ours])
    assert list(backwards.versions) == ["1.0.0", "2.0.0"]
    assert backwards.tags == {"latest": "2.0.0", "next": "2.0.0"}


def test_a_large_packument_takes_little_more_than_itself() -> None:
    versions = {f"1.{number}.0": version(f"1.{number}.0", readme="x" * 4_000) for number in range(1_000)}
    body = json.dumps({"name": "hello", "versions": versions}).encode()
    tracemalloc.start()
    try:
        told = read_packument(body, NAME)
        written = write_full(told, SOURCE, HERE) or b""
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(written) > 4_000_000
    assert peak < 2 * len(body)


# digests


def test_digests_are_told_in_two_ways() -> None:
    data = b"bytes"
    digests = make.digests(data)
    every = digests_of(f"{make.integrity(data)} {make.integrity(data, 'sha256')}", digests["sha1"].upper())
    assert every == {algorithm: digests[algorithm] for algorithm in ("sha512", "sha256", "sha1")}
    assert digests_of(make.integrity(data) + "?opt", "") == {"sha512": digests["sha512"]}
    assert digests_of(make.integrity(data, "sha1"), digests["sha1"]) == {"sha1": digests["sha1"]}


@pytest.mark.parametrize("text", ["", "sha512-", "sha512-AAAA", "md5-AAAA", "sha512-!", "sha512", "- -", "sha1-AAAA="])
def test_what_is_no_digest_says_nothing(text: str) -> None:
    assert digests_of(text, "abc") == {}


def test_digests_that_contradict_each_other_say_nothing() -> None:
    one, other = make.integrity(b"one"), make.integrity(b"other")
    assert digests_of(f"{one} {other}", make.digests(b"one")["sha1"]) == {"sha1": make.digests(b"one")["sha1"]}
    assert digests_of(one, "") == digests_of(f"{one} {one}", "")
