"""package.json to the manifests that a registry serves: as npm's own publish would have normalised it, and in short.

Everything comes from the package.json inside the tarball, because that is what an install obeys; a client decides only
the few fields named in `ClaimedManifest`. Field by field, a value of the wrong kind is dropped, as npm drops it.
Source: https://github.com/npm/cli/blob/latest/docs/lib/content/configuring-npm/package-json.md,
https://github.com/npm/package-json/blob/main/lib/normalize.js
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Any

import msgspec

from application.formats.npm.people import parse_person

Manifest = dict[str, Any]

ABBREVIATED_FIELDS = (
    "name",
    "version",
    "dependencies",
    "optionalDependencies",
    "devDependencies",
    "bundleDependencies",
    "peerDependencies",
    "peerDependenciesMeta",
    "acceptDependencies",
    "bin",
    "directories",
    "engines",
    "cpu",
    "os",
    "libc",
    "funding",
    "hasInstallScript",
)
"""`dist` and `deprecated` are added when the document is written; `_hasShrinkwrap` is there only when it is true.

Source: https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md#abbreviated-version-object
"""

# Written by the registry itself, or of the document and not of a version.
_RESERVED = frozenset({"dist", "dist-tags", "versions", "time", "users", "maintainers", "readme", "readmeFilename"})
_RESERVED_FLAGS = frozenset({"deprecated", "hasInstallScript", "bundledDependencies"})
INSTALL_SCRIPTS = ("preinstall", "install", "postinstall")
_SHORTCUT = re.compile(r"(?:(github|gitlab|bitbucket|gist):)?([\w.-]+/[\w.-]+|(?<=gist:)[0-9a-f]+)(#[\w./-]+)?\Z")
_HOSTS = {"github": "github.com", "gitlab": "gitlab.com", "bitbucket": "bitbucket.org", "gist": "gist.github.com"}


def full_manifest(package: Manifest, *, shrinkwrapped: bool, has_gyp_file: bool) -> Manifest:
    """The version object without `dist`, `deprecated` and the fields that only a client knows.

    package: the parsed package.json, its name and version already checked. has_gyp_file: a `binding.gyp` at the top.
    """
    manifest = {key: value for key, value in package.items() if not key.startswith("_") and not _is_reserved(key)}
    if "bundleDependencies" not in manifest and "bundledDependencies" in package:
        manifest["bundleDependencies"] = package["bundledDependencies"]
    for field, normal in _NORMAL.items():
        if field in manifest:
            _put(manifest, field, normal(manifest[field]))
    _put(manifest, "bin", _bin(package.get("bin"), package["name"]))
    _put(manifest, "bundleDependencies", _bundled(manifest))
    _separate_optional(manifest)
    _add_gyp_script(manifest, has_gyp_file=has_gyp_file)
    if any(manifest.get("scripts", {}).get(script) for script in INSTALL_SCRIPTS):
        manifest["hasInstallScript"] = True
    manifest["_hasShrinkwrap"] = shrinkwrapped
    return manifest


def abbreviated_manifest(full: Manifest) -> Manifest:
    """The fields that an install needs, from a manifest made by `full_manifest`."""
    short = {field: full[field] for field in ABBREVIATED_FIELDS if field in full}
    if full.get("_hasShrinkwrap"):
        short["_hasShrinkwrap"] = True
    return short


def encode_manifest(manifest: Manifest) -> bytes:
    """Compact JSON, an object with at least one member, which is what `index` splices onto."""
    return msgspec.json.encode(manifest)


def _is_reserved(key: str) -> bool:
    return key in _RESERVED or key in _RESERVED_FLAGS


def _put(manifest: Manifest, field: str, value: object) -> None:
    if value is None:
        manifest.pop(field, None)
    else:
        manifest[field] = value


def _string_map(value: object) -> dict[str, str] | None:
    if not isinstance(value, dict):
        return None
    return {key: text for key, text in value.items() if isinstance(text, str)}


def _map_of_maps(value: object) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        return None
    return {key: inner for key, inner in value.items() if isinstance(inner, dict)}


def _string_list(value: object) -> list[str] | None:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        return None
    return [text for text in value if isinstance(text, str)]


def _keywords(value: object) -> list[str] | None:
    return re.split(r"[,\s]+", value.strip()) if isinstance(value, str) else _string_list(value)


def _person(value: object) -> object:
    return parse_person(value)


def _people(value: object) -> object:
    return [person for item in value if (person := parse_person(item))] if isinstance(value, list) else None


def _address(value: object) -> object:
    """`bugs` and `funding` in their object form."""
    if isinstance(value, str):
        return {"email": value} if "@" in value and "/" not in value else {"url": value}
    return value if isinstance(value, dict | list) else None


def _license(value: object) -> object:
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("type") or value.get("name")
    return value if isinstance(value, str) else None


def _repository(value: object) -> object:
    """The object form, shortcuts such as `github:owner/name` written out."""
    repository = {"type": "git", "url": value} if isinstance(value, str) else value
    if not isinstance(repository, dict) or not isinstance(repository.get("url"), str):
        return None
    shortcut = _SHORTCUT.match(repository["url"])
    if shortcut:
        host = _HOSTS[shortcut[1] or "github"]
        return {**repository, "url": f"git+https://{host}/{shortcut[2]}.git{shortcut[3] or ''}"}
    return repository


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


_NORMAL: dict[str, Callable[[object], object]] = {
    **dict.fromkeys(("scripts", "engines", "dependencies", "devDependencies", "optionalDependencies"), _string_map),
    **dict.fromkeys(("peerDependencies", "acceptDependencies"), _string_map),
    "peerDependenciesMeta": _map_of_maps,
    "directories": _string_map,
    **dict.fromkeys(("os", "cpu", "libc"), _string_list),
    "keywords": _keywords,
    "author": _person,
    "contributors": _people,
    "bugs": _address,
    "funding": _address,
    "license": _license,
    "repository": _repository,
    **dict.fromkeys(("description", "homepage"), _text),
}


def _bin(value: object, name: str) -> dict[str, str] | None:
    """Command to path inside the package; a command is never more than a file name, a path never leaves the package."""
    if isinstance(value, str):
        value = {name: value}
    elif isinstance(value, list):
        value = {posixpath.basename(path): path for path in value if isinstance(path, str)}
    if not isinstance(value, dict):
        return None
    commands = {
        posixpath.basename(_inside(command)): _inside(path) for command, path in value.items() if isinstance(path, str)
    }
    return {command: path for command, path in commands.items() if command and path} or None


def _inside(path: str) -> str:
    """The path as seen when the package is the root directory: no drive, no `..` that leaves it."""
    return posixpath.normpath("/" + re.sub(r"[\\:]", "/", path)).lstrip("/")


def _bundled(manifest: Manifest) -> list[str] | None:
    bundled = manifest.get("bundleDependencies")
    if bundled is True:
        return list(manifest.get("dependencies", {}))
    if isinstance(bundled, dict):
        return list(bundled)
    return [] if bundled is False else _string_list(bundled)


def _separate_optional(manifest: Manifest) -> None:
    """A dependency listed both ways is optional; npm once asked authors to list it twice."""
    if not manifest.get("dependencies") or not manifest.get("optionalDependencies"):
        return
    optional = manifest["optionalDependencies"]
    remaining = {name: range_ for name, range_ in manifest["dependencies"].items() if name not in optional}
    _put(manifest, "dependencies", remaining or None)


def _add_gyp_script(manifest: Manifest, *, has_gyp_file: bool) -> None:
    """Without a script that says so, npm builds a package with a `binding.gyp`; make that visible."""
    scripts = manifest.get("scripts", {})
    if (
        has_gyp_file
        and manifest.get("gypfile") is not False
        and not scripts.get("install")
        and not scripts.get("preinstall")
    ):
        manifest["scripts"] = {**scripts, "install": "node-gyp rebuild"}
        manifest["gypfile"] = True
