"""What cargo changes: it publishes and yanks. Nothing that was published is ever given again."""

from __future__ import annotations

from application.formats.cargo.crates import asked_key, asked_release, crate_path
from application.formats.cargo.dialect import VersionTaken, answer_json
from application.formats.cargo.manifest import Manifest
from application.formats.cargo.metadata import read_crate, registry_address
from application.formats.cargo.names import CrateKey, similarity_key, without_build
from application.formats.cargo.stored import encode_facts
from application.formats.cargo.upload import Announced, parse_announced, read_upload
from application.ports import Spooled
from application.publishing import DecidePackage, NewFile, PackageDecision, Target
from application.wire import Answer, Call, Request
from domain import package
from domain.claim import NameTaken
from domain.errors import Conflict, Invalid
from domain.event import Event
from domain.package import Package

MEDIA_TYPE = "application/octet-stream"
_MOUNTS = ("cargo", "api/cargo")


class NameSpelledOtherwise(Conflict):
    """The crate is there under a name that cargo would take for the same."""

    template = "crate `{name}` cannot be published: a crate is or was called so, in another spelling (case, `-`, `_`)"

    def __init__(self, name: str) -> None:
        super().__init__(name=name)


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
    key = asked_key(announced.name)
    path = crate_path(key, announced.version)
    _require_new(call, key, announced, path)
    with crate.open() as file:
        manifest = read_crate(file, announced, _own_indexes(call.request, call.repository.key))
    file_ = _new_file(key, path, manifest, crate)
    decision = PackageDecision(key, _begin(call, key), alone=similarity_key(announced.name))
    try:
        call.services.publishing.publish(_target(call), [file_], decision)
    except NameTaken:
        raise NameSpelledOtherwise(announced.name) from None


def _require_new(call: Call, key: CrateKey, announced: Announced, path: str) -> None:
    """Raise VersionTaken, NameSpelledOtherwise."""
    rows = call.services.catalogue.artifacts(call.content, key)
    if any(row.path == path for row in rows):
        raise VersionTaken(announced.name, without_build(announced.version))
    if any(row.name != announced.name for row in rows):
        raise NameSpelledOtherwise(announced.name)


def _begin(call: Call, key: CrateKey) -> DecidePackage:
    """Whoever publishes the first version is named as owner of the crate."""

    def decide(state: Package) -> list[Event]:
        if state.owners or call.principal.id is None:
            return []
        return package.set_owners(state, call.content, key, (call.principal.id,))

    return decide


def _new_file(key: CrateKey, path: str, manifest: Manifest, crate: Spooled) -> NewFile:
    return NewFile(
        path=path,
        spooled=crate,
        media_type=MEDIA_TYPE,
        package=key,
        name=manifest.name,
        version=manifest.version,
        metadata=encode_facts(manifest),
        overwrite="burn",
    )


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
