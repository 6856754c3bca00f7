"""What clients ask the catalogue, of a package in the middle of the log. Measured by `benchmarks.read_models`."""

from __future__ import annotations

from collections.abc import Callable

from application.catalogue import package_scope
from benchmarks.log_filler import FILES_A_PACKAGE, package_name, repository_of
from projections.catalogue.view import CatalogueView

DEEP = 0.9
"""Where in the order of names a late page begins."""


def questions(view: CatalogueView, events: int) -> dict[str, Callable[[], object]]:
    """By what they ask for."""
    number = next(one for one in range(events // 48, 0, -1) if one % 4)  # of the large repository
    package, repository = package_name(number), repository_of(number)
    path = f"{package}/{package.replace('-', '_')}-1.{FILES_A_PACKAGE // 2}.0.tar.gz"
    assert view.artifact(repository, path) is not None
    names = [row.package for row in view.packages(repository)]
    late = names[int(len(names) * DEEP)]
    head = events
    return {
        "artifacts of a package": lambda: view.artifacts(repository, package),
        "artifacts of a package, as of": lambda: view.artifacts(repository, package, head - 1),
        "versions of a package": lambda: view.versions(repository, package),
        "versions of a package, as of": lambda: view.versions(repository, package, head - 1),
        "artifact by path": lambda: view.artifact(repository, path),
        "artifact by path, as of": lambda: view.artifact(repository, path, head - 1),
        "revision of a package": lambda: view.revision(repository, package_scope(package)),
        "packages, first page": lambda: view.packages(repository, limit=100),
        "packages, late page": lambda: view.packages(repository, after=late, limit=100),
        "packages, late page, as of": lambda: view.packages(repository, head - 1, after=late, limit=100),
        "tree, root": lambda: view.children(repository, "", None, limit=100),
        "tree, root, late page": lambda: view.children(repository, "", None, after=late, limit=100),
        "tree, a folder": lambda: view.children(repository, f"{package}/", None, limit=100),
    }
