"""What changes an index: uploads, yanks, deletes.

Only the upload has a client protocol; the rest is what the public index offers in its web pages, so the addresses of
those are ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from application.catalogue import Catalogue
from application.format import Deposit
from application.formats.pypi.index import Status
from application.formats.pypi.metadata import Distribution, read_distribution
from application.formats.pypi.names import PypiName, canonical_version, parse_version
from application.formats.pypi.pages import load_project, release_rows, require_name
from application.formats.pypi.uploads import metadata_file, new_file, path_of, read_upload, side_files
from application.ports import Spooled
from application.publishing import PackageDecision, Target
from application.services import Services
from application.wire import Answer, Call
from domain import package
from domain.errors import Conflict, Forbidden, Invalid
from domain.event import Event
from domain.package import Package

_MAX_REASON_CHARS = 1_000
_MAX_URLS = 16
_MAX_URL_CHARS = 2_048
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?/[!#-;=?-~]*")

_Shape = TypeVar("_Shape")


class _StatusDocument(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a change of status."""

    status: Status
    reason: str = ""


class _LocationsDocument(msgspec.Struct, forbid_unknown_fields=True, rename="kebab"):
    """The body of a change of locations, as pages name them."""

    tracks: tuple[str, ...] = ()
    alternate_locations: tuple[str, ...] = ()


Judgement = Callable[[Package, PypiName, tuple[str, ...]], Sequence[Event]]
"""Pure: from the state, the name and the versions in question to events."""


class ProjectClosed(Forbidden):
    """The project takes no files any more (PEP 792)."""

    template = "project {name} is {status} and takes no new files"

    def __init__(self, name: str, status: str) -> None:
        super().__init__(name=name, status=status)


class SecondSdist(Conflict):
    """A release has one source distribution, whatever its extension."""

    template = "release {version} has a source distribution, {filename}; only one is allowed"

    def __init__(self, version: str, filename: str) -> None:
        super().__init__(version=version, filename=filename)


def upload(call: Call) -> Answer:
    """POST /: one distribution. The same bytes again are accepted and change nothing."""
    if call.form is None:
        raise Invalid("expected a multipart/form-data body")
    distribution, spooled = read_upload(call.form)
    sides = side_files(call.form, distribution, spooled)
    _publish(call.services, _target(call), distribution, spooled, sides)
    return Answer(body=b"OK\n")


def deposit(deposit: Deposit) -> str:
    """Publish a distribution that came as a bare file: its own name and metadata say what it is and where it goes."""
    filename = deposit.path.rpartition("/")[2]
    with deposit.spooled.open() as file:
        distribution = read_distribution(file, filename)
    sides = metadata_file(distribution)
    _publish(deposit.services, deposit.target, distribution, deposit.spooled, sides, deposit)
    return path_of(distribution.normalised, distribution.filename)


def _publish(
    services: Services,
    target: Target,
    distribution: Distribution,
    spooled: Spooled,
    sides: dict[str, bytes],
    deposit: Deposit | None = None,
) -> None:
    name = distribution.normalised
    version = _known_spelling(services.catalogue, target, name, distribution.version)
    if distribution.kind == "sdist":
        _refuse_second_sdist(services.catalogue, target, name, version, distribution.filename)
    with new_file(distribution, spooled, version, sides, services.spool) as file:
        if deposit is None:
            new = file
        else:
            new = msgspec.structs.replace(
                file, properties=deposit.properties or None, precondition=deposit.precondition
            )
        services.publishing.publish(target, [new], PackageDecision(name, _require_open(name)))


def yank(call: Call) -> Answer:
    """PUT pypi/{project}/{version}/yank: the body, if any, is the reason."""
    reason = _reason(call.text)
    return _judge(call, lambda state, name, versions: package.yank(state, call.content, name, versions, reason))


def unyank(call: Call) -> Answer:
    """DELETE pypi/{project}/{version}/yank."""
    return _judge(call, lambda state, name, versions: package.unyank(state, call.content, name, versions))


