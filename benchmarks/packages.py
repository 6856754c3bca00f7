"""Packages of a wanted size, and the requests that publish them, the same for every registry that is measured."""

from __future__ import annotations

import hashlib
import json
import os
from base64 import b64encode
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.http_load import Request
from tests.samples.npm.make import document, tarball
from tests.samples.pypi.make import Sample, escaped, pack_zip, wheel_files

SMALL = 20 << 10
LARGE = 100 << 20
_BOUNDARY = "----------------benchmark8d1f4c20"


class Credential(NamedTuple):
    user: str
    password: str

    @property
    def header(self) -> dict[str, str]:
        return {"authorization": "Basic " + b64encode(f"{self.user}:{self.password}".encode()).decode()}


def wheel(name: str, version: str, size_bytes: int) -> Sample:
    """A valid wheel of about that size, of bytes that cannot be compressed."""
    files = wheel_files(name, version, extra={"data.bin": os.urandom(max(1, size_bytes - 1_400))})
    return Sample(f"{escaped(name)}-{version}-py3-none-any.whl", pack_zip(files, stored=True))


def python_upload(path: str, made: Sample, credential: Credential) -> Request:
    """What twine sends."""
    name, version = made.filename.split("-")[:2]
    fields = {
        ":action": "file_upload", "protocol_version": "1", "filetype": "bdist_wheel", "pyversion": "py3",
        "metadata_version": "2.4", "name": name, "version": version, "summary": f"The {name} sample",
        "sha256_digest": hashlib.sha256(made.content).hexdigest(),
    }  # fmt: skip
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in fields.items()
    ]
    head = "".join(parts) + (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="content"; filename="{made.filename}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = b"".join((head.encode(), made.content, f"\r\n--{_BOUNDARY}--\r\n".encode()))
    headers = {"content-type": f"multipart/form-data; boundary={_BOUNDARY}", **credential.header}
    return Request("POST", path, headers, body)


def npm_tarball(name: str, version: str, size_bytes: int) -> bytes:
    """A package of about that size, as npm packs it."""
    return tarball({"data.bin": os.urandom(max(1, size_bytes - 800))}, name=name, version=version)


def npm_publish(path: str, name: str, version: str, content: bytes, headers: Mapping[str, str]) -> Request:
    """What `npm publish` sends."""
    body = json.dumps(document(content, name, version)).encode()
    return Request("PUT", f"{path}/{name}", {"content-type": "application/json", **headers}, body)
