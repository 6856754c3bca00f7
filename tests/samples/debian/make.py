"""Small binary and source packages, made in memory as dpkg makes them, and some that must be refused.

Everything is deterministic: the same call gives the same bytes. Run as a script, it writes a plain sample into the
folder given, for a look with other tools: `python -m tests.samples.debian.make FOLDER`.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import zstandard

Entry = tarfile.TarInfo | tuple[str, bytes]

PACKERS = {
    "": lambda data: data,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".xz": lzma.compress,
    ".lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    ".bz2": bz2.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def control(name: str = "hello", version: str = "1.0-1", architecture: str = "amd64", **fields: str) -> str:
    """The paragraph of a package. Fields: `Pre_Depends` stands for Pre-Depends; an empty value leaves the field out."""
    told = {
        "Package": name,
        "Version": version,
        "Architecture": architecture,
        "Maintainer": "Ada <ada@example.org>",
        "Section": "misc",
        "Priority": "optional",
        "Description": f"the package {name}\n It greets.\n .\n At length.",
        **{key.replace("_", "-"): value for key, value in fields.items()},
    }
    return "".join(f"{key}: {value}\n" for key, value in told.items() if value)


def tar(entries: Sequence[Entry]) -> bytes:
    """A tar as dpkg-deb writes it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
                continue
            info = tarfile.TarInfo(entry[0])
            info.size, info.uname, info.gname = len(entry[1]), "root", "root"
            archive.addfile(info, io.BytesIO(entry[1]))
    return buffer.getvalue()


def folder(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info


def link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def ar(members: Sequence[tuple[str, bytes]]) -> bytes:
    """An archive as dpkg-deb writes it."""
    data = b"!<arch>\n"
    for name, content in members:
        data += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content
        data += b"\n" * (len(content) % 2)
    return data


def deb(
    name: str = "hello",
    version: str = "1.0-1",
    architecture: str = "amd64",
    mark: str = "",
    *,
    packing: str = ".xz",
    control_packing: str = "",
    text: str | None = None,
    files: Mapping[str, bytes] | None = None,
    **fields: str,
) -> bytes:
    """A .deb. mark: is in its bytes. text: the file `control`, where it is not made of the rest. packing: of its tars."""
    said = control(name, version, architecture, **fields) if text is None else text
    brought = {f"usr/share/doc/{name}/greeting": f"hello from {name} {mark}\n".encode()} if files is None else files
    sums = "".join(f"{hashlib.md5(data).hexdigest()}  {path}\n" for path, data in brought.items())
    control_tar = tar([folder("./"), ("./control", said.encode()), ("./md5sums", sums.encode())])
    above = sorted({f"./{parent}/" for path in brought for parent in map(str, PurePosixPath(path).parents)} - {"././"})
    data_tar = tar([folder("./"), *map(folder, above), *((f"./{path}", data) for path, data in brought.items())])
    inner = control_packing or packing
    inner = inner if inner in {"", ".gz", ".xz", ".zst"} else ".gz"
    return ar(
        [
            ("debian-binary", b"2.0\n"),
            (f"control.tar{inner}", PACKERS[inner](control_tar)),
            (f"data.tar{packing}", PACKERS[packing](data_tar)),
        ]
    )


def digest_lists(files: Mapping[str, bytes], section: str = "") -> str:
    """The lists of files that a .dsc has, and with a section those of a .changes."""
    middle = f" {section} optional" if section else ""
    lists = {
        "Checksums-Sha1": [f" {hashlib.sha1(data).hexdigest()} {len(data)} {name}" for name, data in files.items()],
        "Checksums-Sha256": [f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}" for name, data in files.items()],
        "Files": [f" {hashlib.md5(data).hexdigest()} {len(data)}{middle} {name}" for name, data in files.items()],
    }
    return "".join(f"{field}:\n" + "".join(f"{line}\n" for line in lines) for field, lines in lists.items())


def source(name: str = "hello", version: str = "1.0-1", mark: str = "") -> dict[str, bytes]:
    """A source package by file name, its .dsc first: an original tarball, and one with `debian/`."""
    upstream = version.rpartition("-")[0]
    top = f"{name}-{upstream}"
    rules = b"#!/usr/bin/make -f\n%:\n\tdh $@\n"
    log = f"{name} ({version}) stable; urgency=low\n\n  * {mark or 'Hello'}\n\n"
    log += " -- Ada <ada@example.org>  Sat, 07 Mar 2026 10:00:00 +0000\n"
    said = (
        f"Source: {name}\nMaintainer: Ada <ada@example.org>\n\nPackage: {name}\nArchitecture: any\nDescription: hello\n"
    )
    debian = tar(
        [
            folder("debian/"),
            ("debian/changelog", log.encode()),
            ("debian/control", said.encode()),
            ("debian/rules", rules),
            folder("debian/source/"),
            ("debian/source/format", b"3.0 (quilt)\n"),
        ]
    )
    parts = {
        f"{name}_{upstream}.orig.tar.gz": PACKERS[".gz"](tar([folder(f"{top}/"), (f"{top}/hello.txt", b"hello\n")])),
        f"{name}_{version}.debian.tar.xz": PACKERS[".xz"](debian),
    }
    dsc = (
        f"Format: 3.0 (quilt)\nSource: {name}\nBinary: {name}\nArchitecture: any\nVersion: {version}\n"
        "Maintainer: Ada <ada@example.org>\nStandards-Version: 4.6.2\n"
        f"Package-List:\n {name} deb misc optional arch=any\n" + digest_lists(parts)
    )
    return {f"{name}_{version}.dsc": dsc.encode(), **parts}


def changes(
    files: Mapping[str, bytes],
    name: str = "hello",
    version: str = "1.0-1",
    suites: str = "stable",
    section: str = "misc",
) -> bytes:
    """A .changes that names these files."""
    return (
        f"Format: 1.8\nDate: Sat, 07 Mar 2026 10:00:00 +0000\nSource: {name}\nBinary: {name}\nArchitecture: source amd64\n"
        f"Version: {version}\nDistribution: {suites}\nUrgency: low\nMaintainer: Ada <ada@example.org>\n"
        f"Description:\n {name} - hello\nChanges:\n {name} ({version}) stable; urgency=low\n .\n   * Hello\n"
        + digest_lists(files, section)
    ).encode()


def clearsigned(data: bytes) -> bytes:
    """The text in the armor of a signature, which is none."""
    lines = [line if not line.startswith("-") else f"- {line}" for line in data.decode().rstrip("\n").split("\n")]
    signed = "\n".join(lines)
    return (
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{signed}\n"
        "-----BEGIN PGP SIGNATURE-----\n\niHUEARYKAB0WIQ==\n=abcd\n-----END PGP SIGNATURE-----\n"
    ).encode()


def main(target: Path) -> None:
    """Write samples."""
    for name, data in {"hello_1.0-1_amd64.deb": deb(), **source()}.items():
        (target / name).write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
