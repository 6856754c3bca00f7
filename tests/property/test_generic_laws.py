"""Laws of plain files: whatever a client sends is a path, properties or a query, or is refused as Invalid."""

from __future__ import annotations

import json
import unicodedata
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.formats.generic.artifactory.aql import QueryInvalid, parse_query
from application.formats.generic.names import (
    MAX_PATH_BYTES,
    MAX_SEGMENT_BYTES,
    check_path,
    check_properties,
    guess_version,
    media_type_of,
    order_key,
    parse_properties,
    read_address,
)
from application.formats.generic.properties import merge, read_changes
from domain.errors import Invalid

anything = st.text(max_size=300) | st.text("/.;%=, \\\u0301aé\0\n", max_size=80)
names = st.text(
    st.characters(exclude_categories=["C", "Zl", "Zp"], exclude_characters="/\\\U0010ffff"), min_size=1, max_size=40
).filter(lambda name: name.strip(" ") == name and name not in {".", ".."})
paths = st.lists(names, min_size=1, max_size=6).map("/".join)
keys = st.text("abcXYZ019_.-", min_size=1, max_size=20)
texts = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=20)
properties = st.dictionaries(keys, st.lists(texts, min_size=1, max_size=4, unique=True).map(tuple), max_size=5)

ITEM: dict[str, Any] = {
    "repo": "libs",
    "path": "a/b",
    "name": "tool-1.2.jar",
    "type": "file",
    "size": 1200,
    "depth": 3,
    "created": "2026-03-03T10:00:00.000Z",
    "created_by": "ada",
    "modified": "2026-03-03T10:00:00.000Z",
    "modified_by": "ada",
    "updated": "2026-03-03T10:00:00.000Z",
    "sha256": "0" * 64,
    "actual_md5": "",
    "actual_sha1": "",
    "original_md5": "",
    "original_sha1": "",
    "properties": {"stage": ("live", "test")},
}


# paths


@given(anything)
def test_any_address_is_read_or_refused(text: str) -> None:
    try:
        address = read_address("/" + text)
    except Invalid:
        return
    assert address.path == (check_path(address.path) if address.path else "")
    assert check_properties(address.properties) == address.properties


@given(paths)
def test_a_path_survives_its_address(path: str) -> None:
    wanted = unicodedata.normalize("NFC", path)
    try:
        checked = check_path(path)
    except Invalid:
        assert len(wanted.encode()) > MAX_PATH_BYTES or any(
            len(segment.encode()) > MAX_SEGMENT_BYTES for segment in wanted.split("/")
        )
        return
    assert (checked, check_path(checked)) == (wanted, checked)
    address = read_address("/" + quote(path))
    assert (address.path, address.folder, address.properties) == (checked, False, {})
    assert read_address("/" + quote(path) + "/").folder


@given(anything)
def test_what_is_accepted_climbs_nowhere(text: str) -> None:
    try:
        path = check_path(text)
    except Invalid:
        return
    assert not {"", ".", ".."} & set(path.split("/"))
    assert not any(character in path for character in "\\\0\r\n")
    path.encode()


@given(anything, anything)
def test_a_path_says_something_of_name_version_and_type_whatever_it_is(path: str, announced: str) -> None:
    name, version = guess_version(path)
    assert isinstance(name, str)
    assert version == "" or version[0].isdigit()
    media_type = media_type_of(path, announced)
    assert "/" in media_type
    assert media_type.isascii()
    assert media_type.isprintable()


@given(st.lists(anything, min_size=3, max_size=3))
def test_versions_are_in_one_order(versions: list[str]) -> None:
    first, second, third = map(order_key, versions)
    assert (first < second) + (first == second) + (first > second) == 1
    if first <= second <= third:
        assert first <= third


# properties


@given(anything)
def test_any_text_is_properties_or_refused(text: str) -> None:
    try:
        found = parse_properties(text)
    except Invalid:
        return
    assert check_properties(found) == found


