"""Queries over promotions and approvals."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

from psycopg import Connection

from application.promoting import ApprovalFilter, ApprovalRow, PromotionFilter, PromotionRow
from projections.projection import Row

_PROMOTION = "promotion, artifact, position, source, target, path, sha256, status, reason, notes, made_at, made_by"
_APPROVAL = (
    "approval, position, source, target, artifact, path, status, notes, policy_skipped, requested_by, requested_at, "
    "reviewed_by, reviewed_at, review_notes"
)
_BIGINT = (1 << 63) - 1


class PromotionTables:
    """The Promotions port."""

    def __init__(self, connect: Callable[[], AbstractContextManager[Connection[Row]]]) -> None:
        self._connect = connect

    def history(self, wanted: PromotionFilter, *, limit: int, offset: int = 0) -> tuple[list[PromotionRow], int]:
        """See Promotions."""
        given = {"source": wanted.source, "artifact": wanted.artifact, "status": wanted.status}
        rows, total = self._page(_PROMOTION, "view_promotion", given, None, limit, offset)
        return [PromotionRow(*row) for row in rows], total

    def rejection(self, artifact: UUID, sha256: str) -> str | None:
        """See Promotions."""
        with self._connect() as connection:
            row = connection.execute(
                "SELECT reason FROM view_promotion WHERE artifact = %s AND sha256 = %s AND status = 'rejected' "
                "ORDER BY position DESC LIMIT 1",
                (artifact, sha256),
                prepare=True,
            ).fetchone()
        return None if row is None else str(row[0])

    def approval(self, approval: UUID) -> ApprovalRow | None:
        """See Promotions."""
        rows, _ = self._page(_APPROVAL, "view_approval", {"approval": approval}, None, 1, 0)
        return ApprovalRow(*rows[0]) if rows else None

    def approvals(self, wanted: ApprovalFilter, *, limit: int, offset: int = 0) -> tuple[list[ApprovalRow], int]:
        """See Promotions."""
        given = {"source": wanted.source, "status": wanted.status}
        condition = "status <> 'pending'" if wanted.decided else None
        rows, total = self._page(_APPROVAL, "view_approval", given, condition, limit, offset)
        return [ApprovalRow(*row) for row in rows], total

    def _page(
        self, columns: str, table: str, given: dict[str, Any], condition: str | None, limit: int, offset: int
    ) -> tuple[list[Row], int]:
        held = {name: value for name, value in given.items() if value is not None}
        conditions = [f"{name} = %({name})s" for name in held] + ([condition] if condition else [])
        where = " AND ".join(conditions) or "true"
        with self._connect() as connection:
            counted = connection.execute(f"SELECT count(*) FROM {table} WHERE {where}", held).fetchone()
            rows = connection.execute(
                f"SELECT {columns} FROM {table} WHERE {where} ORDER BY position DESC, artifact "
                "LIMIT %(limit)s OFFSET %(offset)s",
                {**held, "limit": limit, "offset": min(offset, _BIGINT)},
            ).fetchall()
        return rows, counted[0] if counted else 0
