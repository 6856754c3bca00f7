"""Signed notes and tree heads as text: what the log signs, what auditors, peers and witnesses read.

Formats: https://c2sp.org/signed-note and https://c2sp.org/tlog-checkpoint. Signing itself is behind two Protocols.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Protocol

import msgspec

from domain.errors import Invalid
from domain.transparency.merkle import HASH_BYTES

ED25519 = 1
"""The signature type of Ed25519 in key ids and verifier keys."""

MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100

_KEY_BYTES = 32
_KEY_ID_BYTES = 4
_FORBIDDEN = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_SIZE = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")
_HEX_ID = re.compile(r"[0-9a-f]{8}\Z")


class NoteMalformed(Invalid):
    """The bytes are not a note, a tree head or a verifier key."""


class NoteUnverified(Invalid):
    """The note is well formed, and no trusted key stands behind it."""


class NoteSigner(Protocol):
    """A private key that signs notes."""

    @property
    def name(self) -> str:
        """The key's name; for a log, also its origin."""

    @property
    def key_id(self) -> bytes:
        """The four bytes before each signature."""

    def sign(self, message: bytes) -> bytes:
        """The bare signature."""


class NoteVerifier(Protocol):
    """A public key that somebody decided to trust."""

    @property
    def name(self) -> str:
        """The key's name."""

    @property
    def key_id(self) -> bytes:
        """The four bytes before each signature."""

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the bare signature is this key's, over exactly this message."""


class VerifierKey(msgspec.Struct, frozen=True):
    """A named Ed25519 public key in the form that people exchange."""

    name: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that stand for this key in a signature line."""
        return key_id_of(self.name, self.public_key)

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_encode(bytes([ED25519]) + self.public_key)}"


class Signature(msgspec.Struct, frozen=True):
    """One signature line."""

    name: str
    key_id: bytes
    signature: bytes


class Note(msgspec.Struct, frozen=True):
    """A text, which ends with a newline, and the signatures below it. Nothing is verified by parsing it."""

    text: str
    signatures: tuple[Signature, ...]


class TreeHead(msgspec.Struct, frozen=True):
    """What a checkpoint says: this log, at this size, has this root. extensions: further lines, opaque."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()


def key_id_of(name: str, public_key: bytes) -> bytes:
    """The key id of an Ed25519 key. Source: https://c2sp.org/signed-note#signatures."""
    return sha256(name.encode() + b"\n" + bytes([ED25519]) + public_key).digest()[:_KEY_ID_BYTES]


def is_key_name(name: str) -> bool:
    """Whether a key may be called so: not empty, no white space, no plus, no control character."""
    return bool(name) and "+" not in name and not _FORBIDDEN.search(name) and not any(map(str.isspace, name))


def parse_verifier_key(text: str) -> VerifierKey:
    """Read `name+key id+base64(0x01 ‖ public key)`. Raises NoteMalformed."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    key = _decode(encoded)
    if not is_key_name(name) or not _HEX_ID.match(key_id) or len(key) != 1 + _KEY_BYTES or key[0] != ED25519:
        raise NoteMalformed("not an Ed25519 verifier key")
    parsed = VerifierKey(name, key[1:])
    if parsed.key_id.hex() != key_id:
        raise NoteMalformed("the verifier key's id does not belong to its name and key")
    return parsed


def format_note(note: Note) -> str:
    """The note as text."""
    return f"{note.text}\n" + "".join(
        f"— {line.name} {_encode(line.key_id + line.signature)}\n" for line in note.signatures
    )


def parse_note(data: bytes) -> Note:
    """Split a note into text and signatures. Raises NoteMalformed; signatures of unknown kinds are kept."""
    if len(data) > MAX_NOTE_BYTES:
        raise NoteMalformed("the note is too large")
    try:
        content = data.decode()
    except UnicodeDecodeError as error:
        raise NoteMalformed("the note is not UTF-8") from error
    if _FORBIDDEN.search(content):
        raise NoteMalformed("the note has control characters")
    above, separator, below = content.rpartition("\n\n")
    if not separator or not below.endswith("\n"):
        raise NoteMalformed("the note has no signatures")
    lines = below[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteMalformed("the note has too many signatures")
    return Note(above + "\n", tuple(map(_signature, lines)))


def sign_note(text: str, signers: Iterable[NoteSigner]) -> str:
    """The signed note. text must end with a newline; raises NoteMalformed when it cannot be a note's text."""
    if not text.endswith("\n") or _FORBIDDEN.search(text):
        raise NoteMalformed("the text cannot be signed as a note")
    message = text.encode()
    return format_note(Note(text, tuple(Signature(key.name, key.key_id, key.sign(message)) for key in signers)))


def open_note(data: bytes, verifiers: Iterable[NoteVerifier]) -> str:
    """The text of a note that a trusted key signed.

    Signatures by other keys are passed over; a wrong one that claims a trusted key spoils the note.
    Raises NoteMalformed, NoteUnverified.
    """
    note = parse_note(data)
    message = note.text.encode()
    trusted = {(key.name, key.key_id): key for key in verifiers}
    verified = False
    for line in note.signatures:
        key = trusted.get((line.name, line.key_id))
        if key is None:
            continue
        if not key.verify(message, line.signature):
            raise NoteUnverified(f"the signature of {line.name} is wrong")
        verified = True
    if not verified:
        raise NoteUnverified("no trusted key signed the note")
    return note.text


def format_tree_head(head: TreeHead) -> str:
    """The text that the log signs. Raises NoteMalformed when a line is empty or not a line."""
    lines = (head.origin, str(head.size), _encode(head.root), *head.extensions)
    if not all(lines) or any("\n" in line for line in lines) or head.size < 0 or len(head.root) != HASH_BYTES:
        raise NoteMalformed("the tree head cannot be written as a note")
    return "".join(f"{line}\n" for line in lines)


def parse_tree_head(text: str) -> TreeHead:
    """Read the text of a checkpoint. Raises NoteMalformed."""
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() or not all(lines):
        raise NoteMalformed("a checkpoint has an origin, a size and a root, each on its line")
    origin, size, encoded, *extensions = lines
    root = _decode(encoded)
    if not _SIZE.match(size) or len(root) != HASH_BYTES:
        raise NoteMalformed("the checkpoint's size or root is malformed")
    return TreeHead(origin, int(size), root, tuple(extensions))


def open_tree_head(data: bytes, verifiers: Iterable[NoteVerifier]) -> TreeHead:
    """The tree head that a trusted key signed under its own name as origin. Raises NoteMalformed, NoteUnverified."""
    head = parse_tree_head(parse_note(data).text)
    keys = [key for key in verifiers if key.name == head.origin]
    if not keys:
        raise NoteUnverified(f"the checkpoint is one of {head.origin}, for which no key is trusted")
    open_note(data, keys)
    return head


def _signature(line: str) -> Signature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    data = _decode(encoded)
    if dash != "—" or not is_key_name(name) or len(data) <= _KEY_ID_BYTES:
        raise NoteMalformed("a signature line is malformed")
    return Signature(name, data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    """Strict base64; gives nothing for what is not the one encoding of some bytes."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return b""
    return data if _encode(data) == text else b""
