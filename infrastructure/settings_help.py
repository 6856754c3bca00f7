"""The table of settings as people read it: in the README, and printed by a command.

`python -m infrastructure.settings_help README.md` rewrites the part of that file between the markers.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from infrastructure.setting_table import SECTIONS, Computed, Setting
from infrastructure.settings import Settings

BEGIN = "<!-- settings: written by `make settings` -->"
END = "<!-- end of settings -->"

_WIDTH = 100


def markdown() -> str:
    """A Markdown table for each section."""
    parts = []
    for section in SECTIONS:
        rows = "\n".join(map(_row, section.settings))
        parts.append(f"**{section.title}**\n\n| name | default | meaning | accepts |\n|---|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def with_table(text: str) -> str:
    """The document with the part between the markers made anew. Raises ValueError when it has no markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} … {END} in it")
    return f"{before}{BEGIN}\n\n{markdown()}\n{END}{after}"


def plain(settings: Settings | None = None) -> str:
    """All settings for a terminal; with values in force when `settings` is given. Secrets are never shown."""
    parts = []
    for section in SECTIONS:
        parts.append(f"{section.title}\n")
        for setting in section.settings:
            value = _shown_default(setting, code="") if settings is None else _in_force(setting, settings)
            meaning = f"{setting.description} ({setting.parse.accepts})"
            parts.append(f"  {setting.name}={value}" if value else f"  {setting.name}")
            parts.append(textwrap.fill(meaning, _WIDTH, initial_indent="      ", subsequent_indent="      "))
        parts.append("")
    return "\n".join(parts)


def _row(setting: Setting) -> str:
    meaning = setting.description + (" *(secret)*" if setting.secret else "")
    cells = [f"`{setting.name}`", _shown_default(setting), meaning, setting.parse.accepts]
    return "| " + " | ".join(map(_escaped, cells)) + " |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _shown_default(setting: Setting, code: str = "`") -> str:
    if isinstance(setting.default, Computed):
        return setting.default.text
    return f"{code}{setting.default}{code}" if setting.default else ""


def _in_force(setting: Setting, settings: Settings) -> str:
    value = getattr(settings, setting.field)
    if value is None or value == ():
        return ""
    if setting.secret:
        return "(set, not shown)"
    if setting.field == "production":
        return "production" if value else "development"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def main(arguments: list[str]) -> None:
    """Rewrite the named file, or print the table."""
    if not arguments:
        sys.stdout.write(markdown())
        return
    readme = Path(arguments[0])
    readme.write_text(with_table(readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
