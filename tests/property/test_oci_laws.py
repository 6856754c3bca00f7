"""Laws of reading manifests and of paging lists."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from application.formats.oci.index import page
from application.formats.oci.metadata import ManifestInvalid, parse_manifest
from application.formats.oci.names import (
    DigestInvalid,
    NameInvalid,
    TagInvalid,
    order_key,
    parse_image,
    parse_reference,
)
from tests.samples.oci import make

_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = ("schemaVersion", "mediaType", "config", "layers", "manifests", "blobs", "subject", "annotations")
_TYPES = st.sampled_from(["", make.OCI_MANIFEST, make.OCI_INDEX, make.DOCKER_LIST, "application/json"])


@settings(deadline=None)
@given(st.binary(max_size=200), _TYPES)
def test_any_bytes_are_a_manifest_or_refused(data: bytes, content_type: str) -> None:
    with contextlib.suppress(ManifestInvalid):
        parse_manifest(data, content_type)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(_FIELDS), _JSON), _TYPES, st.booleans())
def test_any_fields_are_a_manifest_or_refused(fields: dict[str, Any], content_type: str, of_an_index: bool) -> None:
    document = json.loads(make.index() if of_an_index else make.image("x").manifest)
    with contextlib.suppress(ManifestInvalid):
        parse_manifest(json.dumps({**document, **fields}).encode(), content_type)


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    with contextlib.suppress(NameInvalid):
        assert not text or parse_image(text) == text
    with contextlib.suppress(DigestInvalid, TagInvalid):
        assert str(parse_reference(text)) == text


@settings(deadline=None)
@given(st.lists(st.text(max_size=12)))
def test_any_texts_can_be_ordered(texts: list[str]) -> None:
    assert len(sorted(texts, key=order_key)) == len(texts)


@settings(deadline=None)
@given(st.sets(st.text(alphabet="abAB01._-", min_size=1, max_size=3)), st.integers(1, 5))
def test_pages_together_are_the_whole_list(names: set[str], limit: int) -> None:
    found: list[str] = []
    last, more = "", True
    while more:
        part = page(names, last, limit)
        found += part.names
        more = part.more
        last = found[-1] if found else ""
    assert found == sorted(names)
