"""The `RECORD` of a wheel: every file in it, with size and hash. Checked against the archive as a stream.

Source: https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-record-file and
https://packaging.python.org/en/latest/specifications/binary-distribution-format/#signed-wheel-files
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Iterator

from application.formats.pypi.faults import Fault, shown
from application.formats.pypi.zips import Member, ZipArchive

_MAX_RECORD_BYTES = 16 << 20
# "sha256 or better"; the variable-length and the unusual ones would gain nothing.
_HASHES = ("sha256", "sha384", "sha512")
_MAX_FAULTS = 50


def verify_record(archive: ZipArchive, dist_info: str) -> list[Fault]:
    """Every difference between RECORD and the archive, at most 50; reads each listed member once, to its end.

    dist_info: the folder that holds RECORD. Each file must be listed with a true hash (and size, when given), and
    nothing else may be listed; only RECORD itself and its detached signatures need no hash. Raises ArchiveInvalid for
    members that cannot be read.
    """
    place = f"{dist_info}/RECORD"
    faults: list[Fault] = []
    for problem in _problems(archive, place):
        faults.append(Fault(place, problem))
        if len(faults) == _MAX_FAULTS:
            break
    return faults


def _problems(archive: ZipArchive, place: str) -> Iterator[str]:
    unhashed = {place, f"{place}.jws", f"{place}.p7s"}
    data = archive.read(archive.members[place], _MAX_RECORD_BYTES)
    listed: set[str] = set()
    try:
        for row in csv.reader(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")):
            if not row:
                continue
            if len(row) != 3 or row[0] in listed:
                yield f"the line {shown(','.join(row))} is malformed or lists a file twice"
                continue
            listed.add(row[0])
            member = archive.members.get(row[0])
            if member is None:
                yield f"lists {shown(row[0])}, which is not in the wheel"
            elif row[0] in unhashed and not row[1]:
                _read_through(archive, member)
            else:
                yield from _differences(archive, member, row[1], row[2])
    except (UnicodeDecodeError, csv.Error):
        yield "not a table of comma-separated values in UTF-8"
        return
    for member in archive.members.values():
        if member.is_folder or member.name in listed:
            continue
        if member.name not in unhashed:
            yield f"does not list {shown(member.name)}"
        else:
            _read_through(archive, member)


def _differences(archive: ZipArchive, member: Member, digest: str, size: str) -> Iterator[str]:
    """digest: `algorithm=urlsafe-base64`, unpadded; size: decimal, or empty."""
    algorithm, _, expected = digest.partition("=")
    if algorithm not in _HASHES:
        yield f"gives {shown(member.name)} no hash of an acceptable kind ({', '.join(_HASHES)})"
        return
    if size not in ("", str(member.size_bytes)):
        yield f"gives {shown(member.name)} {shown(size)} bytes; it has {member.size_bytes}"
    running = hashlib.new(algorithm)
    for chunk in archive.chunks(member):
        running.update(chunk)
    if expected.rstrip("=") != base64.urlsafe_b64encode(running.digest()).decode().rstrip("="):
        yield f"gives {shown(member.name)} another {algorithm} hash than its bytes have"


def _read_through(archive: ZipArchive, member: Member) -> None:
    for _ in archive.chunks(member):
        pass