@given(properties)
def test_properties_survive_being_written(given_properties: dict[str, tuple[str, ...]]) -> None:
    def escaped(text: str) -> str:
        return "".join(f"\\{character}" if character in "\\,;|=" else character for character in text)

    text = ";".join(f"{key}={','.join(map(escaped, values))}" for key, values in given_properties.items())
    assert parse_properties(text) == given_properties
    matrix = "".join(
        f";{quote(key)}={','.join(quote(value, safe='') for value in values)}"
        for key, values in given_properties.items()
    )
    assert read_address(f"/file{matrix}").properties == given_properties
    assert read_changes(json.dumps(given_properties).encode()) == given_properties


@given(properties, properties)
def test_what_is_set_is_there_and_what_is_removed_is_not(
    held: dict[str, tuple[str, ...]], changed: dict[str, tuple[str, ...]]
) -> None:
    merged = merge(held, dict(changed))
    assert merged == {**held, **changed}
    assert merge(merged, dict.fromkeys(changed)) == {key: held[key] for key in held if key not in changed}


@given(
    st.binary(max_size=300)
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(
        lambda value: json.dumps({"k": value}).encode("utf-8", "surrogatepass")
    )
)
def test_any_document_is_changes_or_refused(body: bytes) -> None:
    try:
        changes = read_changes(body)
    except Invalid:
        return
    check_properties({key: values or () for key, values in changes.items()})


# queries

fields = st.sampled_from([*ITEM, "@stage", "@", "property.key", "property.value", "nonsense"])
operators = st.sampled_from(["$eq", "$ne", "$match", "$nmatch", "$gt", "$gte", "$lt", "$lte", "$near"])
operands = st.text(max_size=10) | st.integers() | st.floats() | st.booleans() | st.just("*") | st.just(10**400)
comparisons = st.dictionaries(fields, operands | st.dictionaries(operators, operands, max_size=2), max_size=3)
criteria = st.recursive(
    comparisons, lambda inner: st.dictionaries(st.sampled_from(["$and", "$or", "$msp"]), st.lists(inner, max_size=3))
)
words = [
    "items",
    ".find(",
    "{",
    "}",
    ")",
    '"name"',
    ":",
    '"*"',
    ",",
    "[",
    "]",
    ".sort(",
    ".limit(",
    "1",
    "-1",
    ".include(",
]


@given(st.text(max_size=200) | st.lists(st.sampled_from(words), max_size=30).map("".join))
def test_any_text_is_a_query_or_refused(text: str) -> None:
    try:
        query = parse_query(text)
    except QueryInvalid:
        return
    assert query.condition(ITEM) in {True, False}


@given(criteria, st.integers(), st.lists(fields, max_size=3))
def test_any_criteria_hold_or_not(wanted: Any, number: int, sort: list[str]) -> None:
    text = f"items.find({json.dumps(wanted)}).sort({json.dumps({'$asc': sort})}).limit({number})"
    try:
        query = parse_query(text)
    except QueryInvalid:
        return
    assert query.condition(ITEM) in {True, False}
    assert query.limit == number >= 0
    assert query.repositories is None or query.repositories == {"libs"} or not query.condition(ITEM) or "*" in text


@given(operands.filter(lambda value: isinstance(value, str | int)))
def test_a_comparison_and_its_opposite_never_agree(operand: Any) -> None:
    def holds(operator: str) -> bool:
        text = f'items.find({{"name": {{"{operator}": {json.dumps(operand)}}}}})'
        return parse_query(text).condition(ITEM)

    assert holds("$eq") != holds("$ne")
    assert holds("$match") != holds("$nmatch")
    assert holds("$lt") != holds("$gte")
    assert holds("$gt") != holds("$lte")


@pytest.mark.parametrize(
    "text",
    [
        "items.find(" + '{"$and":[' * 500,
        "items.find(" + '{"$and":[' * 40 + '{"name":"x"}' + "]}" * 40 + ")",
        "items.find(" + "[" * 20_000,
        'items.find({"name":"' + "x" * 70_000 + '"})',
        'items.find({"name":{"$match":["a"]}})',
        'items.find({}).sort({"$asc":[["name"]]})',
        "items.find({}).limit(1e3)",
        "items.find({}).limit(true)",
        "items.find({}).find({})",
        "items.limit(" + "9" * 5_000 + ")",
        "builds.find({})",
    ],
)
def test_hostile_queries_are_refused(text: str) -> None:
    with pytest.raises(QueryInvalid):
        parse_query(text)
