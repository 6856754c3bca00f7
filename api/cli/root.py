"""The command group."""

from __future__ import annotations

import rich_click as click

from api.cli import admin_jobs, admin_storage, admin_tokens, maintenance, processes
from api.cli.admin import admin
from api.cli.audit import audit

click.rich_click.TEXT_MARKUP = "markdown"
click.rich_click.COMMAND_GROUPS = {
    "artifact-keeper": [
        {"name": "Run", "commands": ["serve", "api", "project", "work"]},
        {"name": "Set up", "commands": ["migrate", "settings", "admin"]},
        {"name": "Look after", "commands": ["rebuild", "verify", "audit"]},
    ],
    "artifact-keeper admin": [
        {"name": "Accounts", "commands": ["list-users", "create-user", "update-user", "reset-password", "erase-user"]},
        {"name": "Tokens", "commands": ["list-tokens", "create-token", "revoke-token", "revoke-tokens"]},
        {"name": "Storage and jobs", "commands": ["collect", "jobs", "run-job"]},
    ],
}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="artifact-keeper", prog_name="artifact-keeper")
def artifact_keeper() -> None:
    """Artifact Keeper: a universal package registry whose whole history can be read and proven.

    `artifact-keeper serve` runs everything on this machine, with a PostgreSQL and a Valkey of its own.
    The other commands run one part each, against the servers that DATABASE_URL and REDIS_URL name.
    Settings are environment variables; `artifact-keeper settings` lists them.
    """


for command in (
    processes.serve,
    processes.api,
    processes.project,
    processes.work,
    processes.migrate,
    processes.settings,
    maintenance.rebuild,
    maintenance.verify,
    audit,
    admin,
):
    artifact_keeper.add_command(command)

for command in (
    admin_tokens.list_tokens,
    admin_tokens.create_token,
    admin_tokens.revoke_token,
    admin_tokens.revoke_tokens,
    admin_storage.collect,
    admin_jobs.jobs,
    admin_jobs.run_job,
):
    admin.add_command(command)
