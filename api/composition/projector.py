"""The process that keeps the read models."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from eventsourcing.persistence import JSONTranscoder

from api.composition.core import Core
from api.composition.identity import person_keys
from api.composition.searching import engine_projections
from application.audit.lines import Describer
from application.identity.clients import ClientSeals
from application.log import EventMapper, Recorded
from infrastructure.settings import Settings
from infrastructure.signing.ed25519 import Ed25519Signer
from projections.access.fold import AccessProjection
from projections.access.view import AccessView
from projections.audit.collector import AuditLines
from projections.audit.fold import AuditProjection
from projections.catalogue.fold import CatalogueProjection
from projections.feed import reached
from projections.projection import Projection
from projections.promotions.fold import PromotionProjection
from projections.runner import Projector
from projections.search.fold import SearchProjection
from projections.transparency.fold import Transparency

NAMING = (CatalogueProjection.name, AccessProjection.name)
"""The read models in which names of people and repositories are looked up."""


def decoder() -> Callable[[tuple[Any, ...]], Recorded]:
    """Rows of the log to events."""
    mapper = EventMapper(JSONTranscoder())

    def decode(row: tuple[Any, ...]) -> Recorded:
        position, at, stream, version, topic, repository, state = row
        event, meta = mapper.decode(topic, state)
        return Recorded(position, at, stream, version, topic, repository, event, meta, state)

    return decode


def log_signer(settings: Settings) -> Ed25519Signer:
    """The key that signs checkpoints: the setting's, or one made once below the data directory."""
    if settings.log_signing_key is not None:
        return Ed25519Signer.from_pem(settings.log_origin, settings.log_signing_key)
    return Ed25519Signer.load_or_create(settings.log_origin, settings.data_dir / "log-signing-key.pem")


def projections(core: Core) -> Sequence[Projection]:
    """Every read model there is."""
    keys = person_keys(core)
    found: list[Projection] = [
        CatalogueProjection(),
        AccessProjection(keys),
        AuditProjection(),
        SearchProjection(),
        PromotionProjection(),
        Transparency(log_signer(core.settings)),
        *engine_projections(core.settings),
    ]
    if core.settings.audit_stream == "stdout":
        describer = Describer(AccessView(core.connect).usernames, ClientSeals(keys).open, core.catalogue)
        found.append(AuditLines(describer, sys.stdout.buffer, partial(reached, core.connect, NAMING)))
    return found


def compose_projector(core: Core) -> Projector:
    """All projections, ready to start."""
    return Projector(core.dsn, projections(core), decoder())
