from __future__ import annotations

import io
import json
from typing import Any

import pytest

from application.formats.npm.document import read_document
from application.formats.npm.json_stream import JsonMalformed
from application.formats.npm.metadata import ManifestMismatch, Release, agree, read_tarball
from application.formats.npm.names import TagInvalid
from application.formats.npm.provenance import BundleMalformed
from domain.errors import DigestMismatch, Invalid
from tests.samples.npm import make

GYP = {"binding.gyp": "{}", "index.js": ""}


def publish(data: bytes, document: dict[str, Any] | None = None) -> Release:
    sink = io.BytesIO()
    body = json.dumps(document or make.document(data)).encode()
    return agree(read_document(io.BytesIO(body), sink), read_tarball(io.BytesIO(data)), make.digests(sink.getvalue()))


def manifest(data: bytes) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(publish(data).manifest)
    return result


def test_a_publish_is_the_tarballs_own_metadata_with_the_digests_of_its_bytes() -> None:
    data = make.tarball()
    release = publish(data)
    assert (release.name, release.version, release.tarball) == ("ak-hello", "1.0.0", "ak-hello-1.0.0.tgz")
    assert release.integrity == make.integrity(data)
    assert release.sha1 == make.digests(data)["sha1"]
    assert release.size_bytes == len(data)
    assert (release.file_count, release.tags, release.deprecated) == (4, ("latest",), "")
    assert release.unpacked_bytes == len(make.package_json()) + sum(len(text) for text in make.FILES.values())
    assert (release.description, release.keywords, release.license) == ("says hello", ("hello", "sample"), "MIT")
    assert (release.readme, release.readme_file) == (make.README, "README.md")
    assert json.loads(release.manifest) == {
        **make.PACKAGE,
        "_id": "ak-hello@1.0.0",
        "_nodeVersion": "20.20.2",
        "_npmVersion": "11.19.1",
        "_hasShrinkwrap": False,
        "bin": {"ak-hello": "cli.js"},
        "author": {"name": "Ada Lovelace", "email": "ada@example.org", "url": "https://example.org/ada"},
        "repository": {"type": "git", "url": "git+https://github.com/example/hello.git"},
    }
    assert json.loads(release.abbreviated) == {
        "name": "ak-hello",
        "version": "1.0.0",
        "bin": {"ak-hello": "cli.js"},
        "engines": {"node": ">=18"},
    }


def test_what_the_document_claims_about_an_install_is_never_served() -> None:
    data = make.tarball(scripts={"postinstall": "node steal.js"}, dependencies={"evil": "1.0.0"})
    document = make.document(data, scripts={}, dependencies={"good": "1.0.0"}, bin={"npm": "x"}, hasInstallScript=False)
    release = publish(data, document)
    served = json.loads(release.manifest)
    assert served["scripts"] == {"postinstall": "node steal.js"}
    assert served["dependencies"] == {"evil": "1.0.0"}
    assert served["bin"] == {"ak-hello": "cli.js"}
    assert release.has_install_script
    assert json.loads(release.abbreviated)["hasInstallScript"] is True


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"_id": "other"},
        {"name": None, "_id": None},
        {"versions": {"1.0.1": make.document(b"")["versions"]["1.0.0"]}, "dist-tags": {}},
        {"versions": {"1.0.0": {"name": "other", "version": "1.0.0"}}},
        {"versions": {"1.0.0": {"name": "ak-hello", "version": "1.0.1"}}},
        {"dist-tags": {"latest": "1.0.1"}},
    ],
)
def test_a_document_about_another_release_is_refused(change: dict[str, Any]) -> None:
    data = make.tarball()
    with pytest.raises(ManifestMismatch):
        publish(data, {**make.document(data), **change})


@pytest.mark.parametrize("fields", [{"name": "other"}, {"version": "1.0.1"}, {"version": "1.0.0-rc.1"}])
def test_a_tarball_of_another_release_is_refused(fields: dict[str, Any]) -> None:
    data = make.tarball(**fields)
    with pytest.raises(ManifestMismatch, match=r"package\.json says"):
        publish(data)


def test_an_attachment_under_another_file_name_is_refused() -> None:
    data = make.tarball()
    document = make.document(data)
    document["_attachments"] = {"ak-hello-1.0.1.tgz": document["_attachments"]["ak-hello-1.0.0.tgz"]}
    with pytest.raises(ManifestMismatch, match="file name"):
        publish(data, document)


@pytest.mark.parametrize(
    "dist",
    [
        {"shasum": "0" * 40},
        {"shasum": "nonsense"},
        {"integrity": make.integrity(b"other")},
        {"integrity": "sha512-nonsense"},
        {"integrity": f"{make.integrity(make.tarball())} {make.integrity(b'other', 'sha1')}"},
    ],
)
def test_bytes_other_than_announced_are_refused(dist: dict[str, str]) -> None:
    data = make.tarball()
    with pytest.raises(DigestMismatch):
        publish(data, make.document(data, dist=dist))


@pytest.mark.parametrize(
    "dist",
    [
        {},
        {"shasum": make.digests(make.tarball())["sha1"].upper()},
        {"integrity": f"{make.integrity(b'other')} {make.integrity(make.tarball())}"},
        {"integrity": f"{make.integrity(make.tarball(), 'sha1')} sha384-unknown md5-x"},
        {"integrity": make.integrity(make.tarball()) + "?option"},
    ],
)
def test_digests_are_compared_as_subresource_integrity_says(dist: dict[str, str]) -> None:
    data = make.tarball()
    assert publish(data, make.document(data, dist=dist)).size_bytes == len(data)