def set_status(call: Call) -> Answer:
    """PUT pypi/{project}/status: what the project as a whole is, and why (PEP 792)."""
    wanted = _decode(call.text, _StatusDocument)
    reason = _checked_reason(wanted.reason)
    return _judge_project(
        call, lambda state, name: package.set_status(state, call.content, name, wanted.status, reason)
    )


def set_locations(call: Call) -> Answer:
    """PUT pypi/{project}/locations: the projects elsewhere that this one extends, and those that are the same."""
    wanted = _decode(call.text, _LocationsDocument)
    tracks, alternates = _checked_urls(wanted.tracks), _checked_urls(wanted.alternate_locations)
    return _judge_project(
        call, lambda state, name: package.set_locations(state, call.content, name, tracks, alternates)
    )


def delete_file(call: Call) -> Answer:
    """DELETE simple/{project}/{filename}: it vanishes, and its name is never given again."""
    call.services.publishing.delete(_target(call), [path_of(require_name(call), call.params["filename"])])
    return Answer(status=204)


def delete_release(call: Call) -> Answer:
    """DELETE pypi/{project}/{version}: all of its files."""
    rows = release_rows(load_project(call, require_name(call)), call.params["version"])
    call.services.publishing.delete(_target(call), [row.path for row in rows])
    return Answer(status=204)


def _target(call: Call) -> Target:
    return Target(call.content, call.repository.settings, call.meta)


def _judge(call: Call, judgement: Judgement) -> Answer:
    """Decide on every spelling under which the release has files."""
    name = require_name(call)
    rows = release_rows(load_project(call, name), call.params["version"])
    versions = tuple(sorted({row.version for row in rows}))
    decision = PackageDecision(name, lambda state: judgement(state, name, versions))
    call.services.publishing.judge(_target(call), decision)
    return Answer(status=204)


def _judge_project(call: Call, judgement: Callable[[Package, PypiName], Sequence[Event]]) -> Answer:
    """Decide on a project that has files."""
    name = load_project(call, require_name(call)).name
    decision = PackageDecision(name, lambda state: judgement(state, name))
    call.services.publishing.judge(_target(call), decision)
    return Answer(status=204)


def _known_spelling(catalogue: Catalogue, target: Target, name: PypiName, version: str) -> str:
    """The spelling under which the release exists, so that `1.0` and `1.0.0` do not become two."""
    wanted = canonical_version(version)
    for row in catalogue.versions(target.repository, name):
        if canonical_version(row.version) == wanted:
            return row.version
    return str(parse_version(version))


def _refuse_second_sdist(catalogue: Catalogue, target: Target, name: PypiName, version: str, filename: str) -> None:
    for row in catalogue.artifacts(target.repository, name):
        if row.version == version and not row.path.endswith(".whl") and row.filename != filename:
            raise SecondSdist(version, row.filename)


def _require_open(name: PypiName) -> Callable[[Package], Sequence[Event]]:
    def decide(state: Package) -> Sequence[Event]:
        status, _ = state.status
        if status in ("archived", "quarantined"):
            raise ProjectClosed(name, status)
        return ()

    return decide


def _reason(text: bytes) -> str:
    try:
        return _checked_reason(text.decode("utf-8"))
    except UnicodeDecodeError:
        raise Invalid("the reason is not UTF-8") from None


def _checked_reason(text: str) -> str:
    reason = text.strip()
    if len(reason) > _MAX_REASON_CHARS or not reason.isprintable():
        raise Invalid(f"a reason is one line of at most {_MAX_REASON_CHARS} characters")
    return reason


def _checked_urls(urls: Sequence[str]) -> tuple[str, ...]:
    """Absolute addresses of projects, each once. What they say goes into pages, so nothing odd is let in."""
    if len(urls) > _MAX_URLS:
        raise Invalid(f"more than {_MAX_URLS} locations")
    for url in urls:
        if len(url) > _MAX_URL_CHARS or not _URL.fullmatch(url):
            raise Invalid(f"not the http or https address of a project: {url[:200]!r}")
    return tuple(dict.fromkeys(urls))


def _decode(text: bytes, shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.json.decode(text, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"malformed JSON body: {error}") from None
