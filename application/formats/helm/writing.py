"""What chart clients change: they upload charts and provenance, and delete versions."""

from __future__ import annotations

from application.formats.helm.charts import asked_rows
from application.formats.helm.dialect import ChartNotFound, answer_json
from application.formats.helm.names import PROVENANCE
from application.formats.helm.publishing import Arrival, publish_chart, publish_provenance
from application.ports import Spooled
from application.publishing import Target
from application.wire import Answer, Call
from domain.errors import Invalid

_CHART, _PROV = "chart", "prov"


def post_chart(call: Call) -> Answer:
    """POST api/charts: an archive as it is, or a form with an archive, its provenance or both."""
    chart, prov = call.upload, None
    if call.form is not None:
        chart, prov = _field(call, _CHART), _field(call, _PROV)
    if chart is not None:
        publish_chart(call.services, _target(call), chart, prov, _arrival(call))
    elif prov is not None:
        publish_provenance(call.services, _target(call), prov, _arrival(call))
    else:
        raise Invalid(f"expected a file in the field {_CHART!r} or {_PROV!r} of the form")
    return _saved()


def post_provenance(call: Call) -> Answer:
    """POST api/prov: the provenance of a chart that is here."""
    prov = call.upload if call.form is None else _field(call, _PROV)
    if prov is None:
        raise Invalid(f"expected a file in the field {_PROV!r} of the form")
    publish_provenance(call.services, _target(call), prov, _arrival(call))
    return _saved()


def delete_version(call: Call) -> Answer:
    """DELETE api/charts/{name}/{version}: the chart, and its provenance with it."""
    row = asked_rows(call).get(call.params["version"])
    if row is None:
        raise ChartNotFound
    paths = [row.path]
    if call.services.catalogue.artifact(call.content, row.path + PROVENANCE) is not None:
        paths.append(row.path + PROVENANCE)
    call.services.publishing.delete(_target(call), paths)
    return answer_json({"deleted": True})


def _field(call: Call, name: str) -> Spooled | None:
    files = call.form.files if call.form is not None else ()
    return next((spooled for field, _, spooled in files if field == name), None)


def _arrival(call: Call) -> Arrival:
    return Arrival(force=any(name == "force" and value != "false" for name, value in call.request.query))


def _saved() -> Answer:
    return answer_json({"saved": True}, status=201)


def _target(call: Call) -> Target:
    return Target(call.content, call.repository.settings, call.meta)
