"""Child processes that end with their parent: starting them, ending them in good order, and leaving nothing behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

import msgspec

_LAUNCHER = Path(__file__).with_name("launcher.py")
_POLL_SECONDS = 0.02
_HURRY_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


class Account(msgspec.Struct, frozen=True):
    """A user of this machine under which a process can run."""

    name: str
    uid: int
    gid: int


class EndStep(msgspec.Struct, frozen=True):
    """Ask a process to end with `signal`, and give it `seconds` to do so."""

    signal: signal.Signals
    seconds: float


def spawn(
    command: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    account: Account | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
    cwd: Path | None = None,
    output: IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command that gets `death_signal` from the kernel when the thread that called this ends (Linux).

    So call it from a thread that lives as long as the child should: the main thread. The child leads a session of its
    own: Ctrl-C at the terminal reaches us and not it. account: run as that user (root only). output: where stdout and
    stderr go; ours when None. Standard input is empty.
    """
    who = ("-", "-") if account is None else (str(account.uid), str(account.gid))
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(int(death_signal)), *who]
    return subprocess.Popen(  # noqa: S603 - no shell, and the command is the caller's own
        [*launcher, *command],
        env=environ,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def die_with_parent(death_signal: signal.Signals = signal.SIGKILL) -> None:
    """Let the kernel end this process when its parent ends (Linux; nothing elsewhere).

    For processes that `spawn` did not start: the workers that a server forks would otherwise outlive its kill -9.
    """
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), death_signal)


def never() -> bool:
    """No hurry."""
    return False


def end(process: subprocess.Popen[bytes], steps: Sequence[EndStep], hurry: Callable[[], bool] = never) -> int:
    """End a process: each step in turn until it is gone, SIGKILL at last; what is left of its group is killed too.

    hurry: asked meanwhile; once it says yes, each step lasts a second at most.
    Returns the exit status as `Popen.returncode` has it. Ending a process that has ended is harmless.
    """
    for step in steps:
        if not has_ended(process):
            process.send_signal(step.signal)
        if _wait_for_end(process, step.seconds, hurry):
            break
    return reap(process)


def _wait_for_end(process: subprocess.Popen[bytes], seconds: float, hurry: Callable[[], bool]) -> bool:
    """Whether the process ended in time. It is not reaped, so its group keeps its number."""
    deadline = time.monotonic() + seconds
    hurried = False
    while not has_ended(process):
        if not hurried and hurry():
            hurried, deadline = True, min(deadline, time.monotonic() + _HURRY_SECONDS)
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process has ended, without reaping it."""
    if process.returncode is not None:
        return True
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # somebody else reaped it
        return True


def reap(process: subprocess.Popen[bytes]) -> int:
    """Kill the whole group of a process that `spawn` started, take its exit status, and give it.

    The group first: the number cannot belong to anybody else while its leader is not reaped.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()
