from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable

import pytest

from application.archives.tarballs import TarballLimits, TarballMalformed, read_entries
from application.formats.npm.metadata import read_tarball
from domain.errors import Invalid
from tests.samples.npm import make

CLIENTS = ["npm", "pnpm", "yarn", "bun", "gnutar"]


def paths(data: bytes, limits: TarballLimits | None = None) -> list[str]:
    return ["/".join(entry.path) for entry in read_entries(io.BytesIO(data), limits or TarballLimits())]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_package_packed_by_a_real_client_is_read(client: str) -> None:
    with (make.HERE / f"ak-hello-1.0.0.{client}.tgz").open("rb") as file:
        tarball = read_tarball(file)
    assert (tarball.name, tarball.version, tarball.file_count) == ("ak-hello", "1.0.0", 5)
    assert tarball.readme == make.README


@pytest.mark.parametrize("client", CLIENTS)
def test_a_long_path_outside_ascii_is_read_whole(client: str) -> None:
    deep = next(path for path in paths((make.HERE / f"ak-hello-1.0.0.{client}.tgz").read_bytes()) if "lib" in path)
    assert deep.endswith("/größe.js")
    assert len(deep) > 150


@pytest.mark.parametrize("attack", make.ATTACKS)
def test_an_archive_that_clients_could_read_differently_is_refused(attack: str) -> None:
    with pytest.raises(Invalid):
        read_tarball(io.BytesIO(make.ATTACKS[attack]()))


HARMLESS: dict[str, Callable[[], bytes]] = {
    "npm's own": make.tarball,
    "any first directory": lambda: make.tarball(top="ak-hello-abc123"),
    "a dot as first directory": lambda: make.tarball(top="."),
    "several gzip members": lambda: make.gz(make.tar(make._GOOD, end=b"")) + make.gz(make.END),
    "zeros after the gzip stream": lambda: make.tarball() + bytes(5000),
    "no end mark": lambda: make.gz(make.tar(make._GOOD, end=b"")),
    "one empty block as end mark": lambda: make.gz(make.tar(make._GOOD, end=bytes(512))),
    "padding to twenty blocks": lambda: make.gz(make.tar(make._GOOD, end=bytes(10240))),
    "a global comment as git archive writes it": lambda: make.gz(make.tar(make.pax({"comment": "abc"}, b"g"), make._GOOD)),
    "a size in pax that says the same": lambda: make.gz(
        make.tar(make.pax({"path": "package/package.json", "size": str(len(make._JSON)), "mtime": "499162500"}), make.member("x", make._JSON))
    ),
    "a long name": lambda: make.gz(make.tar(make.member("././@LongLink", b"package/" + b"d/" * 90 + b"x\x00", kind=b"L", magic=b"ustar  \x00"), make.member("x"), make._GOOD)),
    "a ustar prefix": lambda: make.gz(make.tar(make.member("package.json", make._JSON, prefix=b"package"))),
    "the oldest tar": lambda: make.gz(make.tar(make.header("package/", kind=b"\x00", magic=bytes(8)), make.member("package/package.json", make._JSON, kind=b"\x00", magic=bytes(8)))),
    "a package.json further down": lambda: make.gz(make.tar(make._GOOD, make.member("package/lib/package.json", b"{}"))),
    "a file beside the first directory": lambda: make.gz(make.tar(make._GOOD, make.member("notes.txt", b"x"))),
}  # fmt: skip


@pytest.mark.parametrize("archive", HARMLESS)
def test_an_archive_with_one_reading_is_accepted(archive: str) -> None:
    assert read_tarball(io.BytesIO(HARMLESS[archive]())).name == "ak-hello"


def test_a_file_can_be_read_in_parts_and_the_rest_is_passed_over() -> None:
    data = make.gz(
        make.tar(make.member("a/one", b"x" * 1500), make.member("a/two", b"y" * 512), make.member("a/three", b"zz"))
    )
    entries = read_entries(io.BytesIO(data), TarballLimits())
    seen = [(entry.path, entry.size_bytes, entry.read(3), entry.read(2)) for entry in entries]
    assert seen == [
        (("a", "one"), 1500, b"xxx", b"xx"),
        (("a", "two"), 512, b"yyy", b"yy"),
        (("a", "three"), 2, b"zz", b""),
    ]


def test_an_archive_is_bounded_in_entries_size_and_ratio() -> None:
    many = make.gz(make.tar(*(make.member(f"a/{number}") for number in range(11))))
    assert len(paths(many, TarballLimits(max_entries=11))) == 11
    with pytest.raises(TarballMalformed, match="entries"):
        paths(many, TarballLimits(max_entries=10))
    zeros = make.gz(make.tar(make.member("a/zeros", bytes(4 * 1024 * 1024))))
    assert paths(zeros) == ["a/zeros"]
    with pytest.raises(TarballMalformed, match="100 times"):
        paths(zeros, TarballLimits(free_bytes=1024 * 1024))
    with pytest.raises(TarballMalformed, match="more than 1048576 bytes"):
        paths(zeros, TarballLimits(max_unpacked_bytes=1024 * 1024))


def test_a_bomb_is_refused_in_little_memory() -> None:
    data = make.bomb()
    tracemalloc.start()
    try:
        with pytest.raises(TarballMalformed):
            read_tarball(io.BytesIO(data))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * 1024 * 1024
