"""What processes cost: time of the processor, and memory, of one or of a tree; read from /proc."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """The process and all below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
    found, level = [root], {root}
    while level:
        level = {pid for pid, parent in parents.items() if parent in level}
        found += sorted(level)
    return found


def cpu_seconds(root: int) -> float:
    """What a tree of processes has used so far, in user and system mode."""
    used = 0
    for pid in tree(root):
        with suppress(OSError):
            used += sum(map(int, _stat(pid)[11:13]))
    return used / _TICKS


def private_bytes(pid: int) -> int:
    """Memory that the process alone has: what shrinks when it ends. Pages of files, read or mapped, do not count."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    fields = {line.split(":")[0]: line.split()[1] for line in rollup.splitlines()[1:]}
    return int(fields["Private_Dirty"]) * 1024


def resident_bytes(pid: int) -> int:
    """Memory in use by the process, what it shares included."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _stat(pid: int) -> list[str]:
    """Fields of /proc/pid/stat from the third on; what stands before may hold any text."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
