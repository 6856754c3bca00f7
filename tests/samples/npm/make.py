"""Small npm packages and publish documents, made in memory, and archives that must be refused.

The `.tgz` files beside this script were packed by real clients from the same sources; `python -m tests.samples.npm.make`
packs them anew where npm, pnpm, yarn and GNU tar are installed.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BLOCK = 512
END = bytes(2 * BLOCK)

PACKAGE: dict[str, Any] = {
    "name": "ak-hello",
    "version": "1.0.0",
    "description": "says hello",
    "main": "index.js",
    "bin": "cli.js",
    "scripts": {"test": "node index.js"},
    "keywords": ["hello", "sample"],
    "author": "Ada Lovelace <ada@example.org> (https://example.org/ada)",
    "license": "MIT",
    "repository": "github:example/hello",
    "engines": {"node": ">=18"},
}
README = "# hello\n\nA package that says hello.\n"
FILES: dict[str, str] = {
    "index.js": "module.exports = () => 'hello'\n",
    "cli.js": "#!/usr/bin/env node\nconsole.log('hello')\n",
    "README.md": README,
}


def header(
    name: str | bytes,
    size: int = 0,
    kind: bytes = b"0",
    *,
    magic: bytes = b"ustar\x0000",
    link: bytes = b"",
    prefix: bytes = b"",
    size_field: bytes | None = None,
    checksum: int | None = None,
) -> bytes:
    """One tar header block, with anything in it that a test may want."""
    raw = name.encode() if isinstance(name, str) else name
    fields = [
        raw.ljust(100, b"\x00"),
        b"0000644\x00",
        b"0000000\x00" * 2,
        size_field or b"%011o\x00" % size,
        b"%011o\x00" % 499162500,
        b" " * 8,
        kind,
        link.ljust(100, b"\x00"),
        magic,
        bytes(32) * 2,
        b"0000000\x00" * 2,
        prefix.ljust(155, b"\x00"),
    ]
    block = b"".join(fields).ljust(BLOCK, b"\x00")
    total = sum(block) if checksum is None else checksum
    return block[:148] + b"%06o\x00 " % total + block[156:]


def member(name: str | bytes, data: bytes = b"", **options: Any) -> bytes:
    """One file with its header and padding."""
    return header(name, len(data), **options) + data + bytes(-len(data) % BLOCK)


def pax(records: Mapping[str, str | bytes], kind: bytes = b"x") -> bytes:
    """An extended header for the file that follows."""
    body = b"".join(pax_record(key, value) for key, value in records.items())
    return member("PaxHeader/x", body, kind=kind)


def pax_record(key: str, value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    rest = b" %s=%s\n" % (key.encode(), raw)
    length = len(rest) + 1
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return b"%d" % length + rest


def tar(*members: bytes, end: bytes = END) -> bytes:
    return b"".join(members) + end


def gz(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def package_json(**fields: Any) -> bytes:
    """The sample's package.json with some fields changed; None removes one."""
    merged = {**PACKAGE, **fields}
    return json.dumps({key: value for key, value in merged.items() if value is not None}, indent=2).encode()


def tarball(files: Mapping[str, str | bytes] | None = None, *, top: str = "package", **fields: Any) -> bytes:
    """A package as npm packs it: package.json first, everything below one directory."""
    contents: dict[str, str | bytes] = {"package.json": package_json(**fields), **(FILES if files is None else files)}
    members = (
        member(f"{top}/{name}", data.encode() if isinstance(data, str) else data) for name, data in contents.items()
    )
    return gz(tar(*members))


def integrity(data: bytes, algorithm: str = "sha512") -> str:
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


def digests(data: bytes) -> dict[str, str]:
    return {algorithm: hashlib.new(algorithm, data).hexdigest() for algorithm in ("sha1", "sha256", "sha512")}


def document(
    data: bytes, name: str = "ak-hello", version: str = "1.0.0", *, tag: str = "latest", **manifest: Any
) -> dict[str, Any]:
    """What `npm publish` sends for these bytes."""
    claimed = {
        "name": name,
        "version": version,
        "_id": f"{name}@{version}",
        "_nodeVersion": "20.20.2",
        "_npmVersion": "11.19.1",
        "dist": {
            "integrity": integrity(data),
            "shasum": hashlib.sha1(data).hexdigest(),
            "tarball": f"http://127.0.0.1:8080/npm/libs/{name}/-/{name}-{version}.tgz",
        },
        **manifest,
    }
    attachment = {
        "content_type": "application/octet-stream",
        "data": base64.b64encode(data).decode(),
        "length": len(data),
    }
    return {
        "_id": name,
        "name": name,
        "description": "says hello",
        "dist-tags": {tag: version},
        "versions": {version: claimed},
        "access": None,
        "_attachments": {f"{name}-{version}.tgz": attachment},
    }


