"""People, tokens and grants as they are now, and which of them changed at what position."""

from projections.access.changes import AccessChanges
from projections.access.fold import AccessProjection
from projections.access.view import AccessView

__all__ = ["AccessChanges", "AccessProjection", "AccessView"]
