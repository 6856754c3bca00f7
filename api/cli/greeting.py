"""What a person sees when everything has started."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import Any

import rich_click as click

READY_SECONDS = 60.0
PROBE_SECONDS = 0.5


class Greeting:
    """Called again and again until it has said where the server is, or that it does not answer.

    It speaks on standard error where standard output is for the audit: collectors read lines of JSON there.
    """

    def __init__(self, settings: Any, started: Any) -> None:
        host = settings.bind_address.host
        self._url = f"http://{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{settings.bind_address.port}"  # noqa: S104
        self._settings = settings
        self._started = started
        self._deadline = time.monotonic() + READY_SECONDS

    def __call__(self) -> bool:
        """Whether there is nothing more to say."""
        if _answers(self._url):
            click.echo("\n".join(self._lines()), err=self._settings.audit_stream == "stdout")
            return True
        if time.monotonic() < self._deadline:
            return False
        click.echo(f"The server does not answer on {self._url}; its log is above.", err=True)
        return True

    def _lines(self) -> list[str]:
        data_dir = self._settings.data_dir
        lines = ["", f"  Artifact Keeper is running on {self._url}", f"  API pages: {self._url}/api/v1/docs"]
        if self._started.embedded:
            lines.append(f"  Data: {data_dir} (with a {' and a '.join(self._started.embedded)} of its own)")
        password_file = data_dir / "admin.password"
        if password_file.exists():
            password = password_file.read_text().splitlines()[0]
            lines += _first_steps(self._url, password, str(password_file))
        return [*lines, "", "  Ctrl-C stops everything; the next start finds all data.", ""]


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


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/livez", timeout=PROBE_SECONDS) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False
