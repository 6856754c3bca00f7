"""What people ask the search. Measured by `benchmarks.read_models`."""

from __future__ import annotations

from collections.abc import Callable

from application.searching import SearchQuery
from benchmarks.log_filler import package_name, repositories, vocabulary
from projections.search.view import SearchView


def questions(view: SearchView, events: int) -> dict[str, Callable[[], object]]:
    """By what they ask for."""
    package = package_name(events // 48)
    few = frozenset(repositories[:5])

    def search(**asked: object) -> Callable[[], object]:
        return lambda: view.search(SearchQuery(**asked))  # type: ignore[arg-type]

    return {
        "quick, a name": lambda: view.quick(package, None, 10),
        "quick, a frequent word": lambda: view.quick(vocabulary[0], None, 10),
        "quick, a common word": lambda: view.quick(vocabulary[100], None, 10),
        "quick, a rare word": lambda: view.quick(vocabulary[1900], None, 10),
        "quick, a word of every artifact": lambda: view.quick("tar", None, 10),
        "quick, two words": lambda: view.quick(f"{vocabulary[3]} {vocabulary[40]}", None, 10),
        "quick, mistyped": lambda: view.quick(package.replace("-", "") + "q", None, 10),
        "quick, few repositories": lambda: view.quick(vocabulary[0], few, 10),
        "advanced, a name": search(name=package),
        "advanced, name with wildcard": search(name=f"*{package[2:]}"),
        "advanced, part of a path": search(path=package[3:]),
        "advanced, everything": search(),
        "advanced, everything by name": search(sort="name", descending=False),
        "advanced, sizes": search(min_size=9_990_000),
        "suggest": lambda: view.suggest(package[:7], None, 10),
        "recent": lambda: view.recent(few, 10),
        "checksum": lambda: view.by_checksum("md5", f"{events // 2:032x}", None),
        "packages, a page": lambda: view.packages("", few, limit=24, offset=0),
        "packages, part of a name": lambda: view.packages(package[2:], None, limit=24, offset=0),
    }
