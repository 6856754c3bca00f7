"""What is refused to everybody for now: before first boot is finished, and every write in a demonstration."""

from __future__ import annotations

from collections.abc import Callable

from domain.errors import Forbidden, RegistryError

_OPEN_BEFORE_SETUP = (b"/health", b"/healthz", b"/ready", b"/readyz", b"/livez", b"/metrics", b"/api/v1/setup/status")
_DEMO_WRITES = (b"/api/v1/auth/",)


class SetupRequired(Forbidden):
    """The first administrator still has the password that was made for it."""

    template = "choose a password for the administrator first"
    code = "SETUP_REQUIRED"
    instructions = (
        "Find the first password: it is printed at the start, and in the file admin.password in the data directory.",
        'Sign in: POST /api/v1/auth/login with {"username": "admin", "password": …}.',
        'Change it: POST /api/v1/users/me/password with {"current_password": …, "new_password": …}.',
    )

    def __init__(self) -> None:
        super().__init__()


class DemoIsReadOnly(Forbidden):
    """A write to a demonstration."""

    template = "this is a demonstration; nothing can be changed"
    code = "DEMO_MODE"

    def __init__(self) -> None:
        super().__init__()


class Locks:
    """setup_locked: whether the first administrator has still to be set up."""

    def __init__(self, setup_locked: Callable[[], bool], *, demo: bool) -> None:
        self._setup_locked = setup_locked
        self._demo = demo

    def refusal(self, method: str, raw_path: bytes) -> RegistryError | None:
        """Why a request is refused now, if it is."""
        if self._setup_locked() and not _open_before_setup(raw_path):
            return SetupRequired()
        if self._demo and method not in {"GET", "HEAD", "OPTIONS"} and not raw_path.startswith(_DEMO_WRITES):
            return DemoIsReadOnly()
        return None


def _open_before_setup(path: bytes) -> bool:
    if path in _OPEN_BEFORE_SETUP or path.startswith(b"/api/v1/auth"):
        return True
    return path.startswith(b"/api/v1/users/") and path.endswith(b"/password")
