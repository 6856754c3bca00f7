"""Small NuGet packages, made in memory as its clients make them, and archives that must be refused.

The same call gives the same bytes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

NAMESPACE = "http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd"
_OPC = "http://schemas.openxmlformats.org/package/2006"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)

Files = Mapping[str, bytes] | Sequence[tuple[str, bytes]]


def nuspec(
    id: str = "Demo.Pkg", version: str = "1.0.0", *, body: str = "", attributes: str = "", **fields: str
) -> bytes:
    """A manifest. body: further elements of the metadata, as they are."""
    told = {"id": id, "version": version, "authors": "Ada, Bob", "description": f"The {id} sample", **fields}
    lines = "".join(f"    <{name}>{escape(value)}</{name}>\n" for name, value in told.items() if value)
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<package xmlns="{NAMESPACE}">\n'
        f"  <metadata{attributes}>\n{lines}{body}  </metadata>\n</package>\n"
    ).encode()


def pack(files: Files) -> bytes:
    """A zip of files, in order; one may be there twice."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items() if isinstance(files, Mapping) else files:
            archive.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def package(
    id: str = "Demo.Pkg",
    version: str = "1.0.0",
    *,
    extra: Mapping[str, bytes] | None = None,
    body: str = "",
    attributes: str = "",
    **fields: str,
) -> bytes:
    """A `.nupkg`. extra: further files."""
    return pack(
        {
            "_rels/.rels": _relationships(id),
            f"{id}.nuspec": nuspec(id, version, body=body, attributes=attributes, **fields),
            "lib/netstandard2.0/_._": b"",
            "[Content_Types].xml": _types({"rels", "nuspec", "_", *(path.rpartition(".")[2] for path in extra or {})}),
            **(extra or {}),
        }
    )


def _relationships(id: str) -> bytes:
    """By which old clients find the manifest."""
    manifest = "http://schemas.microsoft.com/packaging/2010/07/manifest"
    return (
        f'<?xml version="1.0" encoding="utf-8"?><Relationships xmlns="{_OPC}/relationships">'
        f'<Relationship Type="{manifest}" Target="/{id}.nuspec" Id="R1" /></Relationships>'
    ).encode()


def _types(extensions: set[str]) -> bytes:
    types = {"rels": "application/vnd.openxmlformats-package.relationships+xml"}
    lines = "".join(
        f'<Default Extension="{one}" ContentType="{types.get(one, "application/octet")}" />'
        for one in sorted(extensions)
    )
    return f'<?xml version="1.0" encoding="utf-8"?><Types xmlns="{_OPC}/content-types">{lines}</Types>'.encode()


def dependencies(*flat: tuple[str, str], **groups: Sequence[tuple[str, str]]) -> str:
    """The element of dependencies: flat ones, or by framework with `_` for a dot."""

    def lines(pairs: Sequence[tuple[str, str]]) -> str:
        return "".join(f'<dependency id="{name}" version="{versions}" />' for name, versions in pairs)

    inner = lines(flat) + "".join(
        f'<group targetFramework="{name.replace("_", ".")}">{lines(pairs)}</group>' for name, pairs in groups.items()
    )
    return f"<dependencies>{inner}</dependencies>\n"


def _of(manifest: bytes) -> bytes:
    return pack({"demo.nuspec": manifest})


def _zip(*files: tuple[str, bytes]) -> bytes:
    return pack(list(files))


_GOOD = ("demo.nuspec", nuspec())

REFUSED: Mapping[str, bytes] = {
    "nothing": b"",
    "no archive": b"\x1f\x8b is something else",
    "no manifest": _zip(("lib/a.dll", b"x")),
    "a manifest further down": _zip(("lib/demo.nuspec", nuspec())),
    "two manifests": _zip(_GOOD, ("other.NUSPEC", nuspec())),
    "a way out": _zip(_GOOD, ("../../etc/passwd", b"x")),
    "a way out of Windows": _zip(_GOOD, ("..\\..\\boot.ini", b"x")),
    "an absolute path": _zip(_GOOD, ("/etc/passwd", b"x")),
    "a drive": _zip(_GOOD, ("C:/boot.ini", b"x")),
    "names that differ in case": _zip(_GOOD, ("lib/a.dll", b"x"), ("lib/A.dll", b"y")),
    "an entity": _of(b'<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><package><metadata><id>&x;</id></metadata></package>'),
    "an entity of HTML": _of(nuspec(body="<title>&eacute;</title>")),
    "no XML": _of(b"<package><metadata>"),
    "another document": _of(b"<project><metadata/></project>"),
    "no metadata": _of(b"<package/>"),
    "no id": _of(nuspec(id="")),
    "no version": _of(nuspec(version="")),
    "two ids": _of(nuspec(body="<id>Other</id>")),
    "an id with a slash": _of(nuspec(id="a/b")),
    "an id of another alphabet": _of(nuspec(id="D\u0435mo")),
    "a long id": _of(nuspec(id="a" * 101)),
    "a version of one number": _of(nuspec(version="1")),
    "a version of five numbers": _of(nuspec(version="1.2.3.4.5")),
    "a dependency on nothing": _of(nuspec(body=dependencies(("", "1.0")))),
    "a range that is none": _of(nuspec(body=dependencies(("a", "(1.0]")))),
    "symbols": _of(nuspec(body='<packageTypes><packageType name="SymbolsPackage" /></packageTypes>')),
    "a manifest that is too large": _of(nuspec() + b" " * (1 << 20)),
    "a text that is too long": _of(nuspec(summary="x" * 40_000)),
    "a bomb": _zip(_GOOD, ("lib/bomb", bytes(70 << 20))),
}  # fmt: skip
"""By what is wrong with them."""
