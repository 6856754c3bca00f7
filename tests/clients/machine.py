"""A machine of somebody who uses package managers: an empty home, the clients on its path, and no way to the internet."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

CLIENTS = Path(os.environ.get("AK_CLIENTS", Path(__file__).parents[2] / ".clients"))
"""Where `make clients` puts them."""

SECONDS = 300
_NOWHERE = "http://127.0.0.1:9"

_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "NO_COLOR": "1",
    "COLUMNS": "500",
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), _NOWHERE),
    **dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost"),
}
"""Whoever asks for anything but this machine meets a proxy that is not there."""


class Machine:
    """A home, and commands in it. `env` is theirs; change it as a user would."""

    def __init__(self, home: Path, env: Mapping[str, str] | None = None) -> None:
        self.home = home
        path = (CLIENTS / "bin", Path(sys.executable).parent, "/usr/local/bin", "/usr/bin", "/bin")
        self.env = {
            **_ENVIRONMENT,
            "HOME": str(home),
            "TMPDIR": str(_made(home / "tmp")),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_DATA_HOME": str(home / ".local/share"),
            "PATH": os.pathsep.join(map(str, path)),
            **(env or {}),
        }

    def require(self, *names: str) -> None:
        """Skip the test when a client is not installed; in CI, fail it."""
        for name in names:
            if shutil.which(name, path=self.env["PATH"]) is None:
                if os.environ.get("CI"):
                    pytest.fail(f"the client {name} is not installed: make clients")
                pytest.skip(f"the client {name} is not installed: make clients")

    def run(
        self,
        *command: str | Path,
        folder: Path | None = None,
        fails: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Standard output and error together; the command must succeed, or fail, as expected. env: on top of `env`."""
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder or self.home,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
        assert (done.returncode != 0) == fails, f"{command}: exit status {done.returncode}\n{done.stdout}"
        return done.stdout

    def answer(self, command: list[str], answers: dict[str, str]) -> str:
        """Run a command on a terminal and type what it asks for; what the terminal showed."""
        master, slave = pty.openpty()
        process = subprocess.Popen(command, cwd=self.home, env=self.env, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        said, pending, until = "", dict(answers), time.monotonic() + SECONDS
        while time.monotonic() < until:
            if select.select([master], [], [], 0.2)[0]:
                try:
                    said += os.read(master, 4096).decode(errors="replace")
                except OSError:  # the other end is closed
                    break
            for prompt in [prompt for prompt in pending if prompt in said]:
                os.write(master, f"{pending.pop(prompt)}\n".encode())
        os.close(master)
        assert process.wait(10) == 0, said
        return said

    def folder(self, name: str) -> Path:
        """An empty folder in the home; the name gets a number when it is taken."""
        taken = sum(1 for _ in self.home.glob(f"{name}*"))
        return _made(self.home / (f"{name}{taken}" if taken else name))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
