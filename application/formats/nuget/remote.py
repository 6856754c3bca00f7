"""Packages of another feed, shown as our own: what its registrations tell, and archives that are what they say."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from application.formats.nuget.dialect import PackageNotFound
from application.formats.nuget.finding import Query
from application.formats.nuget.metadata import MAX_NUSPEC_BYTES, Nuspec, PackageInvalid, parse_nuspec, read_package
from application.formats.nuget.names import PackageKey, package_key, version_key
from application.formats.nuget.packages import package_path
from application.formats.nuget.publishing import ALGORITHMS, MEDIA_TYPE
from application.formats.nuget.stored import encode_told
from application.formats.nuget.upstream import (
    Offer,
    Services,
    read_names,
    read_offers,
    read_page,
    read_pages,
    read_services,
)
from application.ports import Spooled
from application.proxying.ageing import is_held_back, require_age
from application.proxying.proxy import Fetched, proxy_of, source_url, upstream_of
from application.proxying.resources import Resource
from application.wire import AnyAnswer, Call

INDEX = ".index"
"""Where what an upstream says is kept, apart from its packages."""

_SERVICES_SECONDS = 3600
_MAX_DOCUMENT_BYTES = 64 << 20
_JSON = "application/json"


def fetch_registration(call: Call, key: PackageKey) -> list[Fetched]:
    """What an upstream tells of a package: the index of its registration, and its pages. Raises NotFound."""
    services = _services(call)
    index = _fetch(call, f"{key}/index.json", f"{services.registration}{key}/index.json", pages=True)
    links, _ = read_pages(proxy_of(call).read(index), source_url(index))
    pages = [_fetch(call, f"{key}/{link.lower}..{link.upper}.json", link.url, pages=False) for link in links]
    return [index, *pages]


def shown(call: Call, key: PackageKey, fetched: Sequence[Fetched]) -> list[Offer]:
    """The versions that documents tell of, without those that are held back."""
    upstream = upstream_of(call)
    offers = _offers(call, key, fetched)
    return [offer for offer in offers if not is_held_back(upstream, offer.entry.published_at)]


def get_file(call: Call) -> AnyAnswer:
    """GET …/{id}/{version}/{file}: an archive, or its manifest."""
    key, version = asked(call), version_key(call.params["version"])
    file = call.params.get("file", f"{key}.{version}.nupkg").lower()
    if version is None or file not in (f"{key}.{version}.nupkg", f"{key}.nuspec"):
        raise PackageNotFound(call.params["id"], call.params["version"])
    proxy, upstream = proxy_of(call), upstream_of(call)
    path = package_path(key, version) if file.endswith(".nupkg") else f"{key}/{version}/{file}"
    if call.at is not None or not upstream.age_gate.enabled:
        row = call.services.catalogue.artifact(call.content, path, call.at)
        if row is not None:
            return proxy.sent(Fetched(row), Resource(path=path, url="", lifetime="immutable"))
    offers = _offers(call, key, fetch_registration(call, key))
    offer = next((offer for offer in offers if offer.entry.lower == version), None)
    if offer is None:
        raise PackageNotFound(call.params["id"], call.params["version"])
    require_age(upstream, file, offer.entry.published_at)
    flat = f"{_services(call).flat}{key}/{version}/"
    if file.endswith(".nuspec"):
        return proxy.file(call, _manifest(offer, path, flat + file))
    return proxy.file(call, _archive(offer, path, offer.url or flat + file))


def search(call: Call, query: Query, skip: int, take: int) -> tuple[list[PackageKey], int]:
    """What the upstream's own search finds, and how many there are; nothing where it has none."""
    services = _services(call)
    if not services.search:
        return [], 0
    words = [*(f"packageid:{key}" for key in query.ids), *(f"tags:{tag}" for tag in query.tags), *query.words]
    fields = {
        "q": " ".join(words),
        "skip": str(skip),
        "take": str(take),
        "prerelease": str(query.prerelease).lower(),
        "semVerLevel": "2.0.0" if query.semver2 else "",
        "packageType": query.package_type,
    }
    asked_for = urlencode({name: value for name, value in fields.items() if value})
    mark = "&" if "?" in services.search else "?"
    resource = Resource(path="search", url=f"{services.search}{mark}{asked_for}", lifetime="mutable", accept=_JSON)
    return read_names(proxy_of(call).passed(call, resource))


def asked(call: Call) -> PackageKey:
    """The package that `{id}` in the address is. Raises PackageNotFound."""
    key = package_key(call.params["id"])
    if key is None:
        raise PackageNotFound(call.params["id"])
    return key


def _offers(call: Call, key: PackageKey, fetched: Sequence[Fetched]) -> list[Offer]:
    proxy, url = proxy_of(call), source_url(fetched[0])
    _, leaves = read_pages(proxy.read(fetched[0]), url)
    for page in fetched[1:]:
        leaves = leaves + read_page(proxy.read(page))
    return read_offers(leaves, key, url)


def _services(call: Call) -> Services:
    """Where the upstream has what; its address is that of its index of services, or of what that is below."""
    upstream = upstream_of(call)
    whole = upstream.url.endswith(".json")
    resource = Resource(
        path=f"{INDEX}/services.json",
        url=upstream.url if whole else "v3/index.json",
        lifetime="mutable",
        accept=_JSON,
        ttl_seconds=_SERVICES_SECONDS,
        max_bytes=_MAX_DOCUMENT_BYTES,
        media_type=_JSON,
        check=lambda spooled, _: read_services(spooled.path.read_bytes(), upstream.url),
    )
    proxy = proxy_of(call)
    fetched = proxy.fetch(call, resource)
    return read_services(proxy.read(fetched), source_url(fetched))


def _fetch(call: Call, path: str, url: str, *, pages: bool) -> Fetched:
    def check(spooled: Spooled, _: str) -> object:
        body = spooled.path.read_bytes()
        return read_pages(body, url) if pages else read_page(body)

    resource = Resource(
        path=f"{INDEX}/{path}",
        url=url,
        lifetime="mutable",
        accept=_JSON,
        max_bytes=_MAX_DOCUMENT_BYTES,
        media_type=_JSON,
        check=check,
    )
    return proxy_of(call).fetch(call, resource)


def _archive(offer: Offer, path: str, url: str) -> Resource:
    entry = offer.entry
    return Resource(
        path=path,
        url=url,
        lifetime="immutable",
        algorithms=ALGORITHMS,
        media_type=MEDIA_TYPE,
        package=entry.key,
        name=entry.nuspec.id,
        version=entry.normalized,
        metadata=encode_told(entry.nuspec),
        check=lambda spooled, _: _check(offer, spooled),
    )


def _manifest(offer: Offer, path: str, url: str) -> Resource:
    return Resource(
        path=path,
        url=url,
        lifetime="immutable",
        media_type="application/xml",
        max_bytes=MAX_NUSPEC_BYTES,
        check=lambda spooled, _: _agree(offer, parse_nuspec(spooled.path.read_bytes())),
    )


def _check(offer: Offer, spooled: Spooled) -> None:
    """A registration tells no digest; whether an archive is the package that it is said to be, is seen all the same."""
    with spooled.open() as file:
        _agree(offer, read_package(file).nuspec)


def _agree(offer: Offer, nuspec: Nuspec) -> None:
    told = offer.entry
    if (nuspec.key, nuspec.parsed_version.normalized.lower()) != (told.key, told.lower):
        raise PackageInvalid(f"it is not {told.key} {told.lower}, which the upstream says it is")