def bundle(data: bytes) -> str:
    """A Sigstore bundle about these bytes, its signature left out."""
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "pkg:npm/ak-hello@1.0.0", "digest": {"sha512": hashlib.sha512(data).hexdigest()}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {},
    }
    payload = base64.b64encode(json.dumps(statement).encode()).decode()
    return json.dumps(
        {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {},
            "dsseEnvelope": {"payload": payload, "payloadType": "application/vnd.in-toto+json", "signatures": []},
        }
    )


_JSON = package_json()
_OTHER = package_json(name="evil")
_GOOD = member("package/package.json", _JSON)
_EVIL = member("package/package.json", _OTHER)


def bomb(size: int = 64 * 1024 * 1024) -> bytes:
    """A file of zeros that packs a thousand times smaller."""
    return gz(tar(_GOOD, member("package/zeros", bytes(size))))


ATTACKS: dict[str, Callable[[], bytes]] = {
    "nothing at all": lambda: b"",
    "text instead of gzip": lambda: b"<html>not found</html>",
    "a tar without gzip": lambda: tar(_GOOD),
    "gzip of nothing": lambda: gz(b""),
    "gzip of text": lambda: gz(b"hello " * 200),
    "gzip cut short": lambda: tarball()[:-20],
    "a wrong gzip checksum": lambda: tarball()[:-8] + bytes(8),
    "text after the gzip stream": lambda: tarball() + b"more",
    "another tar after the gzip member": lambda: tarball() + gz(tar(_EVIL)),
    "a tar cut short inside a file": lambda: gz(tar(_GOOD, end=b"")[:-600]),
    "a tar cut short inside a header": lambda: gz(_GOOD + header("package/x", 0)[:100]),
    "no package.json": lambda: gz(tar(member("package/index.js", b"1"))),
    "package.json without a directory": lambda: gz(tar(member("package.json", _JSON))),
    "only directories": lambda: gz(tar(header("package/", kind=b"5"))),
    "two package.json files": lambda: gz(tar(_GOOD, _EVIL)),
    "two top directories with a package.json": lambda: gz(tar(_GOOD, member("other/package.json", _OTHER))),
    "a package.json that differs in case": lambda: gz(tar(_GOOD, member("package/Package.JSON", _OTHER))),
    "a package.json spelled with a Kelvin sign": lambda: gz(tar(_GOOD, member("package/pac\u212aage.json", _OTHER))),
    "a package.json behind a doubled slash": lambda: gz(tar(_GOOD, member("package//package.json", _OTHER))),
    "a package.json behind a backslash": lambda: gz(tar(_GOOD, member("package\\package.json", _OTHER))),
    "a package.json behind a dot": lambda: gz(tar(_GOOD, member("package/./package.json", _OTHER))),
    "a file below package.json": lambda: gz(tar(_GOOD, member("package/package.json/x", b""))),
    "a second archive after one empty block": lambda: gz(tar(_GOOD, bytes(BLOCK), _EVIL)),
    "an entry after the end": lambda: gz(tar(_GOOD) + _EVIL),
    "an entry after a damaged header": lambda: gz(tar(_GOOD, header("package/x", checksum=1), _EVIL)),
    "a path that leaves the archive": lambda: gz(tar(_GOOD, member("package/../../etc/passwd", b""))),
    "an absolute path": lambda: gz(tar(_GOOD, member("/etc/passwd", b""))),
    "a path with a drive": lambda: gz(tar(_GOOD, member("C:/windows/x", b""))),
    "a path that leaves the archive by backslashes": lambda: gz(tar(_GOOD, member("package\\..\\..\\x", b""))),
    "a path with a control character": lambda: gz(tar(_GOOD, member("package/a\nb", b""))),
    "an empty path": lambda: gz(tar(_GOOD, member("", b""))),
    "a path with text after its end": lambda: gz(tar(_GOOD, member(b"package/x\x00package.json", b""))),
    "a symbolic link": lambda: gz(tar(_GOOD, header("package/x", kind=b"2", link=b"/etc/passwd"))),
    "a hard link": lambda: gz(tar(_GOOD, header("package/x", kind=b"1", link=b"package/index.js"))),
    "a file with a link target": lambda: gz(tar(_GOOD, header("package/x", link=b"package/y"))),
    "a device": lambda: gz(tar(_GOOD, header("package/x", kind=b"3"))),
    "a pipe": lambda: gz(tar(_GOOD, header("package/x", kind=b"6"))),
    "a sparse file": lambda: gz(tar(_GOOD, header("package/x", kind=b"S"))),
    "a long link header": lambda: gz(tar(member("././@LongLink", b"x\x00", kind=b"K"), _GOOD)),
    "a directory with content": lambda: gz(tar(member("package/dir/", _EVIL), _GOOD)),
    "a file called like a directory with content": lambda: gz(tar(member("package/d/", _EVIL, kind=b"0"), _GOOD)),
    "a base-256 size": lambda: gz(tar(_GOOD, header("package/x", size_field=b"\x80" + bytes(11)))),
    "a negative size": lambda: gz(tar(_GOOD, header("package/x", size_field=b"-0000000001\x00"))),
    "an underscore in a size": lambda: gz(tar(_GOOD, member("package/x", b"x" * 8, size_field=b"000000001_0\x00"))),
    "a size beyond the archive": lambda: gz(tar(_GOOD, header("package/x", 10**9))),
    "an unknown magic": lambda: gz(tar(_GOOD, header("package/x", magic=b"ustar\x00  "))),
    "a prefix without ustar": lambda: gz(tar(_GOOD, header("x", magic=bytes(8), prefix=b"package"))),
    "two sizes for one file": lambda: gz(tar(pax({"size": "0"}), _GOOD)),
    "a pax value with a second record": lambda: gz(
        tar(pax({"comment": b"x\n30 path=package/package.json"}), member("package/x", _OTHER), _GOOD)
    ),
    "a pax record with a wrong length": lambda: gz(tar(member("PaxHeader/x", b"99 path=x\n", kind=b"x"), _GOOD)),
    "a pax record without a key": lambda: gz(tar(member("PaxHeader/x", b"5 =x\n", kind=b"x"), _GOOD)),
    "a pax record that comes twice": lambda: gz(
        tar(member("P", pax_record("path", "package/a") + pax_record("path", "package/b"), kind=b"x"), _GOOD)
    ),
    "a pax link target": lambda: gz(tar(pax({"linkpath": "/etc"}), _GOOD)),
    "a sparse file in pax": lambda: gz(tar(pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}), _GOOD)),
    "a pax header for everything": lambda: gz(tar(pax({"path": "package/package.json"}, b"g"), _GOOD)),
    "two extended headers": lambda: gz(tar(pax({"path": "package/a"}), pax({"path": "package/b"}), _GOOD)),
    "an extended header before a long name": lambda: gz(
        tar(pax({"mtime": "1"}), member("././@LongLink", b"package/x\x00", kind=b"L"), _GOOD)
    ),
    "an extended header without a file": lambda: gz(tar(_GOOD, pax({"path": "package/a"}), end=b"")),
    "an empty extended header": lambda: gz(tar(header("x", kind=b"x"), _GOOD)),
    "a huge extended header": lambda: gz(tar(pax({"comment": "x" * 100_000}), _GOOD)),
    "a bomb": bomb,
    "package.json that is no JSON": lambda: gz(tar(member("package/package.json", b"{'name': 1}"))),
    "package.json that is a list": lambda: gz(tar(member("package/package.json", b"[]"))),
    "package.json that is not UTF-8": lambda: gz(tar(member("package/package.json", b'{"name":"\xff"}'))),
    "package.json nested without end": lambda: gz(tar(member("package/package.json", b'{"a":' * 5000))),
    "package.json nested too deep": lambda: gz(
        tar(member("package/package.json", b'{"name":"x","version":"1.0.0","a":' + b"[" * 500 + b"]" * 500 + b"}"))
    ),
    "package.json of five megabytes": lambda: gz(tar(member("package/package.json", _JSON + b" " * 5 * 1024 * 1024))),
    "no name": lambda: tarball(name=None),
    "a name that is a number": lambda: tarball(name=7),
    "a forbidden name": lambda: tarball(name="node_modules"),
    "a name with a path in it": lambda: tarball(name="../evil"),
    "no version": lambda: tarball(version=None),
    "a version that is none": lambda: tarball(version="one"),
}
"""What is wrong with it, to the archive."""


