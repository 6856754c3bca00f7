"""Several repositories as one, with documents of its own: every package once, the first member's, signed by our key.

They are made of a state (`members.py`), so they are addressed by a position for ever, as those of hosted repositories.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

import msgspec

from application.formats.rpm.extras import EXTRAS
from application.formats.rpm.index import KINDS, Kind, Listed, Measured, Part, compress, render_repomd
from application.formats.rpm.members import EXTRA_TYPES, State, extras_of, hosted_names, state_of, told_by, whole
from application.formats.rpm.memory import Memory
from application.formats.rpm.merging import Chosen, document_of, merge_modules, merge_xml
from application.formats.rpm.reading import get_public_key
from application.signing_keys import SigningKeyMissing
from application.wire import AnyAnswer, Call, Document, File
from domain.errors import NotFound

_ROOTS = {"comps.xml": "comps", "updateinfo.xml": "updates"}
_OF_STATE = re.compile(r"([0-9]{1,18})-([0-9a-f]{64})-([a-z.]+)\Z")
_GZIP = "application/gzip"


class Merged(msgspec.Struct, frozen=True):
    """The documents of a state, by the names of their files."""

    listed: tuple[Listed, ...]


_merged: Memory[tuple[UUID, str], Merged] = Memory(64)


# handlers


def virtual_repomd(call: Call, members: Sequence[Call]) -> Document:
    """GET repodata/repomd.xml."""
    state = state_of(call, members)
    return Document(body=_repomd(call, state), media_type="application/xml")


def virtual_signature(call: Call, members: Sequence[Call]) -> Document:
    """GET repodata/repomd.xml.asc."""
    signer = call.services.repository_signer
    if signer is None:
        raise SigningKeyMissing
    state = state_of(call, members)
    made_at = call.services.recorded_at(state.at) if state.at and call.services.recorded_at else None
    body = signer.sign_detached(call.content, _repomd(call, state), made_at or call.repository.created_at, call.at)
    return Document(body=body, media_type="application/pgp-signature")


def virtual_key(call: Call, members: Sequence[Call]) -> Document:
    """GET repodata/repomd.xml.key: our own."""
    return get_public_key(call)


def virtual_document(call: Call, members: Sequence[Call]) -> AnyAnswer:
    """GET repodata/{file}: a document of a state by its own name, or the present one by the name of its kind."""
    name = call.params["file"]
    found = _OF_STATE.match(name)
    if found and call.at is not None and int(found[1]) > call.at:
        raise NotFound(f"{name} is not a document of this repository")
    state = state_of(call, members, int(found[1]) if found else None)
    wanted = found[3] if found else name
    for listed in _load(call, state).listed:
        if listed.name == wanted and (found is None or listed.sha256 == found[2]):
            return _kept(call, state, listed, immutable=found is not None)
    raise NotFound(f"{name} is not a document of this repository")


# documents


def _repomd(call: Call, state: State) -> bytes:
    recorded_at = call.services.recorded_at
    made_at = recorded_at(state.at) if state.at and recorded_at is not None else call.repository.created_at
    return render_repomd(state.at, int(made_at.timestamp()), _load(call, state).listed)


def _load(call: Call, state: State) -> Merged:
    """What the documents of a state add up to; what another process found out is taken from it."""
    key = call.content, state.key
    found = _merged.get(key)
    if found is None:
        if call.services.documents is None:
            found = _make(call, state)
        else:
            kept = call.services.documents.get(
                call.content,
                "rpm merged",
                state.key,
                0,
                lambda: Document(body=msgspec.msgpack.encode(_make(call, state)), media_type="application/msgpack"),
            )
            found = msgspec.msgpack.decode(kept.body, type=Merged)
        _merged.put(key, found, 1)
    return found


def _kept(call: Call, state: State, listed: Listed, *, immutable: bool) -> File:
    """A document as stored bytes; made once more when they were cleaned away."""
    if not call.services.blobs.exists(listed.sha256):
        _make(call, state)
    media_type = _GZIP if listed.name.endswith(".gz") else EXTRAS[listed.name].media_type
    return File(sha256=listed.sha256, size_bytes=listed.size_bytes, media_type=media_type, immutable=immutable)


def _make(call: Call, state: State) -> Merged:
    chosen = Chosen(hosted_names(call, state.at).__contains__)
    for number, source in enumerate(state.sources):
        for told in told_by(source, "primary"):
            chosen.choose(number, told, is_ours=source.is_ours)
    listed = [_store(call, kind, document_of(kind, chosen.count, _texts(state, chosen, kind))) for kind in KINDS]
    for name in EXTRA_TYPES:
        listed += _merge_extra(call, state, name)
    return Merged(tuple(listed))


def _texts(state: State, chosen: Chosen, kind: Kind) -> Iterator[str]:
    done: set[tuple[int, str]] = set()
    for number, source in enumerate(state.sources):
        for told in told_by(source, kind):
            if chosen.is_chosen(number, told) and (number, told.pkgid) not in done:
                done.add((number, told.pkgid))
                yield told.text


def _store(call: Call, kind: Kind, parts: Iterator[Part]) -> Listed:
    measured = Measured(kind)

    def pieces() -> Iterator[bytes]:
        for part in parts:
            measured.add(part)
            yield part.data

    _keep(call, pieces())
    return measured.listed()


def _keep(call: Call, pieces: Iterable[bytes]) -> str:
    """Store bytes that nothing refers to: whoever cleans may take them away, and they are made again."""
    services = call.services
    with services.spool.create() as writer:
        for piece in pieces:
            writer.write(piece)
        spooled = writer.finish()
    try:
        services.blobs.keep(spooled)
    finally:
        services.spool.discard(spooled)
    return spooled.sha256


# uploaded documents


def _merge_extra(call: Call, state: State, name: str) -> list[Listed]:
    """An uploaded document of all members that have one."""
    bodies = [body for source in state.sources for body in extras_of(source, name)]
    if not bodies:
        return []
    plain = merge_modules(bodies) if name not in _ROOTS else merge_xml(_ROOTS[name], map(whole, bodies))
    packed, open_sha256 = compress(plain), hashlib.sha256(plain).hexdigest()
    extra = EXTRAS[name]
    listed = []
    if extra.type:
        listed.append(Listed(type=extra.type, name=name, sha256=_keep(call, [plain]), size_bytes=len(plain)))
    if extra.type_compressed:
        listed.append(
            Listed(
                type=extra.type_compressed,
                name=f"{name}.gz",
                sha256=_keep(call, [packed]),
                size_bytes=len(packed),
                open_sha256=open_sha256,
                open_bytes=len(plain),
            )
        )
    return listed
