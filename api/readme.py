"""How every format's clients are set up, as the README shows it: `python -m api.readme README.md` writes that part."""

from __future__ import annotations

import sys
from pathlib import Path

from application.formats import FORMATS
from application.setting_up import filled

BEGIN = "<!-- setup: written by `make settings` -->"
END = "<!-- end of setup -->"
_BASE_URL = "http://127.0.0.1:8080"


def markdown() -> str:
    """A heading and the snippets for each format; a repository is called as its format is."""
    parts = []
    for one in FORMATS:
        parts.append(f"**{one.title}**\n")
        for snippet in filled(one.setup, one.prefix, one.key, _BASE_URL):
            place = f" — `{snippet.file}`" if snippet.file else ""
            parts.append(f"{snippet.title}{place}:\n\n```\n{snippet.text.rstrip()}\n```\n")
    return "\n".join(parts)


def with_setup(text: str) -> str:
    """The document with the part between the markers made anew. Raises ValueError when it has no markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} … {END} in it")
    return f"{before}{BEGIN}\n\n{markdown()}\n{END}{after}"


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(with_setup(document.read_text("utf-8")), "utf-8")
