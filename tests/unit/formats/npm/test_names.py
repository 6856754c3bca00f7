from __future__ import annotations

import random

import pytest

from application.formats.npm.names import (
    NameInvalid,
    NpmName,
    NpmVersion,
    TagInvalid,
    VersionInvalid,
    bundle_name,
    clean_version,
    highest,
    is_prerelease,
    order_key,
    parse_existing_name,
    parse_name,
    parse_tag,
    parse_version,
    similarity_key,
    split_name,
    tarball_name,
)


@pytest.mark.parametrize(
    "name", ["a", "lodash", "left-pad", "socket.io", "a_b", "7zip", "@acme/x", "@a-b.c~d/x.y_z", "x" * 214]
)
def test_a_name_in_npms_grammar_is_accepted_as_it_is(name: str) -> None:
    assert parse_name(name) == name
    assert parse_existing_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "A", "Lodash", ".a", "_a", "-a", "-", "a b", " a", "a ", "a\n", "a/b", "@a", "@/a", "@a/", "@a/b/c", "@A/b", "@a/.b", "a%2fb",
     "node_modules", "favicon.ico", "../a", "a\x00", "größe", "a~b", "a!", "x" * 215, "@a/_b", "packages/x", "\u0661"],
)  # fmt: skip
def test_a_name_outside_npms_grammar_is_refused(name: str) -> None:
    with pytest.raises(NameInvalid):
        parse_name(name)


@pytest.mark.parametrize("name", ["JSONStream", "Base64", "@Scope/Name", "a~b", "crypto'"])
def test_an_old_name_can_be_asked_for_but_not_published(name: str) -> None:
    assert parse_existing_name(name) == name
    with pytest.raises(NameInvalid):
        parse_name(name)


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "@a/b/c", "a b", "Node_Modules", "a\n", "_design", "@a/.."])
def test_text_that_was_never_a_name_cannot_even_be_asked_for(name: str) -> None:
    with pytest.raises(NameInvalid):
        parse_existing_name(name)


def test_a_name_is_split_at_its_scope() -> None:
    assert split_name(NpmName("@acme/x")) == ("@acme", "x")
    assert split_name(NpmName("x")) == (None, "x")


def test_names_that_differ_in_punctuation_and_case_are_similar_within_a_scope() -> None:
    assert similarity_key(NpmName("left-pad")) == similarity_key(NpmName("Left_P.ad")) == "leftpad"
    assert similarity_key(NpmName("@acme/left-pad")) == "@acme/leftpad"
    assert similarity_key(NpmName("@ac-me/x")) != similarity_key(NpmName("@acme/x"))


@pytest.mark.parametrize(
    ("text", "clean"),
    [("1.2.3", "1.2.3"), ("v1.2.3", "1.2.3"), (" =v1.2.3\n", "1.2.3"), ("1.2.3+build.5", "1.2.3"), ("1.2.3-beta.1+x", "1.2.3-beta.1"),
     ("0.0.0-0", "0.0.0-0"), ("1.0.0--x", "1.0.0--x")],
)  # fmt: skip
def test_a_version_is_cleaned_as_node_semver_does(text: str, clean: str) -> None:
    assert clean_version(text) == clean


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-01", "1.2.3-", "1.2.3+", "1.2.3-a..b", "1.2.x", "^1.2.3", "1.2.3 - 2.0.0", "\u0661.\u0662.\u0663",
     "1.2.3-" + "a" * 256, "9007199254740992.0.0", "latest", "1.2.3-ä", "1.2.3\x00"],
)  # fmt: skip
def test_a_version_outside_semver_is_refused(text: str) -> None:
    with pytest.raises(VersionInvalid):
        clean_version(text)


def test_a_version_in_a_path_has_to_be_clean_already() -> None:
    assert parse_version("1.2.3-rc.1") == "1.2.3-rc.1"
    for text in ("v1.2.3", "1.2.3+b", "1.2.3\n"):
        with pytest.raises(VersionInvalid):
            parse_version(text)


def test_versions_order_by_semver_precedence() -> None:
    ordered = ["0.9.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",
               "1.0.0", "1.2.0", "1.10.0", "2.0.0-0", "2.0.0"]  # fmt: skip
    shuffled = random.Random(7).sample(ordered, len(ordered))
    assert sorted(shuffled, key=order_key) == ordered
    assert order_key("1.0.0+a") == order_key("1.0.0+b")


def test_the_highest_version_is_stable_when_anything_is() -> None:
    assert highest(["1.0.0", "2.0.0-rc.1", "1.10.0", "1.9.0"]) == "1.10.0"
    assert highest(["1.0.0-a", "1.0.0-b"]) == "1.0.0-b"
    assert highest([]) is None
    assert is_prerelease("1.0.0-a")
    assert not is_prerelease("1.0.0+a-b")


@pytest.mark.parametrize(
    "tag", ["latest", "beta", "next-11", "v1-lts", "release_candidate", "x86", "1.2-lts", "1.x-lts"]
)
def test_a_tag_that_no_client_takes_for_a_range_is_accepted(tag: str) -> None:
    assert parse_tag(tag) == tag


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "1",
        "1.0",
        "1.0.0",
        "v1",
        "v1.2.3",
        "1.x",
        "x",
        "X",
        "*",
        "^1.0.0",
        "~1",
        ">=1",
        "1 - 2",
        "a b",
        "a/b",
        "-",
        "t" * 215,
        "1.2.3-rc",
        "1.2.x-rc",
        "vv1",
    ],
)
def test_a_tag_that_is_a_range_or_unfit_for_a_path_is_refused(tag: str) -> None:
    with pytest.raises(TagInvalid):
        parse_tag(tag)


def test_a_tarball_is_named_for_the_package_without_its_scope() -> None:
    assert tarball_name(NpmName("@acme/x"), NpmVersion("1.0.0-rc.1")) == "x-1.0.0-rc.1.tgz"
    assert bundle_name(NpmName("x"), NpmVersion("1.0.0")) == "x-1.0.0.sigstore"
