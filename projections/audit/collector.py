"""Every audit entry as a line on standard output, for log collectors."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import BinaryIO

from psycopg import Cursor

from application.audit.entries import entry_of
from application.audit.lines import Describer, collector_line
from application.log import Recorded
from projections.projection import Projection, Row
from projections.runner import LeadershipLost

PATIENCE_SECONDS = 2.0
_PAUSE_SECONDS = 0.02


class AuditLines(Projection):
    """Prints the log from its beginning, by one process at a time; where it is, is remembered with the read models.

    At least once: lines of a batch whose position could not be stored are printed again, with the same event_id.
    """

    name = "audit-stream"
    tables = ()
    rebuildable = False

    def __init__(self, describer: Describer, output: BinaryIO, passed: Callable[[], int]) -> None:
        """passed: the position that the read models have passed in which the describer looks up names."""
        self._describer = describer
        self._output = output
        self._passed = passed

    def apply(self, cursor: Cursor[Row], events: Sequence[Recorded]) -> None:
        """Print a batch."""
        self._wait_for_names(events[-1].position)
        items = self._describer.items([entry_of(event) for event in events])
        try:
            self._output.write(b"".join(map(collector_line, items)))
            self._output.flush()
        except OSError as error:
            # no event is to blame: begin again later, where this began
            raise LeadershipLost(f"the audit stream cannot be written: {error}") from error

    def _wait_for_names(self, position: int) -> None:
        """Names of what was created just now; an entry without its name is better than none."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._passed() < position and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
