"""The core metadata of a distribution: the `METADATA` of a wheel, the `PKG-INFO` of an sdist. Bytes in, a struct out.

Source: https://packaging.python.org/en/latest/specifications/core-metadata/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.errors import MessageError

import msgspec
from packaging.metadata import InvalidMetadata, Metadata, RawMetadata, parse_email

from application.formats.pypi.faults import Fault, shown
from application.formats.pypi.limits import MAX_METADATA_BYTES

# The headers are read by functions whose cost grows with the product of these numbers; with them nothing that an
# uploader can write takes more than about two seconds.
_MAX_FIELD_KINDS = 100
_MAX_HEADER_LINES = 50_000
_MAX_REQUIREMENTS = 5_000
_MAX_REQUIREMENT_CHARS = 512 << 10
_MAX_LINE_CHARS = 8_192

# Fields by the version that introduced them. In older metadata they are unknown fields and mean nothing to clients
# (setuptools wrote License-File for years before it was specified), so they are read but not judged.
_INTRODUCED = {
    "description_content_type": (2, 1),
    "provides_extra": (2, 1),
    "dynamic": (2, 2),
    "license_expression": (2, 4),
    "license_files": (2, 4),
    "import_names": (2, 5),
    "import_namespaces": (2, 5),
}
_JUDGED = ("name", "version", "summary", "requires_python", "requires_dist", *_INTRODUCED)
_TEXT_FIELDS = (
    "author", "author_email", "description", "description_content_type", "download_url", "home_page", "license",
    "license_expression", "maintainer", "maintainer_email", "metadata_version", "name", "requires_python", "summary",
    "version",
)  # fmt: skip
_LIST_FIELDS = (
    "classifiers", "dynamic", "import_names", "import_namespaces", "keywords", "license_files", "platforms",
    "provides_extra", "requires_dist",
)  # fmt: skip

# Header names whose spelling is not that of the attribute.
_SINGULAR = {
    "classifier": "classifiers",
    "import-name": "import_names",
    "import-namespace": "import_namespaces",
    "license-file": "license_files",
    "platform": "platforms",
    "project-url": "project_urls",
    "supported-platform": "supported_platforms",
}
_HEADER_NAMES = {field: header.title() for header, field in _SINGULAR.items()}
_KNOWN_HEADERS = _SINGULAR.keys() | {field.replace("_", "-") for field in RawMetadata.__annotations__}

# 2.0 was never standardised, but `wheel` wrote it from 2013 to 2018; it reads as 1.2 with extras.
_METADATA_VERSION = re.compile(r"([12])\.([0-9])")
_FIELD_NAME = re.compile(rb"^([!-9;-~]+)[ \t]*:", re.MULTILINE)
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_BARE_CR = re.compile(rb"\r(?!\n)")
# These change how a mail parser reads the body; no core metadata have them.
_MIME_FIELDS = frozenset({b"content-type", b"content-transfer-encoding"})


class CoreMetadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields that indexes and JSON documents show, as the author wrote them; absent fields are None or empty."""

    metadata_version: str
    name: str
    version: str
    requires_python: str | None = None
    summary: str | None = None
    description: str | None = None
    description_content_type: str | None = None
    author: str | None = None
    author_email: str | None = None
    maintainer: str | None = None
    maintainer_email: str | None = None
    home_page: str | None = None
    download_url: str | None = None
    license: str | None = None
    license_expression: str | None = None
    license_files: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    classifiers: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    requires_dist: tuple[str, ...] = ()
    provides_extra: tuple[str, ...] = ()
    dynamic: tuple[str, ...] = ()
    import_names: tuple[str, ...] = ()
    import_namespaces: tuple[str, ...] = ()
    project_urls: dict[str, str] = {}


