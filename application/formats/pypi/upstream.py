"""Pages of other indexes, as they come: JSON or HTML, of any age. Pure; any bytes give files or Invalid.

Source: https://packaging.python.org/en/latest/specifications/simple-repository-api/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any, ClassVar
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import msgspec

from application.formats.pypi.index import FileEntry, ProjectPage
from application.formats.pypi.names import PypiName, guess_version
from domain.errors import Invalid

MAX_FILES = 200_000
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,254}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_HEXADECIMAL = re.compile(r"[0-9a-f]{32,128}\Z")
_ALGORITHMS = frozenset({"md5", "sha1", "sha256", "sha512"})


class PageMalformed(Invalid):
    """Not a page of an index."""

    template: ClassVar[str] = "not a page of a Python index: {detail}"


class UpstreamFile(msgspec.Struct, frozen=True):
    """One file as an upstream tells of it. url: absolute; hashes: those that we can check."""

    entry: FileEntry
    url: str
    hashes: dict[str, str]


class UpstreamPage(msgspec.Struct, frozen=True):
    """The page of one project at an upstream, each file once."""

    page: ProjectPage
    files: dict[str, UpstreamFile]


def read_page(body: bytes, media_type: str, url: str, name: PypiName) -> UpstreamPage:
    """The page of the project; what cannot be a file of it is left out. Raises PageMalformed."""
    if "json" in media_type:
        return _from_json(body, url, name)
    found = _Anchors.read(body)
    files: dict[str, UpstreamFile] = {}
    for anchor in found.anchors[:MAX_FILES]:
        file = _from_anchor(anchor, urljoin(url, found.base) if found.base else url, name)
        if file is not None:
            files.setdefault(file.entry.filename, file)
    return UpstreamPage(ProjectPage(name=name, files=tuple(file.entry for file in files.values())), files)


def read_names(body: bytes, media_type: str) -> list[str]:
    """The projects on the list of all. Raises PageMalformed."""
    if "json" in media_type:
        try:
            listed = msgspec.json.decode(body, type=_Projects)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise PageMalformed(str(error)[:200]) from None
        return [one.name for one in listed.projects]
    hrefs = (anchor.get("href") or "" for anchor in _Anchors.read(body).anchors)
    return [name for href in hrefs if (name := unquote(urlsplit(href).path).strip("/").rpartition("/")[2])]


class _Name(msgspec.Struct):
    name: str


class _Projects(msgspec.Struct):
    projects: list[_Name]


class _File(msgspec.Struct, rename="kebab"):
    filename: str
    url: str
    hashes: dict[str, str] = {}
    requires_python: str | None = None
    size: int | None = None
    upload_time: str | None = None
    yanked: bool | str = False
    core_metadata: dict[str, str] | bool | None = None
    dist_info_metadata: dict[str, str] | bool | None = None
    gpg_sig: bool | None = None


class _Status(msgspec.Struct):
    status: str = "active"
    reason: str | None = None


class _Page(msgspec.Struct, rename="kebab"):
    files: list[_File]
    versions: list[str] = []
    project_status: _Status = msgspec.field(default_factory=_Status)


def _from_json(body: bytes, url: str, name: PypiName) -> UpstreamPage:
    try:
        told = msgspec.json.decode(body, type=_Page)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PageMalformed(str(error)[:200]) from None
    files: dict[str, UpstreamFile] = {}
    for file in told.files[:MAX_FILES]:
        metadata = file.core_metadata if file.core_metadata is not None else file.dist_info_metadata
        found = _file(
            name,
            file.filename,
            urljoin(url, file.url),
            file.hashes,
            size_bytes=file.size if file.size is not None and file.size >= 0 else None,
            upload_time=_moment(file.upload_time),
            requires_python=file.requires_python,
            yanked=file.yanked,
            core_metadata_sha256=metadata.get("sha256") if isinstance(metadata, dict) else None,
        )
        if found is not None:
            files.setdefault(file.filename, found)
    status = told.project_status.status
    page = ProjectPage(
        name=name,
        files=tuple(file.entry for file in files.values()),
        versions=tuple(version for version in told.versions if len(version) < 256 and version.isprintable()),
        status=status if status in {"archived", "quarantined", "deprecated"} else "active",  # type: ignore[arg-type]
        status_reason=told.project_status.reason,
    )
    return UpstreamPage(page, files)


def _from_anchor(anchor: dict[str, str | None], url: str, name: PypiName) -> UpstreamFile | None:
    try:
        address, fragment = urldefrag(urljoin(url, anchor.get("href") or ""))
        filename = unquote(urlsplit(address).path).rpartition("/")[2]
    except ValueError:
        return None
    algorithm, _, digest = fragment.partition("=")
    metadata = anchor.get("data-core-metadata") or anchor.get("data-dist-info-metadata") or ""
    yanked = anchor.get("data-yanked", False)
    return _file(
        name,
        filename,
        address,
        {algorithm: digest} if digest else {},
        requires_python=anchor.get("data-requires-python") or None,
        yanked=True if yanked is None or yanked == "" else yanked,
        core_metadata_sha256=metadata.removeprefix("sha256="),
    )


def _file(name: PypiName, filename: str, url: str, hashes: dict[str, str], **facts: Any) -> UpstreamFile | None:
    if not _FILENAME.match(filename) or urlsplit(url).scheme not in {"http", "https"}:
        return None
    known = {
        algorithm: digest.lower()
        for algorithm, digest in hashes.items()
        if algorithm in _ALGORITHMS and _HEXADECIMAL.match(digest.lower())
    }
    sha256 = known.get("sha256")
    if not _SHA256.match(facts.get("core_metadata_sha256") or ""):
        facts["core_metadata_sha256"] = None
    version = guess_version(name, filename)
    return UpstreamFile(FileEntry(filename=filename, version=version, sha256=sha256, **facts), url, known)


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


class _Anchors(HTMLParser):
    """The attributes of every link."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.anchors: list[dict[str, str | None]] = []
        self.base = ""

    @classmethod
    def read(cls, body: bytes) -> _Anchors:
        """From a page of any encoding that has ASCII in it."""
        found = cls()
        found.feed(body.decode("utf-8", "replace"))
        found.close()
        return found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One tag."""
        if tag == "a":
            self.anchors.append(dict(attrs))
        elif tag == "base" and not self.base:
            self.base = dict(attrs).get("href") or ""


def without(page: UpstreamPage, hidden: Iterator[str]) -> UpstreamPage:
    """The page without some of its files."""
    names = frozenset(hidden)
    if not names:
        return page
    kept = tuple(entry for entry in page.page.files if entry.filename not in names)
    shown = msgspec.structs.replace(page.page, files=kept, versions=())
    return UpstreamPage(shown, {entry.filename: page.files[entry.filename] for entry in kept})
