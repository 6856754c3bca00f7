"""What looks after the database: migrating it, rebuilding read models, and comparing them with the log."""

from __future__ import annotations

from collections.abc import Sequence

from api.composition.core import Core, database_url, open_core, read_settings
from api.composition.projector import decoder, projections
from domain.errors import Invalid
from infrastructure.postgres import migrate as migrating
from infrastructure.settings import Settings
from projections.projection import Projection
from projections.rebuild import Rebuild, Report, Verification


def migrate(settings: Settings) -> list[str]:
    """Bring the schema up to date; the names of what was applied."""
    return [migration.name for migration in migrating.migrate(database_url(settings))]


def rebuild(names: Sequence[str], report: Report) -> list[tuple[str, int]]:
    """Rebuild and swap; names and positions reached."""
    core = open_core(read_settings(), max_connections=2)
    try:
        return [(projection.name, _swap(core, projection, report)) for projection in _chosen(core, names)]
    finally:
        core.close()


def verify(names: Sequence[str], report: Report) -> list[Verification]:
    """Rebuild beside the live read models and compare."""
    core = open_core(read_settings(), max_connections=2)
    found = []
    try:
        for projection in _chosen(core, names):
            if not projection.tables and not names:
                continue
            with Rebuild(core.dsn, projection, decoder(), report) as shadow:
                found.append(shadow.verify())
    finally:
        core.close()
    return found


def _swap(core: Core, projection: Projection, report: Report) -> int:
    with Rebuild(core.dsn, projection, decoder(), report) as shadow:
        return shadow.swap()


def _chosen(core: Core, names: Sequence[str]) -> list[Projection]:
    known = {projection.name: projection for projection in projections(core)}
    unknown = sorted(set(names) - known.keys())
    if unknown:
        raise Invalid(f"no read model is called {unknown[0]!r}; known are {', '.join(known)}")
    if names:
        return [known[name] for name in names]
    return [projection for projection in known.values() if projection.rebuildable]
