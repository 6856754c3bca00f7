"""Stored packages to the Atom feeds of the second protocol, by which NuGet 2, Chocolatey and PowerShellGet live. Pure.

Source: https://www.odata.org/documentation/odata-version-2-0/atom-format/; the entities are those of NuGet's gallery.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

import msgspec

from application.formats.nuget.addresses import Addresses
from application.formats.nuget.index import Entry
from application.formats.nuget.odata import Known, Value, quoted

FEED_TYPE = "application/atom+xml;type=feed;charset=utf-8"
ENTRY_TYPE = "application/atom+xml;type=entry;charset=utf-8"
XML_TYPE = "application/xml;charset=utf-8"

_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'
_DATA = "http://schemas.microsoft.com/ado/2007/08/dataservices"
_SPACES = f'xmlns="http://www.w3.org/2005/Atom" xmlns:d="{_DATA}" xmlns:m="{_DATA}/metadata"'
_ENTITY = "NuGetGallery.OData.V2FeedPackage"
_UNLISTED_AT = datetime(1900, 1, 1, tzinfo=UTC)

PROPERTIES: dict[str, str] = {
    **dict.fromkeys(
        ("Id", "Version", "NormalizedVersion", "Authors", "Copyright", "Dependencies", "Description", "IconUrl"),
        "Edm.String",
    ),
    **dict.fromkeys(("GalleryDetailsUrl", "Language", "LicenseUrl", "MinClientVersion", "ProjectUrl"), "Edm.String"),
    **dict.fromkeys(("PackageHash", "PackageHashAlgorithm", "ReleaseNotes", "ReportAbuseUrl"), "Edm.String"),
    **dict.fromkeys(("Summary", "Tags", "Title", "LicenseNames", "LicenseReportUrl"), "Edm.String"),
    **dict.fromkeys(("IsLatestVersion", "IsAbsoluteLatestVersion", "IsPrerelease", "Listed"), "Edm.Boolean"),
    **dict.fromkeys(("RequireLicenseAcceptance", "DevelopmentDependency"), "Edm.Boolean"),
    **dict.fromkeys(("DownloadCount", "VersionDownloadCount"), "Edm.Int32"),
    "PackageSize": "Edm.Int64",
    **dict.fromkeys(("Created", "LastUpdated", "LastEdited", "Published"), "Edm.DateTime"),
}
"""Names and types of what is told of a version."""

_FRAMEWORKS = (
    (re.compile(r"\.?NETFramework,?(?:Version=v)?([0-9.]+)\Z", re.IGNORECASE), "net"),
    (re.compile(r"\.?NETStandard,?(?:Version=v)?([0-9.]+)\Z", re.IGNORECASE), "netstandard"),
    (re.compile(r"\.?NETCoreApp,?(?:Version=v)?([0-9.]+)\Z", re.IGNORECASE), "netcoreapp"),
)


class Feature(msgspec.Struct, frozen=True):
    """One version, and all that is told of it."""

    entry: Entry
    properties: dict[str, Value]


def describe(addresses: Addresses, entries: Sequence[Entry], *, semver2: bool) -> list[Feature]:
    """The versions of one package, from the lowest on; which of them is the latest depends on what a client reads."""
    shown = [entry for entry in entries if semver2 or not entry.semver2]
    listed = [entry for entry in shown if entry.listed]
    stable = [entry for entry in listed if not entry.version.is_prerelease]
    downloads = sum(entry.downloads for entry in entries)
    found = []
    for entry in shown:
        told = _told(addresses, entry)
        told["IsLatestVersion"] = bool(stable) and entry is stable[-1]
        told["IsAbsoluteLatestVersion"] = bool(listed) and entry is listed[-1]
        told["DownloadCount"] = downloads
        found.append(Feature(entry, told))
    return found


def render_feed(
    addresses: Addresses, title: str, features: Iterable[Feature], *, count: int | None = None, following: str = ""
) -> bytes:
    """A feed of versions. count: of all there are, where a client asked; following: the address of the next page."""
    parts = [
        f"{_HEAD}<feed xml:base={quoteattr(addresses.legacy + '/')} {_SPACES}>",
        f"<m:count>{count}</m:count>" if count is not None else "",
        f"<id>{escape(addresses.legacy)}/{escape(title)}</id>",
        f'<title type="text">{escape(title)}</title><updated>1970-01-01T00:00:00Z</updated>',
        f'<link rel="self" title={quoteattr(title)} href={quoteattr(title)}/>',
        *(_entry(addresses, feature) for feature in features),
        f'<link rel="next" href={quoteattr(following)}/>' if following else "",
        "</feed>\n",
    ]
    return "".join(parts).encode()


def render_entry(addresses: Addresses, feature: Feature) -> bytes:
    """One version alone."""
    entry = _entry(addresses, feature).removeprefix("<entry")
    return f"{_HEAD}<entry xml:base={quoteattr(addresses.legacy + '/')} {_SPACES}{entry}\n".encode()


def render_service(addresses: Addresses) -> bytes:
    """What the feed has: packages."""
    return (
        f'{_HEAD}<service xml:base={quoteattr(addresses.legacy + "/")} xmlns="http://www.w3.org/2007/app" '
        'xmlns:atom="http://www.w3.org/2005/Atom"><workspace><atom:title>Default</atom:title>'
        '<collection href="Packages"><atom:title>Packages</atom:title></collection></workspace></service>\n'
    ).encode()


def render_schema() -> bytes:
    """What there is to ask, and what is told of a version."""
    key = '<Key><PropertyRef Name="Id"/><PropertyRef Name="Version"/></Key>'
    properties = "".join(
        f'<Property Name="{name}" Type="{type_}" Nullable="{"false" if name in ("Id", "Version") else "true"}"/>'
        for name, type_ in PROPERTIES.items()
    )
    functions = "".join(
        f'<FunctionImport Name="{name}" ReturnType="Collection({_ENTITY})" EntitySet="Packages" m:HttpMethod="GET">'
        + "".join(f'<Parameter Name="{one}" Type="Edm.{type_}" Mode="In"/>' for one, type_ in parameters.items())
        + "</FunctionImport>"
        for name, parameters in _FUNCTIONS.items()
    )
    return (
        f'{_HEAD}<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx">'
        f'<edmx:DataServices m:DataServiceVersion="2.0" xmlns:m="{_DATA}/metadata">'
        '<Schema Namespace="NuGetGallery.OData" xmlns="http://schemas.microsoft.com/ado/2006/04/edm">'
        f'<EntityType Name="V2FeedPackage" m:HasStream="true">{key}{properties}</EntityType>'
        '<EntityContainer Name="V2FeedContext" m:IsDefaultEntityContainer="true">'
        f'<EntitySet Name="Packages" EntityType="{_ENTITY}"/>{functions}</EntityContainer></Schema>'
        "</edmx:DataServices></edmx:Edmx>\n"
    ).encode()


_FUNCTIONS: dict[str, dict[str, str]] = {
    "Search": {
        "searchTerm": "String",
        "targetFramework": "String",
        "includePrerelease": "Boolean",
        "semVerLevel": "String",
    },
    "FindPackagesById": {"id": "String", "semVerLevel": "String"},
    "GetUpdates": {
        "packageIds": "String",
        "versions": "String",
        "includePrerelease": "Boolean",
        "includeAllVersions": "Boolean",
        "targetFrameworks": "String",
        "versionConstraints": "String",
        "semVerLevel": "String",
    },
}


def _told(addresses: Addresses, entry: Entry) -> dict[str, Value]:
    nuspec = entry.nuspec
    published = entry.published_at if entry.listed else _UNLISTED_AT
    own = {role: addresses.shown(entry.key, entry.lower, role) for role in entry.shown}
    return {
        "Id": nuspec.id,
        "Version": nuspec.version,
        "NormalizedVersion": entry.normalized,
        "Authors": nuspec.authors,
        "Copyright": nuspec.copyright,
        "Created": entry.published_at,
        "Dependencies": _dependencies(entry),
        "Description": nuspec.description,
        "DevelopmentDependency": nuspec.development_dependency,
        "GalleryDetailsUrl": "",
        "IconUrl": own.get("icon", nuspec.icon_url),
        "IsPrerelease": entry.version.is_prerelease,
        "Language": nuspec.language,
        "LastUpdated": entry.published_at,
        "LastEdited": None,
        "LicenseUrl": own.get("license", nuspec.license_url),
        "LicenseNames": nuspec.license_expression,
        "LicenseReportUrl": "",
        "Listed": entry.listed,
        "MinClientVersion": nuspec.min_client_version,
        "PackageHash": base64.b64encode(bytes.fromhex(entry.sha512)).decode(),
        "PackageHashAlgorithm": "SHA512",
        "PackageSize": entry.size_bytes,
        "ProjectUrl": nuspec.project_url,
        "Published": published,
        "ReleaseNotes": nuspec.release_notes,
        "ReportAbuseUrl": "",
        "RequireLicenseAcceptance": nuspec.require_license_acceptance,
        "Summary": nuspec.summary,
        "Tags": nuspec.tags,
        "Title": nuspec.title or nuspec.id,
        "VersionDownloadCount": entry.downloads,
    }


def _entry(addresses: Addresses, feature: Feature) -> str:
    entry, told = feature.entry, feature.properties
    nuspec = entry.nuspec
    place = f"Packages(Id={quoted(nuspec.id)},Version={quoted(entry.normalized)})"
    content = addresses.legacy_content(nuspec.id, entry.normalized)
    return (
        f"<entry><id>{escape(addresses.legacy)}/{escape(place)}</id>"
        f'<category term="{_ENTITY}" scheme="{_DATA}/scheme"/>'
        f'<link rel="edit" title="V2FeedPackage" href={quoteattr(place)}/>'
        f'<title type="text">{escape(nuspec.id)}</title><summary type="text">{escape(nuspec.summary)}</summary>'
        f"<updated>{_time(entry.published_at)}Z</updated><author><name>{escape(nuspec.authors)}</name></author>"
        f'<content type="application/zip" src={quoteattr(content)}/>'
        f"<m:properties>{''.join(_property(name, type_, told) for name, type_ in PROPERTIES.items())}</m:properties>"
        "</entry>"
    )


def _property(name: str, type_: str, told: Known) -> str:
    value = told.get(name)
    kind = "" if type_ == "Edm.String" else f' m:type="{type_}"'
    if value is None or value == "":
        return f'<d:{name}{kind} m:null="true"/>'
    if isinstance(value, datetime):
        value = _time(value)
    elif isinstance(value, bool):
        value = str(value).lower()
    return f"<d:{name}{kind}>{escape(str(value))}</d:{name}>"


def _dependencies(entry: Entry) -> str:
    parts = []
    for group in entry.nuspec.groups:
        framework = short_framework(group.framework)
        tail = f":{framework}" if framework else ""
        if not group.dependencies:
            parts.append(f":{tail}")
        parts += [f"{one.id}:{'' if one.range == '(, )' else one.range}{tail}" for one in group.dependencies]
    return "|".join(parts)


def short_framework(name: str) -> str:
    """A framework as old clients know it: `.NETFramework4.5` is `net45`."""
    for pattern, short in _FRAMEWORKS:
        if found := pattern.match(name):
            return short + (found[1].replace(".", "") if short == "net" else found[1])
    return name.lower().removeprefix(".")


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "")
