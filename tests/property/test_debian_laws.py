"""Laws of the debian format: versions order as dpkg orders them, and any bytes are read or refused."""

from __future__ import annotations

import io
import shutil
import subprocess
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from application.formats.debian.metadata import read_binary
from application.formats.debian.sources import read_changes, read_source
from application.formats.debian.stanza import parse_signed, parse_stanza
from application.formats.debian.versions import checked_version, order_key
from domain.errors import Invalid
from tests.samples.debian import make

DEB = make.deb(packing="")
SOURCE = next(iter(make.source().values()))
CHANGES = make.clearsigned(make.changes({"a_1_all.deb": b"x"}))

_upstream = st.text("0019az~+.A", min_size=1, max_size=8)
_revision = st.text("019a~+.", min_size=1, max_size=4)
_version = st.builds(
    lambda epoch, upstream, revision: f"{epoch}0{upstream}{revision}",
    st.sampled_from(["", "0:", "1:", "12:"]),
    _upstream,
    st.one_of(st.just(""), _revision.map("-{}".format)),
)


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is not here")
@settings(max_examples=6, deadline=None)
@given(st.lists(st.tuples(_version, _version), min_size=20, max_size=20))
def test_versions_are_ordered_as_by_dpkg(pairs: list[tuple[str, str]]) -> None:
    script = "".join(
        f"dpkg --compare-versions '{a}' lt '{b}' && echo lt || {{ dpkg --compare-versions '{a}' gt '{b}' && echo gt || echo eq; }}\n"
        for a, b in pairs
    )
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.split()
    ours = ["lt" if order_key(a) < order_key(b) else "gt" if order_key(a) > order_key(b) else "eq" for a, b in pairs]
    assert ours == said, pairs


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
@example("1:", "~", "-")
def test_any_texts_can_be_ordered(one: str, two: str, three: str) -> None:
    keys = sorted((order_key(one), order_key(two), order_key(three)))
    assert keys[0] <= keys[1] <= keys[2]


@settings(deadline=None)
@given(_version)
def test_made_versions_are_versions(version: str) -> None:
    assert checked_version(version) == version


_fields = st.dictionaries(
    st.from_regex(r"[A-Z][A-Za-z-]{0,10}", fullmatch=True),
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30).map(str.strip).filter(bool),
    min_size=1,
    max_size=8,
)


@settings(deadline=None)
@given(_fields, st.booleans())
def test_what_was_written_is_read_again(fields: dict[str, str], signed: bool) -> None:
    if len({name.lower() for name in fields}) < len(fields):
        return
    text = "".join(f"{name}: {value}\n" for name, value in fields.items()).encode()
    read = parse_signed(make.clearsigned(text), "x") if signed else parse_stanza(text, "x")
    assert [name for name, _ in read.fields] == list(fields)
    assert parse_stanza(read.text().encode(), "x").fields == read.fields


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_one_paragraph_or_a_refusal(data: bytes) -> None:
    with suppress(Invalid):
        stanza = parse_stanza(data, "control")
        assert "\n\n" not in stanza.text()
        assert parse_stanza(stanza.text().encode(), "again").fields == stanza.fields


_patches = st.lists(st.tuples(st.integers(0, len(DEB) - 1), st.integers(0, 255)), min_size=1, max_size=6)


@settings(deadline=None)
@given(_patches, st.integers(0, len(DEB)))
def test_damaged_packages_are_read_or_refused(patches: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(DEB)
    for at, value in patches:
        data[at] = value
    for sample in (bytes(data), DEB[:cut]):
        with suppress(Invalid):
            read_binary(io.BytesIO(sample))


@settings(deadline=None)
@given(st.sampled_from([".gz", ".xz", ".zst"]), st.data())
def test_damaged_compressions_are_read_or_refused(packing: str, drawn: st.DataObject) -> None:
    data = bytearray(make.deb(packing=packing))
    for _ in range(drawn.draw(st.integers(1, 4))):
        data[drawn.draw(st.integers(68, len(data) - 1))] = drawn.draw(st.integers(0, 255))
    with suppress(Invalid):
        read_binary(io.BytesIO(bytes(data)))


@settings(deadline=None)
@given(st.integers(0, len(CHANGES) - 1), st.binary(max_size=4))
def test_damaged_lists_are_read_or_refused(at: int, patch: bytes) -> None:
    with suppress(Invalid):
        read_changes(CHANGES[:at] + patch + CHANGES[at + len(patch) :])
    with suppress(Invalid):
        read_source(SOURCE[:at] + patch + SOURCE[at + len(patch) :])
