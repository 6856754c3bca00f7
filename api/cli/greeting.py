"""What a person sees when everything has started."""

from __future__ import annotations

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
    lines = ["", f"  Artifact Keeper is running on {url}", f"  API pages: {url}/api/v1/docs"]
    if started.embedded:
        lines.append(f"  Data: {settings.data_dir} (with a {' and a '.join(started.embedded)} of its own)")
    password_file = settings.data_dir / "admin.password"
    if password_file.exists():
        lines += _first_steps(url, password_file.read_text().splitlines()[0], str(password_file))
    lines += ["", "  Ctrl-C stops everything; the next start finds all data.", ""]
    click.echo("\n".join(lines))


def _first_steps(url: str, password: str, path: str) -> list[str]:
    json = "-H 'Content-Type: application/json'"
    return [
        "",
        f"  First password of the user admin: {password}",
        f"  (also in {path}, until it is changed)",
        "",
        "  1. Choose your own; everything else is locked until then:",
        f"     curl -u 'admin:{password}' {json} {url}/api/v1/users/me/password \\",
        f"""       -d '{{"current_password": "{password}", "new_password": "choose one"}}'""",
        "  2. Make a repository for Python packages:",
        f"     curl -u admin {json} {url}/api/v1/repositories \\",
        """       -d '{"key": "python", "name": "Python", "format": "pypi", "is_public": true}'""",
    ]


def _wait_until_ready(url: str) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/livez", timeout=2) as answer:  # noqa: S310 - our own address
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError, ValueError):
            time.sleep(0.1)
    return False