def parse_core_metadata(data: bytes, place: str) -> tuple[CoreMetadata | None, list[Fault]]:
    """Read a metadata file of at most 4 MiB; gives the metadata, or None and every fault that was found.

    place: the name of the file in messages. A field that is repeated where it may not be, or is not UTF-8, is a fault;
    unknown fields are left aside. `requires_python` comes on one line, since it is copied into other documents.
    """
    faults = [Fault(place, problem) for problem in _unsafe(data)]
    if faults:
        return None, faults
    try:
        raw, unparsed = parse_email(data)
    except (ValueError, LookupError, AssertionError, MessageError, RecursionError):
        return None, [Fault(place, "not a list of headers")]
    faults = [
        Fault(f"{place}: {field.title()}", "repeated, malformed or not UTF-8")
        for field in sorted(unparsed)
        if field in _KNOWN_HEADERS
    ]
    faults += [Fault(f"{place}: {field}", problem) for field, problem in _misfits(raw)]
    return (None, faults) if faults else (_fields(raw), [])


def _unsafe(data: bytes) -> Iterator[str]:
    """What makes the bytes costly or ambiguous to read, before anything reads them."""
    if len(data) > MAX_METADATA_BYTES:
        yield f"has {len(data)} bytes; at most {MAX_METADATA_BYTES} are read"
        return
    if b"\0" in data:
        yield "contains a NUL byte"
    end = _HEADER_END.search(data)
    headers = data[: end.start()] if end else data
    if _BARE_CR.search(headers):
        yield "has a carriage return inside a header line"
    if headers.count(b"\n") > _MAX_HEADER_LINES:
        yield f"has more than {_MAX_HEADER_LINES} header lines"
        return
    names = {match[1].lower() for match in _FIELD_NAME.finditer(headers)}
    if len(names) > _MAX_FIELD_KINDS:
        yield f"has more than {_MAX_FIELD_KINDS} kinds of fields"
    for name in sorted(names & _MIME_FIELDS):
        yield f"has the field {name.decode()}, which is no core metadata"


def _misfits(raw: RawMetadata) -> Iterator[tuple[str, str]]:
    """Field and problem of everything that the specification of the declared metadata version refuses."""
    declared = raw.get("metadata_version", "")
    version = _METADATA_VERSION.fullmatch(declared)
    if not version:
        yield "Metadata-Version", f"{shown(declared)} is not known" if declared else "missing"
        return
    requirements = raw.get("requires_dist", ())
    if len(requirements) > _MAX_REQUIREMENTS or sum(map(len, requirements)) > _MAX_REQUIREMENT_CHARS:
        yield "Requires-Dist", f"more than {_MAX_REQUIREMENTS} requirements, or {_MAX_REQUIREMENT_CHARS} characters"
        return
    metadata = Metadata.from_raw(raw, validate=False)
    for field in _JUDGED:
        if field not in raw and field not in ("name", "version"):
            continue
        if _INTRODUCED.get(field, (1, 0)) > (int(version[1]), int(version[2])):
            continue
        problem = _overlong(raw, field) or _problem(metadata, field)
        if problem:
            yield _HEADER_NAMES.get(field, field.replace("_", "-").title()), problem


def _overlong(raw: RawMetadata, field: str) -> str | None:
    value: object = raw.get(field, "")
    texts = map(str, _items(value) or [value])
    return f"longer than {_MAX_LINE_CHARS} characters" if any(len(text) > _MAX_LINE_CHARS for text in texts) else None


def _problem(metadata: Metadata, field: str) -> str | None:
    try:
        getattr(metadata, field)
    except InvalidMetadata as fault:
        return str(fault)[:300]
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return "cannot be read"
    return None


def _fields(raw: RawMetadata) -> CoreMetadata:
    present: dict[str, object] = dict(raw)
    texts = {field: present[field] for field in _TEXT_FIELDS if field in present}
    lists = {field: tuple(map(str, _items(present[field]))) for field in _LIST_FIELDS if field in present}
    if requires_python := raw.get("requires_python"):
        texts["requires_python"] = " ".join(requires_python.split())
    return msgspec.convert({**texts, **lists, "project_urls": raw.get("project_urls", {})}, CoreMetadata)


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []
