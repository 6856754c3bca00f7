"""What a person sees when everything has started."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

import rich_click as click

READY_SECONDS = 60.0


def greet(settings: Any, started: Any) -> None:
    """Wait until the server answers, then say where it is and what to try."""
    host = settings.bind_address.host
    url = f"http://{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{settings.bind_address.port}"  # noqa: S104
    if not _wait_until_ready(url):
        click.echo(f"The server does not answer on {url} yet; its log is above.", err=True)
        return
    lines = ["", f"  Artifact Keeper is running on {url}", ""]
    if started.embedded:
        lines.append(f"  data      {settings.data_dir}  (with its own {' and '.join(started.embedded)})")
    lines.append(f"  API       {url}/api/v1/docs")
    password_file = settings.data_dir / "admin.password"
    if password_file.exists():
        password = password_file.read_text().splitlines()[0]
        lines += [
            f"  admin     user admin, password {password}",
            "            (shown until it is changed; also in " + str(password_file) + ")",
        ]
    elif started.created_admin:
        lines.append("  admin     user admin, with the password from ADMIN_PASSWORD")
    lines += ["", "  Try:", *_suggestions(url, password_file.exists()), "", "  Ctrl-C stops everything.", ""]
    click.echo("\n".join(lines))


def _suggestions(url: str, locked: bool) -> list[str]:
    return []


def _wait_until_ready(url: str) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/livez", timeout=2) as answer:  # noqa: S310 - our own address
                return json.loads(answer.read()).get("status") == "ok"
        except (urllib.error.URLError, OSError, ValueError):
            time.sleep(0.1)
    return False
