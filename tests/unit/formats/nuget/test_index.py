from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

from application.formats.nuget.addresses import Addresses
from application.formats.nuget.feed import describe, render_entry, render_feed, render_schema, short_framework
from application.formats.nuget.index import (
    Entry,
    render_page,
    render_registration,
    render_search,
    render_services,
    render_versions,
)
from application.formats.nuget.metadata import Dependency, DependencyGroup, Nuspec
from application.formats.nuget.names import parse_version

NOW = datetime(2026, 3, 3, 10, 15, tzinfo=UTC)
HERE = Addresses("http://registry.example/nuget/libs")
DATA = "{http://schemas.microsoft.com/ado/2007/08/dataservices}"
ATOM = "{http://www.w3.org/2005/Atom}"


def entry(version: str, *, listed: bool = True, **more: Any) -> Entry:
    parsed = parse_version(version)
    nuspec = Nuspec(id="Demo.Pkg", version=parsed.full, authors="Ada", description="<&>", **more)
    return Entry(
        nuspec=nuspec,
        normalized=parsed.normalized,
        sha512="00" * 64,
        size_bytes=7,
        published_at=NOW,
        semver2=nuspec.is_semver2,
        listed=listed,
    )


def test_every_client_finds_its_services() -> None:
    types = {one["@type"]: one["@id"] for one in json.loads(render_services(HERE))["resources"]}
    assert {
        "RegistrationsBaseUrl/3.4.0",
        "RegistrationsBaseUrl/3.6.0",
        "SearchQueryService",
        "SearchAutocompleteService/3.5.0",
        "PackagePublish/2.0.0",
        "LegacyGallery/2.0.0",
    } <= types.keys()
    assert types["PackageBaseAddress/3.0.0"].endswith("/")
    assert not any(type_.startswith("SymbolPackagePublish") for type_ in types), "nobody is asked for symbols"


def test_versions_are_told_from_the_lowest_on_in_lower_case() -> None:
    body = render_versions([entry("1.10.0"), entry("1.9.0", listed=False), entry("2.0.0-RC.1")])
    assert json.loads(body) == {"versions": ["1.9.0", "1.10.0", "2.0.0-rc.1"]}


def test_few_versions_are_in_the_index_and_many_on_pages_of_their_own() -> None:
    few = json.loads(render_registration(HERE, [entry(f"1.0.{n}") for n in range(127)], semver2=True) or b"")
    assert (few["count"], few["items"][0]["count"], len(few["items"][0]["items"])) == (1, 127, 127)
    entries = [entry(f"1.0.{n}") for n in range(130)]
    many = json.loads(render_registration(HERE, entries, semver2=True) or b"")
    assert [page["count"] for page in many["items"]] == [64, 64, 2]
    assert all("items" not in page for page in many["items"])
    last = many["items"][-1]
    root = HERE.registration(semver2=True)
    assert last["@id"] == f"{root}demo.pkg/page/1.0.128/1.0.129.json"
    page = json.loads(render_page(HERE, entries, ("1.0.128", "1.0.129"), semver2=True) or b"")
    assert (page["@id"], page["parent"], page["count"]) == (last["@id"], f"{root}demo.pkg/index.json", 2)
    assert render_page(HERE, entries, ("1.0.127", "1.0.129"), semver2=True) is None


def test_old_clients_are_not_told_of_what_they_cannot_read() -> None:
    entries = [entry("1.0.0"), entry("2.0.0-a.b"), entry("3.0.0+x")]
    for semver2, versions in ((False, ["1.0.0"]), (True, ["1.0.0", "2.0.0-a.b", "3.0.0+x"])):
        told = json.loads(render_registration(HERE, entries, semver2=semver2) or b"")
        assert [one["catalogEntry"]["version"] for one in told["items"][0]["items"]] == versions
    assert render_registration(HERE, entries[1:], semver2=False) is None