def test_a_publish_carries_one_version_and_one_tarball() -> None:
    data = make.tarball()
    document = make.document(data)
    with pytest.raises(JsonMalformed):
        publish(data, {**document, "versions": {}})
    with pytest.raises(JsonMalformed):
        publish(data, {**document, "versions": {**document["versions"], "2.0.0": {}}, "dist-tags": {}})
    with pytest.raises(JsonMalformed):
        publish(data, {**document, "_attachments": {}})


def test_build_metadata_does_not_make_another_version() -> None:
    data = make.tarball(version="v1.0.0+build.7")
    release = publish(data, make.document(data))
    assert release.version == "1.0.0"
    assert json.loads(release.manifest)["version"] == "1.0.0"


def test_a_scoped_package_is_published_under_its_whole_name() -> None:
    data = make.tarball(name="@acme/hello")
    release = publish(data, make.document(data, "@acme/hello"))
    assert (release.name, release.tarball) == ("@acme/hello", "hello-1.0.0.tgz")
    assert json.loads(release.manifest)["bin"] == {"hello": "cli.js"}


def test_a_tag_that_looks_like_a_range_is_refused() -> None:
    data = make.tarball()
    with pytest.raises(TagInvalid):
        publish(data, make.document(data, tag="1.x"))


def test_a_release_can_arrive_deprecated_by_its_package_json_only() -> None:
    data = make.tarball(deprecated="use another")
    release = publish(data)
    assert release.deprecated == "use another"
    assert "deprecated" not in json.loads(release.manifest)
    data = make.tarball()
    assert publish(data, make.document(data, deprecated="not me")).deprecated == ""


def test_provenance_about_these_bytes_is_kept() -> None:
    data = make.tarball()
    document = make.document(data)
    document["_attachments"]["ak-hello-1.0.0.sigstore"] = {"data": make.bundle(data)}
    provenance = publish(data, document).provenance
    assert provenance is not None
    assert provenance.predicate_type == "https://slsa.dev/provenance/v1"
    assert json.loads(provenance.bundle) == json.loads(make.bundle(data))


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", make.bundle(b"other"), '{"mediaType":"x","dsseEnvelope":{"payload":"?"}}', "{} {}", "\ud83d"],
)
def test_provenance_about_anything_else_is_refused(text: str) -> None:
    data = make.tarball()
    document = make.document(data)
    document["_attachments"]["ak-hello-1.0.0.sigstore"] = {"data": text}
    with pytest.raises(Invalid):
        publish(data, document)


def test_provenance_under_another_file_name_is_refused() -> None:
    data = make.tarball()
    document = make.document(data)
    document["_attachments"]["ak-hello-2.0.0.sigstore"] = {"data": make.bundle(data)}
    with pytest.raises(ManifestMismatch):
        publish(data, document)
    document["_attachments"]["ak-hello-1.0.0.sigstore"] = {"data": make.bundle(b"")}
    with pytest.raises(JsonMalformed):
        publish(data, document)


def test_provenance_nested_without_end_is_refused() -> None:
    data = make.tarball()
    document = make.document(data)
    document["_attachments"]["ak-hello-1.0.0.sigstore"] = {"data": '{"mediaType":' + "[" * 100_000}
    with pytest.raises(BundleMalformed):
        publish(data, document)


def test_a_native_addon_has_an_install_script_although_it_names_none() -> None:
    served = manifest(make.tarball({**GYP}))
    assert served["scripts"]["install"] == "node-gyp rebuild"
    assert served["gypfile"] is True
    assert served["hasInstallScript"] is True
    assert "hasInstallScript" not in manifest(make.tarball({**GYP}, gypfile=False))
    assert manifest(make.tarball({**GYP}, scripts={"preinstall": "true"}))["scripts"] == {"preinstall": "true"}
    assert "hasInstallScript" not in manifest(make.tarball({"lib/binding.gyp": ""}))


def test_a_shrinkwrap_at_the_top_is_announced() -> None:
    data = make.tarball({"npm-shrinkwrap.json": "{}"})
    assert json.loads(publish(data).abbreviated)["_hasShrinkwrap"] is True
    assert manifest(make.tarball({"lib/npm-shrinkwrap.json": "{}"}))["_hasShrinkwrap"] is False


def test_the_readme_is_bounded_and_markdown_is_preferred() -> None:
    tarball = read_tarball(
        io.BytesIO(make.tarball({"README": "plain", "readme.markdown": "m" * 100_000, "README.txt": "text"}))
    )
    assert tarball.readme_file == "readme.markdown"
    assert tarball.readme == "m" * 65536
    tarball = read_tarball(io.BytesIO(make.tarball({"readmes.js": "no", "docs/README.md": "no"})))
    assert (tarball.readme, tarball.readme_file) == ("", "")


def test_a_package_json_with_a_byte_order_mark_is_read() -> None:
    data = make.gz(make.tar(make.member("package/package.json", b"\xef\xbb\xbf" + make.package_json())))
    assert read_tarball(io.BytesIO(data)).name == "ak-hello"
