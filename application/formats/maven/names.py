"""The Maven 2 repository layout: `{group with / for .}/{artifact}/{version}/{artifact}-{version}[-{classifier}].{ext}`.

Source: https://maven.apache.org/repository/layout.html; names are case-sensitive and have one spelling.
"""

from __future__ import annotations

import re

import msgspec

from application.formats.maven.versions import SNAPSHOT, is_snapshot
from domain.errors import Invalid

CHECKSUMS = ("md5", "sha1", "sha256", "sha512")
"""Algorithms of the files beside each file, by their extension."""

METADATA = "maven-metadata.xml"

MAX_PATH = 1024
MAX_SEGMENT = 255

_GROUP_PART = re.compile(r"[A-Za-z0-9_-]+\Z")
_ARTIFACT = re.compile(r"[A-Za-z0-9_.-]+\Z")
_VERSION = re.compile(r"[A-Za-z0-9_.+~-]+\Z")
_BUILD = re.compile(r"([0-9]{8}\.[0-9]{6})-([0-9]{1,9})(?=[.-])")
_SIGNATURE = re.compile(r"\.(?:asc|sigstore|sigstore\.json)\Z")
_COMPRESSED_TAR = re.compile(r"(?:\A|\.)((?:tar|cpio)\.[A-Za-z0-9]+)\Z")
_DOTS = frozenset({".", ".."})

_MEDIA_TYPES = {
    "aar": "application/zip",
    "asc": "application/pgp-signature",
    "ear": "application/java-archive",
    "gz": "application/gzip",
    "jar": "application/java-archive",
    "json": "application/json",
    "module": "application/vnd.org.gradle.module+json",
    "pom": "application/xml",
    "war": "application/java-archive",
    "xml": "application/xml",
    "zip": "application/zip",
}


class LayoutInvalid(Invalid):
    """No file of a Maven repository has that path."""

    template = "{path}: {reason}"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path=path[:300], reason=reason)


class Build(msgspec.Struct, frozen=True, order=True):
    """One of the builds of a snapshot. timestamp: `yyyyMMdd.HHmmss`, UTC."""

    timestamp: str
    number: int


class LayoutFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a path says of its file.

    version: that of the directory, `1.0-SNAPSHOT` for all builds of a snapshot. file_version: as the file's name has
    it, `1.0-20260303.101500-2`. build: None for a release, and for a snapshot file without a timestamp.
    """

    path: str
    group: str
    artifact: str
    version: str
    file_version: str
    classifier: str
    extension: str
    build: Build | None = None

    @property
    def package(self) -> str:
        """`group:artifact`."""
        return package_of(self.group, self.artifact)

    @property
    def mutable(self) -> bool:
        """Whether the layout lets the file change: a snapshot that is not told from its next build by its name."""
        return is_snapshot(self.version) and self.build is None

    @property
    def main(self) -> bool:
        """Whether it is what the coordinates alone name, and no attachment."""
        return not self.classifier


def package_of(group: str, artifact: str) -> str:
    """The name under which all versions of an artifact are."""
    return f"{group}:{artifact}"


def directory_package(directory: str) -> str:
    """The package whose versions are in a directory: `com/acme/demo` is `com.acme:demo`."""
    parent, _, name = directory.rpartition("/")
    return package_of(parent.replace("/", "."), name)


def group_directory(group: str) -> str:
    """Where the artifacts of a group are."""
    return group.replace(".", "/")


def file_path(group: str, artifact: str, version: str, extension: str) -> str:
    """The path of a main file."""
    return f"{group_directory(group)}/{artifact}/{version}/{artifact}-{version}.{extension}"


def is_name(text: str) -> bool:
    """Whether a directory, a version or a classifier can be called so; names with a dot in front are not given."""
    return bool(_VERSION.match(text)) and not text.startswith(".")


def split_checksum(path: str) -> tuple[str, str]:
    """A path without the extension of a checksum, and the algorithm; empty when it is not that of a checksum."""
    base, _, extension = path.rpartition(".")
    return (base, extension) if extension in CHECKSUMS and base else (path, "")


def parse_file(path: str) -> LayoutFile:
    """Read the path of a file, checksums and metadata excepted. Raises LayoutInvalid."""
    segments = path.split("/")
    if len(path) > MAX_PATH or max(map(len, segments)) > MAX_SEGMENT:
        raise LayoutInvalid(path, f"longer than {MAX_PATH} characters, or {MAX_SEGMENT} for each name in it")
    if len(segments) < 4:
        raise LayoutInvalid(
            path, "expected {group}/{artifact}/{version}/{artifact}-{version}[-{classifier}].{extension}"
        )
    *groups, artifact, version, name = segments
    for part in groups:
        if not _GROUP_PART.match(part):
            raise LayoutInvalid(path, f"{part[:100]!r} cannot be part of a groupId in a path")
    if not _ARTIFACT.match(artifact) or artifact in _DOTS:
        raise LayoutInvalid(path, f"{artifact[:100]!r} cannot be an artifactId")
    if not _VERSION.match(version) or version in _DOTS:
        raise LayoutInvalid(path, f"{version[:100]!r} cannot be a version")
    file_version, build = _file_version(path, artifact, version, name)
    classifier, extension = _split_rest(path, name.removeprefix(f"{artifact}-{file_version}"))
    return LayoutFile(
        path=path,
        group=".".join(groups),
        artifact=artifact,
        version=version,
        file_version=file_version,
        classifier=classifier,
        extension=extension,
        build=build,
    )


def media_type_of(extension: str) -> str:
    """The type of a file by its extension."""
    return _MEDIA_TYPES.get(extension.rpartition(".")[2], "application/octet-stream")


def _file_version(path: str, artifact: str, version: str, name: str) -> tuple[str, Build | None]:
    """The version in a file's name, and the build that it tells."""
    if name.startswith(f"{artifact}-{version}"):
        return version, None
    if is_snapshot(version):
        base = version.removesuffix(SNAPSHOT)
        build = _BUILD.match(name.removeprefix(f"{artifact}-{base}")) if name.startswith(f"{artifact}-{base}") else None
        if build is not None:
            return f"{base}{build[0]}", Build(build[1], int(build[2]))
        raise LayoutInvalid(
            path, f"a file of this snapshot begins with {artifact}-{version} or has its build's timestamp"
        )
    raise LayoutInvalid(path, f"a file in this directory begins with {artifact}-{version}")


def _split_rest(path: str, rest: str) -> tuple[str, str]:
    """Classifier and extension out of `[-classifier].extension`."""
    if not rest or rest[0] not in "-." or not _VERSION.match(rest):
        raise LayoutInvalid(path, "behind the version goes '-' and a classifier, or '.' and an extension")
    classifier, extension = ("", rest[1:]) if rest[0] == "." else _split_classifier(rest[1:])
    first, dot, last = extension.partition(".")
    if not first or extension.endswith(".") or ".." in extension:
        raise LayoutInvalid(path, "the name has no extension")
    if rest[0] == "-" and not classifier:
        raise LayoutInvalid(path, "the name has no classifier behind '-'")
    if dot and first.isdigit():
        raise LayoutInvalid(path, "the name goes on with another version than that of its directory")
    if last.rpartition(".")[2] in CHECKSUMS or first in CHECKSUMS:
        raise LayoutInvalid(path, "a checksum has no checksum")
    return classifier, extension


def _split_classifier(text: str) -> tuple[str, str]:
    """Classifier and extension out of `classifier.extension`; a classifier may have dots, as in `jdk1.5`."""
    base, signature = text, ""
    while found := _SIGNATURE.search(base):
        base, signature = base[: found.start()], found[0] + signature
    double = _COMPRESSED_TAR.search(base)
    at = double.start(1) if double else base.rfind(".") + 1
    return base[: max(at - 1, 0)], base[at:] + signature if at else ""
