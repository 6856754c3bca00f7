"""What a benchmark says: one line for each figure, as a ratio to something measured in the same run, against its budget."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Figure(NamedTuple):
    """One line. value: what the budget speaks of, mostly the ratio of ours to theirs; NaN where nothing was measured.

    ours, theirs: for people to read. least, most: the budget; None for a figure that is only told.
    """

    what: str
    ours: str
    theirs: str
    value: float
    unit: str = "x"
    least: float | None = None
    most: float | None = None

    @property
    def held(self) -> bool:
        """Whether the budget is held, or there is none."""
        return not (
            (self.least is not None and not self.value >= self.least)
            or (self.most is not None and not self.value <= self.most)
        )

    @property
    def budget(self) -> str:
        """The budget in words."""
        if self.least is not None:
            return f">= {self.least:,g}{self.unit}"
        return f"<= {self.most:,g}{self.unit}" if self.most is not None else ""


WIDTHS = "{:<62} {:>14} {:>22} {:>10} {:>12} {}"


def print_header() -> None:
    print(WIDTHS.format("what", "ours", "theirs", "value", "budget", ""))


def print_figure(figure: Figure) -> None:
    value = f"{figure.value:,.{0 if figure.value >= 1000 else 1 if figure.value >= 100 else 2}f}{figure.unit}"
    verdict = "" if not figure.budget else "held" if figure.held else "MISSED"
    print(WIDTHS.format(figure.what, figure.ours, figure.theirs, value, figure.budget, verdict), flush=True)


def report(figures: Iterable[Figure]) -> int:
    """Print each figure as it comes; the exit status, 1 when a budget was missed."""
    print_header()
    missed = 0
    for figure in figures:
        print_figure(figure)
        missed += not figure.held
    return 1 if missed else 0


def rate(per_second: float) -> str:
    return f"{per_second:,.0f}/s"


def megabytes(per_second: float) -> str:
    return f"{per_second / 1e6:,.0f} MB/s"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.2f} ms"


def microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} us"


def mebibytes(size_bytes: float) -> str:
    return f"{size_bytes / (1 << 20):,.1f} MiB"
