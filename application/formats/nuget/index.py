"""Stored packages to the documents of the third protocol: services, registrations, versions, searches.

Source: https://learn.microsoft.com/nuget/api/overview
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from application.formats.nuget.addresses import Addresses
from application.formats.nuget.metadata import DependencyGroup, Nuspec
from application.formats.nuget.names import NugetVersion, OrderKey, order_key

JSON_TYPE = "application/json"
MAX_INLINE = 127
PAGE_SIZE = 64
UNLISTED_AT = "1900-01-01T00:00:00Z"
"""By this, clients have always known what is not listed."""

_encode = msgspec.json.encode

_HIVES = {
    "RegistrationsBaseUrl": False,
    "RegistrationsBaseUrl/3.0.0-beta": False,
    "RegistrationsBaseUrl/3.0.0-rc": False,
    "RegistrationsBaseUrl/3.4.0": False,
    "RegistrationsBaseUrl/3.6.0": True,
    "RegistrationsBaseUrl/Versioned": True,
}
_SEARCHES = ("", "/3.0.0-beta", "/3.0.0-rc", "/3.5.0")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a package as the catalogue has it. shown: roles of the files that it shows."""

    nuspec: Nuspec
    normalized: str
    sha512: str
    size_bytes: int
    published_at: datetime
    semver2: bool
    listed: bool = True
    deprecated: str | None = None
    shown: frozenset[str] = frozenset()
    downloads: int = 0

    @property
    def key(self) -> str:
        """The id in addresses."""
        return self.nuspec.key

    @property
    def lower(self) -> str:
        """The version in addresses."""
        return self.normalized.lower()

    @property
    def order(self) -> OrderKey:
        """Its place among the versions."""
        return order_key(self.normalized)

    @property
    def version(self) -> NugetVersion:
        """Its version, taken apart."""
        return self.nuspec.parsed_version

    @property
    def published(self) -> str:
        """When it was published, as clients are told."""
        return stamp(self.published_at) if self.listed else UNLISTED_AT


def render_services(addresses: Addresses) -> bytes:
    """The index of services, under every name that clients look for."""
    found = [
        *((addresses.registration(semver2=semver2), type_) for type_, semver2 in _HIVES.items()),
        *((f"{addresses.base}/v3/search", f"SearchQueryService{suffix}") for suffix in _SEARCHES),
        *((f"{addresses.base}/v3/autocomplete", f"SearchAutocompleteService{suffix}") for suffix in _SEARCHES),
        (addresses.flat, "PackageBaseAddress/3.0.0"),
        (f"{addresses.base}/api/v2/package", "PackagePublish/2.0.0"),
        (f"{addresses.legacy}/", "LegacyGallery/2.0.0"),
        (f"{addresses.flat}{{lower_id}}/{{lower_version}}/readme", "ReadmeUriTemplate/6.13.0"),
    ]
    resources = [{"@id": address, "@type": type_} for address, type_ in found]
    return _encode({"version": "3.0.0", "resources": resources})


def render_versions(entries: Iterable[Entry]) -> bytes:
    """Every version of a package, from the lowest on; also what is not listed, for what is locked to it."""
    return _encode({"versions": [entry.lower for entry in _ordered(entries)]})


# registrations


def render_registration(addresses: Addresses, entries: Iterable[Entry], *, semver2: bool) -> bytes | None:
    """The index of a package's registration: its versions, or the pages that they are on; None when there are none."""
    pages = list(_pages(entries, semver2=semver2))
    if not pages:
        return None
    address = f"{addresses.registration(semver2=semver2)}{pages[0][0].key}/index.json"
    inline = len(pages) == 1
    items = [_page(addresses, page, address, semver2=semver2, inline=inline, within=True) for page in pages]
    types = ["catalog:CatalogRoot", "PackageRegistration", "catalog:Permalink"]
    return _encode({"@id": address, "@type": types, "count": len(items), "items": items})


def render_page(
    addresses: Addresses, entries: Iterable[Entry], bounds: tuple[str, str], *, semver2: bool
) -> bytes | None:
    """The page from one version to another, in lower case; None when there is no such one."""
    for page in _pages(entries, semver2=semver2):
        if bounds == (page[0].lower, page[-1].lower):
            address = f"{addresses.registration(semver2=semver2)}{page[0].key}/index.json"
            return _encode(_page(addresses, page, address, semver2=semver2, inline=True, within=False))
    return None


def render_leaf(addresses: Addresses, entry: Entry, *, semver2: bool) -> bytes:
    """What the registration tells of one version."""
    root = addresses.registration(semver2=semver2)
    return _encode(
        {
            "@id": f"{root}{entry.key}/{entry.lower}.json",
            "@type": ["Package", "catalog:Permalink"],
            "catalogEntry": addresses.catalog(entry.key, entry.lower),
            "listed": entry.listed,
            "packageContent": addresses.content(entry.key, entry.lower),
            "published": entry.published,
            "registration": f"{root}{entry.key}/index.json",
        }
    )


def render_catalog_entry(addresses: Addresses, entry: Entry) -> bytes:
    """What a version says of itself."""
    return _encode(_catalog_entry(addresses, entry))


def _pages(entries: Iterable[Entry], *, semver2: bool) -> Iterator[list[Entry]]:
    ordered = [entry for entry in _ordered(entries) if semver2 or not entry.semver2]
    size = PAGE_SIZE if len(ordered) > MAX_INLINE else MAX_INLINE
    return (ordered[at : at + size] for at in range(0, len(ordered), size))


