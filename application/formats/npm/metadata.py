"""What a publish amounts to: the tarball read for its own metadata, and agreed with the document that carried it.

Apart from `document`, because the tarball and not the client decides what an install will do (manifest confusion).
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, BinaryIO, ClassVar

import msgspec

from application.archives.tarballs import Entry, TarballLimits, TarballMalformed, read_entries
from application.formats.npm.document import Attachment, ClaimedManifest, PackageDocument
from application.formats.npm.json_stream import JsonMalformed, JsonStream
from application.formats.npm.manifest import abbreviated_manifest, encode_manifest, full_manifest
from application.formats.npm.names import (
    DistTag,
    NpmName,
    NpmVersion,
    bundle_name,
    clean_version,
    parse_name,
    parse_tag,
    parse_version,
    tarball_name,
)
from application.formats.npm.provenance import Provenance, read_provenance
from domain.digests import parse_hex_digest, subresource_integrity
from domain.errors import DigestMismatch, Invalid, TooLarge

MAX_PACKAGE_JSON_BYTES = 4 * 1024 * 1024
MAX_README_BYTES = 64 * 1024
DEFAULT_LIMITS = TarballLimits()
_MARKDOWN = re.compile(r"readme\.m(ark)?d(own|wn)?\Z")


class ManifestMismatch(Invalid):
    """The document, the manifest in it and the tarball do not speak of the same release."""

    template: ClassVar[str] = "{what} mismatch: {first_place} says {first}, {second_place} says {second}"

    def __init__(self, what: str, first_place: str, first: str, second_place: str, second: str) -> None:
        super().__init__(
            what=what, first_place=first_place, first=first[:300], second_place=second_place, second=second[:300]
        )


class Tarball(msgspec.Struct, frozen=True):
    """What a package tarball says about itself.

    package: its package.json, parsed. readme: at most 64 KiB of it, empty when there is none.
    """

    name: NpmName
    version: NpmVersion
    package: dict[str, Any]
    file_count: int
    unpacked_bytes: int
    has_shrinkwrap: bool = False
    has_gyp_file: bool = False
    readme: str = ""
    readme_file: str = ""


class Release(msgspec.Struct, frozen=True):
    """One version ready to be published.

    manifest, abbreviated: JSON objects without `dist` and `deprecated`, which the index adds. tarball: the file name.
    tags: the tags that shall point here. deprecated: a message, empty when it is not.
    """

    name: NpmName
    version: NpmVersion
    manifest: bytes
    abbreviated: bytes
    tarball: str
    size_bytes: int
    sha1: str
    integrity: str
    file_count: int
    unpacked_bytes: int
    tags: tuple[DistTag, ...]
    access: str | None
    deprecated: str
    description: str
    keywords: tuple[str, ...]
    license: str
    has_install_script: bool
    readme: str
    readme_file: str
    provenance: Provenance | None


class _Found:
    """What is collected while the entries go by."""

    def __init__(self) -> None:
        self.file_count = 0
        self.unpacked_bytes = 0
        self.package_json: bytes | None = None
        self.names: set[str] = set()
        self.readme = b""
        self.readme_file = ""

    def take(self, entry: Entry) -> None:
        """Count a file, and read it when it is one of those that matter, at the top of the package."""
        self.file_count += 1
        self.unpacked_bytes += entry.size_bytes
        # Clients strip the first component as it stands, then normalise what is left.
        path = [part for part in entry.path[1:] if part not in ("", ".")]
        if not path:
            return
        # Case and composition as the least exact file systems compare them.
        key = unicodedata.normalize("NFKC", path[0]).casefold()
        if key == "package.json":
            self._take_package_json(path, entry)
        elif len(path) == 1:
            if path[0] in ("npm-shrinkwrap.json", "binding.gyp"):
                self.names.add(path[0])
            if key.startswith("readme") and self._is_better_readme(key):
                self.readme, self.readme_file = entry.read(MAX_README_BYTES), path[0]

    def _take_package_json(self, path: list[str], entry: Entry) -> None:
        if path != ["package.json"] or self.package_json is not None:
            raise TarballMalformed("more than one package.json at the top")
        if entry.size_bytes > MAX_PACKAGE_JSON_BYTES:
            raise TarballMalformed(f"package.json is over {MAX_PACKAGE_JSON_BYTES} bytes")
        self.package_json = entry.read(MAX_PACKAGE_JSON_BYTES)

    def _is_better_readme(self, key: str) -> bool:
        if not re.match(r"readme(\.|\Z)", key):
            return False
        return not self.readme_file or (bool(_MARKDOWN.match(key)) and not _MARKDOWN.match(self.readme_file.lower()))


def read_tarball(file: BinaryIO, limits: TarballLimits = DEFAULT_LIMITS) -> Tarball:
    """Read a package tarball from its start, in memory that does not depend on its size.

    Raises TarballMalformed, NameInvalid, VersionInvalid; no bytes lead to anything but an Invalid.
    """
    found = _Found()
    for entry in read_entries(file, limits):
        found.take(entry)
    if found.package_json is None:
        raise TarballMalformed("no package.json below the first directory")
    package = _parse_package_json(found.package_json)
    return Tarball(
        name=parse_name(_required(package, "name")),
        version=clean_version(_required(package, "version")),
        package=package,
        file_count=found.file_count,
        unpacked_bytes=found.unpacked_bytes,
        has_shrinkwrap="npm-shrinkwrap.json" in found.names,
        has_gyp_file="binding.gyp" in found.names,
        readme=found.readme.decode(errors="replace"),
        readme_file=found.readme_file,
    )


def _parse_package_json(data: bytes) -> dict[str, Any]:
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        # Bounds the depth, which the parser would answer with a RecursionError.
        JsonStream(io.BytesIO(data), len(data)).skip()
        return msgspec.json.decode(data, type=dict[str, Any])
    except (JsonMalformed, TooLarge, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TarballMalformed(f"package.json: {error}") from None


def _required(package: dict[str, Any], field: str) -> str:
    value = package.get(field)
    if not isinstance(value, str) or not value:
        raise TarballMalformed(f"package.json has no {field}")
    return value.strip()


def agree(document: PackageDocument, tarball: Tarball, digests: Mapping[str, str]) -> Release:
    """The release that document and tarball describe together.

    digests: of the tarball as received, hexadecimal, with `sha1` and `sha512`.
    Raises ManifestMismatch where they differ in name, version or file name, DigestMismatch where the client announced
    other bytes, JsonMalformed when the document does not publish exactly one version.
    """
    attachment, bundle = _attachments(document)
    claimed = _claimed(document)
    _same("name", "the document", document.name or document.id or "", "package.json", tarball.name)
    _same("name", "the manifest", claimed.name, "package.json", tarball.name)
    if document.id:
        _same("name", "the document's _id", document.id, "package.json", tarball.name)
    _same("version", "the document", next(iter(document.versions)), "package.json", tarball.version)
    _same("version", "the manifest", clean_version(claimed.version), "package.json", tarball.version)
    file_name = tarball_name(tarball.name, tarball.version)
    _same("file name", "the attachment", attachment.name.rpartition("/")[2], "package.json", file_name)
    _compare_digests(claimed, digests)
    return _release(document, tarball, claimed, digests, attachment.size_bytes, bundle)


def alone(tarball: Tarball, digests: Mapping[str, str], size_bytes: int) -> Release:
    """The release that a tarball is by itself, having come without a document. It moves no tag.

    digests: of the tarball as received, hexadecimal, with `sha1` and `sha512`.
    """
    return _release(
        PackageDocument(), tarball, ClaimedManifest(tarball.name, tarball.version), digests, size_bytes, None
    )


def _attachments(document: PackageDocument) -> tuple[Attachment, Attachment | None]:
    tarballs = [attachment for attachment in document.attachments if attachment.text is None]
    bundles = [attachment for attachment in document.attachments if attachment.text is not None]
    if len(tarballs) != 1 or len(bundles) > 1:
        raise JsonMalformed("a publish carries one tarball and at most one provenance bundle")
    return tarballs[0], (bundles[0] if bundles else None)


def _claimed(document: PackageDocument) -> ClaimedManifest:
    if len(document.versions) != 1:
        raise JsonMalformed(f"a publish carries exactly one version, not {len(document.versions)}")
    version = parse_version(next(iter(document.versions)))
    for tag, target in document.dist_tags.items():
        _same("version", f"tag {tag[:80]}", target, "the document", version)
    return document.manifest(version)


def _same(what: str, first_place: str, first: str, second_place: str, second: str) -> None:
    if first != second:
        raise ManifestMismatch(what, first_place, first or "nothing", second_place, second)


def _compare_digests(claimed: ClaimedManifest, digests: Mapping[str, str]) -> None:
    shasum = claimed.dist.shasum
    if shasum is not None and parse_hex_digest("sha1", shasum) != digests["sha1"]:
        raise DigestMismatch("sha1", shasum[:100], digests["sha1"])
    strongest: dict[str, list[str]] = {}
    for expression in (claimed.dist.integrity or "").split():
        algorithm, _, digest = expression.partition("-")
        if algorithm in ("sha1", "sha256", "sha512") and algorithm in digests:
            strongest.setdefault(algorithm, []).append(digest.partition("?")[0])
    for algorithm, announced in strongest.items():
        actual = subresource_integrity(algorithm, digests[algorithm])
        if actual not in (f"{algorithm}-{digest}" for digest in announced):
            raise DigestMismatch(algorithm, announced[0][:200], actual)


def _release(
    document: PackageDocument,
    tarball: Tarball,
    claimed: ClaimedManifest,
    digests: Mapping[str, str],
    size_bytes: int,
    bundle: Attachment | None,
) -> Release:
    manifest = _manifest(tarball, claimed)
    return Release(
        name=tarball.name,
        version=tarball.version,
        manifest=encode_manifest(manifest),
        abbreviated=encode_manifest(abbreviated_manifest(manifest)),
        tarball=tarball_name(tarball.name, tarball.version),
        size_bytes=size_bytes,
        sha1=digests["sha1"],
        integrity=subresource_integrity("sha512", digests["sha512"]),
        file_count=tarball.file_count,
        unpacked_bytes=tarball.unpacked_bytes,
        tags=tuple(parse_tag(tag) for tag in document.dist_tags),
        access=document.access,
        deprecated=_deprecated(tarball),
        description=manifest.get("description", ""),
        keywords=tuple(manifest.get("keywords", ())),
        license=manifest.get("license", ""),
        has_install_script="hasInstallScript" in manifest,
        readme=tarball.readme,
        readme_file=tarball.readme_file,
        provenance=_provenance(bundle, tarball, digests["sha512"]),
    )


def _manifest(tarball: Tarball, claimed: ClaimedManifest) -> dict[str, Any]:
    manifest: dict[str, Any] = {"name": tarball.name, "version": tarball.version}
    package = {**tarball.package, "name": tarball.name, "version": tarball.version}
    manifest |= full_manifest(package, shrinkwrapped=tarball.has_shrinkwrap, has_gyp_file=tarball.has_gyp_file)
    manifest["_id"] = f"{tarball.name}@{tarball.version}"
    tools = {"gitHead": claimed.git_head, "_nodeVersion": claimed.node_version, "_npmVersion": claimed.npm_version}
    return manifest | {field: value[:256] for field, value in tools.items() if value}


def _deprecated(tarball: Tarball) -> str:
    """A release may arrive deprecated by its own package.json."""
    message = tarball.package.get("deprecated", "")
    return message if isinstance(message, str) else ""


def _provenance(bundle: Attachment | None, tarball: Tarball, sha512: str) -> Provenance | None:
    if bundle is None or bundle.text is None:
        return None
    expected = bundle_name(tarball.name, tarball.version)
    _same("file name", "the provenance bundle", bundle.name.rpartition("/")[2], "package.json", expected)
    return read_provenance(bundle.text, sha512)
