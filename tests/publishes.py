"""One publish in each format, as the request that its clients send, and where it is seen afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import NamedTuple

from tests.integration.harness import multipart
from tests.samples.cargo import make as cargo_make
from tests.samples.debian import make as debian_make
from tests.samples.go.make import module as go_module
from tests.samples.helm import make as helm_make
from tests.samples.maven.make import jar as maven_jar
from tests.samples.npm import make as npm_make
from tests.samples.nuget import make as nuget_make
from tests.samples.oci import make as oci_make
from tests.samples.pypi.make import Sample, wheel
from tests.samples.rpm import make as rpm_make

FORMATS = ("pypi", "npm", "cargo", "generic")


class Publish(NamedTuple):
    """page: the document that must tell of it. told: what that document then holds. file: where the bytes are."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    page: str
    told: bytes
    file: str
    content: bytes


def publish(format: str, key: str, name: str, version: str, mark: str = "") -> Publish:
    """A file of that version in a repository with that key. name: one that all formats take. mark: is in its bytes."""
    makers = {
        "pypi": _pypi,
        "npm": _npm,
        "nuget": _nuget,
        "cargo": _cargo,
        "debian": _debian,
        "generic": _generic,
        "go": _go,
        "helm": _helm,
        "maven": _maven,
        "oci": _oci,
        "rpm": _rpm,
    }
    return makers[format](key, name, version, mark)


def upload_form(sample: Sample, **changes: str) -> tuple[bytes, str]:
    """What twine sends: the body and its content type."""
    name, version = sample.filename.removesuffix(".tar.gz").removesuffix(".zip").split("-")[:2]
    fields = {
        ":action": "file_upload",
        "protocol_version": "1",
        "filetype": "bdist_wheel" if sample.filename.endswith(".whl") else "sdist",
        "metadata_version": "2.4",
        "name": name,
        "version": version,
        "sha256_digest": hashlib.sha256(sample.content).hexdigest(),
        **changes,
    }
    return multipart(list(fields.items()), [("content", sample.filename, sample.content)])


def _pypi(key: str, name: str, version: str, mark: str) -> Publish:
    sample = wheel(name, version, extra={"mark.txt": mark.encode()})
    body, content_type = upload_form(sample)
    page = f"/pypi/{key}/simple/{name}/"
    headers = {"content-type": content_type}
    file = page + sample.filename
    return Publish("POST", f"/pypi/{key}/", headers, body, page, sample.filename.encode(), file, sample.content)


def _npm(key: str, name: str, version: str, mark: str) -> Publish:
    data = npm_make.tarball({"index.js": f"// {version} {mark}"}, name=name, version=version)
    body = json.dumps(npm_make.document(data, name, version)).encode()
    packument = f"/npm/{key}/{name}"
    file = f"{packument}/-/{name}-{version}.tgz"
    headers = {"content-type": "application/json"}
    return Publish("PUT", packument, headers, body, packument, f'"{version}"'.encode(), file, data)


def _cargo(key: str, name: str, version: str, mark: str) -> Publish:
    body, content = cargo_make.publish(name, version, mark)
    crates = f"/cargo/{key}/api/v1/crates"
    headers = {"content-type": "application/octet-stream"}
    page = f"/cargo/{key}/{name[:2]}/{name[2:4]}/{name}"
    file = f"{crates}/{name}/{version}/download"
    return Publish("PUT", f"{crates}/new", headers, body, page, f'"vers":"{version}"'.encode(), file, content)


def _generic(key: str, name: str, version: str, mark: str) -> Publish:
    data = f"{name} {version} {mark}\n".encode() * 40
    folder = f"/generic/{key}/{name}/"
    file = f"{folder}{version}.txt"
    return Publish("PUT", file, {}, data, folder, f"{version}.txt".encode(), file, data)


def _debian(key: str, name: str, version: str, mark: str) -> Publish:
    data = debian_make.deb(name, version, mark=mark)
    file = f"/debian/{key}/pool/main/{name[0]}/{name}/{name}_{version}_amd64.deb"
    page = f"/debian/{key}/dists/stable/main/binary-amd64/Packages"
    return Publish("PUT", file, {}, data, page, f"Version: {version}\n".encode(), file, data)


def _go(key: str, name: str, version: str, mark: str) -> Publish:
    major = int(version.partition(".")[0])
    path = f"example.com/{name}" + (f"/v{major}" if major > 1 else "")
    data = go_module(path, f"v{version}", {"mark.txt": mark})
    folder = f"/go/{key}/{path}/@v"
    file = f"{folder}/v{version}.zip"
    return Publish("PUT", file, {}, data, f"{folder}/list", f"v{version}\n".encode(), file, data)


def _helm(key: str, name: str, version: str, mark: str) -> Publish:
    data = helm_make.chart(name, version, extra={"mark.txt": mark.encode()})
    file = f"/helm/{key}/charts/{name}-{version}.tgz"
    told = f"charts/{name}-{version}.tgz".encode()
    return Publish("POST", f"/helm/{key}/api/charts", {}, data, f"/helm/{key}/index.yaml", told, file, data)


def _nuget(key: str, name: str, version: str, mark: str) -> Publish:
    data = nuget_make.package(name, version, extra={"mark.txt": mark.encode()})
    page = f"/nuget/{key}/v3/flatcontainer/{name}/index.json"
    file = f"/nuget/{key}/v3/flatcontainer/{name}/{version}/{name}.{version}.nupkg"
    return Publish("PUT", f"/nuget/{key}/api/v2/package", {}, data, page, f'"{version}"'.encode(), file, data)


def _maven(key: str, name: str, version: str, mark: str) -> Publish:
    data = maven_jar({"mark.txt": mark})
    folder = f"/maven/{key}/com/acme/{name}"
    file = f"{folder}/{version}/{name}-{version}.jar"
    told = f"<version>{version}</version>".encode()
    return Publish("PUT", file, {}, data, f"{folder}/maven-metadata.xml", told, file, data)


def _oci(key: str, name: str, version: str, mark: str) -> Publish:
    data = oci_make.index(annotations={"version": version, "mark": mark})  # of nothing: no blob is pushed before it
    image = f"/v2/{key}/{name}"
    headers = {"content-type": oci_make.OCI_INDEX}
    file = f"{image}/manifests/{version}"
    return Publish("PUT", file, headers, data, f"{image}/tags/list", f'"{version}"'.encode(), file, data)


def _rpm(key: str, name: str, version: str, mark: str) -> Publish:
    data = rpm_make.rpm(name, version, mark=mark)
    file = f"/rpm/{key}/packages/{name}-{version}-1.noarch.rpm"
    told = f'ver="{version}"'.encode()
    return Publish("PUT", file, {}, data, f"/rpm/{key}/repodata/primary.xml", told, file, data)
