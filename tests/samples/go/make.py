"""Small Go modules, made in memory: the same bytes for the same files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence

MODULE, VERSION = "example.com/demo", "v1.0.0"


def go_mod(module: str = MODULE, more: str = "", go: str = "1.19") -> bytes:
    """A go.mod; more goes in as it is."""
    return f"module {module}\n\ngo {go}\n{more}".encode()


def module(
    path: str = MODULE,
    version: str = VERSION,
    files: Mapping[str, str | bytes] | None = None,
    *,
    mod: bytes | None = None,
    package: str = "demo",
    says: str = "",
) -> bytes:
    """The zip of a version: a go.mod (an empty one leaves it out), and a package whose Said tells the version."""
    code = f'package {package}\n\nfunc Said() string {{ return "{says or f"{path} {version}"}" }}\n'
    content: dict[str, str | bytes] = {"demo.go": code, **(files or {})}
    mod = go_mod(path) if mod is None else mod
    if mod:
        content["go.mod"] = mod
    return pack([(f"{path}@{version}/{name}", data) for name, data in content.items()])


def pack(entries: Sequence[tuple[str | zipfile.ZipInfo, str | bytes]]) -> bytes:
    """A zip of these entries as they are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, data in entries:
            info = entry if isinstance(entry, zipfile.ZipInfo) else zipfile.ZipInfo(entry, (2026, 3, 3, 10, 15, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return buffer.getvalue()


def link(name: str) -> zipfile.ZipInfo:
    """An entry that is a symbolic link."""
    info = zipfile.ZipInfo(name, (2026, 3, 3, 10, 15, 0))
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info


def escaped(text: str) -> str:
    """As addresses have it."""
    return "".join(f"!{character.lower()}" if character.isupper() else character for character in text)
