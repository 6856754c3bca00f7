"""The simple repository API: view rows in, the pages that installers read out. Pure and deterministic.

Both forms of a page are made from one struct, so they cannot disagree on more than HTML is unable to say.
Source: https://packaging.python.org/en/latest/specifications/simple-repository-api/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from html import escape
from typing import Literal
from urllib.parse import quote

import msgspec

from application.formats.pypi.names import PypiName, guess_version, order_key

API_VERSION = "1.4"
# From 1.1 on every file must state its size, which pages copied from an older upstream cannot.
_API_VERSION_WITHOUT_SIZES = "1.0"

Status = Literal["active", "archived", "quarantined", "deprecated"]


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a project, with everything a page says about it.

    sha256, size_bytes, upload_time: None only for files of an upstream that does not tell. version: as its author
    spelled it. yanked: the reason, or True without one. core_metadata_sha256: of the `.metadata` file, None when there
    is none. provenance: whether a `.provenance` file exists; gpg_signature likewise `.asc`, None when not known.
    """

    filename: str
    version: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    upload_time: datetime | None = None
    requires_python: str | None = None
    yanked: bool | str = False
    core_metadata_sha256: str | None = None
    gpg_signature: bool | None = None
    provenance: bool = False


class ProjectPage(msgspec.Struct, frozen=True, kw_only=True):
    """One project: its normalised name, its files in any order, and what is said of it as a whole.

    versions: further ones, of releases without files. tracks, alternate_locations: PEP 708. status: PEP 792; the files
    of a quarantined project are not shown. page_url: the absolute address of the page, needed only to name
    provenance files, which is done over https alone.
    """

    name: PypiName
    files: tuple[FileEntry, ...]
    versions: tuple[str, ...] = ()
    status: Status = "active"
    status_reason: str | None = None
    tracks: tuple[str, ...] = ()
    alternate_locations: tuple[str, ...] = ()
    page_url: str | None = None


class _Meta(msgspec.Struct, frozen=True, omit_defaults=True):
    api_version: str = msgspec.field(name="api-version")
    tracks: tuple[str, ...] = ()


class _Status(msgspec.Struct, frozen=True, omit_defaults=True):
    status: Status
    reason: str | None = None


class _File(msgspec.Struct, frozen=True, rename="kebab"):
    filename: str
    url: str
    hashes: dict[str, str]
    requires_python: str | msgspec.UnsetType
    size: int | msgspec.UnsetType
    upload_time: str | msgspec.UnsetType
    yanked: bool | str
    core_metadata: dict[str, str] | bool
    dist_info_metadata: dict[str, str] | bool
    gpg_sig: bool | msgspec.UnsetType
    provenance: str | None


class _Project(msgspec.Struct, frozen=True, rename="kebab"):
    meta: _Meta
    name: str
    versions: list[str]
    alternate_locations: tuple[str, ...] | msgspec.UnsetType
    project_status: _Status
    files: list[_File]


class _Name(msgspec.Struct, frozen=True):
    name: str


class _Projects(msgspec.Struct, frozen=True):
    meta: _Meta
    projects: list[_Name]


_JSON = msgspec.json.Encoder()
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def project_json(page: ProjectPage) -> bytes:
    """The page of one project as `application/vnd.pypi.simple.v1+json`."""
    files = _shown(page)
    sized = all(entry.size_bytes is not None for entry in files)
    meta = _Meta(API_VERSION if sized else _API_VERSION_WITHOUT_SIZES, page.tracks)
    return _JSON.encode(
        _Project(
            meta=meta,
            name=page.name,
            versions=versions_of(page),
            alternate_locations=page.alternate_locations or msgspec.UNSET,
            project_status=_Status(page.status, page.status_reason),
            files=[_file(entry, page.page_url) for entry in files],
        )
    )


def project_html(page: ProjectPage) -> bytes:
    """The page of one project as HTML; hrefs are relative, so that the page holds at any address."""
    head = [_meta("pypi:tracks", url) for url in page.tracks]
    head += [_meta("pypi:alternate-locations", url) for url in page.alternate_locations]
    head.append(_meta("pypi:project-status", page.status))
    if page.status_reason:
        head.append(_meta("pypi:project-status-reason", page.status_reason))
    anchors = (_anchor(entry, page.page_url) for entry in _shown(page))
    return _html(f"Links for {page.name}", head, anchors)


def projects_json(names: Iterable[str]) -> bytes:
    """The list of all projects as JSON, in order of name. names: as they should be shown."""
    return _JSON.encode(_Projects(_Meta(API_VERSION), [_Name(name) for name in sorted(names)]))


