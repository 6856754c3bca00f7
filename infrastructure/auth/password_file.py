"""The file with the first administrator's password."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


class AdminPasswordFile:
    """The PasswordFile port: one file of mode 0600 that appears whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """See PasswordFile."""
        return self.path.exists()

    def keep(self, password: str) -> str:
        """See PasswordFile."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(f"{password}\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, self.path)
        except FileExistsError:
            return self.path.read_text().split("\n", 1)[0]
        finally:
            draft.unlink()
        return password

    def remove(self) -> None:
        """See PasswordFile."""
        self.path.unlink(missing_ok=True)
