"""Documents of several repositories as one. Pure: what comes first wins, and everything is told once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from xml.sax.saxutils import escape, quoteattr

from application.formats.rpm.index import Kind, Part, foot, head, make_part
from application.formats.rpm.names import Nevra
from application.formats.rpm.upstream import Told
from application.formats.rpm.xml_stream import CHUNK_BYTES, Readable, Reader, XmlInvalid

PART_CHARACTERS = 1 << 20
"""What is compressed at once: the larger, the better, and the more memory."""

MAX_EXTRA_CHARACTERS = 256 << 20
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_WHOLE = {"comps": "comps.xml", "updates": "updateinfo.xml"}


class Chosen:
    """Which packages of several sources are told: each once, by what tells it from all others and by where it is.

    hosted: whether packages of ours have a name; no other source may add to those.
    """

    def __init__(self, hosted: Callable[[str], bool]) -> None:
        self._hosted = hosted
        self._seen: set[Nevra] = set()
        self._places: set[str] = set()
        self._of: dict[int, set[str]] = {}

    def choose(self, source: int, told: Told, *, is_ours: bool) -> bool:
        """Whether the package of a source is told; later asked for by `is_chosen`."""
        if told.nevra in self._seen or told.href in self._places or not told.href:
            return False
        if not is_ours and self._hosted(told.nevra.name):
            return False
        self._seen.add(told.nevra)
        self._places.add(told.href)
        self._of.setdefault(source, set()).add(told.pkgid)
        return True

    def is_chosen(self, source: int, told: Told) -> bool:
        """Whether the package is one of those."""
        return told.pkgid in self._of.get(source, ())

    @property
    def count(self) -> int:
        """How many packages were chosen."""
        return len(self._seen)


def document_of(kind: Kind, packages: int, texts: Iterable[str]) -> Iterator[Part]:
    """A document out of what is said of each package."""
    yield head(kind, packages)
    held: list[str] = []
    size = 0
    for text in texts:
        held.append(text)
        size += len(text)
        if size >= PART_CHARACTERS:
            yield make_part("".join(held))
            held, size = [], 0
    if held:
        yield make_part("".join(held))
    yield foot(kind)


def merge_modules(documents: Sequence[bytes]) -> bytes:
    """YAML documents one behind the other."""
    return b"".join(
        (b"" if body.lstrip().startswith(b"---") else b"---\n") + body.rstrip() + b"\n" for body in documents
    )


def merge_xml(root: str, documents: Iterable[Readable]) -> bytes:
    """The children of several roots below one: advisories by their id, groups and their kin by kind and id.

    A document that cannot be read is left out: an upstream's list of groups must not cost anybody their packages.
    """
    seen: set[tuple[str, str]] = set()
    texts: list[str] = []
    for document in documents:
        with suppress(XmlInvalid):
            texts += _Children.read(document, root, seen)
    return f"{_XML}<{root}>\n{''.join(texts)}</{root}>\n".encode("utf-8", "replace")


class _Children(Reader):
    """The children of a root as text, with what names each: the text of its `id`."""

    def __init__(self, root: str, seen: set[tuple[str, str]]) -> None:
        super().__init__(_WHOLE.get(root, root))
        self._root = root
        self._seen = seen
        self._lines: list[str] = []
        self._tag = self._id = ""
        self._size = 0
        self.texts: list[str] = []

    @classmethod
    def read(cls, document: Readable, root: str, seen: set[tuple[str, str]]) -> list[str]:
        """The children that were not seen yet."""
        reader = cls(root, seen)
        while chunk := document.read(CHUNK_BYTES):
            reader.feed(chunk)
        reader.finish()
        return reader.texts

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        local = tag.rpartition(" ")[2]
        if self.depth == 1:
            if local != self._root:
                self.refuse(f"its root is {local[:60]}")
            return
        if self.depth == 2:
            self._lines, self._id = [], ""
        self._tag = local if self.depth == 3 else ""
        written = "".join(f" {_own(key)}={quoteattr(value)}" for key, value in attributes.items())
        self._write(f"<{local}{written}>")

    def text(self, text: str) -> None:
        if self.depth < 2:
            return
        if self._tag == "id":
            self._id += text
        self._write(escape(text))

    def end(self, tag: str) -> None:
        local = tag.rpartition(" ")[2]
        self._tag = ""
        if self.depth < 2:
            return
        self._write(f"</{local}>")
        if self.depth == 2 and (local, self._id.strip()) not in self._seen:
            self._seen.add((local, self._id.strip()))
            self.texts.append("".join(self._lines) + "\n")

    def _write(self, text: str) -> None:
        self._size += len(text)
        if self._size > MAX_EXTRA_CHARACTERS:
            self.refuse("it is too large")
        self._lines.append(text)


def _own(key: str) -> str:
    """An attribute with the prefix that every document may use."""
    space, _, local = key.rpartition(" ")
    return f"xml:{local}" if space else local
