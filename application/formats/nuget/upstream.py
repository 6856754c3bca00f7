"""What another feed says of itself and of its packages, as it comes. Pure; any bytes give packages or Invalid.

Source: https://learn.microsoft.com/nuget/api/service-index, …/registration-base-url-resource
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec

from application.formats.nuget.index import Entry
from application.formats.nuget.metadata import Dependency, DependencyGroup, Nuspec
from application.formats.nuget.names import PackageKey, normalized_range, package_key, parse_id, parse_version
from application.proxying.asking import joined
from domain.errors import Invalid

MAX_PAGES = 1_000
_MAX_TEXT_CHARS = 35_000
_UNLISTED_YEAR = 1900
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_REGISTRATIONS = ("/3.6.0", "/Versioned", "/3.4.0", "/3.0.0-rc", "/3.0.0-beta", "")
_SEARCHES = ("/3.5.0", "/3.0.0-rc", "/3.0.0-beta", "")
_PAGE_BOUND = re.compile(r"[0-9A-Za-z.-]{1,64}\Z")


class DocumentMalformed(Invalid):
    """Not what a feed of the third protocol says."""

    template: ClassVar[str] = "not a document of a NuGet feed: {problem}"

    def __init__(self, problem: str) -> None:
        super().__init__(problem=problem[:300])


class Services(msgspec.Struct, frozen=True):
    """Where an upstream has what. search: empty where it has none."""

    flat: str
    registration: str
    search: str
    autocomplete: str


class PageLink(msgspec.Struct, frozen=True):
    """A page of a registration that is a document of its own."""

    url: str
    lower: str
    upper: str


class Offer(msgspec.Struct, frozen=True):
    """A version at an upstream. url: of its archive; empty where the registration does not say."""

    entry: Entry
    url: str


def read_services(body: bytes, url: str) -> Services:
    """The index of services. Raises DocumentMalformed when it lacks packages or registrations."""
    found: dict[str, str] = {}
    for one in _list(_object(body).get("resources")):
        address, type_ = one.get("@id"), one.get("@type")
        for kind in type_ if isinstance(type_, list) else [type_]:
            if isinstance(address, str) and isinstance(kind, str) and is_web(joined(url, address)):
                found.setdefault(kind, joined(url, address))
    registration = _first(found, "RegistrationsBaseUrl", _REGISTRATIONS)
    flat = found.get("PackageBaseAddress/3.0.0", "")
    if not registration or not flat:
        raise DocumentMalformed("its index of services names no packages or no registrations")
    return Services(
        f"{flat.rstrip('/')}/",
        f"{registration.rstrip('/')}/",
        _first(found, "SearchQueryService", _SEARCHES),
        _first(found, "SearchAutocompleteService", _SEARCHES),
    )


def read_pages(body: bytes, url: str) -> tuple[list[PageLink], list[dict[str, Any]]]:
    """What an index of a registration has: pages elsewhere, and leaves in itself. Raises DocumentMalformed."""
    links, leaves = [], list[dict[str, Any]]()
    pages = _list(_object(body).get("items"))
    if len(pages) > MAX_PAGES:
        raise DocumentMalformed(f"it has more than {MAX_PAGES} pages")
    for page in pages:
        if "items" in page:
            leaves += _list(page["items"])
            continue
        address, lower, upper = page.get("@id"), page.get("lower"), page.get("upper")
        if not (isinstance(address, str) and _is_bound(lower) and _is_bound(upper) and is_web(joined(url, address))):
            raise DocumentMalformed("a page has no address or no bounds")
        links.append(PageLink(joined(url, address), str(lower).lower(), str(upper).lower()))
    return links, leaves


def read_page(body: bytes) -> list[dict[str, Any]]:
    """The leaves of a page that is a document of its own. Raises DocumentMalformed."""
    return _list(_object(body).get("items"))


def read_offers(leaves: Iterable[dict[str, Any]], key: PackageKey, url: str) -> list[Offer]:
    """The versions that leaves tell of, from the lowest on, each once; what is none of the package is left out."""
    found: dict[str, Offer] = {}
    for leaf in leaves:
        with suppress(Invalid):
            offer = _offer(leaf, key, url)
            found.setdefault(offer.entry.lower, offer)
    return sorted(found.values(), key=lambda offer: offer.entry.order)


def read_names(body: bytes) -> tuple[list[PackageKey], int]:
    """The packages that a search or an autocompletion found, and how many there are. Raises DocumentMalformed."""
    told = _object(body)
    data, total = told.get("data"), told.get("totalHits")
    if not isinstance(data, list):
        raise DocumentMalformed("its search found nothing that is a list")
    names = [one.get("id") if isinstance(one, dict) else one for one in data]
    keys = [key for name in names if isinstance(name, str) and (key := package_key(name)) is not None]
    return keys, total if isinstance(total, int) and total >= len(keys) else len(keys)


def is_web(url: str) -> bool:
    """Whether an address is one that is asked over HTTP."""
    try:
        return urlsplit(url).scheme in {"http", "https"}
    except ValueError:
        return False


def _offer(leaf: dict[str, Any], key: PackageKey, url: str) -> Offer:
    told = leaf.get("catalogEntry")
    if not isinstance(told, dict):
        raise DocumentMalformed("a leaf says nothing of its version")
    version = parse_version(_text(told, "version"))
    nuspec = _nuspec(told, version.full)
    if nuspec.key != key:
        raise DocumentMalformed("a leaf is of another package")
    content = leaf.get("packageContent") or told.get("packageContent")
    address = joined(url, content) if isinstance(content, str) else ""
    published = _moment(told.get("published"))
    listed = told.get("listed") is not False and published.year != _UNLISTED_YEAR
    deprecation = told.get("deprecation")
    message = None
    if isinstance(deprecation, dict):
        message = _text(deprecation, "message") or "deprecated"
    entry = Entry(
        nuspec=nuspec,
        normalized=version.normalized,
        sha512="",
        size_bytes=0,
        published_at=published,
        semver2=nuspec.is_semver2,
        listed=listed,
        deprecated=message,
    )
    return Offer(entry, address if is_web(address) else "")


def _nuspec(told: dict[str, Any], version: str) -> Nuspec:
    tags = told.get("tags")
    return Nuspec(
        id=parse_id(_text(told, "id")),
        version=version,
        title=_text(told, "title"),
        authors=_joined(told.get("authors"), ", "),
        description=_text(told, "description"),
        summary=_text(told, "summary"),
        tags=_joined(tags, " "),
        language=_text(told, "language"),
        project_url=_link(told, "projectUrl"),
        icon_url=_link(told, "iconUrl"),
        license_url=_link(told, "licenseUrl"),
        license_expression=_text(told, "licenseExpression"),
        require_license_acceptance=told.get("requireLicenseAcceptance") is True,
        min_client_version=_text(told, "minClientVersion"),
        groups=tuple(_groups(told.get("dependencyGroups"))),
    )


def _groups(told: Any) -> Iterator[DependencyGroup]:
    for group in _list(told):
        dependencies = [
            Dependency(
                id=parse_id(_text(one, "id")),
                range=normalized_range(_text(one, "range")),
                include=_text(one, "include"),
                exclude=_text(one, "exclude"),
            )
            for one in _list(group.get("dependencies"))
        ]
        yield DependencyGroup(framework=_text(group, "targetFramework"), dependencies=tuple(dependencies))


def _object(body: bytes) -> dict[str, Any]:
    """A JSON object."""
    try:
        told = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise DocumentMalformed(str(fault)) from None
    if not isinstance(told, dict):
        raise DocumentMalformed("it is no object")
    return told


def _list(told: Any) -> list[dict[str, Any]]:
    if told is None:
        return []
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise DocumentMalformed("expected a list of objects")
    return told


def _first(found: dict[str, str], kind: str, suffixes: Iterable[str]) -> str:
    return next((found[kind + suffix] for suffix in suffixes if kind + suffix in found), "")


def _is_bound(told: Any) -> bool:
    return isinstance(told, str) and _PAGE_BOUND.match(told.partition("+")[0]) is not None


def _text(told: dict[str, Any], name: str) -> str:
    value = told.get(name)
    return value[:_MAX_TEXT_CHARS] if isinstance(value, str) else ""


def _link(told: dict[str, Any], name: str) -> str:
    value = _text(told, name)
    return value if is_web(value) else ""


def _joined(told: Any, mark: str) -> str:
    if isinstance(told, list):
        return mark.join(one for one in told if isinstance(one, str))[:_MAX_TEXT_CHARS]
    return told[:_MAX_TEXT_CHARS] if isinstance(told, str) else ""


def _moment(told: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(told) if isinstance(told, str) else _NEVER
    except ValueError:
        return _NEVER
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