def test_a_version_is_told_with_everything_that_clients_decide_by() -> None:
    groups = (
        DependencyGroup(framework="net45", dependencies=(Dependency(id="A", range="[1.0.0, )"),)),
        DependencyGroup(),
    )
    told = json.loads(
        render_registration(HERE, [entry("1.0.0", listed=False, groups=groups, tags="a b")], semver2=True) or b""
    )
    (item,) = told["items"][0]["items"]
    entry_ = item["catalogEntry"]
    assert item["packageContent"] == f"{HERE.flat}demo.pkg/1.0.0/demo.pkg.1.0.0.nupkg"
    assert (entry_["listed"], entry_["published"], entry_["tags"]) == (False, "1900-01-01T00:00:00Z", ["a", "b"])
    assert [group.get("targetFramework") for group in entry_["dependencyGroups"]] == ["net45", None]
    assert entry_["dependencyGroups"][0]["dependencies"][0]["range"] == "[1.0.0, )"


def test_a_search_tells_the_latest_version_and_all_that_were_looked_for() -> None:
    found = json.loads(render_search(HERE, [[entry("1.0.0"), entry("2.0.0")]], 1, semver2=False))
    (hit,) = found["data"]
    assert (found["totalHits"], hit["id"], hit["version"], hit["authors"]) == (1, "Demo.Pkg", "2.0.0", ["Ada"])
    assert [one["version"] for one in hit["versions"]] == ["1.0.0", "2.0.0"]
    assert hit["packageTypes"] == [{"name": "Dependency"}]


def test_the_feed_says_which_version_is_the_latest_for_whom() -> None:
    entries = [entry("1.0.0"), entry("1.1.0"), entry("1.2.0", listed=False), entry("2.0.0-a"), entry("2.0.0-a.b")]
    for semver2, absolute in ((False, "2.0.0-a"), (True, "2.0.0-a.b")):
        told = describe(HERE, entries, semver2=semver2)
        assert [one.entry.normalized for one in told if one.properties["IsLatestVersion"]] == ["1.1.0"]
        assert [one.entry.normalized for one in told if one.properties["IsAbsoluteLatestVersion"]] == [absolute]


def test_feeds_are_atom_and_their_properties_typed() -> None:
    groups = (
        DependencyGroup(
            framework=".NETFramework4.5", dependencies=(Dependency(id="A", range="[1.0.0, )"), Dependency(id="B"))
        ),
        DependencyGroup(framework=".NETStandard2.0"),
    )
    features = describe(HERE, [entry("1.0.0", groups=groups)], semver2=True)
    feed = ET.fromstring(render_feed(HERE, "Packages", features, count=7, following="http://x/?a&b"))
    assert feed.findtext("{http://schemas.microsoft.com/ado/2007/08/dataservices/metadata}count") == "7"
    assert [link.get("href") for link in feed.findall(f"{ATOM}link") if link.get("rel") == "next"] == ["http://x/?a&b"]
    told = feed.find(f"{ATOM}entry")
    assert told is not None
    content = told.find(f"{ATOM}content")
    assert content is not None
    assert content.get("src") == f"{HERE.legacy}/package/Demo.Pkg/1.0.0"
    properties = {one.tag.removeprefix(DATA): one.text for one in told[-1]}
    assert properties["Dependencies"] == "A:[1.0.0, ):net45|B::net45|::netstandard2.0"
    assert (properties["Description"], properties["Listed"], properties["PackageSize"]) == ("<&>", "true", "7")
    assert properties["PackageHash"] == "A" * 86 + "=="
    alone = ET.fromstring(render_entry(HERE, features[0]))
    assert alone.findtext(f"{ATOM}title") == "Demo.Pkg"
    assert ET.fromstring(render_schema()).tag.endswith("Edmx")


def test_frameworks_have_short_names_for_old_clients() -> None:
    names = [".NETFramework4.7.2", ".NETFramework,Version=v4.5", ".NETStandard2.0", ".NETCoreApp3.1", "net8.0", ""]
    assert [short_framework(name) for name in names] == [
        "net472",
        "net45",
        "netstandard2.0",
        "netcoreapp3.1",
        "net8.0",
        "",
    ]
