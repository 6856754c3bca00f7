"""Go's grammar of module paths and of file paths in modules, and how both stand in addresses.

Source: https://go.dev/ref/mod#go-mod-file-ident, https://go.dev/ref/mod#goproxy-protocol; where the text leaves a
choice, golang.org/x/mod/module decides, since every client refuses what that refuses.
"""

from __future__ import annotations

import re
from typing import ClassVar, NewType

from domain.errors import Invalid

ModulePath = NewType("ModulePath", str)
"""A module's path that passed `parse_module`, such as `github.com/BurntSushi/toml` or `example.com/demo/v2`."""

MAX_MODULE_CHARS = 512
MAX_ELEMENT_CHARS = 200
MAX_FILE_CHARS = 1024

_ELEMENT = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*\Z")
_HOST = re.compile(r"[a-z0-9.-]+\Z")
_SHORT_NAME = re.compile(r"~[0-9]+\Z")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[1-9]|lpt[1-9])\Z", re.IGNORECASE | re.ASCII)
_FILE_ASCII = re.compile(r"[A-Za-z0-9!#$%&()+,.=@\[\]^_{}~ -]*\Z")
_MAJOR = re.compile(r"(.+)/v([0-9.]+)\Z", re.DOTALL)
_GOPKG_MAJOR = re.compile(r"(gopkg\.in/.+)(\.v(?:0|[1-9][0-9]*))(?:-unstable)?\Z", re.DOTALL)
_ESCAPED = re.compile(r"(?:[^A-Z!]|![a-z])*\Z", re.DOTALL)
_GOPKG = "gopkg.in/"


class ModulePathInvalid(Invalid):
    """Not a path that a module may have."""

    template: ClassVar[str] = "invalid module path {path!r}: {why}"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path=path[:200], why=why)


class AddressInvalid(Invalid):
    """Text in an address that does not escape capitals as Go does."""

    template: ClassVar[str] = "{text!r} is not escaped: in addresses every capital is '!' and the small letter"

    def __init__(self, text: str) -> None:
        super().__init__(text=text[:200])


def parse_module(text: str) -> ModulePath:
    """The path itself. Raises ModulePathInvalid for one that the go command would not take."""
    if len(text) > MAX_MODULE_CHARS:
        raise ModulePathInvalid(text, f"longer than {MAX_MODULE_CHARS} characters")
    elements = text.split("/")
    for element in elements:
        _check_element(text, element)
    if "." not in elements[0] or not _HOST.match(elements[0]) or elements[0].startswith("-"):
        raise ModulePathInvalid(text, "the first part is a domain name in small letters, with a dot")
    if major_suffix(text) is None:
        raise ModulePathInvalid(text, "behind '/v' goes a major version from 2 on; gopkg.in paths end in '.v' and one")
    return ModulePath(text)


def major_suffix(path: str) -> str | None:
    """The end of a module path that names its major version: `/v2`, `.v3` for gopkg.in, empty for none.

    None when the path ends like one and has none that may be.
    """
    if path.startswith(_GOPKG):
        found = _GOPKG_MAJOR.match(path)
        return found[2] if found else None
    found = _MAJOR.match(path)
    if found is None:
        return ""
    number = found[2]
    return f"/v{number}" if "." not in number and number[0] != "0" and number != "1" else None


def file_path_fault(path: str) -> str | None:
    """Why a file in a module may not be called so; None when it may. path: relative to the module's root."""
    if len(path) > MAX_FILE_CHARS:
        return f"longer than {MAX_FILE_CHARS} characters"
    for element in path.split("/"):
        if not element.strip(".") or element.endswith("."):
            return "a part is empty, consists of dots, or ends in one"
        if not all(_is_file_character(character) for character in element):
            return "it has a character that some file system does not take"
        if _DEVICE.match(element.partition(".")[0]):
            return "a part has the name of a Windows device"
    return None


def above(path: str) -> tuple[str, ...]:
    """A path and those above it: whoever has one of these has what is below it, and its later major versions."""
    parts = path.split("/")
    return tuple("/".join(parts[:count]) for count in range(len(parts), 0, -1))


def escape(text: str) -> str:
    """Text of a module path or a version as addresses have it: file systems need not tell case for them."""
    return re.sub("[A-Z]", lambda found: "!" + found[0].lower(), text)


def unescape(text: str) -> str:
    """The opposite of `escape`. Raises AddressInvalid for text that `escape` never gives."""
    if not _ESCAPED.match(text):
        raise AddressInvalid(text)
    return re.sub("!([a-z])", lambda found: found[1].upper(), text)


def folded(path: str) -> str:
    """Equal for paths that file systems without case would take for one another."""
    return "".join(map(_fold, path))


def _check_element(path: str, element: str) -> None:
    if not _ELEMENT.match(element) or element.endswith("."):
        raise ModulePathInvalid(
            path, "between slashes stand ASCII letters, digits and '-._~', with no dot at either end"
        )
    if len(element) > MAX_ELEMENT_CHARS:
        raise ModulePathInvalid(path, f"a part is longer than {MAX_ELEMENT_CHARS} characters")
    short = element.partition(".")[0]
    if _DEVICE.match(short) or _SHORT_NAME.search(short):
        raise ModulePathInvalid(path, "a part is a name that Windows keeps for itself")


def _is_file_character(character: str) -> bool:
    return bool(_FILE_ASCII.match(character)) if character < "\x80" else character.isalpha()


def _fold(character: str) -> str:
    """Simple case folding: one character stays one."""
    full = character.casefold()
    if len(full) == 1:
        return full
    lower = character.lower()
    return lower if len(lower) == 1 else character
