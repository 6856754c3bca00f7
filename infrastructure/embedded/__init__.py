"""Real PostgreSQL and Valkey servers out of Python wheels, for one machine with nothing installed."""

from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.embedded.valkey import EmbeddedValkey

__all__ = ["EmbeddedPostgres", "EmbeddedValkey"]
