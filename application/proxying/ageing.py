"""Holding back what is too young: much that is malicious is found within days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from domain.errors import Unavailable, Withheld
from domain.upstream import Upstream


class TooYoung(Withheld):
    """A version that must wait."""

    template = "{name} was published less than {days} days ago and is held back until {until}"

    def __init__(self, name: str, days: int, until: datetime) -> None:
        super().__init__(name=name, days=days, until=until.strftime("%Y-%m-%d %H:%M UTC"))


def is_held_back(upstream: Upstream, published_at: datetime | None) -> bool:
    """Whether a version must wait; one of unknown age must."""
    gate = upstream.age_gate
    if not gate.enabled:
        return False
    return published_at is None or published_at > datetime.now(UTC) - timedelta(days=gate.min_age_days)


def require_age(upstream: Upstream, name: str, published_at: datetime | None) -> None:
    """Let pass what is old enough. Raises TooYoung, and Unavailable when nobody knows how old it is."""
    gate = upstream.age_gate
    if not gate.enabled:
        return
    if published_at is None:
        raise Unavailable(f"{name}: the upstream does not tell when it was published, and only what is old is let pass")
    if is_held_back(upstream, published_at):
        raise TooYoung(name, gate.min_age_days, published_at + timedelta(days=gate.min_age_days))


def gate_key(upstream: Upstream) -> str:
    """What a document that hides the young depends on besides its source."""
    gate = upstream.age_gate
    return f"{gate.min_age_days} {datetime.now(UTC):%Y%m%d%H}" if gate.enabled else ""
