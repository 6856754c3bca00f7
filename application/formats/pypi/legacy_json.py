"""The `pypi/{project}/json` documents of the public index, which audit and update tools read. Pure.

Source: the JSON API in the documentation of the public index; there is no PEP.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

import msgspec

from application.formats.pypi.core_metadata import CoreMetadata
from application.formats.pypi.index import timestamp
from application.formats.pypi.metadata import FILETYPES
from application.formats.pypi.names import Kind, PypiName, canonical_version, order_key, parse_version
from domain.errors import NotFound


class ReleaseFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file as these documents show it. digests: by hashlib's names of the algorithms, hexadecimal."""

    filename: str
    version: str
    kind: Kind
    python_tag: str
    digests: dict[str, str]
    size_bytes: int
    upload_time: datetime
    requires_python: str | None = None
    yanked: bool | str = False
    gpg_signature: bool = False


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """What a project document needs: the metadata of the release in question, and the files of the project."""

    name: PypiName
    fields: CoreMetadata
    files: tuple[ReleaseFile, ...]
    last_serial: int


_JSON = msgspec.json.Encoder()


def latest_version(versions: dict[str, bool]) -> str:
    """The version that a project is shown as: the highest final one, else the highest, yanked ones last.

    versions: each with whether all of its files are yanked; not empty.
    """

    def rank(version: str) -> tuple[bool, bool, object]:
        key = order_key(version)
        final = key[0] == 1 and not parse_version(version).is_prerelease
        return not versions[version], final, key

    return max(versions, key=rank)


def project_document(release: Release, files_url: str, *, all_releases: bool) -> bytes:
    """The document of a project (`all_releases`) or of one release.

    files_url: the absolute address below which the files lie, with its final slash. Raises NotFound when the release
    has no file.
    """
    version = canonical_version(release.fields.version)
    urls = [entry for entry in _in_order(release.files) if canonical_version(entry.version) == version]
    if not urls:
        raise NotFound(f"{release.name} has no release {release.fields.version}")
    document: dict[str, object] = {
        "info": _info(release, urls, files_url),
        "last_serial": release.last_serial,
        "urls": [_url(entry, files_url) for entry in urls],
        "vulnerabilities": [],
        "ownership": {"roles": [], "organization": None},
    }
    if all_releases:
        releases: dict[str, list[dict[str, object]]] = {}
        for entry in _in_order(release.files):
            releases.setdefault(entry.version, []).append(_url(entry, files_url))
        document["releases"] = releases
    return _JSON.encode(document)


def _in_order(files: tuple[ReleaseFile, ...]) -> list[ReleaseFile]:
    return sorted(files, key=lambda entry: (order_key(entry.version), entry.filename))


def _info(release: Release, urls: list[ReleaseFile], files_url: str) -> dict[str, object]:
    fields = release.fields
    reasons = [entry.yanked for entry in urls]
    yanked = all(reason is not False for reason in reasons)
    return {
        "author": fields.author or "",
        "author_email": fields.author_email or "",
        "bugtrack_url": None,
        "classifiers": fields.classifiers,
        "description": fields.description or "",
        "description_content_type": fields.description_content_type,
        "docs_url": None,
        "download_url": fields.download_url,
        "downloads": {"last_day": -1, "last_month": -1, "last_week": -1},
        "dynamic": fields.dynamic or None,
        "home_page": fields.home_page or "",
        "keywords": ",".join(fields.keywords),
        "license": fields.license or "",
        "license_expression": fields.license_expression,
        "license_files": fields.license_files or None,
        "maintainer": fields.maintainer or "",
        "maintainer_email": fields.maintainer_email or "",
        "name": fields.name,
        "package_url": files_url,
        "platform": ",".join(fields.platforms) or None,
        "project_url": files_url,
        "project_urls": fields.project_urls or None,
        "provides_extra": fields.provides_extra or None,
        "release_url": files_url,
        "requires_dist": fields.requires_dist or None,
        "requires_python": fields.requires_python,
        "summary": fields.summary or "",
        "version": fields.version,
        "yanked": yanked,
        "yanked_reason": next((reason for reason in reasons if isinstance(reason, str)), None) if yanked else None,
    }


def _url(entry: ReleaseFile, files_url: str) -> dict[str, object]:
    return {
        "comment_text": None,
        "digests": entry.digests,
        "downloads": -1,
        "filename": entry.filename,
        "has_sig": entry.gpg_signature,
        "md5_digest": entry.digests.get("md5"),
        "packagetype": FILETYPES[entry.kind],
        "python_version": entry.python_tag,
        "requires_python": entry.requires_python,
        "size": entry.size_bytes,
        "upload_time": timestamp(entry.upload_time)[:19],
        "upload_time_iso_8601": timestamp(entry.upload_time),
        "url": f"{files_url}{quote(entry.filename, safe='')}",
        "yanked": entry.yanked is not False,
        "yanked_reason": entry.yanked if isinstance(entry.yanked, str) else None,
    }