def projects_html(names: Iterable[PypiName]) -> bytes:
    """The list of all projects as HTML, in order of name."""
    return _html("Simple index", (), (f'<a href="{name}/">{name}</a>' for name in sorted(names)))


def versions_of(page: ProjectPage) -> list[str]:
    """Each release once, in ascending order; of several spellings (`1.0`, `1.0.0`) the shortest, then the least."""
    spelled: dict[object, str] = {}
    for version in (*page.versions, *filter(None, (_version(page.name, entry) for entry in page.files))):
        key = order_key(version)
        spelled[key] = min(version, spelled.get(key, version), key=lambda text: (len(text), text))
    return sorted(spelled.values(), key=order_key)


def _version(name: PypiName, entry: FileEntry) -> str | None:
    return entry.version or guess_version(name, entry.filename)


def _shown(page: ProjectPage) -> list[FileEntry]:
    """The files in the order of the page: by version, then by name."""
    if page.status == "quarantined":
        return []
    return sorted(page.files, key=lambda entry: (order_key(_version(page.name, entry) or ""), entry.filename))


def _file(entry: FileEntry, page_url: str | None) -> _File:
    metadata = {"sha256": entry.core_metadata_sha256} if entry.core_metadata_sha256 else False
    return _File(
        filename=entry.filename,
        url=_href(entry.filename),
        hashes={"sha256": entry.sha256} if entry.sha256 else {},
        requires_python=entry.requires_python or msgspec.UNSET,
        size=msgspec.UNSET if entry.size_bytes is None else entry.size_bytes,
        upload_time=msgspec.UNSET if entry.upload_time is None else timestamp(entry.upload_time),
        # Installers take an empty reason for "not yanked".
        yanked=entry.yanked if entry.yanked != "" else True,
        core_metadata=metadata,
        dist_info_metadata=metadata,
        gpg_sig=msgspec.UNSET if entry.gpg_signature is None else entry.gpg_signature,
        provenance=_provenance_url(entry, page_url),
    )


def timestamp(moment: datetime) -> str:
    """`2026-03-03T12:00:00.000000Z`, always with microseconds, as PEP 700 has it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _provenance_url(entry: FileEntry, page_url: str | None) -> str | None:
    if not entry.provenance or page_url is None or not page_url.startswith("https://"):
        return None
    return f"{page_url.rstrip('/')}/{_href(entry.filename)}.provenance"


def _href(filename: str) -> str:
    """A reference relative to the page; most names need no escaping, and pages of big projects hold thousands."""
    return filename if _PLAIN.fullmatch(filename) else quote(filename, safe="")


def _anchor(entry: FileEntry, page_url: str | None) -> str:
    fragment = f"#sha256={entry.sha256}" if entry.sha256 else ""
    attributes = [f'href="{escape(_href(entry.filename) + fragment)}"']
    if entry.requires_python:
        attributes.append(f'data-requires-python="{escape(entry.requires_python)}"')
    if entry.core_metadata_sha256:
        digest = escape(f"sha256={entry.core_metadata_sha256}")
        attributes.append(f'data-core-metadata="{digest}" data-dist-info-metadata="{digest}"')
    if entry.yanked is not False:
        attributes.append(f'data-yanked="{escape(entry.yanked) if isinstance(entry.yanked, str) else ""}"')
    if entry.gpg_signature is not None:
        attributes.append(f'data-gpg-sig="{"true" if entry.gpg_signature else "false"}"')
    if provenance := _provenance_url(entry, page_url):
        attributes.append(f'data-provenance="{escape(provenance)}"')
    return f"<a {' '.join(attributes)}>{escape(entry.filename)}</a>"


def _meta(name: str, content: str) -> str:
    return f'<meta name="{name}" content="{escape(content)}">'


def _html(title: str, head: Iterable[str], anchors: Iterable[str]) -> bytes:
    return "\n".join(_html_lines(title, head, anchors)).encode()


def _html_lines(title: str, head: Iterable[str], anchors: Iterable[str]) -> Iterator[str]:
    yield "<!DOCTYPE html>"
    yield '<html lang="en">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield _meta("pypi:repository-version", API_VERSION)
    yield from head
    yield f"<title>{escape(title)}</title>"
    yield "</head>"
    yield "<body>"
    yield f"<h1>{escape(title)}</h1>"
    for anchor in anchors:
        yield f"{anchor}<br>"
    yield "</body>"
    yield "</html>"
    yield ""
