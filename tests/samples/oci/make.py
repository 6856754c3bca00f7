"""Small images, as documents and bytes: a config, layers that are tars, manifests and indexes over them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from typing import Any, NamedTuple

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

EMPTY = b"{}"


class Image(NamedTuple):
    """What is pushed: the blobs, then the manifest."""

    blobs: tuple[bytes, ...]
    manifest: bytes

    @property
    def digest(self) -> str:
        return digest(self.manifest)


def digest(data: bytes, algorithm: str = "sha256") -> str:
    """The digest of these bytes, as text."""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def descriptor(data: bytes, media_type: str, algorithm: str = "sha256", **more: Any) -> dict[str, Any]:
    """What a manifest says of these bytes."""
    return {"mediaType": media_type, "digest": digest(data, algorithm), "size": len(data), **more}


def layer(files: dict[str, str]) -> bytes:
    """A compressed tar with these files, the same bytes every time."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(packed.getvalue(), mtime=0)


def image(mark: str = "", layers: Sequence[bytes] = (), algorithm: str = "sha256", **more: Any) -> Image:
    """An image for one platform. mark: is in its bytes. more: of the manifest."""
    contents = tuple(layers) or (layer({"mark.txt": mark}),)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"mark": mark}},
            "rootfs": {"type": "layers", "diff_ids": [digest(gzip.decompress(content)) for content in contents]},
        }
    ).encode()
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(config, OCI_CONFIG, algorithm),
        "layers": [descriptor(content, OCI_LAYER, algorithm) for content in contents],
        **more,
    }
    return Image((config, *contents), json.dumps(document).encode())


def artifact(artifact_type: str, subject: bytes | None = None, text: str = "", **more: Any) -> Image:
    """Something that is no image, such as a signature; of a subject, which is a manifest."""
    content = text.encode() or b"nothing"
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": descriptor(EMPTY, OCI_EMPTY),
        "layers": [descriptor(content, "application/octet-stream")],
        **({"subject": descriptor(subject, OCI_MANIFEST)} if subject is not None else {}),
        **more,
    }
    return Image((EMPTY, content), json.dumps(document).encode())


def index(*manifests: bytes, media_type: str = OCI_INDEX, **more: Any) -> bytes:
    """An index over manifests for several platforms."""
    platforms = ("amd64", "arm64", "s390x")
    children = [
        descriptor(manifest, OCI_MANIFEST, platform={"os": "linux", "architecture": platforms[number % 3]})
        for number, manifest in enumerate(manifests)
    ]
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": children, **more}
    return json.dumps(document).encode()
