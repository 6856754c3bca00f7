"""What clients of the third protocol read: services, packages, what is told of them, and searches."""

from __future__ import annotations

from application.catalogue import ArtifactRow, package_scope
from application.formats.nuget import index
from application.formats.nuget.addresses import Addresses
from application.formats.nuget.dialect import PackageNotFound
from application.formats.nuget.finding import Query, page_of, parse_query
from application.formats.nuget.index import JSON_TYPE, Entry
from application.formats.nuget.names import package_key, version_key
from application.formats.nuget.packages import asked_key, asked_row
from application.formats.nuget.shelves import Shelf
from application.formats.nuget.stored import MANIFEST_ROLE
from application.wire import Answer, Call, Document, DocumentKey, File, Request

_MANIFEST = ".nuspec"
_IMAGES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))
_PLAIN = "text/plain; charset=utf-8"
_MANIFEST_TYPE = "application/xml"
_HARMLESS = (("x-content-type-options", "nosniff"), ("content-security-policy", "default-src 'none'; sandbox"))


# keys of documents


def services_key(request: Request) -> DocumentKey:
    """Of the index of services, which tells of no package."""
    return DocumentKey(package_scope(""), f"services {request.repository_url}")


def package_document_key(request: Request) -> DocumentKey | None:
    """Of what is told of one package: its address says what."""
    key = package_key(request.params["id"])
    if key is None:
        return None
    return DocumentKey(package_scope(key), f"{'/'.join(request.segments)} {request.repository_url}")


def package_file_key(request: Request) -> DocumentKey | None:
    """Of a package itself and what is beside it: small ones are held in memory."""
    key = package_key(request.params["id"])
    return DocumentKey(package_scope(key), "/".join(request.segments), shared=False) if key is not None else None


# packages


def get_services(call: Call) -> Document:
    """GET v3/index.json."""
    return _json(index.render_services(addresses_of(call)))


def get_versions(call: Call, shelf: Shelf) -> Document:
    """GET v3/flatcontainer/{id}/index.json."""
    return _json(index.render_versions(_asked_entries(call, shelf)))


def get_archive(call: Call) -> File:
    """GET v3/flatcontainer/{id}/{version}/{file}: the package, or its manifest."""
    row = asked_row(call)
    file = call.params["file"].lower()
    if file == row.filename:
        return archive_file(row)
    if file == f"{row.package}{_MANIFEST}":
        return _beside(call, row, MANIFEST_ROLE, _MANIFEST_TYPE)
    raise PackageNotFound(call.params["id"], call.params["version"])


def get_readme(call: Call) -> File:
    """GET …/readme."""
    return _beside(call, asked_row(call), "readme", _PLAIN)


def get_license(call: Call) -> File:
    """GET …/license."""
    return _beside(call, asked_row(call), "license", _PLAIN)


def get_icon(call: Call) -> File:
    """GET …/icon: a picture of the kinds that NuGet has, or bytes that no browser makes anything of."""
    row = asked_row(call)
    digest = row.blobs.get("icon")
    start = b""
    if digest is not None:
        with call.services.blobs.open(digest) as file:
            start = file.read(16)
    kind = next((kind for magic, kind in _IMAGES if start.startswith(magic)), "application/octet-stream")
    return _beside(call, row, "icon", kind)


def archive_file(row: ArtifactRow, media_type: str = "") -> File:
    """The bytes of a package; no other ones will ever have its address."""
    return File(
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        media_type=media_type or row.media_type,
        filename=row.filename,
        last_modified=row.published_at,
        artifact=row.id,
        immutable=True,
    )


# registrations


def get_registration(call: Call, shelf: Shelf) -> Document:
    """GET v3/registration/{id}/index.json."""
    entries = _asked_entries(call, shelf)
    return _told(call, index.render_registration(addresses_of(call), entries, semver2=_semver2_hive(call)))


def get_page(call: Call, shelf: Shelf) -> Document:
    """GET v3/registration/{id}/page/{lower}/{upper}."""
    entries = _asked_entries(call, shelf)
    bounds = call.params["lower"].lower(), call.params["upper"].lower().removesuffix(".json")
    return _told(call, index.render_page(addresses_of(call), entries, bounds, semver2=_semver2_hive(call)))


def get_leaf(call: Call, shelf: Shelf) -> Document:
    """GET v3/registration/{id}/{version}.json."""
    entry, semver2 = _asked_entry(call, shelf), _semver2_hive(call)
    if entry.semver2 and not semver2:
        raise PackageNotFound(call.params["id"], call.params["version"])
    return _json(index.render_leaf(addresses_of(call), entry, semver2=semver2))


def get_catalog_entry(call: Call, shelf: Shelf) -> Document:
    """GET v3/catalog/{id}/{version}.json."""
    return _json(index.render_catalog_entry(addresses_of(call), _asked_entry(call, shelf)))


# searches


def search(call: Call, shelf: Shelf) -> Answer:
    """GET v3/search."""
    skip, take = page_of(call)
    query = query_of(call)
    found, total = shelf.find(query, skip, take)
    return Answer(
        body=index.render_search(addresses_of(call), found, total, semver2=query.semver2), media_type=JSON_TYPE
    )


def autocomplete(call: Call, shelf: Shelf) -> Answer:
    """GET v3/autocomplete: ids that have a text in them, or the versions of one."""
    asked = call.request.query_value("id")
    query = query_of(call, names_only=True)
    if asked:
        key = package_key(asked)
        entries = shelf.load(key) if key is not None else []
        body = index.render_names([entry.nuspec.version for entry in entries if query.sees(entry)])
    else:
        skip, take = page_of(call)
        found, total = shelf.find(query, skip, take)
        body = index.render_names([versions[-1].nuspec.id for versions in found], total)
    return Answer(body=body, media_type=JSON_TYPE)


def query_of(call: Call, *, names_only: bool = False) -> Query:
    """What the parameters of a search ask for."""
    value = call.request.query_value
    return parse_query(
        value("q"),
        prerelease=value("prerelease").lower() == "true",
        semver2=value("semVerLevel").startswith("2"),
        package_type=value("packageType"),
        names_only=names_only,
    )


# steps


def addresses_of(call: Call) -> Addresses:
    """Where everything is for who asked."""
    return Addresses(call.request.repository_url)


def _semver2_hive(call: Call) -> bool:
    return call.request.segments[1].endswith("semver2")


def _asked_entries(call: Call, shelf: Shelf) -> list[Entry]:
    """Every version of the package in the address. Raises PackageNotFound."""
    found = shelf.load(asked_key(call.params["id"]))
    if not found:
        raise PackageNotFound(call.params["id"])
    return found


def _asked_entry(call: Call, shelf: Shelf) -> Entry:
    """The version in an address that ends in `.json`. Raises PackageNotFound."""
    version = version_key(call.params["version"].removesuffix(".json"))
    for entry in _asked_entries(call, shelf):
        if entry.lower == version:
            return entry
    raise PackageNotFound(call.params["id"], call.params["version"])


def _beside(call: Call, row: ArtifactRow, role: str, media_type: str) -> File:
    digest = row.blobs.get(role)
    if digest is None:
        raise PackageNotFound(row.name, row.version)
    return File(
        sha256=digest,
        size_bytes=call.services.blobs.size(digest),
        media_type=media_type,
        headers=_HARMLESS,
        last_modified=row.published_at,
        immutable=True,
    )


def _told(call: Call, body: bytes | None) -> Document:
    if body is None:
        raise PackageNotFound(call.params["id"])
    return _json(body)


def _json(body: bytes) -> Document:
    return Document(body=body, media_type=JSON_TYPE)
