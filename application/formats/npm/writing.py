"""What clients change: publish, deprecate, move tags, unpublish.

A client changes a package by sending its whole document back. What differs is worked out here and becomes events; what
a document says beyond that is not believed.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import msgspec

from application.formats.npm.accounts import owners_named
from application.formats.npm.address import PackageNotFound, VersionNotFound, address_of, artifact_path, version_path
from application.formats.npm.dialect import VersionPublished, answer_json
from application.formats.npm.document import PackageDocument, read_document
from application.formats.npm.index import LATEST, Package, Signature, signed_text
from application.formats.npm.metadata import ManifestMismatch, Release, agree, read_tarball
from application.formats.npm.names import DistTag, NpmName, parse_name, parse_tag, parse_version, similarity_key
from application.formats.npm.people import Person
from application.formats.npm.reading import current_revision, load_package, tags_of
from application.formats.npm.stored import facts_of
from application.log import Receipt
from application.ports import Spooled
from application.publishing import DecidePackage, NewFile, PackageDecision, Target
from application.services import Services
from application.signing import PackageSigner
from application.wire import Answer, Call
from domain import package
from domain.artifact import ArtifactNotFound
from domain.claim import NameTaken
from domain.digests import subresource_integrity
from domain.errors import Conflict, Forbidden, Invalid
from domain.event import Event
from domain.package import Package as PackageState
from domain.permissions import may

ALGORITHMS = ("sha1", "sha512")
_TAGS_BELOW = 2


class StaleRevision(Conflict):
    """Somebody changed the package since the client read it."""

    template = "the package has changed since revision {revision}; read it again"

    def __init__(self, revision: str) -> None:
        super().__init__(revision=revision[:100])


class NameTooSimilar(Forbidden):
    """Somebody would mistake one package for the other."""

    template = (
        "the name '{name}' is too similar to that of an existing package; whoever administers this repository may "
        "publish it nevertheless"
    )

    def __init__(self, name: str) -> None:
        super().__init__(name=name)


# publish and change


def put_package(call: Call) -> Answer:
    """PUT {pkg}: a publish when a tarball is attached, else a change of what is published."""
    name = address_of(call.request).name
    if call.upload is None:
        raise Invalid("expected a package document")
    with call.services.spool.create(ALGORITHMS) as writer:
        with call.upload.open() as body:
            document = read_document(body, writer)
        if not document.attachments:
            return _change(call, name, document)
        tarball = writer.finish()
    try:
        return _publish(call, parse_name(name), document, tarball)
    finally:
        call.services.spool.discard(tarball)


def put_revision(call: Call) -> Answer:
    """PUT {pkg}/-rev/{rev}: the document with something changed.

    Versions that are missing from it stay until their tarballs are deleted, which is the request that clients send
    next, and the one that needs the permission to delete.
    """
    name = address_of(call.request).name
    _require_current(call, name, call.params["revision"])
    if call.upload is None:
        raise Invalid("expected a package document")
    with call.upload.open() as body:
        return _change(call, name, read_document(body, None))


def _publish(call: Call, name: NpmName, document: PackageDocument, spooled: Spooled) -> Answer:
    with spooled.open() as tarball:
        release = agree(document, read_tarball(tarball), spooled.digests)
    if release.name != name:
        raise ManifestMismatch("name", "the address", name, "package.json", release.name)
    path = artifact_path(name, release.tarball)
    if call.services.catalogue.artifact(call.content, path) is not None:
        raise VersionPublished(release.version)

    def decide(state: PackageState) -> list[Event]:
        events: list[Event] = []
        for tag in release.tags:
            events += package.set_tag(state, call.content, name, tag, release.version)
        return events + package.deprecate(state, call.content, name, (release.version,), release.deprecated)

    with new_file(path, release, spooled, call.services) as file:
        receipt = _add(call, name, file, decide)
    return _done(name, receipt.position, status=201)


def _add(call: Call, name: NpmName, file: NewFile, decide: DecidePackage) -> Receipt:
    """Publish, unless it is the beginning of a package that would be mistaken for another."""
    publishing, target = call.services.publishing, _target(call)
    try:
        return publishing.publish(target, [file], PackageDecision(name, decide, alone=similarity_key(name)))
    except NameTaken:
        if not may(call.principal, "admin", call.repository.id, public=call.repository.public):
            raise NameTooSimilar(name) from None
        return publishing.publish(target, [file], PackageDecision(name, decide))


@contextmanager
def new_file(path: str, release: Release, spooled: Spooled, services: Services) -> Iterator[NewFile]:
    """The release as a file to publish, its side blobs spooled until the block ends."""
    metadata, contents = facts_of(release, _signatures(release, spooled, services.package_signer))
    spool = services.spool
    blobs: dict[str, Spooled] = {}
    with ExitStack() as stack:
        for role, content in contents.items():
            with spool.create() as writer:
                writer.write(content)
                blobs[role] = writer.finish()
            stack.callback(spool.discard, blobs[role])
        yield NewFile(
            path=path,
            spooled=spooled,
            media_type="application/octet-stream",
            package=release.name,
            name=release.name,
            version=release.version,
            algorithms=ALGORITHMS,
            metadata=metadata,
            blobs={**blobs},
            overwrite="burn",
        )


def _signatures(release: Release, spooled: Spooled, signer: PackageSigner | None) -> tuple[Signature, ...]:
    """What the registry vouches for: that this version is these bytes."""
    if signer is None:
        return ()
    integrity = subresource_integrity("sha512", spooled.digests["sha512"])
    signature = signer.sign(signed_text(release.name, release.version, integrity).encode())
    return (Signature(signer.key.id, b64encode(signature).decode()),)


def _change(call: Call, name: NpmName, document: PackageDocument) -> Answer:
    """Deprecations, tags and owners that differ from what is there."""
    if document.name not in (None, name) or document.id not in (None, name):
        raise ManifestMismatch("name", "the address", name, "the document", document.name or document.id or "")
    if document.revision is not None:
        _require_current(call, name, document.revision)
    if not document.versions and document.maintainers is None:
        raise Invalid("a change is the whole document with its versions; stars are not kept here")
    present = load_package(call, name, full=False)
    if not document.versions and document.maintainers is not None:
        return _change_owners(call, name, document.maintainers)
    messages, tags = _changed_messages(present, document), _changed_tags(present, document)

    def decide(state: PackageState) -> list[Event]:
        events: list[Event] = []
        for message, versions in messages.items():
            events += package.deprecate(state, call.content, name, tuple(versions), message)
        for tag, version in tags.items():
            if version is not None:
                events += package.set_tag(state, call.content, name, tag, version)
            elif tag in state.tags:
                events += package.remove_tag(state, call.content, name, tag)
        return events

    receipt = call.services.publishing.judge(_target(call), PackageDecision(name, decide))
    return _done(name, receipt.position or current_revision(call, name))


def _change_owners(call: Call, name: NpmName, people: tuple[Person, ...]) -> Answer:
    """Name the owners. It gives nobody rights: those are granted for the repository."""
    owners = owners_named(call, people, name)
    decision = PackageDecision(name, lambda state: package.set_owners(state, call.content, name, owners))
    receipt = call.services.publishing.judge(_target(call), decision)
    return _done(name, receipt.position or current_revision(call, name))


def _changed_messages(present: Package, document: PackageDocument) -> dict[str, list[str]]:
    """Deprecation message to the versions that shall have it from now on."""
    now = {entry.version: entry.deprecated or "" for entry in present.versions}
    changed: dict[str, list[str]] = {}
    for version, message in document.deprecations().items():
        if version in now and message is not None and message != now[version]:
            changed.setdefault(message, []).append(version)
    return changed


def _changed_tags(present: Package, document: PackageDocument) -> dict[str, str | None]:
    """Tag to its new version, None for one that shall go.

    Nothing when the document leaves versions out: then it announces an unpublish, and tags follow the tarball. A
    `latest` that nobody set is sent back by clients as they saw it, and stays unset.
    """
    versions = {entry.version for entry in present.versions}
    if not document.dist_tags or versions - document.versions.keys():
        return {}
    seen = tags_of(present)
    changed: dict[str, str | None] = {tag: None for tag in seen if tag not in document.dist_tags and tag != LATEST}
    for tag, version in document.dist_tags.items():
        if seen.get(tag) != version:
            if version not in versions:
                raise VersionNotFound(present.name, version)
            changed[parse_tag(tag)] = version
    return changed


# tags


def put_dist_tag(call: Call) -> Answer:
    """PUT, POST -/package/{pkg}/dist-tags/{tag}: the body is the version, a JSON string."""
    name, tag = _tag_address(call)
    try:
        version = parse_version(msgspec.json.decode(call.text, type=str))
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Invalid("expected the version as a JSON string") from None
    if call.services.catalogue.artifact(call.content, version_path(name, version)) is None:
        raise VersionNotFound(name, version)
    _judge(call, name, lambda state: package.set_tag(state, call.content, name, tag, version))
    return answer_json({"ok": True})


def delete_dist_tag(call: Call) -> Answer:
    """DELETE -/package/{pkg}/dist-tags/{tag}."""
    name, tag = _tag_address(call)
    if tag == LATEST:
        raise Invalid("the tag 'latest' cannot be removed; move it to another version instead")
    _judge(call, name, lambda state: package.remove_tag(state, call.content, name, tag))
    return answer_json({"ok": True})


def _tag_address(call: Call) -> tuple[NpmName, DistTag]:
    address = address_of(call.request, _TAGS_BELOW)
    return address.name, parse_tag(call.params["tag"])


# unpublish


def delete_tarball(call: Call) -> Answer:
    """DELETE {pkg}/-/{file}/-rev/{rev}: the version is gone, and its number with it."""
    address = address_of(call.request)
    name, path = address.name, artifact_path(address.name, call.params["file"])
    _require_current(call, name, call.params["revision"])
    row = call.services.catalogue.artifact(call.content, path)
    if row is None:
        raise ArtifactNotFound(path)
    return _delete(call, name, [path], {row.version})


def delete_package(call: Call) -> Answer:
    """DELETE {pkg}/-rev/{rev}: every version."""
    name = address_of(call.request).name
    rows = call.services.catalogue.artifacts(call.content, name)
    if not rows:
        raise PackageNotFound(name)
    _require_current(call, name, call.params["revision"])
    return _delete(call, name, [row.path for row in rows], {row.version for row in rows})


def _delete(call: Call, name: NpmName, paths: list[str], versions: set[str]) -> Answer:
    """Take files away, and with them the tags and deprecations of their versions."""

    def decide(state: PackageState) -> list[Event]:
        events: list[Event] = []
        for tag, version in state.tags.items():
            if version in versions:
                events += package.remove_tag(state, call.content, name, tag)
        return events + package.deprecate(state, call.content, name, tuple(sorted(versions)), "")

    receipt = call.services.publishing.delete(_target(call), paths, "unpublished", PackageDecision(name, decide))
    return _done(name, receipt.position)


def _require_current(call: Call, name: NpmName, revision: str) -> None:
    if revision != str(current_revision(call, name)):
        raise StaleRevision(revision)


def _judge(call: Call, name: NpmName, decide: DecidePackage) -> None:
    call.services.publishing.judge(_target(call), PackageDecision(name, decide))


def _target(call: Call) -> Target:
    return Target(call.content, call.repository.settings, call.meta)


def _done(name: NpmName, revision: int, status: int = 200) -> Answer:
    return answer_json({"ok": True, "id": name, "rev": str(revision), "success": True}, status)
