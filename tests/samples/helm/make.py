"""Small charts and provenance files, made in memory as helm makes them, and archives that must be refused.

The same call gives the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

VALUES = b"replicas: 1\nimage: {tag: '1.10'}\n"
TEMPLATE = b"kind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n"

Files = Mapping[str, bytes] | Sequence[tuple[str, bytes]]


def chart_yaml(name: str = "demo", version: str = "1.0.0", **fields: Any) -> bytes:
    """A Chart.yaml, by the names that it has there."""
    text: str = yaml.safe_dump({"apiVersion": "v2", "name": name, "version": version, **fields}, sort_keys=False)
    return text.encode()


def pack(files: Files) -> bytes:
    """A gzip tar of files, in order; one may be there twice."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in files.items() if isinstance(files, Mapping) else files:
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)


def chart(
    name: str = "demo", version: str = "1.0.0", *, extra: Mapping[str, bytes] | None = None, **fields: Any
) -> bytes:
    """A packed chart with defaults and one template. extra: further files, by their path in the chart."""
    files = {
        "Chart.yaml": chart_yaml(name, version, **fields),
        "values.yaml": VALUES,
        "templates/map.yaml": TEMPLATE,
        **(extra or {}),
    }
    return pack({f"{name}/{path}": content for path, content in files.items()})


def provenance(
    archive: bytes, name: str = "demo", version: str = "1.0.0", *, file: str = "", sha256: str = "", **fields: Any
) -> bytes:
    """What `helm package --sign` writes beside an archive, with a signature that nobody made."""
    file = file or f"{name}-{version}.tgz"
    digest = sha256 or hashlib.sha256(archive).hexdigest()
    return (
        b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n"
        + chart_yaml(name, version, **fields)
        + f"\n...\nfiles:\n  {file}: sha256:{digest}\n".encode()
        + b"-----BEGIN PGP SIGNATURE-----\n\nwsBcBAEBCgAQBQJd\n=abcd\n-----END PGP SIGNATURE-----\n"
    )


def _of(*files: tuple[str, bytes]) -> bytes:
    return pack(list(files))


_GOOD = ("demo/Chart.yaml", chart_yaml())

REFUSED: Mapping[str, bytes] = {
    "nothing": b"",
    "no archive": b"PK\3\4 is something else",
    "no Chart.yaml": _of(("demo/values.yaml", VALUES)),
    "a Chart.yaml further down": _of(("demo/charts/demo/Chart.yaml", chart_yaml())),
    "another folder": _of(("other/Chart.yaml", chart_yaml())),
    "two folders": _of(_GOOD, ("other/Chart.yaml", chart_yaml("other"))),
    "two of them": _of(_GOOD, _GOOD),
    "the same one in two spellings": _of(_GOOD, ("demo/./Chart.yaml", chart_yaml(version="2.0.0"))),
    "a file beside the folder": _of(_GOOD, ("notes.txt", b"x")),
    "a way out": _of(_GOOD, ("demo/../../etc/passwd", b"x")),
    "an absolute path": _of(("/demo/Chart.yaml", chart_yaml())),
    "too large": _of(("demo/Chart.yaml", chart_yaml() + b"#" * (1 << 20))),
    "no name": _of(("demo/Chart.yaml", b"apiVersion: v2\nversion: 1.0.0\n")),
    "no version": _of(("demo/Chart.yaml", b"apiVersion: v2\nname: demo\n")),
    "no API version": _of(("demo/Chart.yaml", b"name: demo\nversion: 1.0.0\n")),
    "another API version": _of(("demo/Chart.yaml", chart_yaml(apiVersion="v3"))),
    "a version of four numbers": _of(("demo/Chart.yaml", chart_yaml(version="1.2.3.4"))),
    "a name with a slash": _of(("a/b/Chart.yaml", chart_yaml("a/b"))),
    "another type": _of(("demo/Chart.yaml", chart_yaml(type="operator"))),
    "keywords that are none": _of(("demo/Chart.yaml", chart_yaml(keywords="one"))),
    "deprecated in a way": _of(("demo/Chart.yaml", chart_yaml(deprecated="perhaps"))),
    "an alias with a dot": _of(("demo/Chart.yaml", chart_yaml(dependencies=[{"name": "a", "alias": "a.b"}]))),
    "a list": _of(("demo/Chart.yaml", b"- apiVersion: v2\n")),
    "a key twice": _of(("demo/Chart.yaml", chart_yaml() + b"name: other\n")),
    "two documents": _of(("demo/Chart.yaml", chart_yaml() + b"---\nname: other\n")),
    "no YAML": _of(("demo/Chart.yaml", b"name: [")),
    "dependencies that are none": _of(
        ("demo/Chart.yaml", chart_yaml(apiVersion="v1")), ("demo/requirements.yaml", b"x")
    ),
    "a bomb": gzip.compress(bytes(120 << 20), 9),
}
"""By what is wrong with them."""
