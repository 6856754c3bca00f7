"""The README shows what the formats say."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.readme import with_setup
from application.format import Format
from application.formats import FORMATS
from application.setting_up import Snippet, filled

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_shows_how_every_format_is_set_up() -> None:
    text = README.read_text("utf-8")
    assert text == with_setup(text), "run `make settings`"


@pytest.mark.parametrize("one", FORMATS, ids=lambda one: one.key)
def test_every_format_tells_how_to_install_and_to_publish(one: Format) -> None:
    told = filled(one.setup, one.prefix, "libs", "https://registry.example:8443")
    assert len(told) >= 2
    text = "".join(snippet.text for snippet in told)
    assert "registry.example:8443" in text
    assert not {"{url}", "{key}", "{host}", "{base}"} & set(text.split())


def test_other_braces_stay() -> None:
    (told,) = filled([Snippet("t", "{ {url} {x} }", "{key}.json")], "p", "libs", "https://r.example")
    assert (told.text, told.file) == ("{ https://r.example/p/libs {x} }", "libs.json")
