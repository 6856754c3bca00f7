"""What clients read: packuments, single versions, tags, tarballs, attestations.

Every document is a function of the package's revision, the repository's public address and the form that was asked for.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from application.catalogue import ArtifactRow, package_scope
from application.formats.npm.accounts import named
from application.formats.npm.address import (
    Address,
    PackageNotFound,
    VersionNotFound,
    address_of,
    artifact_path,
    existing_name,
    version_path,
)
from application.formats.npm.index import (
    ABBREVIATED_TYPE,
    FULL_TYPE,
    LATEST,
    Package,
    effective_tags,
    render_abbreviated,
    render_attestations,
    render_dist_tags,
    render_packument,
    render_version,
)
from application.formats.npm.names import NpmName, VersionInvalid, parse_version
from application.formats.npm.stored import package_of, read_facts, read_provenance_bundle, read_readme, version_entry
from application.wire import Answer, Call, Document, DocumentKey, File, Request
from domain.errors import NotFound

VARY = (("vary", "accept"),)
TAGS_BELOW = 2
ATTESTATIONS_BELOW = 4


# keys of documents


def package_key(request: Request) -> DocumentKey | None:
    """Of a packument or a version; None for one that is to be fresh, because it will be sent back changed."""
    address = address_of(request)
    if request.query_value("write") == "true" or len(address.rest) > 1:
        return None
    form = "abbreviated" if wants_abbreviated(request) and not address.rest else "full"
    return DocumentKey(package_scope(address.name), " ".join((form, *address.rest, request.repository_url)))


def tags_key(request: Request) -> DocumentKey | None:
    """Of a package's tags."""
    return DocumentKey(package_scope(address_of(request, TAGS_BELOW).name), "dist-tags")


def tarball_key(request: Request) -> DocumentKey | None:
    """Of a tarball: small ones are held in memory."""
    address = address_of(request)
    return DocumentKey(package_scope(address.name), f"tarball {address.rest[-1]}")


# handlers


def get_package(call: Call) -> Answer | Document:
    """GET {pkg}, {pkg}/{version or tag}."""
    address = address_of(call.request)
    if not address.rest:
        return _abbreviated(call, address.name) if wants_abbreviated(call.request) else _full(call, address.name)
    if len(address.rest) > 1:
        raise NotFound("no such address in this repository")
    return _version(call, address)


def get_dist_tags(call: Call) -> Document:
    """GET -/package/{pkg}/dist-tags."""
    package = load_package(call, address_of(call.request, TAGS_BELOW).name, full=False)
    return Document(body=render_dist_tags(package), media_type=FULL_TYPE)


def get_tarball(call: Call) -> File:
    """GET {pkg}/-/{file}."""
    address = address_of(call.request)
    path = artifact_path(address.name, address.rest[-1])
    row = call.services.catalogue.artifact(call.content, path, call.at)
    if row is None:
        raise NotFound(f"{address.rest[-1][:300]} not found")
    settings = call.repository.settings
    return File(
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        media_type="application/octet-stream",
        last_modified=row.published_at,
        artifact=row.id,
        immutable=settings.overwrite != "allow" and not settings.versioning_enabled,
    )


def get_attestations(call: Call) -> Document:
    """GET -/npm/v1/attestations/{pkg}@{version}."""
    text = "/".join(call.request.segments[ATTESTATIONS_BELOW:])
    name, _, version = text.rpartition("@")
    row = release_row(call, existing_name(name), version)
    facts = read_facts(row, call.services.blobs) if row else None
    bundle = read_provenance_bundle(row, call.services.blobs) if row else None
    if facts is None or bundle is None or facts.predicate_type is None:
        raise NotFound(f"no attestations for {text[:300]}")
    return Document(body=render_attestations([(facts.predicate_type, bundle)]), media_type=FULL_TYPE)


# steps that writes use as well


def load_package(call: Call, name: NpmName, *, full: bool) -> Package:
    """The package as of the call; raises PackageNotFound. full: with manifests and the times of what was removed."""
    catalogue, at = call.services.catalogue, call.at
    package = package_of(
        name,
        current_revision(call, name),
        catalogue.artifacts(call.content, name, at),
        catalogue.versions(call.content, name, at),
        catalogue.marks(call.content, name, "tag", at),
        call.services.blobs,
        full=full,
        removed=catalogue.former_versions(call.content, name, at) if full else None,
    )
    if package is None:
        raise PackageNotFound(name)
    return package


def current_revision(call: Call, name: NpmName) -> int:
    """The position of the last fact about the package; what `_rev` says."""
    return call.services.catalogue.revision(call.content, package_scope(name), call.at)


def owners_of(call: Call, name: NpmName) -> list[UUID]:
    """The accounts that own the package, in their order."""
    marks = call.services.catalogue.marks(call.content, name, "owner", call.at)
    return [UUID(owner) for owner in sorted(marks, key=lambda owner: int(marks[owner]))]


def tags_of(package: Package) -> dict[str, str]:
    """The tags that clients see."""
    return effective_tags(package.tags, [entry.version for entry in package.versions])


def release_row(call: Call, name: NpmName, version: str) -> ArtifactRow | None:
    """The tarball of a version; None for one that is not there, and for text that is no version."""
    try:
        path = version_path(name, parse_version(version))
    except VersionInvalid:
        return None
    return call.services.catalogue.artifact(call.content, path, call.at)


def wants_abbreviated(request: Request) -> bool:
    """Whether the client asks for what installs need, and no more."""
    return ABBREVIATED_TYPE in request.headers.get("accept", "") and request.query_value("write") != "true"


def _full(call: Call, name: NpmName) -> Answer | Document:
    package = load_package(call, name, full=True)
    latest = tags_of(package).get(LATEST, "")
    row = release_row(call, name, latest)
    readme, readme_file = read_readme(row, call.services.blobs) if row else ("", "")
    owners = named(call, owners_of(call, name))
    package = msgspec.structs.replace(package, readme=readme, readme_file=readme_file, maintainers=owners)
    body = render_packument(package, call.request.repository_url)
    if owners:  # names of people are asked each time and kept in no cache: they can change, and be erased
        return Answer(body=body, media_type=FULL_TYPE, headers=VARY)
    return Document(body=body, media_type=FULL_TYPE, headers=VARY)


def _abbreviated(call: Call, name: NpmName) -> Document:
    body = render_abbreviated(load_package(call, name, full=False), call.request.repository_url)
    return Document(body=body, media_type=ABBREVIATED_TYPE, headers=VARY)


def _version(call: Call, address: Address) -> Document:
    """One version, by its number or by a tag."""
    name, wanted = address.name, address.rest[0]
    row = release_row(call, name, wanted)
    if row is None:
        version = tags_of(load_package(call, name, full=False)).get(wanted)
        row = release_row(call, name, version) if version else None
    if row is None:
        raise VersionNotFound(name, wanted)
    known = {found.version: found for found in call.services.catalogue.versions(call.content, name, call.at)}
    deprecated = known[row.version].deprecated if row.version in known else None
    entry = version_entry(row, deprecated, call.services.blobs, full=True)
    if entry is None:
        raise VersionNotFound(name, wanted)
    return Document(body=render_version(name, entry, call.request.repository_url), media_type=FULL_TYPE, headers=VARY)
