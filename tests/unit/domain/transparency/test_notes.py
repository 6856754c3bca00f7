import base64
from hashlib import sha256

import pytest

from domain.errors import Invalid
from domain.transparency.merkle import EMPTY_ROOT
from domain.transparency.notes import (
    MAX_SIGNATURES,
    Note,
    NoteMalformed,
    NoteUnverified,
    Signature,
    TreeHead,
    VerifierKey,
    format_note,
    format_tree_head,
    is_key_name,
    open_note,
    open_tree_head,
    parse_note,
    parse_tree_head,
    parse_verifier_key,
    sign_note,
)
from infrastructure.signing.ed25519 import Ed25519Signer, Ed25519Verifier

# A note and its key from the documentation of the first implementation of the format.
PUBLISHED_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PUBLISHED_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ROOT = sha256(b"root").digest()
HEAD = TreeHead("registry.example/log", 20852163, ROOT)


class Keyed:
    """A signature by hashing: whoever knows the name can make it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key_id = sha256(name.encode()).digest()[:4]

    def sign(self, message: bytes) -> bytes:
        return sha256(self.name.encode() + message).digest()

    def verify(self, message: bytes, signature: bytes) -> bool:
        return signature == self.sign(message)


def line(name: str, data: bytes) -> str:
    return f"— {name} {base64.b64encode(data).decode()}\n"


def test_a_published_note_verifies_with_its_published_key() -> None:
    verifier = Ed25519Verifier(parse_verifier_key(PUBLISHED_KEY))
    text = open_note(PUBLISHED_NOTE.encode(), [verifier])
    assert text == PUBLISHED_NOTE.rpartition("\n\n")[0] + "\n"


def test_a_published_note_with_another_word_does_not_verify() -> None:
    verifier = Ed25519Verifier(parse_verifier_key(PUBLISHED_KEY))
    with pytest.raises(NoteUnverified):
        open_note(PUBLISHED_NOTE.replace("answer", "Answer").encode(), [verifier])


def test_a_verifier_key_reads_back() -> None:
    key = parse_verifier_key(PUBLISHED_KEY)
    assert (key.name, key.key_id.hex(), len(key.public_key)) == ("PeterNeumann", "c74f20a3", 32)
    assert str(key) == PUBLISHED_KEY
    assert str(VerifierKey("a", b"\xff" * 32)).count("+") >= 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        PUBLISHED_KEY.replace("c74f20a3", "c74f20a4"),
        PUBLISHED_KEY.replace("c74f20a3", "C74F20A3"),
        PUBLISHED_KEY.replace("Peter", "Pater"),
        PUBLISHED_KEY.replace("Peter", "Peter "),
        PUBLISHED_KEY + "\n",
        PUBLISHED_KEY[:-4],
        PUBLISHED_KEY.replace("+ARpc", "+AhpC"),
        "\udcff+00000000+AAAA",
        "é+00000000+é",
    ],
)
def test_a_wrong_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(NoteMalformed):
        parse_verifier_key(text)


def test_a_signed_note_opens_for_each_signer_alone() -> None:
    one, two = Keyed("one.example"), Keyed("two.example/log")
    note = sign_note("first\n\nlast\n", [one, two]).encode()
    assert open_note(note, [one]) == open_note(note, [two]) == open_note(note, [two, one]) == "first\n\nlast\n"
    assert [signature.name for signature in parse_note(note).signatures] == ["one.example", "two.example/log"]


def test_a_note_reads_back() -> None:
    note = sign_note("text — with “signs”\n", [Keyed("key.example")])
    assert format_note(parse_note(note.encode())) == note


def test_signatures_by_unknown_keys_are_passed_over() -> None:
    known = Keyed("known.example")
    signed = sign_note("text\n", [known])
    assert open_note((signed + line("known.example", b"\x00\x00\x00\x00junk")).encode(), [known]) == "text\n"
    assert open_note((signed + line("other.example", known.key_id + b"junk")).encode(), [known]) == "text\n"


def test_a_wrong_signature_of_a_trusted_key_spoils_the_note() -> None:
    one, two = Keyed("one.example"), Keyed("two.example")
    note = sign_note("text\n", [one]) + line("two.example", two.key_id + b"wrong")
    with pytest.raises(NoteUnverified):
        open_note(note.encode(), [one, two])


def test_a_note_without_a_trusted_signature_does_not_open() -> None:
    note = sign_note("text\n", [Keyed("one.example")]).encode()
    with pytest.raises(NoteUnverified):
        open_note(note, [Keyed("two.example")])
    with pytest.raises(NoteUnverified):
        open_note(note, [])


def test_sixteen_large_signatures_are_read() -> None:
    note = Note("text\n", tuple(Signature(f"w{n}.example", b"\x00\x00\x00\x01", b"s" * 5000) for n in range(16)))
    assert parse_note(format_note(note).encode()) == note


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"text\n",
        b"text\n\n",
        b"\n\n\n",
        b"text\n\nnot a signature\n",
        "text\n\n— key.example AAAAAAA=".encode(),
        "text\n\n— key.example AAAA\n".encode(),
        b"text\n\n- key.example AAAAAAA=\n",
        "text\n\n—  AAAAAAA=\n".encode(),
        "text\n\n— key+plus AAAAAAA=\n".encode(),
        "text\n\n— key\u00a0space AAAAAAA=\n".encode(),
        "text\n\n— key.example AAAAAAA= \n".encode(),
        "text\n\n— key.example AAAAAAB=\n".encode(),
        "text\n\n— key.example AAAAAA\n".encode(),
        "text\n\n— key.example AAAA_A==\n".encode(),
        "te\txt\n\n— key.example AAAAAAA=\n".encode(),
        "te\rxt\n\n— key.example AAAAAAA=\n".encode(),
        b"\xff\n\n\xe2\x80\x94 key.example AAAAAAA=\n",
        ("text\n\n" + "— key.example AAAAAAA=\n" * (MAX_SIGNATURES + 1)).encode(),
        b"x" * 1_000_001,
    ],
)
def test_what_is_not_a_note_is_refused(data: bytes) -> None:
    with pytest.raises(NoteMalformed):
        parse_note(data)


@pytest.mark.parametrize("text", ["", "no newline", "control\x00\n", "tab\t\n", "\udcff\n"])
def test_what_cannot_be_a_note_is_not_signed(text: str) -> None:
    with pytest.raises(NoteMalformed):
        sign_note(text, [Keyed("key.example")])


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u2003b", "a\x00", "\udc00"])
def test_some_names_cannot_be_a_keys(name: str) -> None:
    assert not is_key_name(name)


def test_a_tree_head_is_written_as_a_checkpoint() -> None:
    text = format_tree_head(HEAD)
    assert text == f"registry.example/log\n20852163\n{base64.b64encode(ROOT).decode()}\n"
    assert parse_tree_head(text) == HEAD


def test_extension_lines_are_kept() -> None:
    head = TreeHead("origin with spaces", 0, EMPTY_ROOT, ("one", "two two"))
    assert parse_tree_head(format_tree_head(head)) == head


@pytest.mark.parametrize(
    "head",
    [
        TreeHead("", 1, ROOT),
        TreeHead("a\nb", 1, ROOT),
        TreeHead("a", -1, ROOT),
        TreeHead("a", 1, ROOT[:-1]),
        TreeHead("a", 1, ROOT, ("",)),
        TreeHead("a", 1, ROOT, ("x\ny",)),
    ],
)
def test_what_is_not_a_tree_head_is_not_written(head: TreeHead) -> None:
    with pytest.raises(NoteMalformed):
        format_tree_head(head)


ENCODED = base64.b64encode(ROOT).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "origin\n1\n",
        f"origin\n1\n{ENCODED}",
        f"\n1\n{ENCODED}\n",
        f"origin\n01\n{ENCODED}\n",
        f"origin\n+1\n{ENCODED}\n",
        f"origin\n-1\n{ENCODED}\n",
        f"origin\n\u0661\n{ENCODED}\n",
        f"origin\n{'9' * 5000}\n{ENCODED}\n",
        f"origin\n1\n{ENCODED}=\n",
        f"origin\n1\n{ENCODED[:-4]}\n",
        f"origin\n1\n{ENCODED}\n\n",
        f"origin\n1\n{ENCODED}\n\nextension\n",
    ],
)
def test_what_is_not_a_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_tree_head(text)


def test_a_checkpoint_opens_with_the_key_named_as_its_origin() -> None:
    signer = Ed25519Signer.generate(HEAD.origin)
    note = sign_note(format_tree_head(HEAD), [signer]).encode()
    assert open_tree_head(note, [Ed25519Verifier(parse_verifier_key(signer.verifier_key))]) == HEAD


def test_a_trusted_key_cannot_sign_for_another_log() -> None:
    log, witness = Keyed(HEAD.origin), Keyed("witness.example")
    note = sign_note(format_tree_head(HEAD), [witness]).encode()
    with pytest.raises(NoteUnverified):
        open_tree_head(note, [log, witness])
    with pytest.raises(NoteUnverified):
        open_tree_head(note, [witness])
