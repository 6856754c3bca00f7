"""Reading an uploaded wheel or source distribution: a seekable file and its name in, a `Distribution` out.

Nothing is unpacked to disk and no member is held in memory but the small ones that are asked for. Any bytes give a
`Distribution` or raise `DistributionInvalid`, which lists all faults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import BinaryIO

import msgspec

from application.formats.pypi.core_metadata import CoreMetadata, parse_core_metadata
from application.formats.pypi.faults import ArchiveInvalid, DistributionInvalid, Fault, shown
from application.formats.pypi.limits import MAX_METADATA_BYTES
from application.formats.pypi.names import (
    DistributionName,
    Kind,
    NameInvalid,
    PypiName,
    VersionInvalid,
    canonical_version,
    normalise,
    parse_filename,
)
from application.formats.pypi.record import verify_record
from application.formats.pypi.tars import walk_tar
from application.formats.pypi.zips import ZipArchive, open_zip

FILETYPES: dict[Kind, str] = {"wheel": "bdist_wheel", "sdist": "sdist"}
"""How the upload form and the JSON documents of the public index call the kinds."""

_MAX_WHEEL_FILE_BYTES = 64 << 10
_WHEEL_VERSION = re.compile(rb"^Wheel-Version:[ \t]*1\.[0-9]+[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted file.

    name, version: as the author spelled them; normalised, canonical: the keys. python_tag: of a wheel (`py3`), or
    `source`. metadata: METADATA or PKG-INFO, verbatim; metadata_reliable: whether clients may believe it without
    opening the archive (every wheel; an sdist from Metadata-Version 2.2 on). fields: what it says.
    """

    filename: str
    kind: Kind
    name: str
    normalised: PypiName
    version: str
    canonical: str
    python_tag: str
    requires_python: str | None
    summary: str | None
    metadata: bytes
    metadata_reliable: bool
    fields: CoreMetadata

    @property
    def filetype(self) -> str:
        """The kind in the words of the upload form."""
        return FILETYPES[self.kind]


def read_distribution(file: BinaryIO, filename: str) -> Distribution:
    """Check an uploaded file completely and read its metadata.

    Wheel: framing of the zip, one `.dist-info` that belongs to the file name, its METADATA and WHEEL, every byte
    against RECORD. Sdist: framing of the tar or zip, one top folder, its PKG-INFO. Name and version inside must be
    those of the file name. Raises FilenameInvalid, DistributionInvalid.
    Source: https://packaging.python.org/en/latest/specifications/binary-distribution-format/ and
    https://packaging.python.org/en/latest/specifications/source-distribution-format/
    """
    named = parse_filename(filename)
    try:
        if named.kind == "wheel":
            data, place, faults = _read_wheel(open_zip(file), named)
        elif filename.endswith(".zip"):
            data, place, faults = _read_zip_sdist(open_zip(file))
        else:
            data, place, faults = _read_tar_sdist(file)
    except ArchiveInvalid as fault:
        raise DistributionInvalid(filename, [Fault("", fault.problem)]) from None
    fields = None
    if data is not None:
        fields, more = parse_core_metadata(data, place)
        faults = faults + more
    if fields is not None:
        faults = faults + _disagreements(place, fields.name, fields.version, named.name, named.version)
    if faults or fields is None or data is None:
        raise DistributionInvalid(filename, faults)
    return _distribution(filename, named, fields, data)


def agree(form: Mapping[str, Sequence[str]], distribution: Distribution) -> None:
    """Check that the upload form speaks of the file that came with it; raises DistributionInvalid with all faults.

    form: field name to its values. `name` and `version` must be given once and mean the same project and release;
    `filetype`, when given, must be the kind of the file.
    """
    faults: list[Fault] = []
    values: dict[str, str] = {}
    for field in ("name", "version"):
        given = form.get(field, ())
        if len(given) != 1:
            faults.append(Fault(f"form: {field}", "given more than once" if given else "missing"))
        else:
            values[field] = given[0]
    faults += _disagreements(
        "form", values.get("name"), values.get("version"), distribution.normalised, distribution.canonical
    )
    filetypes = form.get("filetype", ())
    if any(filetype != distribution.filetype for filetype in filetypes):
        faults.append(Fault("form: filetype", f"{shown(filetypes[0])}, but the file is a {distribution.filetype}"))
    if faults:
        raise DistributionInvalid(distribution.filename, faults)


