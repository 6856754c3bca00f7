"""Small Maven artifacts, made in memory: POMs, jars, plugins; and XML that must be refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from xml.sax.saxutils import escape

NAMESPACE = "http://maven.apache.org/POM/4.0.0"

HOSTILE_XML: Mapping[str, bytes] = {
    "laughs": b'<!DOCTYPE p [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><project>&b;&b;</project>',
    "external entity": b'<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><project>&x;</project>',
    "external subset": b'<!DOCTYPE p SYSTEM "http://127.0.0.1:9/x.dtd"><project/>',
    "parameter entity": b'<!DOCTYPE p [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><project/>',
    "unknown entity": b"<project><artifactId>&nothing;</artifactId></project>",
    "depth": b"<project>" + b"<a>" * 100_000,
    "not closed": b"<project><artifactId>demo</artifactId>",
    "two roots": b"<project/><project/>",
    "other root": b"<settings><artifactId>demo</artifactId></settings>",
    "odd encoding": b"<?xml version='1.0' encoding='rot13'?><project/>",
    "false encoding": b"<?xml version='1.0' encoding='utf-8'?><project>\xff\xfe</project>",
    "nothing": b"",
    "binary": bytes(range(256)),
}


def pom(
    group: str = "com.acme",
    artifact: str = "demo",
    version: str = "1.0.0",
    packaging: str = "jar",
    body: str = "",
) -> bytes:
    """A POM; body goes in as it is. Empty coordinates are left out."""
    fields = {"groupId": group, "artifactId": artifact, "version": version, "packaging": packaging}
    lines = "".join(f"  <{name}>{escape(value)}</{name}>\n" for name, value in fields.items() if value)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<project xmlns="{NAMESPACE}">\n  <modelVersion>4.0.0</modelVersion>\n'
        f"{lines}{body}</project>\n"
    ).encode()


def jar(files: Mapping[str, str | bytes] | None = None) -> bytes:
    """A jar, the same bytes for the same files."""
    buffer = io.BytesIO()
    content = {"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n", **(files or {})}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 3, 3, 10, 15, 0)), data)
    return buffer.getvalue()


def built_jar(group: str = "com.acme", artifact: str = "demo", version: str = "1.0.0") -> bytes:
    """A jar as Maven builds it: with the coordinates of its project."""
    properties = f"#Created by Apache Maven\n\ngroupId={group}\nartifactId={artifact}\nversion={version}\n"
    return jar({f"META-INF/maven/{group}/{artifact}/pom.properties": properties})


def plugin_jar(group: str = "com.acme.tools", artifact: str = "hello-maven-plugin", prefix: str = "hello") -> bytes:
    """The jar of a plugin, version 1.0."""
    descriptor = (
        f"<plugin><name>Hello</name><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>1.0</version><goalPrefix>{prefix}</goalPrefix></plugin>"
    )
    return jar({"META-INF/maven/plugin.xml": descriptor})
