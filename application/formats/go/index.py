"""The small documents of the module proxy protocol, written and read.

Source: https://go.dev/ref/mod#goproxy-protocol
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import ClassVar

import msgspec

from application.formats.go.versions import is_canonical, listed
from domain.errors import Invalid

TEXT_TYPE = "text/plain; charset=utf-8"
JSON_TYPE = "application/json"


class ListInvalid(Invalid):
    """Not a list of versions: the page of a portal, perhaps."""

    template: ClassVar[str] = "no line of it is a version"


class InfoInvalid(Invalid):
    """Not what the info of a version can be."""

    template: ClassVar[str] = "{version}.info: {detail}"

    def __init__(self, version: str, detail: str) -> None:
        super().__init__(detail, version=version[:200])


class Info(msgspec.Struct, frozen=True):
    """What `@v/{version}.info` says. time: None where it does not say."""

    version: str
    time: datetime | None


class _Info(msgspec.Struct):
    version: str = msgspec.field(name="Version")
    time: str = msgspec.field(name="Time", default="")


def render_list(versions: Iterable[str]) -> bytes:
    """`@v/list`: a line for each version that is no commit; retracted ones too, clients know them by the go.mod."""
    return "".join(f"{version}\n" for version in listed(versions)).encode()


def read_list(data: bytes) -> list[str]:
    """The versions of a list; what else is on a line, and other lines, clients pass over. Raises ListInvalid."""
    lines = [line.split() for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    versions = [words[0] for words in lines if is_canonical(words[0])]
    if lines and not versions:
        raise ListInvalid
    return versions


def render_info(version: str, time: datetime) -> bytes:
    """`@v/{version}.info`, and `@latest`."""
    return msgspec.json.encode({"Version": version, "Time": f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"})


def read_info(data: bytes, expected: str = "") -> Info:
    """What an info says. expected: the version that it must be of; empty takes any. Raises InfoInvalid."""
    try:
        info = msgspec.json.decode(data, type=_Info)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise InfoInvalid(expected or "@latest", f"not JSON with a Version: {fault}"[:300]) from None
    if expected and info.version != expected:
        raise InfoInvalid(expected, f"it is of the version {info.version[:100]!r}")
    if not is_canonical(info.version):
        raise InfoInvalid(info.version, "this is no version")
    if not info.time:
        return Info(info.version, None)
    time = parse_time(info.time)
    if time is None:
        raise InfoInvalid(info.version, f"{info.time[:100]!r} is no time as RFC 3339 has it")
    return Info(info.version, time)


def parse_time(text: str) -> datetime | None:
    """A time as RFC 3339 has it, in UTC; None for anything else."""
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
