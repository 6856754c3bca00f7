"""Which charts an address names, as of the call."""

from __future__ import annotations

from application.catalogue import ArtifactRow
from application.formats.helm.dialect import ChartNotFound
from application.formats.helm.index import Entry
from application.formats.helm.names import FOLDER, NameInvalid, best, parse_name
from application.formats.helm.stored import index_entries, is_chart
from application.wire import Call

_PAGE = 5_000


def every_entry(call: Call) -> list[Entry]:
    """All charts of the repository."""
    found: list[Entry] = []
    after = ""
    while rows := call.services.catalogue.artifacts_below(call.content, FOLDER, call.at, after=after, limit=_PAGE):
        found += index_entries(rows, call.services.blobs)
        if len(rows) < _PAGE:
            break
        after = rows[-1].path
    return found


def asked_rows(call: Call) -> dict[str, ArtifactRow]:
    """The versions of the chart that `{name}` is. Raises ChartNotFound when there is none."""
    try:
        name = parse_name(call.params["name"])
    except NameInvalid:
        raise ChartNotFound from None
    rows = call.services.catalogue.artifacts(call.content, name, call.at)
    found = {row.version: row for row in rows if is_chart(row)}
    if not found:
        raise ChartNotFound
    return found


def asked_row(call: Call) -> ArtifactRow:
    """The chart that `{name}/{version}` means: a version, `latest`, or the best that a constraint admits.

    Raises ChartNotFound, RangeInvalid.
    """
    rows = asked_rows(call)
    version = best(rows, call.params["version"])
    if version is None:
        raise ChartNotFound
    return rows[version]
