"""XML of strangers, element by element: no document type, no entities of theirs, nothing fetched, nothing held."""

from __future__ import annotations

from typing import Any, BinaryIO, NoReturn
from xml.parsers import expat

from domain.errors import Invalid

MAX_DEPTH = 64
_CHUNK_BYTES = 1 << 18


class XmlInvalid(Invalid):
    """Not XML that is read here."""

    template = "{name}: {problem}"

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name=name[:200], problem=problem[:300])


class Reader:
    """Told of each element by its local name, as it begins and as it ends; `read` raises XmlInvalid."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.depth = 0
        self.parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self.text

    def read(self, file: BinaryIO) -> None:
        """Go through all of it."""
        try:
            while chunk := file.read(_CHUNK_BYTES):
                self.parser.Parse(chunk, False)
            self.parser.Parse(b"", True)
        except (expat.ExpatError, LookupError, ValueError) as fault:
            raise XmlInvalid(self.name, f"not well-formed XML: {fault}") from None

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins; `depth` counts it already."""

    def end(self, tag: str) -> None:
        """An element ends."""

    def text(self, text: str) -> None:
        """Some of the text of the element that is open."""

    def refuse(self, problem: str) -> NoReturn:
        """Raise XmlInvalid."""
        raise XmlInvalid(self.name, problem)

    def _doctype(self, *_: Any) -> NoReturn:
        self.refuse("a document type is not allowed")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.refuse(f"more than {MAX_DEPTH} elements within each other")
        self.begin(tag.rpartition(":")[2], attributes)

    def _end(self, tag: str) -> None:
        self.end(tag.rpartition(":")[2])
        self.depth -= 1


def root_of(file: BinaryIO, name: str) -> str:
    """The local name of the root of a whole, well-formed document. Raises XmlInvalid."""
    reader = _Root(name)
    reader.read(file)
    return reader.root


class _Root(Reader):
    root = ""

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        if self.depth == 1:
            self.root = tag
