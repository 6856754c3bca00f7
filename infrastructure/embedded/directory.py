"""The data directory of embedded servers: who owns it now, and where its sockets are."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from infrastructure.embedded.errors import DataDirectoryInUse, DataDirectoryUnusable
from infrastructure.processes import Account

_SOCKET_DIRECTORY_BYTES = 90
"""What fits beside a socket's own name into the 104 (BSD) or 108 (Linux) bytes of `sun_path`."""


class DirectoryLock:
    """A claim on one server of a data directory; the kernel drops it when this process dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Claim it; claiming again what is held does nothing. Raises DataDirectoryInUse."""
        if self._descriptor is not None:
            return
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip()
            os.close(descriptor)
            raise DataDirectoryInUse(self._path.parent, holder or "unknown") from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it up."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def private_directory(path: Path, account: Account | None, mode: int = 0o700) -> Path:
    """Make a directory that belongs to the account (ourselves when None), and give its path.

    One that exists must be a true directory of that owner, else DataDirectoryUnusable: in a shared place somebody else
    may have put it there.
    """
    owner = os.geteuid() if account is None else account.uid
    try:
        path.mkdir(mode=mode, parents=True)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {owner, os.geteuid()}:
            raise DataDirectoryUnusable(f"{path} is not a directory of user {owner}") from None
    path.chmod(mode)
    if account is not None:
        os.chown(path, account.uid, account.gid)
    return path


def socket_directory(data_dir: Path, account: Account | None) -> Path:
    """A directory for Unix sockets that only the account may enter, the same one each time for one data directory.

    It is `run/` in the data directory, or, where that path is too long for a socket, one in the system's directory for
    such things that is named after a hash of the data directory.
    """
    inside = data_dir / "run"
    if len(os.fsencode(inside)) <= _SOCKET_DIRECTORY_BYTES:
        return private_directory(inside, account)
    name = "artifact-keeper-" + hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    for parent in _runtime_directories():
        outside = parent / name
        if len(os.fsencode(outside)) <= _SOCKET_DIRECTORY_BYTES:
            return private_directory(outside, account)
    raise DataDirectoryUnusable(f"{data_dir} is too long a path for Unix sockets: set AK_DATA_DIR to a shorter one")


def _runtime_directories() -> list[Path]:
    wanted = [Path("/run")] if os.geteuid() == 0 else [Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent"))]
    wanted += [Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108 - private_directory checks whose it is
    return [path for path in wanted if path.is_dir() and os.access(path, os.W_OK | os.X_OK)]
