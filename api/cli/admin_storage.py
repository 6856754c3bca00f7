"""`artifact-keeper admin …` on stored bytes."""

from __future__ import annotations

import sys

import rich_click as click

from api.cli.printing import as_json, print_json, remark
from api.composition.admin import administration


@click.command()
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@click.option(
    "--grace",
    "grace_seconds",
    type=click.IntRange(min=0),
    metavar="SECONDS",
    help="Keep what was stored or let go within this time; BLOB_GC_SWEEP_GRACE_SECS without it. 0 spares only uploads "
    "in flight.",
)
@as_json
def collect(dry_run: bool, grace_seconds: int | None, as_json: bool) -> None:
    """Remove the blobs that nothing needs any more, neither now nor in any past that can still be read.

    Safe while the registry runs. Exit status 1 when some could not be removed; the next run tries again.
    """
    with administration("admin collect") as running:
        collected = running.collect(dry_run, grace_seconds)
    for error in collected.errors:
        remark(error)
    if as_json:
        print_json(collected)
    else:
        verb = "would be removed" if dry_run else "removed"
        click.echo(f"{collected.storage_keys_deleted} blobs, {collected.bytes_freed} bytes {verb}")
    sys.exit(1 if collected.errors else 0)
