"""What other registries tell, and names in other spellings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from application.formats.cargo.dependencies import Dependency
from application.formats.cargo.merging import spellings
from application.formats.cargo.names import CrateKey
from application.formats.cargo.stored import Facts, encode_told
from application.formats.cargo.upstream import (
    ConfigMalformed,
    IndexMalformed,
    SearchMalformed,
    UpstreamConfig,
    crate_url,
    read_config,
    read_lines,
    read_search,
)

SUM = "ab" * 32
KEY = CrateKey("demo")


def line(**fields: Any) -> bytes:
    return json.dumps({"name": "Demo", "vers": "1.0.0", "deps": [], "cksum": SUM, "features": {}, **fields}).encode()


def test_lines_are_kept_as_they_were_sent() -> None:
    first, second = line(new="field"), line(vers="2.0.0-rc.1", yanked=True)
    found = read_lines(b"\n" + first + b"\r\n\n" + second, KEY)
    assert [one.raw for one in found] == [first, second]
    assert [(one.name, one.version, one.sha256) for one in found] == [
        ("Demo", "1.0.0", SUM),
        ("Demo", "2.0.0-rc.1", SUM),
    ]


def test_what_only_newer_clients_understand_stays_in_the_line() -> None:
    odd = line(deps=[{"name": "x", "kind": "unheard", "req": 7}], v=9)
    (found,) = read_lines(odd, KEY)
    assert found.raw == odd
    assert json.loads(encode_told(found)) == {"name": "Demo"}


def test_dependencies_and_features_become_facts_of_the_crate() -> None:
    dependency = {"name": "x", "req": "^1", "kind": "dev", "registry": None, "surprise": 1}
    fields = {"deps": [dependency], "features": {"a": ["b"]}, "features2": {"c": ["dep:x"]}, "links": "z", "v": 2}
    (found,) = read_lines(line(**fields), KEY)
    facts = json.loads(encode_told(found))
    assert facts["features"] == {"a": ["b"], "c": ["dep:x"]}
    assert (facts["name"], facts["links"]) == ("Demo", "z")
    assert facts["dependencies"][0]["name"] == Dependency(name="x", req="^1", kind="dev").name
    assert set(facts) <= set(Facts.__struct_fields__)


@pytest.mark.parametrize(
    "fields", [{"name": "other"}, {"vers": "1.0"}, {"cksum": "x" * 64}, {"cksum": SUM.upper()}, {"name": "demo\n"}]
)
def test_a_line_about_something_else_is_left_out(fields: dict[str, Any]) -> None:
    with pytest.raises(IndexMalformed, match="`demo`"):
        read_lines(line(**fields), KEY)
    assert len(read_lines(line(**fields) + b"\n" + line(), KEY)) == 1


@pytest.mark.parametrize(
    ("told", "hour"), [("2026-03-03T10:15:00Z", 10), ("2026-03-03T10:15:00", 10), ("soon", None), (None, None)]
)
def test_the_time_of_a_version_is_read_where_it_is_told(told: str | None, hour: int | None) -> None:
    (found,) = read_lines(line(pubtime=told), KEY)
    assert (found.published_at and (found.published_at.hour, found.published_at.tzname())) == (hour and (hour, "UTC"))


@pytest.mark.parametrize(
    ("dl", "url"),
    [
        ("https://x.example/api", "https://x.example/api/Demo/1.0.0/download"),
        ("https://x.example/{crate}-{version}", "https://x.example/Demo-1.0.0"),
        ("https://x.example/{prefix}/{lowerprefix}", "https://x.example/De/mo/de/mo"),
        ("https://x.example/{sha256-checksum}", f"https://x.example/{SUM}"),
    ],
)
def test_addresses_are_made_from_the_template(dl: str, url: str) -> None:
    (found,) = read_lines(line(), KEY)
    assert crate_url(UpstreamConfig(dl), found) == url


def test_prefixes_of_short_names_are_those_of_the_index() -> None:
    prefixes = {}
    for name in ("A", "Ab", "Abc"):
        (found,) = read_lines(line(name=name), CrateKey(name.lower()))
        prefixes[name] = crate_url(UpstreamConfig("{prefix} {lowerprefix}"), found)
    assert prefixes == {"A": "1 1", "Ab": "2 2", "Abc": "3/A 3/a"}


def test_a_configuration_needs_an_address_and_the_web_api_need_not_be() -> None:
    assert read_config(b'{"dl": "https://x.example", "more": []}') == UpstreamConfig("https://x.example")
    assert read_config(b'{"dl": "http://x", "api": "http://y/"}').api == "http://y"
    for body in (b"", b"[]", b"<html>", b'{"dl": null}', b'{"dl": "ftp://x"}', b'{"dl": "http://x", "api": "y"}'):
        with pytest.raises(ConfigMalformed):
            read_config(body)


def test_a_search_gives_crates_and_how_many_there_are() -> None:
    crates = [{"name": "demo", "max_version": "1.0.0", "description": None}, {"name": "../x"}, {"name": "more"}]
    hits, total = read_search(json.dumps({"crates": crates, "meta": {"total": 9}}).encode())
    assert [(hit.name, hit.max_version, hit.description) for hit in hits] == [("demo", "1.0.0", ""), ("more", "", "")]
    assert total == 9
    assert read_search(b'{"crates": [{"name": "a"}]}')[1] == 1
    with pytest.raises(SearchMalformed):
        read_search(b'{"crates": {}}')


def test_a_name_has_every_spelling_that_cargo_takes_for_it() -> None:
    assert spellings("demo") == ("demo",)
    assert set(spellings("a-b_c")) == {"a-b-c", "a-b_c", "a_b-c", "a_b_c"}
    many = "a-b_c-d_e-f_g"
    assert spellings(many) == (many, "a-b-c-d-e-f-g", "a_b_c_d_e_f_g")
    assert set(spellings("a--")) == {"a--", "a-_", "a_-", "a__"}
