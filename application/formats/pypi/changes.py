"""What changes an index: uploads, yanks, deletes.

Only the upload has a client protocol (https://docs.pypi.org/api/upload/); the rest is what the public index offers in
its web pages, so the addresses of those are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from application.formats.pypi.names import PypiName, canonical_version, parse_version
from application.formats.pypi.pages import load_project, release_rows, require_name
from application.formats.pypi.uploads import new_file, path_of, read_upload
from application.publishing import PackageDecision, Target
from application.wire import Answer, Call
from domain import package
from domain.errors import Conflict, Forbidden, Invalid
from domain.event import Event
from domain.package import Package

_MAX_REASON_CHARS = 1_000

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
    name = distribution.normalised
    version = _known_spelling(call, name, distribution.version)
    if distribution.kind == "sdist":
        _refuse_second_sdist(call, name, version, distribution.filename)
    with new_file(call.form, distribution, spooled, version, call.services.spool) as file:
        call.services.publishing.publish(_target(call), [file], PackageDecision(name, _require_open(name)))
    return Answer(body=b"OK\n")


def yank(call: Call) -> Answer:
    """PUT pypi/{project}/{version}/yank: the body, if any, is the reason."""
    reason = _reason(call.text)
    return _judge(call, lambda state, name, versions: package.yank(state, call.content, name, versions, reason))


def unyank(call: Call) -> Answer:
    """DELETE pypi/{project}/{version}/yank."""
    return _judge(call, lambda state, name, versions: package.unyank(state, call.content, name, versions))


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


def _known_spelling(call: Call, name: PypiName, version: str) -> str:
    """The spelling under which the release exists, so that `1.0` and `1.0.0` do not become two."""
    wanted = canonical_version(version)
    for row in call.services.catalogue.versions(call.content, name):
        if canonical_version(row.version) == wanted:
            return row.version
    return str(parse_version(version))


def _refuse_second_sdist(call: Call, name: PypiName, version: str, filename: str) -> None:
    for row in call.services.catalogue.artifacts(call.content, name):
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
        reason = text.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise Invalid("the reason is not UTF-8") from None
    if len(reason) > _MAX_REASON_CHARS or not reason.isprintable():
        raise Invalid(f"a reason is one line of at most {_MAX_REASON_CHARS} characters")
    return reason
