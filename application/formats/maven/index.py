"""`maven-metadata.xml` at its three levels, derived from what is stored and never from what a client sent.

Source: https://maven.apache.org/ref/3.9.11/maven-repository-metadata/repository-metadata.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from xml.sax.saxutils import escape

import msgspec

from application.formats.maven.names import LayoutFile
from application.formats.maven.versions import latest, latest_release, order_key

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


class Plugin(msgspec.Struct, frozen=True, order=True):
    """`mvn {prefix}:goal` means this artifact of the group."""

    prefix: str
    artifact: str


class SnapshotFile(msgspec.Struct, frozen=True):
    """The newest build of one file of a snapshot. value: the version in the file's name."""

    classifier: str
    extension: str
    value: str
    updated_at: datetime


class Snapshot(msgspec.Struct, frozen=True):
    """What is known of a snapshot. timestamp and build_number: of the newest build; empty and 0 without builds."""

    timestamp: str
    build_number: int
    files: tuple[SnapshotFile, ...]
    updated_at: datetime


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """One `maven-metadata.xml`. Levels can share a document: `org.acme:tools` may be an artifact and `org.acme.tools`
    a group of plugins.
    """

    group: str = ""
    artifact: str = ""
    version: str = ""
    versions: tuple[str, ...] = ()
    snapshot: Snapshot | None = None
    plugins: tuple[Plugin, ...] = ()
    updated_at: datetime | None = None


def artifact_metadata(group: str, artifact: str, versions: Iterable[str], updated_at: datetime) -> Metadata:
    """The versions of an artifact, in their order."""
    ordered = tuple(sorted(set(versions), key=order_key))
    return Metadata(group=group, artifact=artifact, versions=ordered, updated_at=updated_at)


def snapshot_metadata(files: Sequence[tuple[LayoutFile, datetime]]) -> Metadata | None:
    """What clients need to find the newest build of each file of a snapshot; None when there are none.

    files: all of one version, with the times of their publishing.
    """
    newest: dict[tuple[str, str], tuple[LayoutFile, datetime]] = {}
    for file, at in files:
        key = (file.classifier, file.extension)
        if key not in newest or _age(file, at) > _age(*newest[key]):
            newest[key] = (file, at)
    if not newest:
        return None
    last, _ = max(newest.values(), key=lambda found: _age(*found))
    snapshot = Snapshot(
        timestamp=last.build.timestamp if last.build else "",
        build_number=last.build.number if last.build else 0,
        files=tuple(SnapshotFile(*key, newest[key][0].file_version, newest[key][1]) for key in sorted(newest)),
        updated_at=max(at for _, at in files),
    )
    return Metadata(
        group=last.group,
        artifact=last.artifact,
        version=last.version,
        snapshot=snapshot,
        updated_at=snapshot.updated_at,
    )


def render(metadata: Metadata) -> bytes:
    """The document."""
    model = ' modelVersion="1.1.0"' if metadata.snapshot else ""
    lines = [f"<metadata{model}>"]
    lines += _fields(1, groupId=metadata.group, artifactId=metadata.artifact, version=metadata.version)
    if metadata.versions or metadata.snapshot:
        lines += ["  <versioning>", *_versioning(metadata), "  </versioning>"]
    if metadata.plugins:
        lines.append("  <plugins>")
        for plugin in metadata.plugins:
            fields = _fields(3, name=plugin.artifact, prefix=plugin.prefix, artifactId=plugin.artifact)
            lines += ["    <plugin>", *fields, "    </plugin>"]
        lines.append("  </plugins>")
    lines.append("</metadata>\n")
    return (_HEAD + "\n".join(lines)).encode()


def _age(file: LayoutFile, at: datetime) -> tuple[bool, str, int, datetime]:
    """Orders the builds of a file: those with a timestamp are newer than one that is always replaced."""
    if file.build is None:
        return False, "", 0, at
    return True, file.build.timestamp, file.build.number, at


def _versioning(metadata: Metadata) -> list[str]:
    lines = []
    if metadata.versions:
        every = list(metadata.versions)
        lines += _fields(2, latest=latest(every), release=latest_release(every))
        lines.append("    <versions>")
        for version in every:
            lines += _fields(3, version=version)
        lines.append("    </versions>")
    snapshot = metadata.snapshot
    if snapshot is not None and snapshot.timestamp:
        fields = _fields(3, timestamp=snapshot.timestamp, buildNumber=str(snapshot.build_number))
        lines += ["    <snapshot>", *fields, "    </snapshot>"]
    if metadata.updated_at is not None:
        lines += _fields(2, lastUpdated=_stamp(metadata.updated_at))
    if snapshot is not None and snapshot.files:
        lines.append("    <snapshotVersions>")
        for file in snapshot.files:
            fields = _fields(
                4,
                classifier=file.classifier,
                extension=file.extension,
                value=file.value,
                updated=_stamp(file.updated_at),
            )
            lines += ["      <snapshotVersion>", *fields, "      </snapshotVersion>"]
        lines.append("    </snapshotVersions>")
    return lines


def _fields(depth: int, **values: str) -> list[str]:
    """One line for each field that is not empty."""
    indent = "  " * depth
    return [f"{indent}<{name}>{escape(value)}</{name}>" for name, value in values.items() if value]


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S")
