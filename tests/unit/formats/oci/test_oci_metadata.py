"""What manifests say, and everything that is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from application.formats.oci.metadata import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    MAX_DESCRIPTORS,
    MAX_MANIFEST_BYTES,
    OCI_ARTIFACT,
    OCI_INDEX,
    OCI_MANIFEST,
    ManifestInvalid,
    parse_manifest,
)
from tests.samples.oci import make


def changed(**changes: Any) -> bytes:
    """An image's manifest with other fields; None takes one away."""
    document = {**json.loads(make.image("x").manifest), **changes}
    return json.dumps({name: value for name, value in document.items() if value is not None}).encode()


def test_an_image_needs_its_config_and_its_layers() -> None:
    sample = make.image("x", [make.layer({"a": "1"}), make.layer({"b": "2"})])
    manifest = parse_manifest(sample.manifest, OCI_MANIFEST)
    assert [str(blob.digest) for blob in manifest.blobs] == [make.digest(blob) for blob in sample.blobs]
    assert [blob.size_bytes for blob in manifest.blobs] == [len(blob) for blob in sample.blobs]
    assert (manifest.kind, manifest.config_type, manifest.artifact_type) == ("image", make.OCI_CONFIG, make.OCI_CONFIG)


def test_a_layer_that_is_there_twice_is_one_blob() -> None:
    layer = make.layer({"a": "1"})
    assert len(parse_manifest(make.image("x", [layer, layer]).manifest).blobs) == 2


def test_an_index_lists_manifests_and_their_platforms() -> None:
    children = [make.image("a").manifest, make.image("b").manifest]
    manifest = parse_manifest(make.index(*children))
    assert [str(child.digest) for child in manifest.manifests] == [make.digest(child) for child in children]
    assert [platform.architecture for platform in manifest.platforms] == ["amd64", "arm64"]
    assert (manifest.blobs, manifest.artifact_type) == ((), "")


def test_a_referrer_names_its_subject_and_its_type() -> None:
    subject = make.image("x").manifest
    sample = make.artifact("application/x.signature", subject, annotations={"by": "ada"})
    manifest = parse_manifest(sample.manifest)
    assert str(manifest.subject) == make.digest(subject)
    assert (manifest.artifact_type, manifest.annotations) == ("application/x.signature", {"by": "ada"})


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_a_manifest_may_leave_its_type_to_the_header(media_type: str) -> None:
    assert parse_manifest(changed(mediaType=None), f"{media_type}; charset=utf-8").media_type == media_type


def test_the_former_artifact_manifest_is_taken() -> None:
    document = {"mediaType": OCI_ARTIFACT, "artifactType": "application/x", "blobs": [make.descriptor(b"1", "a/b")]}
    manifest = parse_manifest(json.dumps(document).encode())
    assert (manifest.kind, len(manifest.blobs)) == ("artifact", 1)


@pytest.mark.parametrize(
    "more",
    [
        {"urls": ["https://example.org/layer"]},
        {"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"},
        {"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"},
        {"data": "e30="},
    ],
)
def test_what_is_elsewhere_need_not_be_here(more: dict[str, Any]) -> None:
    descriptor = {**make.descriptor(b"{}", make.OCI_LAYER), **more}
    assert [blob.needed for blob in parse_manifest(changed(layers=[descriptor])).blobs] == [True, False]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"\xff",
        b"[" * 100_000,
        changed(schemaVersion=1),
        changed(schemaVersion=None),
        changed(schemaVersion="2"),
        changed(config=None),
        changed(layers=None),
        changed(layers={}),
        changed(manifests=[]),
        changed(mediaType=OCI_INDEX),
        changed(mediaType="application/vnd.docker.distribution.manifest.v1+prettyjws"),
        changed(mediaType="text/html"),
        changed(layers=[{**make.descriptor(b"1", "a/b"), "digest": "md5:00"}]),
        changed(layers=[{**make.descriptor(b"1", "a/b"), "size": -1}]),
        changed(layers=[{**make.descriptor(b"1", "a/b"), "size": 1.5}]),
        changed(layers=[make.descriptor(b"1", "a/b"), {**make.descriptor(b"1", "a/b"), "size": 2}]),
        changed(layers=[make.descriptor(b"1", "a/b")] * (MAX_DESCRIPTORS + 1)),
        changed(subject={**make.descriptor(b"1", "a/b"), "digest": "sha256:../../etc"}),
        changed(annotations={"a": 1}),
        json.dumps({**json.loads(make.index()), "layers": []}).encode(),
        json.dumps({**json.loads(make.index()), "config": make.descriptor(b"1", "a/b")}).encode(),
        b" " * (MAX_MANIFEST_BYTES + 1),
    ],
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        parse_manifest(data)


def test_the_type_in_the_header_is_the_one_inside() -> None:
    with pytest.raises(ManifestInvalid, match="Content-Type"):
        parse_manifest(make.image("x").manifest, DOCKER_LIST)
    with pytest.raises(ManifestInvalid):
        parse_manifest(changed(mediaType=None))
    with pytest.raises(ManifestInvalid):
        parse_manifest(changed(mediaType=None), "application/json")
