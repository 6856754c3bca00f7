"""Which clients are told apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.usage import CLIENT_FAMILIES, OTHER_FAMILY, client_family


@pytest.mark.parametrize(
    ("agent", "family"),
    [
        ('pip/24.0 {"ci":null,"cpu":"x86_64"}', "pip"),
        ("uv/0.5.1 {...}", "uv"),
        ("poetry/1.8.2 CPython/3.11.2 Linux", "poetry"),
        ("npm/10.2.4 node/v20.11.0 linux x64 workspaces/false", "npm"),
        ("pnpm/9.1.0 npm/? node/v20.11.0 linux x64", "pnpm"),
        ("yarn/1.22.22 npm/? node/v20.11.0 linux x64", "yarn"),
        ("twine/5.0.0 requests/2.31.0 CPython/3.11.2", "twine"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "browser"),
        ("CURL/8.5", "curl"),
        ("", OTHER_FAMILY),
        ("pipeline-runner", OTHER_FAMILY),
    ],
)
def test_a_client_is_known_by_its_user_agent(agent: str, family: str) -> None:
    assert client_family(agent) == family


@given(st.text())
def test_whatever_is_sent_the_families_are_few(agent: str) -> None:
    assert client_family(agent) in {family for _, family in CLIENT_FAMILIES} | {OTHER_FAMILY}