def _read_wheel(archive: ZipArchive, named: DistributionName) -> tuple[bytes | None, str, list[Fault]]:
    dist_info = _dist_info(archive, named)
    place = f"{dist_info}/METADATA"
    missing = [name for name in ("METADATA", "WHEEL", "RECORD") if f"{dist_info}/{name}" not in archive.members]
    if missing:
        return None, place, [Fault(f"{dist_info}/{name}", "missing") for name in missing]
    faults = _one_spelling(archive, dist_info)
    wheel = archive.read(archive.members[f"{dist_info}/WHEEL"], _MAX_WHEEL_FILE_BYTES)
    if len(_WHEEL_VERSION.findall(wheel)) != 1:
        faults.append(Fault(f"{dist_info}/WHEEL", "does not state Wheel-Version 1.x exactly once"))
    data = archive.read(archive.members[place], MAX_METADATA_BYTES)
    return data, place, faults + verify_record(archive, dist_info)


def _dist_info(archive: ZipArchive, named: DistributionName) -> str:
    found = sorted({top for name in archive.members if (top := name.split("/", 1)[0]).lower().endswith(".dist-info")})
    if len(found) != 1:
        raise ArchiveInvalid(f"a wheel has exactly one .dist-info folder; this one has {len(found)}")
    name, _, version = found[0].removesuffix(".dist-info").rpartition("-")
    try:
        belongs = (normalise(name), canonical_version(version)) == (named.name, named.version)
    except (NameInvalid, VersionInvalid):
        belongs = False
    if not belongs or not found[0].endswith(".dist-info"):
        raise ArchiveInvalid(f"the folder {shown(found[0])} does not belong to a wheel of this name and version")
    return found[0]


def _one_spelling(archive: ZipArchive, dist_info: str) -> list[Fault]:
    """A file system that ignores case would see only one of `METADATA` and `metadata`."""
    folded: set[str] = set()
    faults: list[Fault] = []
    for name in archive.members:
        if name.startswith(f"{dist_info}/"):
            if name.casefold() in folded:
                faults.append(Fault(name, "differs from another member only in case"))
            folded.add(name.casefold())
    return faults


def _read_zip_sdist(archive: ZipArchive) -> tuple[bytes | None, str, list[Fault]]:
    top = _one_top({name.split("/", 1)[0] for name in archive.members})
    place = f"{top}/PKG-INFO"
    data = None
    for member in archive.members.values():
        if member.name == place:
            data = archive.read(member, MAX_METADATA_BYTES)
        else:
            for _ in archive.chunks(member):
                pass
    return data, place, [] if data is not None else [Fault(place, "missing")]


def _read_tar_sdist(file: BinaryIO) -> tuple[bytes | None, str, list[Fault]]:
    tops: set[str] = set()
    data = None
    for entry in walk_tar(file, _is_pkg_info, MAX_METADATA_BYTES):
        tops.add(entry.name.split("/", 1)[0])
        if len(tops) > 1:
            break
        if entry.contents is not None:
            data = entry.contents
    top = _one_top(tops)
    place = f"{top}/PKG-INFO"
    return data, place, [] if data is not None else [Fault(place, "missing")]


def _is_pkg_info(name: str) -> bool:
    _, slash, rest = name.partition("/")
    return bool(slash) and rest == "PKG-INFO"


def _one_top(tops: set[str]) -> str:
    if len(tops) != 1:
        raise ArchiveInvalid("a source distribution has exactly one top folder" if tops else "the archive is empty")
    return next(iter(tops))


def _disagreements(
    place: str, name: str | None, version: str | None, expected_name: PypiName, expected_version: str
) -> list[Fault]:
    """Faults of a name and a version that should mean the expected ones; None was reported before."""
    faults: list[Fault] = []
    try:
        if name is not None and normalise(name) != expected_name:
            faults.append(Fault(f"{place}: name", f"{shown(name)}, but the file is one of {expected_name}"))
    except NameInvalid as fault:
        faults.append(Fault(f"{place}: name", str(fault)))
    try:
        if version is not None and canonical_version(version) != expected_version:
            faults.append(Fault(f"{place}: version", f"{shown(version)}, but the file is of {expected_version}"))
    except VersionInvalid as fault:
        faults.append(Fault(f"{place}: version", str(fault)))
    return faults


def _distribution(filename: str, named: DistributionName, fields: CoreMetadata, data: bytes) -> Distribution:
    # Before 2.2 an sdist could not promise that its metadata would survive the build (PEP 643).
    reliable = named.kind == "wheel" or tuple(map(int, fields.metadata_version.split("."))) >= (2, 2)
    return Distribution(
        filename=filename,
        kind=named.kind,
        name=fields.name,
        normalised=named.name,
        version=fields.version,
        canonical=named.version,
        python_tag=named.python_tag,
        requires_python=fields.requires_python,
        summary=fields.summary,
        metadata=data,
        metadata_reliable=reliable,
        fields=fields,
    )
