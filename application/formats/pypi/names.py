"""The coordinate grammar of Python packages: project names, versions, file names. Pure; text in, typed values out.

A project is known by its normalised name, a release by its canonical version; the spellings of the author are kept
beside them for display.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import ClassVar, Literal, NewType

import msgspec
from packaging.utils import canonicalize_version, parse_sdist_filename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from application.formats.pypi.faults import shown
from domain.errors import Invalid

PypiName = NewType("PypiName", str)
"""A project name that went through `normalise`."""

Kind = Literal["wheel", "sdist"]
_WHEEL: Kind = "wheel"
_SDIST: Kind = "sdist"

SDIST_EXTENSIONS = (".tar.gz", ".zip")
MAX_FILENAME_BYTES = 255
_MAX_TEXT_CHARS = 255

# https://packaging.python.org/en/latest/specifications/name-normalization/#name-format
_NAME = re.compile(r"[A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9]", re.IGNORECASE | re.ASCII)
_SEPARATORS = re.compile(r"[-_.]+")
# Everything that wheel tags, escaped names and PEP 440 versions can contain; no separator of any file system.
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")
# Kinds that the public index once took. They are listed when an upstream still has them, and never accepted.
_LEGACY_EXTENSIONS = (".tar.bz2", ".tar.xz", ".tar.Z", ".tgz", ".egg", ".exe", ".msi", ".rpm", ".deb", ".dmg", ".tar")


class NameInvalid(Invalid):
    """The text is not a project name."""

    template: ClassVar[str] = "{name} is not a valid project name"

    def __init__(self, name: str) -> None:
        super().__init__(name=shown(name))


class VersionInvalid(Invalid):
    """The text is not a PEP 440 version."""

    template: ClassVar[str] = "{version} is not a valid version (PEP 440)"

    def __init__(self, version: str) -> None:
        super().__init__(version=shown(version))


class FilenameInvalid(Invalid):
    """The file name is not that of a wheel or a source distribution."""

    template: ClassVar[str] = "{filename} is not a valid distribution file name: {reason}"

    def __init__(self, filename: str, reason: str) -> None:
        super().__init__(filename=shown(filename), reason=reason)


class DistributionName(msgspec.Struct, frozen=True):
    """What a file name says about its contents.

    version: canonical. python_tag: of a wheel, as in the name (`py3`, `cp311`); `source` for an sdist, as the upload
    form and the JSON documents of the public index have it.
    """

    kind: Kind
    name: PypiName
    version: str
    python_tag: str


def normalise(name: str) -> PypiName:
    """The form under which every spelling of a project name meets: lower case, runs of `-_.` as one hyphen.

    Raises NameInvalid for text outside the grammar, so that a value of this type can stand in any path or page.
    Source: https://packaging.python.org/en/latest/specifications/name-normalization/#name-normalization
    """
    if len(name) > _MAX_TEXT_CHARS or not _NAME.fullmatch(name):
        raise NameInvalid(name)
    return PypiName(_SEPARATORS.sub("-", name).lower())


def parse_version(text: str) -> Version:
    """Read a version; raises VersionInvalid.

    Source: https://packaging.python.org/en/latest/specifications/version-specifiers/#version-scheme
    """
    if len(text) > _MAX_TEXT_CHARS or not text.isascii():
        raise VersionInvalid(text)
    try:
        return Version(text)
    except InvalidVersion:
        raise VersionInvalid(text) from None


def canonical_version(version: Version | str) -> str:
    """The form under which all spellings of a version meet: `1.0.0`, `v1.0` and `1` are one release, `1`.

    Raises VersionInvalid.
    """
    return canonicalize_version(parse_version(version) if isinstance(version, str) else version)


@lru_cache(maxsize=16_384)
def order_key(version: str) -> tuple[int, Version | str]:
    """A sort key over any texts: PEP 440 order, with what is no version before everything that is."""
    try:
        return 1, parse_version(version)
    except VersionInvalid:
        return 0, version


def parse_filename(filename: str) -> DistributionName:
    """Read the name of a wheel (PEP 427) or of a source distribution (`.tar.gz`, `.zip`); raises FilenameInvalid.

    Names from before PEP 625 (dots and capitals kept) are read; eggs, installers and other archives are not.
    Source: https://packaging.python.org/en/latest/specifications/binary-distribution-format/#file-name-convention
    and https://packaging.python.org/en/latest/specifications/source-distribution-format/#source-distribution-file-name
    """
    if len(filename) > MAX_FILENAME_BYTES:
        raise FilenameInvalid(filename, f"longer than {MAX_FILENAME_BYTES} characters")
    if not _FILENAME.fullmatch(filename):
        raise FilenameInvalid(filename, "only ASCII letters, digits and . _ - + ! may occur, a letter or digit first")
    try:
        if filename.endswith(".whl"):
            name, version, _, _ = parse_wheel_filename(filename)
            kind, tag = _WHEEL, filename.rsplit("-", 3)[1]
        elif filename.endswith(SDIST_EXTENSIONS):
            name, version = parse_sdist_filename(filename)
            kind, tag = _SDIST, "source"
        else:
            raise FilenameInvalid(filename, "only wheels (.whl) and source distributions (.tar.gz, .zip) are accepted")
        return DistributionName(kind, normalise(name), canonical_version(version), tag)
    except (ValueError, NameInvalid) as fault:
        raise FilenameInvalid(filename, str(fault)) from None


def same_file(one: str, other: str) -> bool:
    """Whether two names are spellings of one file: dots, case and the order of compressed tags do not count."""
    if one == other:
        return True
    try:
        if one.endswith(".whl"):
            return parse_wheel_filename(one) == parse_wheel_filename(other)
        return parse_sdist_filename(one) == parse_sdist_filename(other)
    except ValueError:
        return False


def guess_version(name: PypiName, filename: str) -> str | None:
    """The version in any file name that an index of project `name` may list, legacy kinds too; None if there is none.

    For the pages of upstreams, which carry names of thirty years; never used to accept a file.
    """
    try:
        parsed = parse_filename(filename)
    except FilenameInvalid:
        stem = next((filename[: -len(end)] for end in _LEGACY_EXTENSIONS if filename.endswith(end)), None)
        return _version_after(name, stem) if stem else None
    return parsed.version if parsed.name == name else None


def _version_after(name: PypiName, stem: str) -> str | None:
    for hyphen in re.finditer("-", stem):
        try:
            if normalise(stem[: hyphen.start()]) != name:
                continue
        except NameInvalid:
            continue
        # `name-1.0-py2.7`, `name-1.0.win32-py2.7`: the version ends at the next hyphen or at the platform.
        rest = re.split(r"-|\.(?:win|linux|macosx)", stem[hyphen.end() :], maxsplit=1)[0]
        try:
            return canonical_version(rest)
        except VersionInvalid:
            continue
    return None
