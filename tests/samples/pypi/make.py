"""Tiny real wheels and source distributions, built in memory, and the attacks that resemble them.

Everything is deterministic: the same call gives the same bytes. Run as a script, it writes the plain samples into the
folder given, for a look with other tools: `python -m tests.samples.pypi.make FOLDER`.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import re
import struct
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

_TIMESTAMP = (2026, 3, 3, 12, 0, 0)


class Sample(NamedTuple):
    """A file as a client would upload it."""

    filename: str
    content: bytes

    @property
    def file(self) -> io.BytesIO:
        return io.BytesIO(self.content)


def metadata_text(
    name: str = "demo",
    version: str = "1.0",
    *,
    metadata_version: str = "2.4",
    fields: tuple[tuple[str, str], ...] = (),
    description: str = "",
) -> bytes:
    """A METADATA or PKG-INFO file."""
    lines = [("Metadata-Version", metadata_version), ("Name", name), ("Version", version), *fields]
    head = "".join(f"{key}: {value}\n" for key, value in lines)
    return f"{head}\n{description}".encode() if description else head.encode()


def escaped(name: str) -> str:
    """A name as it stands in file names."""
    return re.sub(r"[-_.]+", "_", name).lower()


def record_line(path: str, content: bytes) -> str:
    """One line of RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return f"{path},sha256={digest},{len(content)}\n"


def wheel_files(
    name: str = "demo",
    version: str = "1.0",
    *,
    requires_python: str | None = ">=3.8",
    requires_dist: tuple[str, ...] = (),
    metadata: bytes | None = None,
    module: str | None = None,
    extra: dict[str, bytes] | None = None,
) -> dict[str, bytes]:
    """The members of a valid wheel, RECORD last."""
    dist_info = f"{escaped(name)}-{version}.dist-info"
    fields = [("Summary", f"The {name} sample")]
    fields += [("Requires-Python", requires_python)] if requires_python else []
    fields += [("Requires-Dist", requirement) for requirement in requires_dist]
    package = module or escaped(name)
    files = {
        f"{package}/__init__.py": f'__version__ = "{version}"\n'.encode(),
        f"{dist_info}/METADATA": metadata
        if metadata is not None
        else metadata_text(name, version, fields=tuple(fields)),
        f"{dist_info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: sample\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **(extra or {}),
    }
    record = "".join(record_line(path, content) for path, content in files.items() if not path.endswith("/"))
    return files | {f"{dist_info}/RECORD": f"{record}{dist_info}/RECORD,,\n".encode()}


def pack_zip(files: dict[str, bytes] | list[tuple[str, bytes]], *, stored: bool = False, comment: bytes = b"") -> bytes:
    """A plain zip of the files, in order; a list may name one path twice."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in files.items() if isinstance(files, dict) else files:
            info = zipfile.ZipInfo(path, _TIMESTAMP)
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
        archive.comment = comment
    return buffer.getvalue()


def wheel(name: str = "demo", version: str = "1.0", *, tag: str = "py3-none-any", **options: object) -> Sample:
    """A valid wheel; options as for `wheel_files`."""
    return Sample(f"{escaped(name)}-{version}-{tag}.whl", pack_zip(wheel_files(name, version, **options)))  # type: ignore[arg-type]


_BACKEND = b"""import pathlib
import shutil


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    made = next(pathlib.Path("prebuilt").iterdir())
    shutil.copy(made, wheel_directory)
    return made.name
