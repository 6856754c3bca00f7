"""Promotions and approvals into rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import Cursor

from application.log import Recorded
from domain.promotion import (
    ApprovalGranted,
    ApprovalRefused,
    ApprovalRequested,
    FilesPromoted,
    PromotedFile,
    PromotionRejected,
)
from projections.projection import Projection, Row

_PROMOTION = (
    "INSERT INTO view_promotion "
    "(promotion, artifact, position, source, target, path, sha256, status, reason, notes, made_at, made_by) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
_APPROVAL = (
    "INSERT INTO view_approval "
    "(approval, position, source, target, artifact, path, status, notes, policy_skipped, requested_by, requested_at) "
    "VALUES (%s, %s, %s, %s, %s, %s, 'pending', %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
_DECIDED = (
    "UPDATE view_approval SET status = %s, reviewed_by = %s, reviewed_at = %s, review_notes = %s WHERE approval = %s"
)


class PromotionProjection(Projection):
    """Folds decisions of people, which are few: a statement for each file."""

    name = "promotions"
    tables = ("view_promotion", "view_approval")

    def apply(self, cursor: Cursor[Row], events: Sequence[Recorded]) -> None:
        """Fold a batch."""
        for recorded in events:
            match recorded.event:
                case FilesPromoted() as event:
                    rows = [_row(recorded, event, file, "promoted", None, event.target) for file in event.files]
                    cursor.executemany(_PROMOTION, rows)
                case PromotionRejected() as event:
                    cursor.execute(_PROMOTION, _row(recorded, event, event.file, "rejected", event.reason, None))
                case ApprovalRequested() as event:
                    cursor.execute(_APPROVAL, _requested(recorded, event))
                case ApprovalGranted() | ApprovalRefused() as event:
                    status = "approved" if isinstance(event, ApprovalGranted) else "rejected"
                    decided = (status, recorded.meta.by, recorded.at, event.notes or None, event.approval)
                    cursor.execute(_DECIDED, decided)


def _row(
    recorded: Recorded,
    event: FilesPromoted | PromotionRejected,
    file: PromotedFile,
    status: str,
    reason: str | None,
    target: Any,
) -> Row:
    return (
        event.promotion,
        file.artifact,
        recorded.position,
        event.source,
        target,
        file.path,
        file.sha256,
        status,
        reason,
        event.notes or None,
        recorded.at,
        recorded.meta.by,
    )


def _requested(recorded: Recorded, event: ApprovalRequested) -> Row:
    return (
        event.approval,
        recorded.position,
        event.source,
        event.target,
        event.file.artifact,
        event.file.path,
        event.notes or None,
        event.policy_skipped,
        event.requested_by,
        recorded.at,
    )
