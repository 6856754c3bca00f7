"""Every audit entry as a line on standard output, for log collectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from psycopg import Cursor

from application.audit_lines import Describer, collector_line
from application.auditing import entry_of
from application.log import Recorded
from projections.projection import Projection, Row
from projections.runner import LeadershipLost


class AuditLines(Projection):
    """Prints the log from its beginning, by one process at a time; where it is, is remembered with the read models.

    At least once: lines of a batch whose position could not be stored are printed again, with the same event_id.
    """

    name = "audit-stream"
    tables = ()
    rebuildable = False

    def __init__(self, describer: Describer, output: BinaryIO) -> None:
        self._describer = describer
        self._output = output

    def apply(self, cursor: Cursor[Row], events: Sequence[Recorded]) -> None:
        """Print a batch."""
        items = self._describer.items([entry_of(event) for event in events])
        try:
            self._output.write(b"".join(map(collector_line, items)))
            self._output.flush()
        except OSError as error:
            # no event is to blame: begin again later, where this began
            raise LeadershipLost(f"the audit stream cannot be written: {error}") from error
