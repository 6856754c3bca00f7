"""Dates and times in query strings."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from domain.errors import Invalid


def moment(text: str | None, name: str, *, until: bool = False) -> datetime | None:
    """The moment that an ISO 8601 date or time means; without an offset it is UTC. Raises Invalid.

    until: a date means its last moment, not its first. name: of the parameter, for the message.
    """
    if text is None or not text.strip():
        return None
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), time.max if until else time.min, UTC)
        # in a query string a plus sign that was not escaped arrives as a space
        found = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text.upper() else text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid(f"{name}: {text[:60]!r} is not an ISO 8601 date or time") from None


def day(text: str | None, name: str, default: date) -> date:
    """The day that an ISO 8601 date or time means."""
    found = moment(text, name)
    return default if found is None else found.date()
