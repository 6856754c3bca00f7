"""What an address means, and when it cannot be said yet."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from application.resolving import Resolver
from domain.errors import Invalid, NotFound, Unavailable

NOW = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)


class Named:
    """A catalogue of which only the named positions are asked."""

    def checkpoint(self, name: str) -> int | None:
        return {"release-7": 70}.get(name)


def resolver(reached: int = 1_000) -> Resolver:
    catalogue: Any = Named()
    return Resolver(
        catalogue,
        head=lambda: 100,
        position_at=lambda moment: moment.day,
        reached=lambda position: position <= reached,
        now=lambda: NOW,
    )


@pytest.mark.parametrize(
    ("when", "position"),
    [
        ("100", 100),
        ("0", 0),
        ("release-7", 70),
        ("2026-03-02", 2),
        ("2026-03-01T10:15:00Z", 1),
        ("2026-03-01t10:15:00z", 1),
        ("2026-03-02T01:00:00+02:00", 2),
        ("2026-03-02T01:00:00", 2),
    ],
)
def test_a_selector_is_a_position_a_name_or_a_time(when: str, position: int) -> None:
    assert resolver().position(when) == position


@pytest.mark.parametrize(
    ("when", "error"),
    [
        ("101", NotFound),
        ("9" * 400, NotFound),
        ("release-8", NotFound),
        ("", NotFound),
        ("²", NotFound),
        ("2026-13-40", Invalid),
        ("2026-03-01Tnoon", Invalid),
        ("2026-03-04", Invalid),
        ("2026-03-03T12:00:01Z", Invalid),
    ],
)
def test_what_is_not_in_the_log_or_not_a_time_is_refused(when: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        resolver().position(when)


def test_a_position_that_the_catalogue_does_not_show_yet_is_not_answered_for() -> None:
    assert resolver(reached=70).position("release-7") == 70
    with pytest.raises(Unavailable):
        resolver(reached=70).position("71")
