"""Small crates and publish requests, made in memory as cargo makes them, and crates that must be refused.

Everything is deterministic: the same call gives the same bytes. Run as a script, it writes a plain sample into the
folder given, for a look with other tools: `python -m tests.samples.cargo.make FOLDER`.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PUBLIC = "https://index.example.org/public"
Entry = tarfile.TarInfo | tuple[str, bytes]
Dependencies = Sequence[Mapping[str, Any]]

MANIFEST = """[package]
edition = "2021"
name = "{name}"
version = "{version}"
{package}
{tables}
"""


def dependency(name: str, version_req: str = "^1", **fields: Any) -> dict[str, Any]:
    """A dependency as the JSON of a publish has it. registry: of one in the same registry it is None."""
    return {
        "name": name,
        "version_req": version_req,
        "features": [],
        "optional": False,
        "default_features": True,
        "target": None,
        "kind": "normal",
        "registry": PUBLIC,
        **fields,
    }


def announced(name: str = "demo", version: str = "1.0.0", deps: Dependencies = (), **fields: Any) -> dict[str, Any]:
    """The JSON of a publish."""
    return {
        "name": name,
        "vers": version,
        "deps": list(deps),
        "features": {},
        "authors": [],
        "description": f"The {name} sample",
        "documentation": None,
        "homepage": None,
        "readme": None,
        "readme_file": None,
        "keywords": [],
        "categories": [],
        "license": "MIT",
        "license_file": None,
        "repository": None,
        "badges": {},
        "links": None,
        **fields,
    }


def manifest(name: str = "demo", version: str = "1.0.0", *, tables: str = "", **package: Any) -> bytes:
    """A Cargo.toml. package: fields of its first table, a dash as `_`; tables: what follows that."""
    fields = {"description": f"The {name} sample", "license": "MIT", **package}
    lines = [f"{key.replace('_', '-')} = {json.dumps(value)}" for key, value in fields.items()]
    return MANIFEST.format(name=name, version=version, package="\n".join(lines), tables=tables).encode()


def pack(entries: Sequence[Entry], *, format: int = tarfile.GNU_FORMAT) -> bytes:
    """A gzip tar of the entries, in order; one may stand there twice."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
            else:
                info = tarfile.TarInfo(entry[0])
                info.size = len(entry[1])
                archive.addfile(info, io.BytesIO(entry[1]))
    return gzip.compress(buffer.getvalue(), mtime=0)


def crate(
    name: str = "demo",
    version: str = "1.0.0",
    *,
    toml: bytes | None = None,
    extra: Mapping[str, bytes] | None = None,
    **package: Any,
) -> bytes:
    """A `.crate`. toml: its Cargo.toml, made of the rest when it is not given."""
    top = f"{name}-{version}"
    files = {
        "Cargo.toml": manifest(name, version, **package) if toml is None else toml,
        "src/lib.rs": f'//! {name}\npub const VERSION: &str = "{version}";\n'.encode(),
        **(extra or {}),
    }
    return pack([(f"{top}/{path}", content) for path, content in files.items()])


def upload(document: Mapping[str, Any] | bytes, content: bytes) -> bytes:
    """The body of a publish."""
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return len(text).to_bytes(4, "little") + text + len(content).to_bytes(4, "little") + content


def publish(name: str = "demo", version: str = "1.0.0", mark: str = "") -> tuple[bytes, bytes]:
    """The body of a publish without any dependency, and the crate in it. mark: is in its bytes."""
    content = crate(name, version, extra={"mark.txt": mark.encode()})
    return upload(announced(name, version), content), content


if __name__ == "__main__":
    (Path(sys.argv[1]) / "demo-1.0.0.crate").write_bytes(crate())
