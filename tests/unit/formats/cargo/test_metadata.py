"""Publish requests read and agreed with the crate they carry; everything about them that may be wrong."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest

from application.formats.cargo import archive
from application.formats.cargo.archive import CrateMalformed
from application.formats.cargo.dependencies import DependencyInvalid
from application.formats.cargo.manifest import Manifest, ManifestMalformed, parse_manifest
from application.formats.cargo.metadata import (
    ManifestMismatch,
    RegistryUnnamed,
    read_alone,
    read_crate,
    registry_address,
)
from application.formats.cargo.names import NameInvalid, VersionInvalid
from application.formats.cargo.requirements import RequirementInvalid
from application.formats.cargo.upload import MAX_JSON_BYTES, UploadMalformed, parse_announced, read_upload
from domain.errors import TooLarge
from tests.samples.cargo.make import PUBLIC, Entry, announced, crate, dependency, manifest, pack, upload

OURS = "sparse+http://registry.example/cargo/libs/"

TABLES = """
[features]
default = ["std"]
std = []
extra = ["dep:opt", "ren?/b"]

[dependencies.opt]
version = "=0.3"
registry-index = "sparse+http://registry.example/cargo/libs/"
optional = true

[dependencies.ren]
version = "1.2, <1.9"
features = ["b", "a"]
default-features = false
package = "real-name"

[build-dependencies]
cc = "1"

[target.'cfg(all(unix,target_os="linux"))'.dependencies.lin]
version = ">= 1, < 3"

