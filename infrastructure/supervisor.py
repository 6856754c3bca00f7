"""Keeps a set of processes running until it is told to stop; the process tree of `serve`."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, Protocol, Self

import msgspec

from infrastructure.processes import EndStep, end, has_ended, never, reap, spawn

FINAL_STATUS = os.EX_CONFIG
"""A command that ends with this status cannot work however often it is started: its configuration is wrong."""

_STEP_SECONDS = 0.1
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_log = logging.getLogger(__name__)


class Service(Protocol):
    """Something that runs as one child process (with any number of its own): a command, an embedded server."""

    name: str
    process: subprocess.Popen[bytes] | None

    def launch(self) -> None:
        """Start the process and return at once."""

    def stop(self, limit_seconds: float, hurry: Callable[[], bool]) -> None:
        """End the process in good order, by force past the limit or once `hurry` says yes; harmless when it ended."""


class Command:
    """A service that is a command line; it shares our standard output and error."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        environ: Mapping[str, str],
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """stop_signal: asks the command to end, and is also what it gets when we die."""
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self._arguments = list(arguments)
        self._environ = dict(environ)
        self._stop_signal = stop_signal

    def launch(self) -> None:
        """Start the command; must be called from the main thread, see `spawn`."""
        if self.process is not None:
            reap(self.process)
        self.process = spawn(self._arguments, environ=self._environ, death_signal=self._stop_signal)

    def stop(self, limit_seconds: float = 30, hurry: Callable[[], bool] = never) -> None:
        """Ask it to end; whatever of its process group is left at the limit is killed."""
        if self.process is not None:
            end(self.process, [EndStep(self._stop_signal, limit_seconds)], hurry)
            self.process = None


class BackOff(msgspec.Struct, frozen=True):
    """How long to wait before a service is started again: doubling, and forgotten after it ran well for a while."""

    first_seconds: float = 0.1
    longest_seconds: float = 15.0
    forgotten_after_seconds: float = 60.0


class _Watched:
    """A service with what its restarts depend on."""

    def __init__(self, service: Service, stop_seconds: float, back_off: BackOff) -> None:
        self.service = service
        self.stop_seconds = stop_seconds
        self._back_off = back_off
        self._started_at = time.monotonic()
        self._next_wait = back_off.first_seconds
        self.due_at: float | None = None

    def ended(self) -> bool:
        process = self.service.process
        return self.due_at is None and process is not None and has_ended(process)

    def schedule(self) -> float:
        """Plan the next start, and give the seconds until then."""
        now = time.monotonic()
        if now - self._started_at > self._back_off.forgotten_after_seconds:
            self._next_wait = self._back_off.first_seconds
        wait, self._next_wait = self._next_wait, min(2 * self._next_wait, self._back_off.longest_seconds)
        self.due_at = now + wait
        return wait

    def restart(self) -> None:
        self.due_at = None
        self._started_at = time.monotonic()
        self.service.launch()


class Supervisor:
    """Starts services in order, starts again what dies, stops them in reverse order.

    Use it in the main thread, as a context manager: leaving the block stops everything, whatever happened inside.
    Services get a signal from the kernel when this process dies, so nothing outlives it.
    """

    def __init__(self, report: Callable[[str], None] = _log.warning, back_off: BackOff | None = None) -> None:
        """report: told each unexpected end and each start after it, in a sentence."""
        self._report = report
        self._back_off = back_off or BackOff()
        self._watched: list[_Watched] = []
        self._wake_read, self._wake_write = os.pipe()
        for descriptor in (self._wake_read, self._wake_write):
            os.set_blocking(descriptor, False)
        self._signals = 0
        self._previous: dict[signal.Signals, Any] = {}
        self._previous_wakeup = -1

    def __enter__(self) -> Self:
        """From here on signals ask `watch` to return; SIGCHLD wakes it."""
        for number in (*_STOP_SIGNALS, signal.SIGCHLD):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                self._previous[number] = signal.signal(number, self._noticed)
        self._previous_wakeup = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        signal.set_wakeup_fd(self._previous_wakeup)
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        os.close(self._wake_read)
        os.close(self._wake_write)

    @property
    def stopping(self) -> bool:
        """Whether a signal or `request_stop` asked to stop; long steps between `start` and `watch` look at it."""
        return self._signals > 0

    def request_stop(self) -> None:
        """Let `watch` return soon; may be called from any thread."""
        self._signals += 1
        os.write(self._wake_write, b"\0")

    def watch(self, service: Service, *, stop_seconds: float = 30) -> None:
        """Keep a service running from now on; it is launched unless it runs already.

        stop_seconds: how long it may take to end in good order.
        """
        if service.process is None:
            service.launch()
        self._watched.append(_Watched(service, stop_seconds, self._back_off))

    def run(self, step: Callable[[], bool] | None = None) -> int:
        """Start again what dies until a signal asks to stop; the exit status for this process.

        It is 0 after a signal, and FINAL_STATUS when a service ended with that. step: something to do meanwhile, such
        as looking whether everything answers yet; called every tenth of a second until it says that it is done.
        """
        while not self.stopping:
            if step is not None and step():
                step = None
            for watched in self._watched:
                if watched.ended() and self._settle(watched) == FINAL_STATUS:
                    return FINAL_STATUS
                if watched.due_at is not None and watched.due_at <= time.monotonic():
                    self._start_again(watched)
            self._wait(None if step is None else _STEP_SECONDS)
        return 0

    def stop(self) -> None:
        """Stop all services, the last one started first. A second signal meanwhile cuts the waiting short."""
        signals = self._signals
        while self._watched:
            watched = self._watched.pop()
            watched.service.stop(watched.stop_seconds, lambda: self._signals > signals)

    def _settle(self, watched: _Watched) -> int:
        """Take the exit status of a service that died, clear what it left, plan its next start."""
        process = watched.service.process
        status = 0 if process is None else reap(process)
        if status != FINAL_STATUS:
            wait = watched.schedule()
            self._report(f"{watched.service.name} {described(status)}; starting it again in {wait:.1f} s")
        return status

    def _start_again(self, watched: _Watched) -> None:
        try:
            watched.restart()
        except Exception as fault:  # noqa: BLE001 - one service that cannot start must not end the others
            wait = watched.schedule()
            self._report(f"{watched.service.name} could not be started ({fault}); trying again in {wait:.1f} s")
        else:
            self._report(f"{watched.service.name} started again")

    def _wait(self, longest_seconds: float | None) -> None:
        """Sleep until a signal comes or a start is due."""
        due = [watched.due_at - time.monotonic() for watched in self._watched if watched.due_at is not None]
        limits = due if longest_seconds is None else [*due, longest_seconds]
        timeout = max(0.0, min(limits)) if limits else None
        select.select([self._wake_read], [], [], timeout)
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 512):
                pass

    def _noticed(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._signals += 1


def described(status: int) -> str:
    """An exit status in words: "was killed by SIGKILL", "ended with status 1"."""
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
