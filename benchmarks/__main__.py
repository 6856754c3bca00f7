"""`python -m benchmarks [names…]`: measure, and print one table. The exit status is 1 when a budget was missed."""

from __future__ import annotations

import argparse
import importlib
import itertools
import sys
import time
from collections.abc import Callable, Iterator

from benchmarks.figures import Figure, report

NAMES = (
    "hot_path", "serving", "publishing", "transfers", "proxying", "memory", "log", "read_models", "blobs", "merkle", "debian_index", "rpm_index", "peers",
)  # fmt: skip
"""Modules with a function `figures`, in the order they are run."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"which to run (default: all): {', '.join(NAMES)}")
    chosen = parser.parse_args().names or NAMES
    if unknown := [name for name in chosen if name not in NAMES]:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    return report(itertools.chain.from_iterable(map(figures_of, chosen)))


def figures_of(name: str) -> Iterator[Figure]:
    """What one module measures, and how long that took."""
    begun = time.perf_counter()
    measure: Callable[[], Iterator[Figure]] = importlib.import_module(f"benchmarks.{name}").figures
    yield from measure()
    print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
