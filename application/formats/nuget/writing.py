"""What NuGet's clients change: they push packages, and take them off the lists or put them back."""

from __future__ import annotations

from application.formats.nuget.metadata import SymbolsRefused
from application.formats.nuget.packages import asked_row
from application.formats.nuget.publishing import push
from application.publishing import DecidePackage, PackageDecision, Target
from application.wire import Answer, Call
from domain import package
from domain.errors import Invalid


def put_package(call: Call) -> Answer:
    """PUT api/v2/package: an archive, as the first part of a form whatever that is called, or as it is."""
    archive = call.upload
    if call.form is not None and call.form.files:
        archive = call.form.files[0][2]
    if archive is None or not archive.size_bytes:
        raise Invalid("expected a package in the body, or in the first part of a form")
    push(call.services, _target(call), archive)
    return Answer(status=201)


def put_symbols(call: Call) -> Answer:
    """PUT api/v2/symbolpackage: nobody is told of this address; who guesses it is told why not."""
    raise SymbolsRefused


def unlist(call: Call) -> Answer:
    """DELETE api/v2/package/{id}/{version}: no search finds it any more; what is locked to it still gets it."""
    row = asked_row(call)
    _judge(call, row.package, lambda state: package.yank(state, call.content, row.package, (row.version,), ""))
    return Answer(status=204)


def relist(call: Call) -> Answer:
    """POST api/v2/package/{id}/{version}."""
    row = asked_row(call)
    _judge(call, row.package, lambda state: package.unyank(state, call.content, row.package, (row.version,)))
    return Answer(status=200)


def _judge(call: Call, key: str, decide: DecidePackage) -> None:
    call.services.publishing.judge(_target(call), PackageDecision(key, decide))


def _target(call: Call) -> Target:
    return Target(call.content, call.repository.settings, call.meta)
