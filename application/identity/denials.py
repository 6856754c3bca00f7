"""What was refused, for the audit: recorded off the request, and repeated ones together, so that a flood cannot fill
the log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from uuid import UUID, uuid4

import msgspec

from application.identity.clients import ClientSeals
from application.log import Change, EventLog
from domain.errors import RegistryError, Unavailable
from domain.event import Metadata
from domain.permissions import Principal
from domain.sign_in import AccessDenied, LoginRefused

_log = logging.getLogger(__name__)

WINDOW_SECONDS = 60.0
FLUSH_SECONDS = 0.25
MAX_DISTINCT = 500
"""Different refusals in one window; what is beyond is counted under one name for each kind."""

MAX_TEXT = 256
MAX_PENDING = 5_000
OTHERS = "(others)"

_Refusal = AccessDenied | LoginRefused
_Key = tuple[object, ...]


class _Window:
    """An event that was recorded, and how many equal ones came since."""

    __slots__ = ("ends", "refused", "suppressed")

    def __init__(self, refused: _Refused, ends: float) -> None:
        self.refused = refused
        self.ends = ends
        self.suppressed = 0


class _Refused(msgspec.Struct, frozen=True):
    """id: the same at each attempt to append it, so that it is in the log once."""

    id: UUID
    event: _Refusal
    person: UUID | None
    kind: str
    via: str
    client: str
    agent: str
    request: str = ""


class Denials:
    """`record` and `login_refused` cost microseconds and never wait; a thread appends what they noted."""

    def __init__(
        self,
        log: EventLog,
        seals: ClientSeals,
        *,
        window_seconds: float = WINDOW_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._seals = seals
        self._window_seconds = window_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[_Key, _Window] = {}
        self._pending: list[_Refused] = []
        self._flushing = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="denials", daemon=True)

    def start(self) -> None:
        """Begin to append."""
        self._thread.start()

    def stop(self) -> None:
        """Append the rest, counts included, and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self.flush(everything=True)

    def record(
        self,
        principal: Principal,
        action: str,
        resource: str,
        repository: UUID | None,
        client: str,
        *,
        agent: str = "",
        request: str = "",
    ) -> None:
        """Somebody tried what they may not. request: its id; a count of equal ones has none."""
        event = AccessDenied(repository=repository, action=action, resource=_plain(resource))
        self._note(_Refused(uuid4(), event, principal.id, principal.kind, principal.via, client, agent, request))

    def login_refused(self, reason: str, user: UUID | None, client: str, agent: str = "") -> None:
        """A credential was not accepted, whatever its secret. reason: a word, never what was sent."""
        event = LoginRefused(user=user, reason=reason)
        self._note(_Refused(uuid4(), event, None, "anonymous", "", client, agent))

    def flush(self, *, everything: bool = False) -> None:
        """Append what is pending and what windows counted that are over; with `everything`, also those that are not.

        What cannot be appended while the database is away is kept for the next time.
        """
        with self._flushing:
            taken = self._take(everything=everything)
            for done, refused in enumerate(taken):
                try:
                    self._append(refused)
                except Unavailable as error:
                    self._keep(taken[done:])
                    _log.warning("%d refusals are not in the log yet: %s", len(taken) - done, error)
                    return
                except RegistryError as error:
                    # the refusal itself stands; the request was answered long ago
                    _log.error("not in the log: %s (%s)", refused.event, error)

    def _keep(self, refused: list[_Refused]) -> None:
        with self._lock:
            self._pending = refused + self._pending

    def _note(self, refused: _Refused) -> None:
        key: _Key = (refused.event, refused.person, refused.client)
        now = self._clock()
        with self._lock:
            if key not in self._windows and len(self._windows) >= MAX_DISTINCT:
                refused = _collapsed(refused)
                key = (refused.event,)
            window = self._windows.get(key)
            if window is not None:
                window.suppressed += 1
            elif len(self._pending) < MAX_PENDING:
                self._windows[key] = _Window(refused, now + self._window_seconds)
                self._pending.append(refused)

    def _take(self, *, everything: bool) -> list[_Refused]:
        now = self._clock()
        with self._lock:
            taken, self._pending = self._pending, []
            over = [key for key, window in self._windows.items() if everything or window.ends <= now]
            for key in over:
                window = self._windows.pop(key)
                if window.suppressed:
                    event = msgspec.structs.replace(window.refused.event, suppressed=window.suppressed)
                    taken.append(msgspec.structs.replace(window.refused, id=uuid4(), event=event, request=""))
        return taken

    def _append(self, refused: _Refused) -> None:
        client = self._seals(refused.person, refused.client, refused.agent)
        meta = Metadata(by=refused.person, kind=refused.kind, via=refused.via, request=refused.request, client=client)
        repository = refused.event.repository if isinstance(refused.event, AccessDenied) else None
        self._log.append([Change(refused.id, 0, [refused.event], repository)], meta, command_id=refused.id)

    def _run(self) -> None:
        while not self._stopping.wait(FLUSH_SECONDS):
            try:
                self.flush()
            except Exception:  # noqa: BLE001 - the thread must go on; what comes later is recorded
                _log.exception("refusals are not in the log")


def _plain(text: str) -> str:
    """Text from a request as it may be stored: short, and nothing but characters."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text[:MAX_TEXT])


def _collapsed(refused: _Refused) -> _Refused:
    event: _Refusal
    if isinstance(refused.event, AccessDenied):
        event = AccessDenied(action=refused.event.action[:16], resource=OTHERS)
    else:
        event = LoginRefused(reason=refused.event.reason)
    return _Refused(uuid4(), event, None, "anonymous", "", OTHERS, "")
