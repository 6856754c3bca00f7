"""Commands that look after the read models."""

from __future__ import annotations

import sys

import rich_click as click

from api.composition import maintenance


@click.command()
@click.argument("names", nargs=-1)
def rebuild(names: tuple[str, ...]) -> None:
    """Make read models anew from the log and put them in place, without downtime.

    NAMES are read models (catalogue, access, audit, search …); without any, all that can be rebuilt.
    """
    for name, position in maintenance.rebuild(names, _report):
        click.echo(f"{name}: rebuilt up to position {position}")


@click.command()
@click.argument("names", nargs=-1)
def verify(names: tuple[str, ...]) -> None:
    """Compare the read models with what the log says; exit status 1 when one differs.

    Each is rebuilt beside the live one and compared row by row at the same position. NAMES as for rebuild. To prove
    that the log itself was not altered, see `artifact-keeper audit verify`.
    """
    found = maintenance.verify(names, _report)
    for result in found:
        if result.equal:
            click.echo(f"{result.projection}: {result.rows} rows agree with the log at position {result.position}")
            continue
        tables = ", ".join(result.differing_tables)
        click.echo(f"{result.projection}: DIFFERS from the log at position {result.position} in {tables}")
        for difference in result.differences:
            click.echo(f"  only {difference.side}: {difference.table} {difference.row[:300]}")
    sys.exit(0 if all(result.equal for result in found) else 1)


def _report(name: str, position: int, head: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{name}: {position} of {head}", nl=position >= head, err=True)
