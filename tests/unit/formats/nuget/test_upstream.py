"""Documents of other feeds, and everything about them that may be wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from application.formats.nuget.names import PackageKey
from application.formats.nuget.upstream import (
    DocumentMalformed,
    read_names,
    read_offers,
    read_page,
    read_pages,
    read_services,
)
from domain.errors import Invalid

URL = "https://feed.example/v3/index.json"


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def leaf(version: str = "1.0.0", **told: Any) -> dict[str, Any]:
    entry = {"id": "Demo.Pkg", "version": version, "published": "2020-01-01T00:00:00Z", **told}
    return {"catalogEntry": entry, "packageContent": f"../flat/{version}.nupkg"}


def services(*resources: tuple[str, Any]) -> bytes:
    return encoded(
        {"version": "3.0.0", "resources": [{"@id": address, "@type": type_} for address, type_ in resources]}
    )


def test_the_newest_kind_of_each_service_is_taken() -> None:
    found = read_services(
        services(
            ("https://feed.example/old/", "RegistrationsBaseUrl"),
            ("https://feed.example/new", ["RegistrationsBaseUrl/3.6.0", "Other"]),
            ("/flat", "PackageBaseAddress/3.0.0"),
            ("https://search.example/query", "SearchQueryService"),
        ),
        URL,
    )
    assert found.registration == "https://feed.example/new/"
    assert found.flat == "https://feed.example/flat/"
    assert (found.search, found.autocomplete) == ("https://search.example/query", "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 5000,
        encoded({"resources": 1}),
        encoded({"resources": ["x"]}),
        services(("https://feed.example/r/", "RegistrationsBaseUrl")),
        services(("http://[", "RegistrationsBaseUrl"), ("http://[", "PackageBaseAddress/3.0.0")),
        services(("file:///r/", "RegistrationsBaseUrl"), ("file:///p/", "PackageBaseAddress/3.0.0")),
    ],
)
def test_what_is_no_index_of_services_is_refused(body: bytes) -> None:
    with pytest.raises(DocumentMalformed):
        read_services(body, URL)


def test_pages_are_here_or_elsewhere() -> None:
    links, leaves = read_pages(
        encoded({"items": [{"items": [leaf()]}, {"@id": "page/2.json", "lower": "2.0.0-RC", "upper": "3.0.0+x"}]}), URL
    )
    assert leaves == [leaf()]
    assert [(link.url, link.lower, link.upper) for link in links] == [
        ("https://feed.example/v3/page/2.json", "2.0.0-rc", "3.0.0+x")
    ]
    assert read_page(encoded({"items": [leaf("2.0.0")]})) == [leaf("2.0.0")]
    for page in (
        {},
        {"@id": "x", "lower": "../..", "upper": "1.0"},
        {"@id": "http://[", "lower": "1.0", "upper": "1.0"},
    ):
        with pytest.raises(DocumentMalformed):
            read_pages(encoded({"items": [page]}), URL)


def test_versions_are_told_once_and_what_is_none_is_left_out() -> None:
    leaves = [
        leaf("2.0.0", listed=False, tags=["a", "b"], authors=["Ada", "Bob"], iconUrl="javascript:x"),
        leaf("1.0.0", dependencyGroups=[{"targetFramework": "net45", "dependencies": [{"id": "A", "range": "1.0"}]}]),
        leaf("1.0"),
        leaf("0.9.0", published="1900-01-01T00:00:00+00:00"),
        leaf("x"),
        {**leaf("6.0.0"), "packageContent": "http://["},
        leaf("3.0.0", id="Other"),
        leaf("4.0.0", dependencyGroups=[{"dependencies": [{"id": "a/b"}]}]),
        leaf("5.0.0", deprecation={"reasons": ["Legacy"]}, published="soon"),
        {"catalogEntry": "https://feed.example/catalog"},
    ]
    offers = read_offers(leaves, PackageKey("demo.pkg"), URL)
    assert [offer.entry.normalized for offer in offers] == ["0.9.0", "1.0.0", "2.0.0", "5.0.0", "6.0.0"]
    assert [offer.entry.listed for offer in offers] == [False, True, False, True, True]
    assert offers[1].entry.nuspec.groups[0].dependencies[0].range == "[1.0.0, )"
    nuspec = offers[2].entry.nuspec
    assert (nuspec.tags, nuspec.authors, nuspec.icon_url) == ("a b", "Ada, Bob", "")
    assert offers[2].url == "https://feed.example/flat/2.0.0.nupkg"
    assert (offers[3].entry.deprecated, offers[4].url) == ("deprecated", "")


def test_names_are_read_from_searches_and_autocompletions() -> None:
    assert read_names(encoded({"totalHits": 7, "data": [{"id": "A.B"}, {"id": "../x"}, 5]})) == (["a.b"], 7)
    assert read_names(encoded({"data": ["A", "b"]})) == (["a", "b"], 2)
    with pytest.raises(Invalid):
        read_names(encoded({"data": {}}))
