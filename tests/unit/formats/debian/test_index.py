"""Documents, from values alone."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from application.formats.debian import contents
from application.formats.debian.contents import ContentsIndex, pack_paths, paths_to_text, text_to_paths, unpack_paths
from application.formats.debian.index import (
    Identity,
    Indexes,
    IndexFile,
    dearmored,
    render_component_release,
    render_release,
    render_sources_list,
)

MADE_AT = datetime(2026, 3, 7, 10, 0, 5, 600, UTC)
INDEXES = Indexes(("main",), ("all", "amd64"), 1, {"main/binary-amd64/Packages": IndexFile(0, "d4", "e3")})


def test_release_tells_of_the_suite_and_its_indexes() -> None:
    assert render_release("stable", INDEXES, Identity(version="12.1", description="Ours"), MADE_AT).decode() == (
        "Origin: Artifact Keeper\nLabel: Artifact Keeper\nSuite: stable\nVersion: 12.1\nCodename: stable\n"
        "Date: Sat, 07 Mar 2026 10:00:05 UTC\nAcquire-By-Hash: yes\nArchitectures: all amd64\nComponents: main\n"
        "Description: Ours\nMD5Sum:\n d4          0 main/binary-amd64/Packages\n"
        "SHA256:\n e3          0 main/binary-amd64/Packages\n"
    )


def test_what_an_administrator_writes_stays_in_its_field() -> None:
    evil = Identity(origin="a\nSuite: evil", label="b\r\n\r\nSHA256:", description="c\n d")
    told = render_release("stable", INDEXES, evil, MADE_AT).decode()
    assert "Origin: a Suite: evil\nLabel: b SHA256:\nSuite: stable\n" in told
    assert "Description: c d\n" in told
    stub = render_component_release("stable", "main", "amd64", evil).decode()
    assert stub.count("\n") == len(stub.splitlines()) == 6


def test_a_sources_list_may_have_the_key_in_it() -> None:
    armored = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAEC\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n"
    told = render_sources_list("http://x/debian/apt", "stable", ["main"], armored).decode()
    assert told.startswith("Types: deb deb-src\nURIs: http://x/debian/apt/\nSuites: stable\nComponents: main\n")
    assert "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n AAEC\n" in told
    assert dearmored(armored + armored) == b"\x00\x01\x02" * 2
    assert "Signed-By" not in render_sources_list("http://x", "stable", ["main"], b"").decode()


def test_paths_are_kept_small_and_whole() -> None:
    paths = [b"a", b"with space", b"\xff"]
    assert unpack_paths(pack_paths(paths)) == text_to_paths(paths_to_text(pack_paths(paths))) == paths
    assert unpack_paths(b"junk") == text_to_paths("junk!") == text_to_paths("AAAA") == []


def test_contents_beyond_memory_are_merged_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_RUN_LINES", 3)
    with ExitStack() as open_files:
        index = ContentsIndex(open_files)
        for number in range(5):
            index.add([b"shared", b"own%d" % number], b"misc/p%d" % number)
        lines = list(index.lines())
    assert [line.split()[0] for line in lines] == [b"own0", b"own1", b"own2", b"own3", b"own4", b"shared"]
    assert lines[-1].split()[1] == b"misc/p0,misc/p1,misc/p2,misc/p3,misc/p4"
