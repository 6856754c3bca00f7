"""Names, tags and digests of images."""

from __future__ import annotations

import pytest

from application.formats.oci.names import (
    ROOT_IMAGE,
    Digest,
    DigestInvalid,
    NameInvalid,
    Tag,
    TagInvalid,
    full_name,
    order_key,
    parse_digest,
    parse_image,
    parse_reference,
    parse_tag,
)

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize("name", ["a", "a/b/c", "a.b", "a_b", "a__b", "a---b", "0/blobs/uploads", "x" * 255])
def test_names_of_the_grammar_are_taken(name: str) -> None:
    assert parse_image(name) == name


@pytest.mark.parametrize("name", ["A", "a/", "/a", "a//b", "a___b", "-a", "a-", "a.-b", "a:b", "ä", "a\n", "x" * 256])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(NameInvalid):
        parse_image(name)


def test_no_name_is_the_image_of_the_repository_itself() -> None:
    image = parse_image("")
    assert (image, full_name("libs", image)) == (ROOT_IMAGE, "libs")
    assert full_name("libs", parse_image("a/b")) == "libs/a/b"
    with pytest.raises(NameInvalid):
        parse_image(ROOT_IMAGE)


@pytest.mark.parametrize("tag", ["1", "latest", "_", "A.b-c_d", "v" * 128])
def test_tags_of_the_grammar_are_taken(tag: str) -> None:
    assert parse_tag(tag) == tag


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a b", "a/b", "a+b", "v" * 129, "a\n"])
def test_other_tags_are_refused(tag: str) -> None:
    with pytest.raises(TagInvalid):
        parse_tag(tag)


@pytest.mark.parametrize(
    "text",
    ["", "sha256", "sha256:", f"sha256:{HEX[1:]}", f"sha256:{HEX.upper()}", f"md5:{HEX[:32]}", f"sha512:{HEX}", HEX],
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(DigestInvalid):
        parse_digest(text)


def test_a_reference_is_a_digest_where_it_has_a_colon() -> None:
    assert parse_reference(f"sha256:{HEX}") == Digest("sha256", HEX)
    assert parse_reference("latest") == Tag("latest")
    with pytest.raises(DigestInvalid):
        parse_reference("sha256:latest")


def test_only_other_algorithms_than_the_first_are_computed_besides() -> None:
    assert parse_digest(f"sha256:{HEX}").further == ()
    assert parse_digest(f"sha512:{HEX * 2}").further == ("sha512",)


def test_tags_are_ordered_by_their_numbers() -> None:
    tags = ["v1.10", "v1.9", "v1.9-rc1", "latest"]
    assert sorted(tags, key=order_key) == ["latest", "v1.9", "v1.9-rc1", "v1.10"]
