"""Paths of raw files: which ones there may be, what stands behind `;`, and what a path says of a version."""

from __future__ import annotations

import re
import unicodedata
from mimetypes import MimeTypes
from typing import NewType
from urllib.parse import unquote

import msgspec

from domain.errors import Invalid

FilePath = NewType("FilePath", str)
"""A checked path: NFC, segments joined by `/`, neither empty nor beginning or ending with a slash."""

Properties = dict[str, tuple[str, ...]]

MAX_PATH_BYTES = 1024
MAX_SEGMENT_BYTES = 255
MAX_KEYS = 100
MAX_VALUES = 200
MAX_VALUE_CHARACTERS = 1024
OCTETS = "application/octet-stream"

_REFUSED = frozenset({"Cc", "Cs", "Zl", "Zp"})
_KEY = re.compile(r"[\w.-]{1,255}\Z")
_MEDIA_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:\s*;[\x20-\x7e]*)?\Z")
_VERSIONED = re.compile(
    r"[-_]v?(\d+(?:\.\d+)+"
    r"(?:[-.+]?(?:alpha|beta|rc|a|b|m|dev|pre|post|snapshot|final|ga)(?:[-.]?\d+)*)?)(?=[-_.+]|\Z)",
    re.IGNORECASE,
)
_VERSION = re.compile(r"v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)\Z")

_types = MimeTypes(filenames=())
for _extension, _type in {
    ".7z": "application/x-7z-compressed",
    ".apk": "application/vnd.android.package-archive",
    ".bz2": "application/x-bzip2",
    ".deb": "application/vnd.debian.binary-package",
    ".gz": "application/gzip",
    ".jar": "application/java-archive",
    ".md": "text/markdown",
    ".rpm": "application/x-rpm",
    ".tgz": "application/gzip",
    ".toml": "application/toml",
    ".wasm": "application/wasm",
    ".whl": "application/zip",
    ".xz": "application/x-xz",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zst": "application/zstd",
}.items():
    _types.add_type(_type, _extension)
    _types.encodings_map.pop(_extension, None)
    _types.suffix_map.pop(_extension, None)


class PathInvalid(Invalid):
    """No file can be stored there."""

    template = "path {path!r}: {reason}"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path=path[:200], reason=reason)


class PropertyInvalid(Invalid):
    """Not a property."""

    template = "property {name!r}: {reason}"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name=name[:100], reason=reason)


class Address(msgspec.Struct, frozen=True):
    """What an address below a repository names. path: empty for the repository itself. folder: it ends in a slash.

    properties: the matrix parameters behind `;`.
    """

    path: str
    folder: bool
    properties: Properties


def read_address(raw_path: str) -> Address:
    """Read the part of an address below the repository, as sent: `/a/b.txt;stage=live;owner=me,you`.

    `;` begins parameters in any segment (RFC 3986 section 3.3), `%3B` is part of a name. Raises Invalid.
    """
    text = raw_path.removeprefix("/")
    folder = text == "" or text.endswith("/")
    properties: Properties = {}
    if ";" in text:
        segments = []
        for segment in text.split("/"):
            name, _, parameters = segment.partition(";")
            segments.append(name)
            _add_matrix(properties, parameters)
        text = "/".join(segments)
        folder = folder or text.endswith("/")
    path = unquote(text, errors="strict") if "%" in text else text
    path = path.strip("/") if folder else path
    return Address(check_path(path) if path else "", folder or not path, check_properties(properties))


def check_path(path: str) -> FilePath:
    """The path in its one spelling; raises PathInvalid.

    At most 1024 bytes, 255 a segment; no empty, `.` or `..` segment, control character or backslash, nor a space at
    either end of a segment.
    """
    if not path.isascii():
        path = unicodedata.normalize("NFC", path)
        if not path.isprintable() and any(unicodedata.category(character) in _REFUSED for character in path):
            raise PathInvalid(path, "it has a control character")
        if "\U0010ffff" in path:
            raise PathInvalid(path, "it has a character that no text has")
    elif not path.isprintable():
        raise PathInvalid(path, "it has a control character")
    if "\\" in path:
        raise PathInvalid(path, "it has a backslash")
    if len(path.encode()) > MAX_PATH_BYTES:
        raise PathInvalid(path, f"it is longer than {MAX_PATH_BYTES} bytes")
    for segment in path.split("/"):
        if segment in {"", ".", ".."}:
            raise PathInvalid(path, "a segment is empty, '.' or '..'")
        if segment[0] == " " or segment[-1] == " ":
            raise PathInvalid(path, "a segment begins or ends with a space")
        if len(segment.encode()) > MAX_SEGMENT_BYTES:
            raise PathInvalid(path, f"a segment is longer than {MAX_SEGMENT_BYTES} bytes")
    return FilePath(path)


