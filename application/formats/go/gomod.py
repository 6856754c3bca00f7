"""Reading `go.mod`: what concerns those who depend on a module.

`replace` and `exclude` count only where a module is the main one, and directives of later releases of Go may be
anything: both are lexed and passed over, as the go command does in modules that are depended on.
Source: https://go.dev/ref/mod#go-mod-file
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

import msgspec

from application.formats.go.names import ModulePathInvalid, parse_module
from application.formats.go.versions import VersionInvalid, is_version
from domain.errors import Invalid

MAX_GO_MOD_BYTES = 1 << 20
"""The go command takes more; no real one comes near, and this is read in a moment."""

_TOKEN = re.compile(
    r"""[ \t\r]+
    | (?P<comment>//.*)
    | (?P<raw>`[^`]*`)
    | "(?P<quoted>(?:[^"\\]|\\.)*)"
    | (?P<sign>[()\[\]{},])
    | (?P<word>(?!["`])(?:(?!//|/\*)[^\s()\[\]{},])+)""",
    re.VERBOSE,
)
_DEPRECATED = re.compile(r"(?:\A|\n\n)Deprecated: *(.*?)(?:\Z|\n\n)", re.DOTALL)
_INDIRECT = re.compile(r"indirect(?:;.*)?\Z", re.DOTALL)
_GO = re.compile(r"v?[1-9][0-9]*\.(?:0|[1-9][0-9]*)(?:[^0-9].*)?\Z")
_SINGLE = frozenset({"module", "go", "toolchain"})


class GoModMalformed(Invalid):
    """Not a go.mod that the go command would take."""

    template: ClassVar[str] = "go.mod:{line}: {problem}"

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(line=line, problem=problem)


class Requirement(msgspec.Struct, frozen=True, omit_defaults=True):
    """A module that is depended on, at least at that version."""

    path: str
    version: str
    indirect: bool = False


class Retraction(msgspec.Struct, frozen=True, omit_defaults=True):
    """Versions that should not be used, both ends among them."""

    low: str
    high: str
    rationale: str = ""


class GoMod(msgspec.Struct, frozen=True, kw_only=True):
    """What a `go.mod` says. deprecated: the message, empty when the module is not."""

    module: str
    go: str = ""
    toolchain: str = ""
    deprecated: str = ""
    requires: tuple[Requirement, ...] = ()
    retracts: tuple[Retraction, ...] = ()


class _Line(msgspec.Struct, frozen=True):
    """One directive. comments: above it and behind it, or of its block where it has none of its own."""

    number: int
    verb: str
    words: tuple[str, ...]
    comments: tuple[str, ...]
    suffix: str


def parse_go_mod(data: bytes) -> GoMod:
    """Read a `go.mod`. Raises GoModMalformed, and for a module that cannot be called so ModulePathInvalid."""
    if len(data) > MAX_GO_MOD_BYTES:
        raise GoModMalformed(1, f"larger than {MAX_GO_MOD_BYTES} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise GoModMalformed(1, "not UTF-8") from None
    once: dict[str, _Line] = {}
    requires: list[Requirement] = []
    retracts: list[Retraction] = []
    for line in _directives(text):
        if line.verb in _SINGLE:
            if line.verb in once:
                raise GoModMalformed(line.number, f"{line.verb} is there twice")
            if len(line.words) != 1:
                raise GoModMalformed(line.number, f"behind {line.verb} stands one word")
            if line.verb == "go" and not _GO.match(line.words[0]):
                raise GoModMalformed(line.number, "behind go stands a version such as 1.21")
            once[line.verb] = line
        elif line.verb == "require":
            requires.append(_requirement(line))
        elif line.verb == "retract":
            retracts.append(_retraction(line))
    if "module" not in once:
        raise GoModMalformed(1, "it does not say of which module it is")
    deprecated = _DEPRECATED.search("\n".join(once["module"].comments))
    return GoMod(
        module=parse_module(once["module"].words[0]),
        go=once["go"].words[0] if "go" in once else "",
        toolchain=once["toolchain"].words[0] if "toolchain" in once else "",
        deprecated=deprecated[1] if deprecated else "",
        requires=tuple(requires),
        retracts=tuple(retracts),
    )


def _requirement(line: _Line) -> Requirement:
    if len(line.words) != 2:
        raise GoModMalformed(line.number, "behind require stand a module's path and a version")
    path, version = line.words
    try:
        return Requirement(parse_module(path), _version(line, version), _INDIRECT.match(line.suffix) is not None)
    except ModulePathInvalid as fault:
        raise GoModMalformed(line.number, str(fault)) from None


def _retraction(line: _Line) -> Retraction:
    match line.words:
        case (low,):
            high = low
        case ("[", low, ",", high, "]"):
            pass
        case _:
            raise GoModMalformed(line.number, "behind retract stands a version, or '[low, high]'")
    return Retraction(_version(line, low), _version(line, high), "\n".join(line.comments).strip())


def _version(line: _Line, text: str) -> str:
    if not is_version(text):
        raise GoModMalformed(line.number, str(VersionInvalid(text)))
    return text


# lines and tokens


def _directives(text: str) -> Iterator[_Line]:
    """The directives, those in blocks each with the verb of its block."""
    verb, block, above = "", (), list[str]()
    number = 0
    for number, source in enumerate(text.split("\n"), 1):
        words, comment = _tokens(number, source)
        if not words:
            # outside of blocks, an empty line parts a comment from what follows
            above = above if verb and comment is None else [*above, comment] if comment is not None else []
            continue
        suffix = comment or ""
        own = (*above, *([suffix] if comment is not None else ()))
        if verb and words == (")",):
            verb, above = "", []
            continue
        if not verb and words[1:] == ("(",):
            verb, block, above = words[0], own, []
            continue
        if not verb and words[1:] == ("(", ")"):
            above = []
            continue
        if "(" in words or ")" in words:
            raise GoModMalformed(number, "a parenthesis where none can be")
        yield _Line(number, verb or words[0], words if verb else words[1:], own or (block if verb else ()), suffix)
        above = []
    if verb:
        raise GoModMalformed(number, f"the block of {verb} does not end")


def _tokens(number: int, source: str) -> tuple[tuple[str, ...], str | None]:
    """The words of a line, and its comment without the slashes; None where it has none.

    Raw strings keep their quotes: the go command lexes them, and takes them for nothing that is read here.
    """
    words: list[str] = []
    at = 0
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None:
            raise GoModMalformed(number, f"unexpected text at column {at + 1}")
        at = found.end()
        if found["comment"] is not None:
            return tuple(words), found["comment"][2:].strip()
        if found.lastgroup:
            words.append(found[found.lastgroup])
    return tuple(words), None
