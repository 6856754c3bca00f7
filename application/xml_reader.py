"""XML of strangers as a small tree: no document type, no entity of theirs, nothing fetched, all of it bounded."""

from __future__ import annotations

from html.entities import name2codepoint
from typing import Any, NoReturn
from xml.parsers import expat

from domain.errors import Invalid

MAX_BYTES = 4 << 20
MAX_DEPTH = 64
MAX_ELEMENTS = 200_000

_ENCODINGS = frozenset(
    {"utf-8", "utf8", "utf-16", "us-ascii", "ascii", "iso-8859-1", "latin1", "iso-8859-15", "windows-1252", "cp1252"}
)
_FAULTS = (expat.ExpatError, LookupError, ValueError)


class XmlInvalid(Invalid):
    """Not XML that is read here."""

    template = "{name}: {detail}"

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(detail, name=name)


class Element:
    """An element by its local name; text is what stands directly in it. attributes: by local names, too."""

    __slots__ = ("attributes", "children", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str] | None = None) -> None:
        self.tag = tag
        self.attributes = attributes or {}
        self.text = ""
        self.children: list[Element] = []

    def child(self, tag: str) -> Element | None:
        """The first child of that name."""
        return next((child for child in self.children if child.tag == tag), None)

    def value(self, *path: str) -> str:
        """The text of a descendant, without white space around it; empty where there is none."""
        found: Element | None = self
        for tag in path:
            found = found.child(tag) if found is not None else None
        return found.text.strip() if found is not None else ""

    def each(self, *path: str) -> list[Element]:
        """The children of the last name below the first descendant of those before it."""
        found: Element | None = self
        for tag in path[:-1]:
            found = found.child(tag) if found is not None else None
        return [child for child in found.children if child.tag == path[-1]] if found is not None else []


def parse_xml(data: bytes, name: str, *, html_entities: bool = False) -> Element:
    """The root element; raises XmlInvalid for anything that is not plain XML. name: of the file, for the message.

    html_entities: those of HTML are known without a declaration, as Maven has it.
    """
    if len(data) > MAX_BYTES:
        raise XmlInvalid(name, f"larger than {MAX_BYTES} bytes")
    builder = _Builder(name, html_entities=html_entities)
    try:
        builder.parser.Parse(data, True)
    except _FAULTS as fault:
        raise XmlInvalid(name, f"not well-formed XML: {fault}"[:300]) from None
    return builder.root


class _Builder:
    def __init__(self, name: str, *, html_entities: bool) -> None:
        self._name = name
        self._entities = name2codepoint if html_entities else {}
        self._open: list[Element] = []
        self._text: list[list[str]] = []
        self._count = 0
        self.root = Element("")
        self.parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        if html_entities:  # so asked, expat hands over those that it does not know
            parser.UseForeignDTD(True)
            parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_UNLESS_STANDALONE)
            parser.SkippedEntityHandler = self._entity

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            self._refuse(f"the encoding {encoding[:40]!r} is not supported")

    def _doctype(self, *_: Any) -> NoReturn:
        self._refuse("a document type is not allowed")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) >= MAX_DEPTH:
            self._refuse(f"more than {MAX_ELEMENTS} elements, or {MAX_DEPTH} within each other")
        element = Element(tag.rpartition(":")[2], {name.rpartition(":")[2]: text for name, text in attributes.items()})
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        self._text.append([])

    def _end(self, tag: str) -> None:
        self._open.pop().text = "".join(self._text.pop())

    def _data(self, text: str) -> None:
        self._text[-1].append(text)

    def _entity(self, name: str, is_parameter: bool) -> None:
        if name not in self._entities:
            self._refuse(f"the entity {name[:40]!r} is not known")
        self._text[-1].append(chr(self._entities[name]))

    def _refuse(self, reason: str) -> NoReturn:
        raise XmlInvalid(self._name, reason)
