"""Documents that are uploaded and listed beside the generated ones: modules, groups, advisories, a certificate.

Sources: https://github.com/fedora-modularity/libmodulemd (modules.yaml); comps.xml and updateinfo.xml are as dnf and
libsolv read them. What they say is not looked into: only whether a client can read them at all.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

import msgspec
import yaml

from application.catalogue import ArtifactRow
from application.formats.rpm.index import Listed
from application.formats.rpm.names import REPODATA
from application.formats.rpm.stored import ExtraFacts, encode, extra_of
from application.formats.rpm.xml_stream import XmlInvalid, root_of
from application.ports import Spooled
from application.publishing import NewFile, Target
from application.services import Services
from domain.errors import Invalid, TooLarge

MAX_BYTES = 64 << 20
MAX_CERTIFICATE = 64 << 10
COMPRESSED = "gz"
"""The role of the blob with the same bytes compressed."""

_CHUNK_BYTES = 1 << 20
_LEVEL = 6
_GZIP = 16 + zlib.MAX_WBITS
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


class ExtraInvalid(Invalid):
    """Not such a document as its name says."""

    template = "{name}: {problem}"

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name=name, problem=problem[:300])


class Extra(msgspec.Struct, frozen=True):
    """One kind of document. type: in repomd.xml; type_compressed: of the compressed form; either may be left out."""

    media_type: str
    type: str = ""
    type_compressed: str = ""
    root: str = ""


EXTRAS = {
    "comps.xml": Extra("application/xml", type="group", type_compressed="group_gz", root="comps"),
    "modules.yaml": Extra("application/yaml", type_compressed="modules"),
    "productid": Extra("application/x-pem-file", type="productid"),
    "updateinfo.xml": Extra("application/xml", type_compressed="updateinfo", root="updates"),
}


def publish_extra(services: Services, target: Target, name: str, spooled: Spooled) -> str:
    """Put a document in the place of the one that was there; gives its path. Raises what `check_extra` raises."""
    check_extra(name, spooled)
    with services.spool.create() as writer:
        with spooled.open() as file:
            for chunk in _compressed(file):
                writer.write(chunk)
        compressed = writer.finish()
    try:
        new = NewFile(
            path=REPODATA + name,
            spooled=spooled,
            media_type=EXTRAS[name].media_type,
            metadata=encode(ExtraFacts(gz_sha256=compressed.sha256, gz_bytes=compressed.size_bytes)),
            blobs={COMPRESSED: compressed},
            overwrite="replace",
        )
        services.publishing.publish(target, [new])
    finally:
        services.spool.discard(compressed)
    return new.path


def check_extra(name: str, spooled: Spooled) -> None:
    """Raise ExtraInvalid or XmlInvalid for a document that is not what its name says, TooLarge over the limit."""
    limit = MAX_CERTIFICATE if name == "productid" else MAX_BYTES
    if spooled.size_bytes > limit:
        raise TooLarge(f"{name} has more than {limit} bytes")
    with spooled.open() as file:
        if name == "modules.yaml":
            _check_modules(name, file)
        elif name == "productid":
            if _CERTIFICATE not in file.read():
                raise ExtraInvalid(name, "it is no certificate in PEM")
        elif (root := root_of(file, name)) != EXTRAS[name].root:
            raise XmlInvalid(name, f"its root is {root[:60]}, not {EXTRAS[name].root}")


def listed_extras(row: ArtifactRow) -> list[Listed]:
    """How repomd.xml lists an uploaded document, by none, one or two of its forms."""
    name, facts = row.filename, extra_of(row)
    extra = EXTRAS.get(name)
    if extra is None or facts is None:
        return []
    listed = []
    if extra.type:
        listed.append(Listed(type=extra.type, name=name, sha256=row.sha256, size_bytes=row.size_bytes))
    if extra.type_compressed:
        compressed = Listed(
            type=extra.type_compressed,
            name=f"{name}.gz",
            sha256=facts.gz_sha256,
            size_bytes=facts.gz_bytes,
            open_sha256=row.sha256,
            open_bytes=row.size_bytes,
        )
        listed.append(compressed)
    return listed


def _compressed(file: BinaryIO) -> Iterator[bytes]:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    while chunk := file.read(_CHUNK_BYTES):
        yield compressor.compress(chunk)
    yield compressor.flush()


def _check_modules(name: str, file: BinaryIO) -> None:
    """Every document of it must be a mapping that says what kind of module metadata it is."""
    depth, documents, key, kind = 0, 0, "", ""
    try:
        for event in yaml.parse(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.AliasEvent):
                raise ExtraInvalid(name, "aliases are not supported")
            if depth == 1 and isinstance(event, yaml.ScalarEvent) and not kind:
                key, kind = event.value, event.value if key == "document" else ""
            if isinstance(event, yaml.DocumentStartEvent):
                key, kind = "", ""
            elif isinstance(event, yaml.DocumentEndEvent):
                documents += 1
                if not kind.startswith("modulemd"):
                    raise ExtraInvalid(name, f"document {documents} is not about modules")
            elif isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except (yaml.YAMLError, UnicodeError, ValueError) as fault:
        raise ExtraInvalid(name, f"it is not YAML: {fault}".replace("\n", " ")) from None
    if not documents:
        raise ExtraInvalid(name, "there is nothing in it")
