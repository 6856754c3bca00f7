"""The POM: what a project says of itself, checked against where it is published.

Source: https://maven.apache.org/ref/3.9.11/maven-model/maven.html
"""

from __future__ import annotations

import msgspec

from application.formats.maven.names import LayoutFile
from application.xml_reader import MAX_BYTES, Element, XmlInvalid, parse_xml
from domain.errors import Invalid

MAX_POM_BYTES = MAX_BYTES

_MAX_FACTS_BYTES = 15_000
_MAX_TEXT = 1_000
_DROPPABLE = ("dependencies", "managed", "modules", "licenses")


class PomMismatch(Invalid):
    """The POM is of another artifact, or of another version, than its path says."""

    template = "{path}: the POM says {field} {found}, the path says {expected}"

    def __init__(self, path: str, field: str, found: str, expected: str) -> None:
        super().__init__(path=path, field=field, found=found[:200], expected=expected)


class Pom(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A project. Stored as the metadata of its POM, so fields are only ever added.

    group, version: those of the parent where the project has none of its own. parent, relocation:
    `group:artifact:version`. dependencies, managed: the same, and the scope; an expression stays as it is written.
    """

    group: str
    artifact: str
    version: str
    packaging: str = "jar"
    name: str = ""
    description: str = ""
    url: str = ""
    licenses: tuple[str, ...] = ()
    parent: str = ""
    relocation: str = ""
    modules: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    managed: tuple[str, ...] = ()


def parse_pom(data: bytes, name: str) -> Pom:
    """Read a POM; raises Invalid. name: of the file, for the message."""
    root = parse_xml(data, name, html_entities=True)
    if root.tag != "project":
        raise XmlInvalid(name, f"the root element is {root.tag[:40]!r}, not 'project'")
    if not root.value("artifactId"):
        raise XmlInvalid(name, "artifactId is missing")
    parent = root.child("parent")
    relocation = root.child("distributionManagement")
    relocation = relocation.child("relocation") if relocation is not None else None
    return Pom(
        group=root.value("groupId") or root.value("parent", "groupId"),
        artifact=root.value("artifactId"),
        version=root.value("version") or root.value("parent", "version"),
        packaging=root.value("packaging") or "jar",
        name=_short(root.value("name")),
        description=_short(" ".join(root.value("description").split())),
        url=_short(root.value("url")),
        licenses=tuple(_short(one.value("name")) for one in root.each("licenses", "license")),
        parent=_coordinates(parent) if parent is not None else "",
        relocation=_coordinates(relocation) if relocation is not None else "",
        modules=tuple(_short(one.text.strip()) for one in root.each("modules", "module")),
        dependencies=_dependencies(root.each("dependencies", "dependency")),
        managed=_dependencies(root.each("dependencyManagement", "dependencies", "dependency")),
    )


def agree(pom: Pom, file: LayoutFile) -> None:
    """Raise PomMismatch unless the POM belongs at its path. Expressions (`${revision}`) are the path's to resolve."""
    claims = (
        ("groupId", pom.group, (file.group,)),
        ("artifactId", pom.artifact, (file.artifact,)),
        ("version", pom.version, (file.version, file.file_version)),
    )
    for field, found, expected in claims:
        if "${" not in found and found not in expected:
            raise PomMismatch(file.path, field, found or "nothing", expected[0])


def encode_facts(pom: Pom) -> bytes:
    """The POM as metadata that fits into an event; long lists are left out where it would not."""
    encoded = msgspec.json.encode(pom)
    for field in _DROPPABLE:
        if len(encoded) <= _MAX_FACTS_BYTES:
            break
        pom = msgspec.structs.replace(pom, **{field: ()})
        encoded = msgspec.json.encode(pom)
    return encoded


def _dependencies(elements: list[Element]) -> tuple[str, ...]:
    return tuple(":".join(part for part in (_coordinates(one), _short(one.value("scope"))) if part) for one in elements)


def _coordinates(element: Element) -> str:
    return ":".join(_short(element.value(tag)) for tag in ("groupId", "artifactId", "version"))


def _short(text: str) -> str:
    return text[:_MAX_TEXT]
