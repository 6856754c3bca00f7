"""What cargo changes: it publishes and yanks. Nothing that was published is ever given again."""

from __future__ import annotations

from application.formats.cargo.crates import asked_release
from application.formats.cargo.dialect import answer_json
from application.formats.cargo.metadata import read_crate, registry_address
from application.formats.cargo.publishing import new_crate, publish_crate, require_new
from application.formats.cargo.upload import Announced, parse_announced, read_upload
from application.ports import Spooled
from application.publishing import DecidePackage, PackageDecision, Target
from application.wire import Answer, Call, Request
from domain import package
from domain.errors import Invalid

_MOUNTS = ("cargo", "api/cargo")


# publish


def put_crate(call: Call) -> Answer:
    """PUT api/v1/crates/new: one version of a crate."""
    if call.upload is None:
        raise Invalid("expected a publish request")
    with call.services.spool.create() as writer:
        with call.upload.open() as body:
            announced = parse_announced(read_upload(body, call.upload.size_bytes, writer.write))
        crate = writer.finish()
    try:
        _publish(call, announced, crate)
    finally:
        call.services.spool.discard(crate)
    return answer_json({"warnings": {"invalid_categories": [], "invalid_badges": [], "other": []}})


def _publish(call: Call, announced: Announced, crate: Spooled) -> None:
    target = _target(call)
    require_new(call.services, target, announced.name, announced.version)
    with crate.open() as file:
        manifest = read_crate(file, announced, _own_indexes(call.request, call.repository.key))
    publish_crate(call.services, target, new_crate(manifest, crate))


def _own_indexes(request: Request, key: str) -> frozenset[str]:
    """Every address of the index that is published to."""
    roots = {request.repository_url, *(f"{request.base_url}/{mount}/{key}" for mount in _MOUNTS)}
    return frozenset(registry_address(f"{root}{folder}") for root in roots for folder in ("", "/index"))


# yank


def yank(call: Call) -> Answer:
    """DELETE api/v1/crates/{name}/{version}/yank: what is locked to it still gets it."""
    row = asked_release(call)
    return _judge(call, row.package, lambda state: package.yank(state, call.content, row.package, (row.version,), ""))


def unyank(call: Call) -> Answer:
    """PUT api/v1/crates/{name}/{version}/unyank."""
    row = asked_release(call)
    return _judge(call, row.package, lambda state: package.unyank(state, call.content, row.package, (row.version,)))


def _judge(call: Call, key: str, decide: DecidePackage) -> Answer:
    call.services.publishing.judge(_target(call), PackageDecision(key, decide))
    return answer_json({"ok": True})


def _target(call: Call) -> Target:
    return Target(call.content, call.repository.settings, call.meta)
