"""One paragraph of fields, as control files have it: strict enough that what is written again can be read one way only.

A second paragraph, an empty line within one, a field that is there twice or a control character would let whoever
uploads one package describe another in the index. All of those are refused.
Source: https://manpages.debian.org/bookworm/dpkg-dev/deb822.5.en.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from domain.errors import Invalid

MAX_STANZA_BYTES = 1 << 20
_MAX_FIELDS = 500
_BREAK = "\n"
_FIELD = re.compile(r"([!\"$-,./0-9;-~][!-9;-~]{0,99}):[ \t]*(.*)\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ARMOR_HEADER = "-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE_HEADER = "-----BEGIN PGP SIGNATURE-----"
_SIGNATURE_FOOTER = "-----END PGP SIGNATURE-----"


class StanzaMalformed(Invalid):
    """Not one paragraph of fields. file: which one."""

    template = "{file}: {detail}"

    def __init__(self, file: str, detail: str) -> None:
        super().__init__(detail, file=file)


class Stanza:
    """Fields in their order. Names are looked up in any case; a folded value has its lines joined by newlines, each
    further line with the blank that it begins with.
    """

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        self.fields = tuple(fields)
        self._values = {name.lower(): value for name, value in self.fields}

    def get(self, name: str, default: str = "") -> str:
        """The value of a field."""
        return self._values.get(name.lower(), default)

    def without(self, names: frozenset[str]) -> Stanza:
        """The same but for some fields; names in lower case."""
        return Stanza(field for field in self.fields if field[0].lower() not in names)

    def with_fields(self, further: Iterable[tuple[str, str]]) -> Stanza:
        """The same with fields at its end."""
        return Stanza((*self.fields, *further))

    def text(self) -> str:
        """As files have it, a newline after each line and no empty line behind."""
        return "".join(
            f"{name}: {value}\n" if value[:1] != "\n" else f"{name}:{value}\n" for name, value in self.fields
        )


def parse_stanza(data: bytes, file: str) -> Stanza:
    """Read a file that is exactly one paragraph. file: what faults call it. Raises StanzaMalformed."""
    if len(data) > MAX_STANZA_BYTES:
        raise StanzaMalformed(file, f"more than {MAX_STANZA_BYTES} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise StanzaMalformed(file, "not UTF-8") from None
    return Stanza(_fields(text.strip("\n").split("\n"), file))


def parse_signed(data: bytes, file: str) -> Stanza:
    """Read a file that is one paragraph, or one within a cleartext signature with nothing around it.

    The signature is not verified: who uploads is known by other means. Raises StanzaMalformed.
    """
    if not data.startswith(_ARMOR_HEADER.encode()):
        return parse_stanza(data, file)
    if len(data) > MAX_STANZA_BYTES:
        raise StanzaMalformed(file, f"more than {MAX_STANZA_BYTES} bytes")
    try:
        lines = [line.rstrip(" \t\r") for line in data.decode().strip("\n").split("\n")]
    except UnicodeDecodeError:
        raise StanzaMalformed(file, "not UTF-8") from None
    return Stanza(_fields(_signed_lines(lines, file), file))


def _signed_lines(lines: list[str], file: str) -> list[str]:
    """The lines that a signature covers, their dashes unescaped. Source: RFC 9580 section 7."""
    if lines.count(_ARMOR_HEADER) != 1 or lines.count(_SIGNATURE_HEADER) != 1 or lines[-1] != _SIGNATURE_FOOTER:
        raise StanzaMalformed(file, "not one cleartext signature and nothing else")
    if "" not in lines:
        raise StanzaMalformed(file, "the signed text does not begin")
    begin, end = lines.index("") + 1, lines.index(_SIGNATURE_HEADER)
    if any(not line.startswith("Hash: ") for line in lines[1 : begin - 1]):
        raise StanzaMalformed(file, "an unknown header before the signed text")
    covered = lines[begin:end]
    if any(line.startswith("-") and not line.startswith("- ") for line in covered):
        raise StanzaMalformed(file, "an unescaped dash in the signed text")
    return "\n".join(line.removeprefix("- ") for line in covered).strip("\n").split("\n")


def _fields(lines: list[str], file: str) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    name, values = "", list[str]()
    for number, line in enumerate(lines, 1):
        if _CONTROL.search(line):
            raise StanzaMalformed(file, f"line {number} has a control character")
        if line[:1] in {" ", "\t"} and name and line.strip(" \t"):
            values.append(line.rstrip(" \t"))
            continue
        found = _FIELD.match(line)
        if found is None:
            raise StanzaMalformed(file, _fault(line, number))
        if name:
            yield name, "\n".join(values)
        name, values = found[1], [found[2].rstrip(" \t")]
        if name.lower() in seen:
            raise StanzaMalformed(file, f"the field {name} is there twice")
        seen.add(name.lower())
        if len(seen) > _MAX_FIELDS:
            raise StanzaMalformed(file, f"more than {_MAX_FIELDS} fields")
    if name:
        yield name, "\n".join(values)


def _fault(line: str, number: int) -> str:
    if not line.strip(" \t"):
        return f"line {number} is empty: one paragraph is expected, and no second one"
    return f"line {number} is no field: {line[:60]!r}"