def _page(
    addresses: Addresses, page: Sequence[Entry], index: str, *, semver2: bool, inline: bool, within: bool
) -> dict[str, Any]:
    """A page. inline: with its versions; within: of the index, where it has an address of its own if not inline."""
    lower, upper = page[0].lower, page[-1].lower
    own = f"{index.removesuffix('index.json')}page/{lower}/{upper}.json"
    told: dict[str, Any] = {
        "@id": f"{index}#page/{lower}/{upper}" if inline and within else own,
        "@type": "catalog:CatalogPage",
        "count": len(page),
        "lower": page[0].normalized,
        "upper": page[-1].normalized,
    }
    if inline:
        told["parent"] = index
        told["items"] = [_item(addresses, entry, index, semver2=semver2) for entry in page]
    return told


def _item(addresses: Addresses, entry: Entry, index: str, *, semver2: bool) -> dict[str, Any]:
    return {
        "@id": f"{addresses.registration(semver2=semver2)}{entry.key}/{entry.lower}.json",
        "@type": "Package",
        "catalogEntry": _catalog_entry(addresses, entry),
        "packageContent": addresses.content(entry.key, entry.lower),
        "registration": index,
    }


def _catalog_entry(addresses: Addresses, entry: Entry) -> dict[str, Any]:
    nuspec = entry.nuspec
    address = addresses.catalog(entry.key, entry.lower)
    told: dict[str, Any] = {
        "@id": address,
        "@type": "PackageDetails",
        "id": nuspec.id,
        "version": nuspec.version,
        "authors": nuspec.authors,
        "description": nuspec.description,
        "listed": entry.listed,
        "packageContent": addresses.content(entry.key, entry.lower),
        "published": entry.published,
        "requireLicenseAcceptance": nuspec.require_license_acceptance,
        "tags": nuspec.tags.split(),
        **_links(addresses, entry),
    }
    optional = {
        "title": nuspec.title,
        "summary": nuspec.summary,
        "language": nuspec.language,
        "licenseExpression": nuspec.license_expression,
        "minClientVersion": nuspec.min_client_version,
        "dependencyGroups": [_group(address, group) for group in nuspec.groups],
        "deprecation": _deprecation(address, entry.deprecated),
    }
    return told | {name: value for name, value in optional.items() if value}


def _group(address: str, group: DependencyGroup) -> dict[str, Any]:
    name = f"{address}#dependencygroup/{group.framework.lower()}".removesuffix("/")
    told: dict[str, Any] = {"@id": name, "@type": "PackageDependencyGroup"}
    if group.framework:
        told["targetFramework"] = group.framework
    dependencies = [
        {
            "@id": f"{name}/{one.id.lower()}",
            "@type": "PackageDependency",
            "id": one.id,
            "range": one.range,
            **({"include": one.include} if one.include else {}),
            **({"exclude": one.exclude} if one.exclude else {}),
        }
        for one in group.dependencies
    ]
    return told | ({"dependencies": dependencies} if dependencies else {})


def _deprecation(address: str, message: str | None) -> dict[str, Any] | None:
    if message is None:
        return None
    return {"@id": f"{address}#deprecation", "@type": "deprecation", "reasons": ["Other"], "message": message}


def _links(addresses: Addresses, entry: Entry) -> dict[str, str]:
    """Pages and files about a package; those it has in itself are here."""
    nuspec = entry.nuspec
    own = {role: addresses.shown(entry.key, entry.lower, role) for role in entry.shown}
    links = {
        "projectUrl": nuspec.project_url,
        "iconUrl": own.get("icon", nuspec.icon_url),
        "licenseUrl": own.get("license", nuspec.license_url),
        "readmeUrl": own.get("readme", ""),
    }
    return {name: link for name, link in links.items() if link}


# searches


def render_search(addresses: Addresses, found: Iterable[Sequence[Entry]], total: int, *, semver2: bool) -> bytes:
    """A page of results: packages, each with the versions that were looked for, from the lowest on."""
    data = [_hit(addresses, versions, semver2=semver2) for versions in found]
    return _encode({"totalHits": total, "data": data})


def render_names(names: Sequence[str], total: int | None = None) -> bytes:
    """A page of ids, counted, or all versions of one."""
    return _encode({"totalHits": len(names) if total is None else total, "data": names})


def _hit(addresses: Addresses, versions: Sequence[Entry], *, semver2: bool) -> dict[str, Any]:
    latest, root = versions[-1], addresses.registration(semver2=semver2)
    nuspec, own = latest.nuspec, f"{root}{latest.key}/"
    told: dict[str, Any] = {
        "@id": f"{own}index.json",
        "@type": "Package",
        "registration": f"{own}index.json",
        "id": nuspec.id,
        "version": nuspec.version,
        "description": nuspec.description,
        "summary": nuspec.summary,
        "title": nuspec.title or nuspec.id,
        "tags": nuspec.tags.split(),
        "authors": [author.strip() for author in nuspec.authors.split(",") if author.strip()],
        "totalDownloads": sum(entry.downloads for entry in versions),
        "verified": False,
        "packageTypes": [{"name": name} for name in nuspec.package_types or ("Dependency",)],
        "versions": [
            {"version": entry.nuspec.version, "downloads": entry.downloads, "@id": f"{own}{entry.lower}.json"}
            for entry in versions
        ],
        **_links(addresses, latest),
    }
    deprecation = _deprecation(addresses.catalog(latest.key, latest.lower), latest.deprecated)
    return told | ({"deprecation": deprecation} if deprecation else {})


def stamp(moment: datetime) -> str:
    """A time in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ordered(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.order)
