"""XML of strangers, element by element: no declarations, no entities of theirs, nothing fetched, nothing held."""

from __future__ import annotations

from typing import NoReturn, Protocol
from xml.parsers import expat

from domain.errors import Invalid

MAX_DEPTH = 64
CHUNK_BYTES = 1 << 18


class XmlInvalid(Invalid):
    """Not XML that is read here."""

    template = "{name}: {problem}"

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name=name[:200], problem=problem[:300])


class Readable(Protocol):
    """Something with bytes to read."""

    def read(self, count: int, /) -> bytes:
        """The next bytes; none at the end."""


class Reader:
    """Told of each element by its name, with its namespace and a space before it when it has one, as it begins and as
    it ends. `feed` and `finish` raise XmlInvalid.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.depth = 0
        self._parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self.text

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        self._parse(chunk, last=False)

    def finish(self) -> None:
        """There are no more."""
        self._parse(b"", last=True)

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins; `depth` counts it already."""

    def end(self, tag: str) -> None:
        """An element ends; `depth` still counts it."""

    def text(self, text: str) -> None:
        """Some of the text of the element that is open."""

    def refuse(self, problem: str) -> NoReturn:
        """Raise XmlInvalid."""
        raise XmlInvalid(self.name, problem)

    def _parse(self, chunk: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(chunk, last)
        except (expat.ExpatError, LookupError, ValueError) as fault:
            raise XmlInvalid(self.name, f"not well-formed XML: {fault}") from None

    def _doctype(self, name: str, system: str | None, public: str | None, has_declarations: int) -> None:
        if has_declarations:  # lists of groups name a document type, and nobody has ever read it
            self.refuse("declarations are not allowed")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.refuse(f"more than {MAX_DEPTH} elements within each other")
        self.begin(tag, attributes)

    def _end(self, tag: str) -> None:
        self.end(tag)
        self.depth -= 1


def read_all(reader: Reader, file: Readable) -> None:
    """Have a reader told of a whole document. Raises XmlInvalid."""
    while chunk := file.read(CHUNK_BYTES):
        reader.feed(chunk)
    reader.finish()


def root_of(file: Readable, name: str) -> str:
    """The local name of the root of a whole, well-formed document. Raises XmlInvalid."""
    reader = _Root(name)
    read_all(reader, file)
    return reader.root


class _Root(Reader):
    root = ""

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        if self.depth == 1:
            self.root = tag.rpartition(" ")[2]
