"""Secrets that nobody chose: made once, kept in a file that only we can read, the same for every process."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from domain.errors import Invalid

MIN_BYTES = 32

_MIN_DISTINCT = 8
_PLACEHOLDERS = (
    "changeme",
    "changethis",
    "changeinproduction",
    "yoursecret",
    "yoursupersecret",
    "supersecret",
    "devsecret",
    "jwtsecret",
    "placeholder",
    "insecure",
    "donotuse",
    "replacethis",
    "replaceme",
    "0123456789",
    "abcdefghij",
)


class SecretFileInvalid(Invalid):
    """A kept secret cannot be used: others may read it, or it is cut short."""


def weakness(secret: str) -> str | None:
    """What makes a signing secret too weak to use, or None."""
    if len(secret.encode()) < MIN_BYTES:
        return "is shorter"
    if len(set(secret)) < _MIN_DISTINCT:
        return "repeats a few characters"
    letters = "".join(filter(str.isalnum, secret.lower()))
    return "is a placeholder" if any(word in letters for word in _PLACEHOLDERS) else None


def kept_secret(path: Path) -> str:
    """The secret in this file, made (mode 0600) when there is none; of several processes that make one, one wins.

    Raises SecretFileInvalid when other users may read it or it is too short to be one of ours.
    """
    if not path.exists():
        _store(path, secrets.token_urlsafe(48))
    if path.stat().st_mode & 0o077:
        raise SecretFileInvalid(f"{path} can be read by other users: set its mode to 0600")
    kept = path.read_text().strip()
    if len(kept.encode()) < MIN_BYTES:
        raise SecretFileInvalid(f"{path} is cut short: remove it to have a new one, which ends all sessions")
    return kept


def _store(path: Path, text: str) -> None:
    """Write beside, then link: the file appears whole or not at all and never replaces another process's."""
    path.parent.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
