"""How commands answer: facts and secrets on standard output, remarks on standard error, or one JSON value."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import rich_click as click

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON value instead of text.")


def print_json(value: object) -> None:
    """One line of JSON."""
    click.echo(msgspec.json.encode(value))


def remark(text: str) -> None:
    """For a person who looks; what a script reads stays clean."""
    click.echo(printable(text), err=True)


def print_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Columns under their names; a moment is shown to the second in UTC, nothing as a dash."""
    lines = [tuple(head), *(tuple(map(_cell, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def printable(text: str) -> str:
    """Names come from people: none may write on an operator's terminal."""
    return "".join(character if character.isprintable() or character == "\n" else "?" for character in text)


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return printable(str(value)).replace("\n", " ")
