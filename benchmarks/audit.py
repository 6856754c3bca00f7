"""What people ask the audit trail: pages of 100 from the middle of the log. Measured by `benchmarks.read_models`."""

from __future__ import annotations

from collections.abc import Callable

from application.audit.entries import AuditQuery
from benchmarks.log_filler import package_name, people, repositories, repository_of
from domain.ids import artifact_id
from projections.audit.view import AuditView


def questions(view: AuditView, events: int) -> dict[str, Callable[[], object]]:
    """By what they ask for."""
    middle = events // 2
    entry = view.oldest(AuditQuery(topics=("artifact.published",)), after=middle, limit=1).entries[0]
    package = package_name(middle // 24)
    path = f"{package}/{package.replace('-', '_')}-1.0.0.tar.gz"
    repository = repository_of(middle // 24)

    def ask(**asked: object) -> Callable[[], object]:
        query = AuditQuery(**asked)  # type: ignore[arg-type]
        return lambda: view.newest(query, before=middle, limit=100)

    return {
        "everything": ask(),
        "actor, busy": ask(actor=people[0]),
        "actor, quiet": ask(actor=people[-1]),
        "action": ask(actions=("ARTIFACT_DELETED",)),
        "repository": ask(repository=repositories[3]),
        "repository and actor": ask(repository=repositories[3], actor=people[5]),
        "package": lambda: view.newest(AuditQuery(repository=repository, package=package)),
        "artifact by path": lambda: view.newest(AuditQuery(path=path)),
        "artifact by id": lambda: view.newest(AuditQuery(resource_id=artifact_id(repository, path))),
        "request": lambda: view.newest(AuditQuery(request=entry.request)),
        "time range": lambda: view.newest(AuditQuery(until=entry.at), limit=100),
        "first page by number": lambda: view.numbered(AuditQuery(), 1, 100),
        "first page by number, one actor": lambda: view.numbered(AuditQuery(actor=people[-1]), 1, 100),
    }
