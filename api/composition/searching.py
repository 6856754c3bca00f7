"""Who answers searches: PostgreSQL, or a search engine with PostgreSQL behind it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from api.composition.core import Core
from application.searching import SearchIndex
from infrastructure.settings import Settings
from projections.search.engine import Engine
from projections.search.engine_fold import EngineProjection
from projections.search.engine_view import EngineView, Freshness
from projections.search.view import SearchView


class Searching(msgspec.Struct, frozen=True, kw_only=True):
    """The search index in use. gauges, counters: its figures; none where PostgreSQL alone searches."""

    index: SearchIndex
    gauges: Callable[[], dict[str, float]] = dict
    counters: Callable[[], dict[str, int]] = dict


def compose_searching(core: Core, tables: SearchView) -> Searching:
    """Wire it. tables: what PostgreSQL answers from."""
    engine = open_engine(core.settings)
    if engine is None:
        return Searching(index=tables)
    view = EngineView(engine, core.settings.meilisearch_index, tables, Freshness(core.connect))
    return Searching(
        index=view,
        gauges=lambda: {"ak_search_engine_away": float(view.away)},
        counters=lambda: {"ak_search_fallbacks": view.fallbacks},
    )


def open_engine(settings: Settings) -> Engine | None:
    """The search engine that the settings name; nothing is asked yet."""
    if settings.meilisearch_url is None:
        return None
    return Engine(settings.meilisearch_url, settings.meilisearch_api_key)


def engine_projections(settings: Settings) -> list[EngineProjection]:
    """What feeds the search engine, where there is one."""
    engine = open_engine(settings)
    return [] if engine is None else [EngineProjection(engine, settings.meilisearch_index)]
