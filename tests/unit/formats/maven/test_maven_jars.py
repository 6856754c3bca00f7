"""What jars say of themselves."""

from __future__ import annotations

import io
import zipfile

import pytest

from application.formats.maven.jars import Origin, PluginDescriptor, read_origin, read_plugin
from tests.samples.maven import make


def test_a_plugin_tells_its_prefix() -> None:
    found = read_plugin(io.BytesIO(make.plugin_jar()))
    assert found == PluginDescriptor("com.acme.tools", "hello-maven-plugin", "hello")


@pytest.mark.parametrize(
    "data",
    [
        make.jar(),
        make.plugin_jar(prefix=""),
        make.plugin_jar(prefix="no spaces"),
        make.plugin_jar(prefix="x" * 101),
        make.jar({"META-INF/maven/plugin.xml": make.HOSTILE_XML["laughs"]}),
        make.jar({"META-INF/maven/plugin.xml": b" " * (5 << 20)}),
        b"",
        b"not a zip",
        make.plugin_jar()[:-30],
    ],
)
def test_other_files_are_no_plugins(data: bytes) -> None:
    assert read_plugin(io.BytesIO(data)) is None


def test_a_directory_that_claims_to_be_huge_is_not_read() -> None:
    data = bytearray(make.plugin_jar())
    end = data.rindex(b"PK\x05\x06")
    data[end + 12 : end + 16] = (0x7FFFFFFF).to_bytes(4, "little")
    assert read_plugin(io.BytesIO(bytes(data))) is None


def test_odd_compression_is_not_read() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("META-INF/maven/plugin.xml", "<plugin><goalPrefix>x</goalPrefix></plugin>")
    assert read_plugin(buffer) is None


def test_a_jar_that_maven_built_tells_its_project() -> None:
    assert read_origin(io.BytesIO(make.built_jar())) == Origin("com.acme", "demo", "1.0.0")


def test_a_jar_of_several_projects_or_of_none_tells_nothing() -> None:
    two = {f"META-INF/maven/com.acme/{name}/pom.properties": "groupId=a\nartifactId=b\nversion=1" for name in "ab"}
    for data in (make.jar(two), make.jar(), make.jar({"META-INF/maven/a/b/pom.properties": "groupId=a"}), b"PK"):
        assert read_origin(io.BytesIO(data)) is None
