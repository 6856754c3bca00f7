"""Becomes another program that cannot outlive whoever started it; run as a script, never imported.

`python -I -S launcher.py <parent pid> <signal> <uid> <gid> program argument…` (uid and gid may be `-`). A script of its
own, because the same steps between fork and exec of a threaded parent (`preexec_fn`) can deadlock.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Give up root, ask the kernel for a signal when the parent dies, become the program."""
    parent, signal_number, uid, gid, *command = arguments
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if sys.platform == "linux":  # after setuid, which forgets the request
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
        if os.getppid() != int(parent):  # it died before it could be watched
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - replacing this process by the command is the whole point


if __name__ == "__main__":
    main(sys.argv[1:])
