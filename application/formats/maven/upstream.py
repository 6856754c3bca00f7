"""`maven-metadata.xml` as others write it, and several of them as one. Pure; any bytes give metadata or Invalid.

Source: https://maven.apache.org/ref/3.9.11/maven-repository-metadata/repository-metadata.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from application.formats.maven.index import Metadata, Plugin, Snapshot, SnapshotFile
from application.formats.maven.names import METADATA, is_name
from application.formats.maven.versions import order_key
from application.xml_reader import Element, XmlInvalid, parse_xml

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_BUILD_DIGITS = 9


def read_metadata(data: bytes) -> Metadata:
    """The document; what it says that no path can have is left out. Raises XmlInvalid."""
    root = parse_xml(data, METADATA)
    if root.tag != "metadata":
        raise XmlInvalid(METADATA, f"the root element is {root.tag[:40]!r}, not 'metadata'")
    updated_at = _moment(root.value("versioning", "lastUpdated"))
    versions = (one.text.strip() for one in root.each("versioning", "versions", "version"))
    return Metadata(
        group=root.value("groupId"),
        artifact=root.value("artifactId"),
        version=root.value("version"),
        versions=tuple(dict.fromkeys(version for version in versions if is_name(version))),
        snapshot=_snapshot(root, updated_at or _NEVER),
        plugins=tuple(_plugins(root)),
        updated_at=updated_at,
    )


def merged(documents: Sequence[Metadata]) -> Metadata:
    """What several repositories tell of one directory: every version, the newest builds, each prefix of the first.

    Source: https://maven.apache.org/ref/3.9.11/maven-repository-metadata/ (Metadata.merge)
    """
    times = [document.updated_at for document in documents if document.updated_at is not None]
    return Metadata(
        group=_first(document.group for document in documents),
        artifact=_first(document.artifact for document in documents),
        version=_first(document.version for document in documents),
        versions=tuple(sorted({version for document in documents for version in document.versions}, key=order_key)),
        snapshot=_newest([document.snapshot for document in documents if document.snapshot is not None]),
        plugins=_united([document.plugins for document in documents]),
        updated_at=max(times, default=None),
    )


def _newest(snapshots: Sequence[Snapshot]) -> Snapshot | None:
    """Each file's newest build; none where the newest snapshot does not tell of files, which are older ones then."""
    if not snapshots:
        return None
    newest = max(snapshots, key=_age)
    files: dict[tuple[str, str], SnapshotFile] = {}
    for file in (file for snapshot in snapshots for file in snapshot.files):
        known = files.setdefault((file.classifier, file.extension), file)
        if (file.updated_at, file.value) > (known.updated_at, known.value):
            files[file.classifier, file.extension] = file
    return Snapshot(
        timestamp=newest.timestamp,
        build_number=newest.build_number,
        files=tuple(files[key] for key in sorted(files)) if newest.files else (),
        updated_at=max(snapshot.updated_at for snapshot in snapshots),
    )


def _age(snapshot: Snapshot) -> tuple[str, int, datetime]:
    return snapshot.timestamp, snapshot.build_number, snapshot.updated_at


def _united(members: Iterable[tuple[Plugin, ...]]) -> tuple[Plugin, ...]:
    """A prefix means what the first member says, and an artifact is called as its first member calls it."""
    prefixes: set[str] = set()
    artifacts: set[str] = set()
    kept: list[Plugin] = []
    for plugins in members:
        new = [one for one in plugins if one.prefix not in prefixes and one.artifact not in artifacts]
        prefixes |= {one.prefix for one in new}
        artifacts |= {one.artifact for one in new}
        kept += new
    return tuple(sorted(kept))


def _snapshot(root: Element, updated_at: datetime) -> Snapshot | None:
    files = tuple(_files(root, updated_at))
    build, timestamp = (
        root.value("versioning", "snapshot", "buildNumber"),
        root.value("versioning", "snapshot", "timestamp"),
    )
    numbered = build.isascii() and build.isdigit() and len(build) <= _MAX_BUILD_DIGITS
    told = root.child("versioning")
    if not files and (told is None or told.child("snapshot") is None):
        return None
    return Snapshot(timestamp if is_name(timestamp) else "", int(build) if numbered else 0, files, updated_at)


def _files(root: Element, updated_at: datetime) -> Iterable[SnapshotFile]:
    for one in root.each("versioning", "snapshotVersions", "snapshotVersion"):
        classifier, extension, value = one.value("classifier"), one.value("extension"), one.value("value")
        if is_name(value) and is_name(extension) and (not classifier or is_name(classifier)):
            yield SnapshotFile(classifier, extension, value, _moment(one.value("updated")) or updated_at)


def _plugins(root: Element) -> Iterable[Plugin]:
    for one in root.each("plugins", "plugin"):
        prefix, artifact = one.value("prefix"), one.value("artifactId")
        if is_name(prefix) and is_name(artifact):
            yield Plugin(prefix, artifact)


def _moment(text: str) -> datetime | None:
    """`yyyyMMddHHmmss`, UTC; some write a dot before the time."""
    try:
        return datetime.strptime(text.replace(".", ""), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _first(texts: Iterable[str]) -> str:
    return next(filter(None, texts), "")
