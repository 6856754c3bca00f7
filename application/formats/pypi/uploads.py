"""From an upload form to the file that is published: the form is read, the distribution checked, nothing is decided.

Source: the Upload API in the documentation of the public index; there is no PEP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from application.formats.pypi.attestations import provenance_of
from application.formats.pypi.facts import (
    METADATA_ROLE,
    PKG_INFO_ROLE,
    PROVENANCE_ROLE,
    SIGNATURE_ROLE,
    encode_facts,
)
from application.formats.pypi.metadata import Distribution, agree, read_distribution
from application.ports import Spool, Spooled
from application.publishing import NewFile
from application.wire import Form
from domain.digests import parse_hex_digest
from domain.errors import DigestMismatch, Invalid

ALGORITHMS = ("md5", "blake2b_256")
"""Digests besides SHA-256 that clients announce and that the JSON documents show."""

_DIGEST_FIELDS = {"md5_digest": "md5", "sha256_digest": "sha256", "blake2_256_digest": "blake2b_256"}
_MAX_SIGNATURE_BYTES = 8 << 10
_ARMOR = b"-----BEGIN PGP SIGNATURE-----"


class FormInvalid(Invalid):
    """The form is not that of a file upload."""

    template = "form: {detail}"


def content_of(form: Form) -> tuple[str, Spooled]:
    """File name and bytes of the distribution in the form; raises FormInvalid unless it is an upload of one file."""
    action, version = form.values(":action"), form.values("protocol_version")
    if action != ["file_upload"]:
        raise FormInvalid(":action must be file_upload")
    if version not in ([], ["1"]):
        raise FormInvalid("protocol_version must be 1")
    contents = [(filename, spooled) for field, filename, spooled in form.files if field == "content"]
    if len(contents) + len(form.values("content")) != 1 or not contents:
        raise FormInvalid("content must be exactly one file" if contents else "content, the file itself, is missing")
    filename, spooled = contents[0]
    _check_digests(form, spooled)
    return filename, spooled


def read_upload(form: Form) -> tuple[Distribution, Spooled]:
    """The checked distribution that a form brings; raises Invalid in all the ways in which it can be none."""
    filename, spooled = content_of(form)
    with spooled.open() as file:
        distribution = read_distribution(file, filename)
    agree({field: form.values(field) for field in ("name", "version", "filetype")}, distribution)
    return distribution, spooled


@contextmanager
def new_file(
    distribution: Distribution, spooled: Spooled, version: str, sides: Mapping[str, bytes], spool: Spool
) -> Iterator[NewFile]:
    """The distribution as a file to publish, its side files spooled until the block ends.

    version: the spelling under which the release is known. sides: contents by role.
    """
    blobs: dict[str, Spooled] = {}
    try:
        for role, content in sides.items():
            with spool.create() as writer:
                writer.write(content)
                blobs[role] = writer.finish()
        yield NewFile(
            path=path_of(distribution.normalised, distribution.filename),
            spooled=spooled,
            media_type=media_type_of(distribution.filename),
            package=distribution.normalised,
            name=distribution.name,
            version=version,
            algorithms=ALGORITHMS,
            metadata=encode_facts(distribution),
            blobs=dict(blobs),
            overwrite="burn",
        )
    finally:
        for extra in blobs.values():
            spool.discard(extra)


def path_of(project: str, filename: str) -> str:
    """Where a file of a project lies in the repository: a name is one file of the project, for ever."""
    return f"{project}/{filename}"


def media_type_of(filename: str) -> str:
    """The type of a distribution by its name."""
    return "application/gzip" if filename.endswith(".gz") else "application/zip"


def metadata_file(distribution: Distribution) -> dict[str, bytes]:
    """The metadata of a distribution, in the role that they may have."""
    return {METADATA_ROLE if distribution.metadata_reliable else PKG_INFO_ROLE: distribution.metadata}


def side_files(form: Form, distribution: Distribution, spooled: Spooled) -> dict[str, bytes]:
    """Everything that is kept beside the distribution, by role; raises Invalid for what does not belong to it."""
    sides = metadata_file(distribution)
    if signature := _signature(form):
        sides[SIGNATURE_ROLE] = signature
    attestations = form.values("attestations")
    if len(attestations) > 1:
        raise FormInvalid("attestations is given more than once")
    if attestations and attestations[0].strip():
        sides[PROVENANCE_ROLE] = provenance_of(attestations[0], distribution.filename, spooled.sha256)
    return sides


def _signature(form: Form) -> bytes | None:
    signatures = [spooled for field, _, spooled in form.files if field == "gpg_signature"]
    if not signatures:
        return None
    if len(signatures) > 1 or signatures[0].size_bytes > _MAX_SIGNATURE_BYTES:
        raise FormInvalid(f"gpg_signature must be one file of at most {_MAX_SIGNATURE_BYTES} bytes")
    with signatures[0].open() as file:
        signature = file.read()
    if not signature.lstrip().startswith(_ARMOR):
        raise FormInvalid("gpg_signature is not an ASCII-armoured signature")
    return signature


def _check_digests(form: Form, spooled: Spooled) -> None:
    for field, algorithm in _DIGEST_FIELDS.items():
        for announced in form.values(field):
            if not announced:
                continue
            actual = spooled.digests[algorithm]
            if parse_hex_digest(algorithm, announced) != actual:
                raise DigestMismatch(algorithm, announced[:128], actual)
