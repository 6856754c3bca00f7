"""The documents of other repositories, as they come: which there are, and what they say of each package. Pure.

Any bytes give what is said here, or Invalid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape, quoteattr

import msgspec

from application.archives.unpacking import Unpacked
from application.formats.rpm.names import Nevra
from application.formats.rpm.xml_stream import CHUNK_BYTES, Readable, Reader, XmlInvalid, read_all

MAX_REPOMD = 4 << 20
MAX_OPEN_BYTES = 8 << 30
"""The largest lists of files that there are have a quarter of it."""

MAX_PACKAGE_TEXT = 128 << 20
MAX_PACKAGES = 1_000_000

_REPO = "http://linux.duke.edu/metadata/repo "
_RPM = "http://linux.duke.edu/metadata/rpm "
_PREFIXES = {
    _RPM: "rpm:",
    **{f"http://linux.duke.edu/metadata/{name} ": "" for name in ("common", "filelists", "other")},
}
_XML_BASE = "http://www.w3.org/XML/1998/namespace base"
_DIGESTS = {"md5": 32, "sha": 40, "sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128}
_HEXADECIMAL = re.compile(r"[0-9a-f]+\Z")
_COMPRESSIONS = {".gz": "gzip", ".xz": "xz", ".zst": "zstd", ".bz2": "bzip2"}


class Data(msgspec.Struct, frozen=True):
    """A document that a repomd.xml lists. digests: of the document as it comes; size_bytes likewise, if it says so."""

    type: str
    href: str
    digests: dict[str, str]
    size_bytes: int | None


class Told(msgspec.Struct, frozen=True):
    """What a document says of one package. pkgid: by which all documents know it. text: as a piece of our own document.

    href, base, digests, size_bytes: of its file, in the first document alone.
    """

    pkgid: str
    nevra: Nevra
    text: str
    href: str = ""
    base: str = ""
    digests: dict[str, str] = {}
    size_bytes: int | None = None


def read_repomd(file: Readable) -> dict[str, Data]:
    """Type to document. Raises XmlInvalid."""
    reader = _Repomd("repomd.xml")
    read_all(reader, file)
    if not reader.found:
        reader.refuse("it lists no documents")
    return reader.found


def read_packages(file: Readable, name: str) -> Iterator[Told]:
    """What a document says of each package, as it is read. Raises XmlInvalid."""
    reader = _Packages(name)
    while chunk := file.read(CHUNK_BYTES):
        reader.feed(chunk)
        yield from reader.taken()
    reader.finish()
    yield from reader.taken()


def unpacked(file: object, href: str) -> Unpacked:
    """A document read through the compression that its name says."""
    kind = next((kind for ending, kind in _COMPRESSIONS.items() if href.endswith(ending)), "none")
    return Unpacked(file, kind, MAX_OPEN_BYTES)  # type: ignore[arg-type]


def checked_href(href: str) -> str:
    """A relative address as a path; empty for one that leads elsewhere, or has no path of ours."""
    try:
        parts = urlsplit(href)
    except ValueError:
        return ""
    path = unquote(parts.path).removeprefix("./")
    segments = path.split("/")
    if parts.scheme or parts.netloc or parts.query or {"", ".", ".."} & set(segments) or segments[0].startswith("."):
        return ""
    return path if href.isprintable() and path.isprintable() and len(path) <= 1_024 else ""


def digest_of(kind: str, text: str) -> dict[str, str]:
    """A digest by its algorithm, in our spelling; none for one that nobody can check."""
    digest = text.strip().lower()
    if len(digest) != _DIGESTS.get(kind) or not _HEXADECIMAL.match(digest):
        return {}
    return {"sha1" if kind == "sha" else kind: digest}


class _Repomd(Reader):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.found: dict[str, Data] = {}
        self._type = self._href = self._kind = self._text = ""
        self._digests: dict[str, str] = {}
        self._size: int | None = None

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        local = tag.removeprefix(_REPO)
        self._text = ""
        if self.depth == 1 and local != "repomd":
            self.refuse(f"its root is {local[:60]}")
        if self.depth == 2 and local == "data":
            self._type, self._href, self._digests, self._size = attributes.get("type", ""), "", {}, None
        elif self.depth == 3 and local == "location":
            self._href = checked_href(attributes.get("href", ""))
        elif self.depth == 3 and local == "checksum":
            self._kind = attributes.get("type", "")

    def text(self, text: str) -> None:
        self._text += text

    def end(self, tag: str) -> None:
        local = tag.removeprefix(_REPO)
        if self.depth == 3 and local == "checksum":
            self._digests = digest_of(self._kind, self._text)
        elif self.depth == 3 and local == "size":
            self._size = _number(self._text)
        elif self.depth == 2 and local == "data" and self._type and self._href and self._digests:
            self.found.setdefault(self._type, Data(self._type, self._href, self._digests, self._size))


class _Packages(Reader):
    """Packages are at the second level; what is in them is written anew, with the prefixes that our documents have."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._done: list[Told] = []
        self._count = 0
        self._lines: list[str] = []
        self._size = 0
        self._skipping = 0
        self._direct = ""
        self._facts: dict[str, str] = {}

    def taken(self) -> list[Told]:
        """The packages that ended since the last time."""
        done, self._done = self._done, []
        return done

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        if self.depth == 1:
            return
        name = self._own(tag)
        if self.depth == 2:
            self._lines, self._size, self._facts, self._direct = [], 0, dict(attributes), ""
            if name != "package":
                self._skipping = self._skipping or self.depth
        if self._skipping or not name:
            self._skipping = self._skipping or self.depth
            return
        if self.depth == 3:
            self._direct = name
            self._facts |= {f"{name} {key}": value for key, value in attributes.items()}
        written = "".join(
            f" {key}={quoteattr(value)}" for key, value in attributes.items() if " " not in key and ":" not in key
        )
        self._write(f"<{name}{written}>")

    def text(self, text: str) -> None:
        if self.depth < 2 or self._skipping:
            return
        if self.depth == 3:
            self._facts[self._direct] = self._facts.get(self._direct, "") + text
        self._write(escape(text))

    def end(self, tag: str) -> None:
        if self._skipping:
            if self._skipping == self.depth:
                self._skipping = 0
            return
        if self.depth < 2:
            return
        self._write(f"</{self._own(tag)}>")
        if self.depth == 2:
            self._take()

    def _own(self, tag: str) -> str:
        """The name with our prefix; empty for what is of another namespace."""
        space, separator, local = tag.rpartition(" ")
        prefix = _PREFIXES.get(space + separator)
        return "" if prefix is None else prefix + local

    def _write(self, text: str) -> None:
        self._size += len(text)
        if self._size > MAX_PACKAGE_TEXT:
            self.refuse("a package has too much text")
        self._lines.append(text)

    def _take(self) -> None:
        facts = self._facts
        self._count += 1
        if self._count > MAX_PACKAGES:
            self.refuse(f"there are more than {MAX_PACKAGES} packages")
        pkgid = facts.get("pkgid") or facts.get("checksum", "").strip()
        nevra = Nevra(
            facts.get("name", ""),
            _number(facts.get("version epoch", "")) or 0,
            facts.get("version ver", ""),
            facts.get("version rel", ""),
            facts.get("arch", ""),
        )
        if not pkgid or not nevra.name:
            self.refuse(f"package {self._count} has no name or no checksum")
        told = Told(
            pkgid=pkgid,
            nevra=nevra,
            text="".join(self._lines) + "\n",
            href=checked_href(facts.get("location href", "")),
            base=facts.get(f"location {_XML_BASE}", ""),
            digests=digest_of(facts.get("checksum type", ""), facts.get("checksum", "")),
            size_bytes=_number(facts.get("size package", "")),
        )
        self._done.append(told)


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


__all__ = ["Data", "Told", "XmlInvalid", "checked_href", "digest_of", "read_packages", "read_repomd", "unpacked"]
