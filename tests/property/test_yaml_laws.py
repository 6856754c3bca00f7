"""Laws of the YAML reader."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from application.yaml_reader import YamlInvalid, parse_yaml

_TEXT = st.text(
    st.characters(codec="utf-8", max_codepoint=0xFFFF, exclude_categories=["Cc", "Cs", "Co", "Cn", "Zl", "Zp"]),
    max_size=20,
)
_TREES: Any = st.recursive(
    st.none() | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(_TREES)
def test_json_is_read_as_yaml(tree: Any) -> None:
    assert parse_yaml(json.dumps(tree).encode(), "x") == tree
    assert parse_yaml(json.dumps(tree, ensure_ascii=False, indent=1).encode(), "x") == tree


@settings(deadline=None)
@given(st.binary(max_size=300) | st.text("&*<:-[]{}a\n '\"!|>#?,", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(YamlInvalid):
        parse_yaml(data, "x")
