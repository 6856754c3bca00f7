"""POMs: what is read, what is compared, what is refused."""

from __future__ import annotations

import msgspec
import pytest

from application.formats.maven.metadata import Pom, PomMismatch, agree, encode_facts, parse_pom
from application.formats.maven.names import parse_file
from application.xml_reader import XmlInvalid, parse_xml
from tests.samples.maven import make

RELEASE = parse_file("com/acme/demo/1.0.0/demo-1.0.0.pom")
SNAPSHOT = parse_file("com/acme/demo/1.0-SNAPSHOT/demo-1.0-20260303.101500-1.pom")


def test_a_pom_tells_of_its_project() -> None:
    body = """
      <name>Demo</name><description>says
         hello</description><url>https://example.org/demo</url>
      <licenses><license><name>MIT</name></license></licenses>
      <modules><module>core</module></modules>
      <dependencies>
        <dependency><groupId>org.x</groupId><artifactId>y</artifactId><version>${y}</version><scope>test</scope></dependency>
        <dependency><groupId>org.x</groupId><artifactId>z</artifactId></dependency>
      </dependencies>
      <dependencyManagement><dependencies>
        <dependency><groupId>org.x</groupId><artifactId>z</artifactId><version>2</version></dependency>
      </dependencies></dependencyManagement>
      <distributionManagement><relocation><groupId>org.acme</groupId></relocation></distributionManagement>
    """
    assert parse_pom(make.pom(body=body, packaging="maven-plugin"), "demo.pom") == Pom(
        group="com.acme",
        artifact="demo",
        version="1.0.0",
        packaging="maven-plugin",
        name="Demo",
        description="says hello",
        url="https://example.org/demo",
        licenses=("MIT",),
        relocation="org.acme::",
        modules=("core",),
        dependencies=("org.x:y:${y}:test", "org.x:z:"),
        managed=("org.x:z:2",),
    )


def test_group_and_version_come_from_the_parent_where_there_are_none() -> None:
    parent = "<parent><groupId>com.acme</groupId><artifactId>parent</artifactId><version>1.0.0</version></parent>"
    pom = parse_pom(make.pom(group="", version="", body=parent), "demo.pom")
    assert (pom.group, pom.version, pom.parent) == ("com.acme", "1.0.0", "com.acme:parent:1.0.0")
    agree(pom, RELEASE)


def test_entities_of_html_are_known_as_maven_knows_them() -> None:
    assert (
        parse_pom(make.pom(body="<name>Jos&eacute; &amp; Jos\u00e9</name>"), "demo.pom").name == "Jos\u00e9 & Jos\u00e9"
    )


def test_other_encodings_are_read() -> None:
    for encoding in ("iso-8859-1", "utf-16", "windows-1252"):
        text = make.pom(body="<name>Jos\u00e9</name>").decode().replace("UTF-8", encoding)
        assert parse_pom(text.encode(encoding), "demo.pom").name == "Jos\u00e9"


@pytest.mark.parametrize("data", make.HOSTILE_XML.values(), ids=make.HOSTILE_XML)
def test_hostile_xml_is_refused(data: bytes) -> None:
    with pytest.raises(XmlInvalid, match=r"demo\.pom: "):
        parse_pom(data, "demo.pom")


def test_a_pom_needs_an_artifact_id() -> None:
    with pytest.raises(XmlInvalid, match="artifactId is missing"):
        parse_pom(make.pom(artifact=""), "demo.pom")


def test_more_elements_than_any_project_has_are_refused() -> None:
    with pytest.raises(XmlInvalid, match="more than"):
        parse_xml(b"<a>" + b"<b/>" * 200_001 + b"</a>", "a.xml")
    with pytest.raises(XmlInvalid, match="larger"):
        parse_xml(b"<a>" + b" " * (4 << 20) + b"</a>", "a.xml")


@pytest.mark.parametrize(
    ("pom", "field"),
    [
        (make.pom(group="org.evil"), "groupId"),
        (make.pom(artifact="other"), "artifactId"),
        (make.pom(version="2.0"), "version"),
        (make.pom(group=""), "groupId"),
        (make.pom(version=""), "version"),
    ],
)
def test_a_pom_that_belongs_elsewhere_is_refused(pom: bytes, field: str) -> None:
    with pytest.raises(PomMismatch, match=f"the POM says {field} "):
        agree(parse_pom(pom, RELEASE.path), RELEASE)


def test_the_pom_of_a_snapshot_may_have_either_of_its_versions() -> None:
    for version in ("1.0-SNAPSHOT", "1.0-20260303.101500-1"):
        agree(parse_pom(make.pom(version=version), SNAPSHOT.path), SNAPSHOT)
    with pytest.raises(PomMismatch):
        agree(parse_pom(make.pom(version="1.0"), SNAPSHOT.path), SNAPSHOT)


def test_expressions_are_for_the_path_to_resolve() -> None:
    agree(parse_pom(make.pom(version="${revision}${changelist}"), RELEASE.path), RELEASE)


def test_facts_fit_into_an_event_however_long_a_pom_is() -> None:
    dependency = "<dependency><groupId>org.x</groupId><artifactId>{}</artifactId></dependency>"
    many = "".join(dependency.format(f"lib{number}") for number in range(2_000))
    pom = parse_pom(make.pom(body=f"<name>Demo</name><dependencies>{many}</dependencies>"), "demo.pom")
    assert len(pom.dependencies) == 2_000
    encoded = encode_facts(pom)
    assert len(encoded) < 16_000
    assert msgspec.json.decode(encoded, type=Pom) == msgspec.structs.replace(pom, dependencies=())