"""


def sdist_files(
    name: str = "demo", version: str = "1.0", *, metadata: bytes | None = None, requires_python: str | None = ">=3.8"
) -> dict[str, bytes]:
    """The members of a valid source distribution. It builds anywhere: its own backend copies a wheel that it holds."""
    top = f"{escaped(name)}-{version}"
    fields = (("Summary", f"The {name} sample"), *((("Requires-Python", requires_python),) if requires_python else ()))
    built = wheel(name, version, requires_python=requires_python)
    return {
        f"{top}/PKG-INFO": metadata if metadata is not None else metadata_text(name, version, fields=fields),
        f"{top}/pyproject.toml": b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        f"{top}/backend.py": _BACKEND,
        f"{top}/prebuilt/{built.filename}": built.content,
        f"{top}/{escaped(name)}/__init__.py": f'__version__ = "{version}"\n'.encode(),
    }


def tar_member(path: str, content: bytes = b"", *, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.type, member.linkname, member.size, member.mode = kind, target, len(content), 0o644
    return member


def pack_tar(
    files: dict[str, bytes] | list[tuple[tarfile.TarInfo, bytes]], *, tar_format: int = tarfile.PAX_FORMAT
) -> bytes:
    """A plain `.tar.gz`; a list gives the members as they should be written."""
    members = [(tar_member(p, c), c) for p, c in files.items()] if isinstance(files, dict) else files
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)


def sdist(name: str = "demo", version: str = "1.0", **options: object) -> Sample:
    """A valid `.tar.gz`; options as for `sdist_files`."""
    return Sample(f"{escaped(name)}-{version}.tar.gz", pack_tar(sdist_files(name, version, **options)))  # type: ignore[arg-type]


def zip_sdist(name: str = "demo", version: str = "1.0", **options: object) -> Sample:
    """A valid old-style `.zip`; options as for `sdist_files`."""
    return Sample(f"{escaped(name)}-{version}.zip", pack_zip(sdist_files(name, version, **options)))  # type: ignore[arg-type]


class RawMember(NamedTuple):
    """A zip member written header by header, so that each number can lie."""

    name: bytes
    content: bytes
    method: int = 8
    flags: int = 0
    local_name: bytes | None = None
    local_crc: int | None = None
    local_size: int | None = None
    central_size: int | None = None
    central_extra: bytes = b""
    local_extra: bytes = b""
    needed: int = 20
    padding_before: bytes = b""
    packed_tail: bytes = b""
    listed: bool = True


def raw_zip(
    members: list[RawMember], *, prefix: bytes = b"", before_directory: bytes = b"", tail: bytes = b""
) -> bytes:
    """A zip of exactly these records. `tail` follows the end record; offsets count `prefix`."""
    out = bytearray(prefix)
    central = bytearray()
    for member in members:
        out += member.padding_before
        offset = len(out)
        crc = zlib.crc32(member.content)
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        packed = member.content if member.method == 0 else packer.compress(member.content) + packer.flush()
        packed += member.packed_tail
        size = len(member.content)
        local_name = member.name if member.local_name is None else member.local_name
        out += struct.pack(
            "<4s5H3I2H", b"PK\3\4", member.needed, member.flags, member.method, 0, 0x5C63,
            crc if member.local_crc is None else member.local_crc, len(packed),
            size if member.local_size is None else member.local_size, len(local_name), len(member.local_extra),
        )  # fmt: skip
        out += local_name + member.local_extra + packed
        if member.listed:
            central += struct.pack(
                "<4s6H3I5H2I", b"PK\1\2", 20, member.needed, member.flags, member.method, 0, 0x5C63, crc, len(packed),
                size if member.central_size is None else member.central_size, len(member.name),
                len(member.central_extra), 0, 0, 0, 0, offset,
            )  # fmt: skip
            central += member.name + member.central_extra
    out += before_directory
    count = sum(member.listed for member in members)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(central), len(out), 0)
    return bytes(out + central + end + tail)


def raw_members(files: dict[str, bytes]) -> list[RawMember]:
    return [RawMember(path.encode(), content) for path, content in files.items()]


def main(folder: Path) -> None:
    for sample in (wheel(), wheel("Demo.Pkg-x", "2.0rc1"), sdist(), zip_sdist()):
        (folder / sample.filename).write_bytes(sample.content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