def check_properties(properties: Properties) -> Properties:
    """The properties themselves; raises PropertyInvalid."""
    if len(properties) > MAX_KEYS:
        raise PropertyInvalid(next(iter(properties)), f"there are more than {MAX_KEYS} at once")
    for key, values in properties.items():
        if not _KEY.match(key):
            raise PropertyInvalid(key, "a name has 1 to 255 letters, digits, '_', '.' or '-'")
        if len(values) > MAX_VALUES:
            raise PropertyInvalid(key, f"more than {MAX_VALUES} values")
        for value in values:
            if len(value) > MAX_VALUE_CHARACTERS:
                raise PropertyInvalid(key, f"a value is longer than {MAX_VALUE_CHARACTERS} characters")
            if any(character < " " or "\ud800" <= character < "\ue000" for character in value):
                raise PropertyInvalid(key, "a value has a control character")
    return properties


def parse_properties(text: str) -> Properties:
    r"""`k=v;k2=a,b` or `k=v|k2=a,b`, decoded already. A backslash takes `,`, `;`, `|`, `=` and `\\` for themselves."""
    properties: Properties = {}
    for item in _split(text, ";|"):
        name, *values = _split(item, "=", 1)
        if _plain(name):
            _add(properties, _plain(name), [_plain(value) for value in _split(values[0], ",")] if values else [""])
    return check_properties(properties)


def property_names(text: str) -> list[str]:
    """`k1,k2`; all of them for an empty text."""
    return [name for name in re.split(r"[,;|]", text) if name]


def media_type_of(path: str, announced: str = "") -> str:
    """The type that a client announced, when it can be sent back; else by the extension; else just bytes."""
    announced = announced.strip()
    if announced and announced.lower() != "application/x-www-form-urlencoded" and _MEDIA_TYPE.match(announced):
        return announced  # a form's type is what curl says of every --data, not of the file
    name = path.rpartition("/")[2].lower()
    guessed, encoding = _types.guess_type(f"file:///{name}" if name.startswith("data:") else name, strict=True)
    if encoding is not None or guessed is None:
        return OCTETS
    return guessed


def guess_version(path: str) -> tuple[str, str]:
    """Name and version of a file as its path tells them; the file's name and nothing when it does not.

    `tool-1.2.3.tar.gz` says it itself; else the nearest directory that is a semantic version, and the one it is in.
    """
    *directories, filename = path.split("/")
    for said in _VERSIONED.finditer(filename):
        name = filename[: said.start()]
        if any(character.isalpha() for character in name):
            return name, said[1]
    for index in range(len(directories) - 1, -1, -1):
        version = _VERSION.match(directories[index])
        if version:
            return (directories[index - 1] if index else filename), version[1]
    return filename, ""


def order_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Orders numbers as numbers and words as words; words come before numbers, so that `1.0-rc` precedes `1.0.1`."""
    parts: list[tuple[int, int, str]] = []
    for number, word in re.findall(r"(\d+)|([^\W\d_]+)", version):
        parts.append((1, int(number), "") if number else (-1, 0, word.lower()))
    return (*parts, (0, 0, ""))


def _add_matrix(properties: Properties, text: str) -> None:
    for parameter in text.split(";"):
        key, _, value = parameter.partition("=")
        if not key:
            continue
        try:
            values = [unquote(item, errors="strict") for item in value.split(",")]
            _add(properties, unquote(key, errors="strict").removesuffix("+"), values)
        except UnicodeDecodeError:
            raise PropertyInvalid(key, "it is not UTF-8") from None


def _add(properties: Properties, key: str, values: list[str]) -> None:
    properties[key] = tuple(dict.fromkeys((*properties.get(key, ()), *values)))


def _split(text: str, separators: str, limit: int = -1) -> list[str]:
    """Split at unescaped separators; escapes stay."""
    parts, start, index = [], 0, 0
    while index < len(text):
        if text[index] == "\\":
            index += 1
        elif text[index] in separators and limit != 0:
            parts.append(text[start:index])
            start, limit = index + 1, limit - 1
        index += 1
    return [*parts, text[start:]]


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