def _pack_with_clients() -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "package"
        source.mkdir()
        for name, text in {"package.json": package_json().decode(), **FILES}.items():
            (source / name).write_text(text)
        deep = source / "lib" / ("a-rather-long-directory-name-" * 3) / ("and-another-one-" * 3)
        deep.mkdir(parents=True)
        (deep / "größe.js").write_text("module.exports = 1\n")
        commands = {
            "npm": ["npm", "pack", "--silent"],
            "pnpm": ["pnpm", "pack"],
            "yarn": ["yarn", "pack", "--filename", "ak-hello-1.0.0.tgz"],
            "bun": ["bun", "pm", "pack"],
            "gnutar": [
                "tar",
                "--exclude=*.tgz",
                "--owner=0",
                "--group=0",
                "-czf",
                "ak-hello-1.0.0.tgz",
                "-C",
                "..",
                "package",
            ],
        }
        for client, command in commands.items():
            if shutil.which(command[0]) is None:
                print(f"{client} is not installed, its sample stays as it is", file=sys.stderr)
                continue
            subprocess.run(command, cwd=source, check=False, capture_output=True)
            shutil.move(source / "ak-hello-1.0.0.tgz", HERE / f"ak-hello-1.0.0.{client}.tgz")


def as_file(data: bytes) -> io.BytesIO:
    return io.BytesIO(data)


if __name__ == "__main__":
    _pack_with_clients()
