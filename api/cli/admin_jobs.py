"""`artifact-keeper admin …` on recurring jobs."""

from __future__ import annotations

import sys

import rich_click as click

from api.cli.printing import as_json, print_json, print_table, remark
from api.composition.admin import job_board
from application.jobs import JobState


@click.command()
@as_json
def jobs(as_json: bool) -> None:
    """Show the recurring jobs: when each was done, when it is due, and why the last run failed.

    A job that fails is tried again after half a minute, then ever later, at last at its regular times. Exit status 1
    when one failed four times in a row or more.
    """
    with job_board() as board:
        states = board.states()
    if as_json:
        print_json(states)
    else:
        print_table(
            ("JOB", "STATE", "DONE", "DUE", "FAILURES", "ERROR"),
            [(one.name, _state(one), one.done_at, one.due_at, one.failures, one.error) for one in states],
        )
    sys.exit(1 if any(one.failing for one in states) else 0)


@click.command("run-job")
@click.argument("name")
def run_job(name: str) -> None:
    """Have a recurring job run now, by whichever worker is free, instead of when it is due."""
    with job_board() as board:
        board.enqueue(name)
    remark(f"{name} is due now")


def _state(job: JobState) -> str:
    if job.running:
        return "running"
    if job.failures:
        return "failing" if job.failing else "to be retried"
    return "waiting" if job.done_at else "new"