[target.x86_64-unknown-linux-gnu.dev-dependencies.dev]
version = "*"
"""
DEPENDENCIES = [
    dependency("opt", "=0.3", optional=True, registry=None),
    dependency(
        "real-name",
        "^1.2, <1.9",
        features=["a", "b"],
        default_features=False,
        explicit_name_in_toml="ren",
    ),
    dependency("cc", "^1", kind="build"),
    dependency("lin", ">=1, <3", target='cfg(all(unix, target_os = "linux"))'),
    dependency("dev", "*", kind="dev", target="x86_64-unknown-linux-gnu", registry=OURS),
]
FEATURES = {"default": ["std"], "std": [], "extra": ["dep:opt", "ren?/b"]}


def read(document: dict[str, Any], content: bytes) -> Manifest:
    said = parse_announced(document_of(upload(document, content)))
    return read_crate(io.BytesIO(content), said, {registry_address(OURS)})


def document_of(body: bytes) -> bytes:
    return read_upload(io.BytesIO(body), len(body), lambda _: None)


def refused(content: bytes, match: str, **document: Any) -> None:
    with pytest.raises((CrateMalformed, ManifestMismatch, ManifestMalformed), match=match):
        read(announced(**document), content)


# what agrees


def test_a_crate_with_every_kind_of_dependency_is_read() -> None:
    package: dict[str, Any] = {
        "links": "z",
        "rust_version": "1.70",
        "keywords": ["a"],
        "homepage": "https://example.org",
    }
    found = read(
        announced(deps=DEPENDENCIES, features=FEATURES, links="z"),
        crate(toml=manifest(tables=TABLES, **package)),
    )
    assert (found.name, found.version, found.links, found.rust_version) == ("demo", "1.0.0", "z", "1.70")
    assert (found.description, found.keywords, found.homepage) == ("The demo sample", ("a",), "https://example.org")
    assert found.features == {name: tuple(values) for name, values in FEATURES.items()}
    opt, ren, cc, lin, dev = found.dependencies
    assert (opt.name, opt.req, opt.optional, opt.registry) == ("opt", "=0.3", True, None)
    assert (ren.name, ren.package, ren.default_features, ren.registry) == ("ren", "real-name", False, PUBLIC)
    assert (cc.kind, cc.req) == ("build", "^1")
    assert (lin.target, lin.req) == ('cfg(all(unix, target_os = "linux"))', ">=1, <3")
    assert (dev.kind, dev.registry) == ("dev", None), "our own address stands for this registry, in whatever spelling"


def test_underscores_of_old_manifests_are_read() -> None:
    tables = '[dev_dependencies]\na = "1"\n[build_dependencies.b]\nversion = "1"\ndefault_features = false\n'
    document = announced(deps=[dependency("a", kind="dev"), dependency("b", kind="build", default_features=False)])
    assert len(read(document, crate(toml=manifest(tables=tables))).dependencies) == 2
    project = manifest().replace(b"[package]", b"[project]")
    assert read(announced(), crate(toml=project)).name == "demo"


def test_a_path_longer_than_a_header_holds_is_read() -> None:
    extra = {f"src/{'deep/' * 40}mod.rs": b"//"}
    assert read(announced(), crate(extra=extra)).name == "demo"


def test_a_crate_alone_says_what_it_is_and_whence_its_dependencies_come() -> None:
    tables = f'[dependencies]\nopt = {{ version = "1", registry-index = "{OURS}" }}\n'
    found = read_alone(io.BytesIO(crate("Demo", "1.0.0+x", toml=manifest("Demo", "1.0.0+x", tables=tables))))
    assert (found.name, found.version) == ("Demo", "1.0.0+x")
    assert {one.name: one.registry for one in found.dependencies} == {"opt": OURS}


def test_a_crate_alone_cannot_say_which_registry_is_the_one_that_cargo_takes_by_default() -> None:
    with pytest.raises(RegistryUnnamed, match="'ren'"):
        read_alone(io.BytesIO(crate(toml=manifest(tables=TABLES))))


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "cut short"),
        (pack([]), "no /Cargo.toml"),
        (pack([("Cargo.toml", manifest())]), "is not inside the folder"),
        (pack([("other/Cargo.toml", manifest())]), "its folder is 'other', Cargo.toml says demo 1.0.0"),
        (pack([("demo-1.0.0/Cargo.toml", manifest()), ("x/y", b"")]), "is not inside the folder 'demo-1.0.0'"),
        (pack([("../Cargo.toml", manifest())]), "its folder is '..'"),
    ],
)
def test_a_crate_alone_is_read_as_strictly(content: bytes, match: str) -> None:
    with pytest.raises(CrateMalformed, match=match):
        read_alone(io.BytesIO(content))


@pytest.mark.parametrize("name", ["a", "_a", "7zip", "a-b_c+d.e", "\u00e9t\u00e9", "c++20"])
def test_features_have_the_names_that_cargo_lets_them_have(name: str) -> None:
    said = parse_announced(document_of(upload(announced(features={name: [f"dep:{name}", f"a?/{name}"]}), b"")))
    assert list(said.features) == [name]


# the frame


def test_the_crate_comes_out_of_the_frame_as_it_went_in() -> None:
    body, pieces = upload(announced(), b"crate" * 100_000), list[bytes]()
    read_upload(io.BytesIO(body), len(body), pieces.append)
    assert b"".join(pieces) == b"crate" * 100_000


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (b"", "before a length"),
        (b"\x01\x00", "before a length"),
        (b"\x09\x00\x00\x00{}", "inside the metadata"),
        (b"\x02\x00\x00\x00{}", "before a length"),
        (upload(b"{}", b"crate")[:-1], "announces a crate of 5 bytes, and 4 follow"),
        (upload(b"{}", b"crate") + b"!", "announces a crate of 5 bytes, and 6 follow"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(body: bytes, match: str) -> None:
    with pytest.raises(UploadMalformed, match=match):
        document_of(body)


def test_metadata_that_would_fill_the_memory_is_refused_unread() -> None:
    with pytest.raises(TooLarge):
        document_of((MAX_JSON_BYTES + 1).to_bytes(4, "little"))


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"name":1,"vers":"1.0.0"}', b"\xff", b"[" * 100_000])
def test_metadata_that_is_none_is_refused(document: bytes) -> None:
    with pytest.raises(UploadMalformed, match="metadata"):
        parse_announced(document)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"name": "std"}, NameInvalid),
        ({"vers": "1"}, VersionInvalid),
        ({"deps": [dependency("a", "one")]}, RequirementInvalid),
        ({"deps": [dependency("a b")]}, DependencyInvalid),
        ({"deps": [dependency("a", registry="nowhere")]}, DependencyInvalid),
        ({"deps": [dependency("a", registry="https://x/\ny")]}, DependencyInvalid),
        ({"deps": [dependency("a", target="cfg(\n)")]}, DependencyInvalid),
        ({"deps": [dependency("a", features=["a b"])]}, DependencyInvalid),
        ({"features": {"a b": []}}, DependencyInvalid),
        ({"features": {"a": ["b/c/"]}}, DependencyInvalid),
        ({"features": {"": []}}, DependencyInvalid),
        ({"features": {"+a": []}}, DependencyInvalid),
        ({"features": {"a\u00b2": []}}, DependencyInvalid),
        ({"deps": [dependency("a", kind="other")]}, UploadMalformed),
    ],
)
def test_what_no_index_can_tell_is_refused(fields: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_announced(document_of(upload({**announced(), **fields}, b"")))


# what does not agree


def test_a_crate_of_another_name_or_version_is_refused() -> None:
    refused(crate("other"), "not inside the folder 'demo-1.0.0'")
    refused(crate(toml=manifest("other")), "name: the request says demo, Cargo.toml in the crate says other")
    refused(crate(toml=manifest(version="2.0.0")), "version: the request says 1.0.0")
    refused(crate(toml=manifest(links="z")), "links: the request says nothing, Cargo.toml in the crate says z")


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ([], "says nothing, Cargo.toml in the crate says a \\^1"),
        ([dependency("a", "^2")], "normal dependency 'a': the request says a \\^2"),
        ([dependency("a", kind="dev")], "dev dependency 'a'"),
        ([dependency("a", optional=True)], "optional"),
        ([dependency("a", default_features=False)], "without default features"),
        ([dependency("a", features=["x"])], "the request says a \\^1, x"),
        ([dependency("a", target="cfg(unix)")], "says nothing"),
        ([dependency("b", explicit_name_in_toml="a")], "the request says b \\^1, Cargo.toml in the crate says a"),
        ([dependency("a"), dependency("a")], "it twice"),
        ([dependency("a"), dependency("b")], "dependency 'b'"),
        (
            [dependency("a", registry=None)],
            "it is in this registry, Cargo.toml in the crate says it is in the one that",
        ),
    ],
)
def test_dependencies_that_differ_are_refused(said: list[dict[str, Any]], match: str) -> None:
    refused(crate(toml=manifest(tables='[dependencies]\na = "1"\n')), match, deps=said)


def test_features_that_differ_are_refused() -> None:
    content = crate(toml=manifest(tables='[features]\na = ["b"]\nb = []\n'))
    refused(content, "feature 'a': the request says nothing", features={})
    refused(content, "feature 'a': the request says \\[\\]", features={"a": [], "b": []})


# archives


def entries(*more: Entry, toml: str = "demo-1.0.0/Cargo.toml") -> bytes:
    return pack([(toml, manifest()), *more])


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "cut short"),
        (b"not gzip", "not a gzip file"),
        (pack([]), "no demo-1.0.0/Cargo.toml"),
        (entries(toml="demo-1.0.0/cargo.toml"), "'cargo.toml' where only one 'Cargo.toml' may be"),
        (entries(("demo-1.0.0/Cargo.toml", manifest("evil"))), "where only one"),
        (entries(("demo-1.0.0/CARGO.TOML", b"")), "where only one"),
        (entries(("other/x", b"")), "is not inside the folder"),
        (entries(("demo-1.0.0x", b"")), "is not inside the folder"),
        (entries(("demo-1.0.0/../x", b"")), "not a plain relative path"),
        (entries(("demo-1.0.0//x", b"")), "not a plain relative path"),
        (entries(("demo-1.0.0/a\\b", b"")), "backslash"),
        (entries(("demo-1.0.0/a\nb", b"")), "control character"),
        (entries(("/demo-1.0.0/x", b"")), "is not inside the folder"),
        (entries(special("demo-1.0.0/x", tarfile.SYMTYPE, "/etc/passwd")), "neither a file nor a folder"),
        (entries(special("demo-1.0.0/x", tarfile.LNKTYPE, "demo-1.0.0/Cargo.toml")), "neither a file nor a folder"),
        (entries(special("demo-1.0.0/x", tarfile.CHRTYPE)), "neither a file nor a folder"),
        (entries() + b"!", "data follow the end of the gzip stream"),
        (entries() + entries(), "data follow the end of the gzip stream"),
        (crate(toml=b" " * (1 << 20) + b"\n"), "at most 524288 are read"),
        (crate()[:-20], "cut short|too early"),
    ],
)
def test_archives_with_two_readings_are_refused(content: bytes, match: str) -> None:
    refused(content, match)


def test_extended_headers_that_cargo_never_writes_are_refused() -> None:
    long = f"demo-1.0.0/{'a' * 200}"
    refused(pack([("demo-1.0.0/Cargo.toml", manifest()), (long, b"")], format=tarfile.PAX_FORMAT), "neither a file")


def test_a_crate_that_cargo_would_not_unpack_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = crate(extra={"zeros": bytes(2 << 20)})
    assert read(announced(), content).name == "demo"
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 1 << 20)
    refused(content, "unpacks to more than 1048576 bytes")


# manifests


@pytest.mark.parametrize(
    ("toml", "match"),
    [
        (b"", "no \\[package\\]"),
        (b"\xff", "not UTF-8"),
        (b"[package", "Expected"),
        (b"package = 1", "Expected `object"),
        (manifest(links="a b"), "not the name of a library"),
        (manifest(rust_version="nightly"), "not a version of Rust"),
        (manifest(tables='[dependencies]\na = ["1"]'), "Expected"),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b"a = " + b"9" * 10_000, "digits"),
        (b"[" + b"a." * 100_000 + b"a]\n", "nested too deeply"),
        (b"a." * 100_000 + b"a = 1\n", "nested too deeply"),
        (b'"a" . ' * 100_000 + b"a = 1\n", "nested too deeply"),
    ],
)
def test_manifests_that_cannot_be_trusted_are_refused(toml: bytes, match: str) -> None:
    with pytest.raises(ManifestMalformed, match=match):
        parse_manifest(toml)


def test_texts_come_out_on_one_line_and_safe_for_a_terminal() -> None:
    toml = manifest(description="says\n\n  \x1b[31mhello\x00\u202e " + "x" * 5000)
    assert parse_manifest(toml).description.startswith("says [31mhello xxx")
    assert len(parse_manifest(toml).description) == 2048
