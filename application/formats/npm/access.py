"""`npm access`: who sees and changes a package. Both are decided for the repository, so there is only to tell of them.

Source: npm's `libnpmaccess`
"""

from __future__ import annotations

from typing import Literal

import msgspec

from application.formats.npm.about import NotOffered
from application.formats.npm.address import address_of
from application.formats.npm.dialect import answer_json
from application.formats.npm.reading import load_package
from application.identity.directory import GrantFilter
from application.wire import Answer, Call
from domain.errors import Invalid

MAX_COLLABORATORS = 1000
_BELOW = 2
_CHANGING = frozenset({"write", "delete", "admin"})


class _Wanted(msgspec.Struct):
    """What `npm access set` sends: visibility, or whether publishing needs a second factor."""

    access: Literal["public", "restricted", "private"] | None = None
    publish_requires_tfa: bool = False


def get_visibility(call: Call) -> Answer:
    """GET -/package/{pkg}/visibility: that of the repository."""
    _require_package(call)
    return answer_json({"public": call.repository.public})


def get_access(call: Call) -> Answer:
    """GET -/package/{pkg}/access: the same in other words."""
    _require_package(call)
    return answer_json({"access": _access(call)})


def set_access(call: Call) -> Answer:
    """POST -/package/{pkg}/access: only what is so already can be asked for."""
    _require_package(call)
    try:
        wanted = msgspec.json.decode(call.text, type=_Wanted)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"malformed JSON body: {error}") from None
    if wanted.publish_requires_tfa:
        raise Invalid("publishing cannot be made to require a second factor here")
    if wanted.access is not None and (wanted.access == "public") != call.repository.public:
        raise Invalid(f"every package of this repository is {_access(call)}; that is changed for the whole repository")
    return answer_json({"ok": True})


def list_collaborators(call: Call) -> Answer:
    """GET -/package/{pkg}/collaborators: people with rights to this repository, and whether they may change it."""
    _require_package(call)
    directory = call.services.directory
    if directory is None:
        raise NotOffered("permissions are managed through the API")
    wanted = GrantFilter(principal_type="user", target_type="repository", target=call.repository.id)
    rows, _ = directory.grants(wanted, limit=MAX_COLLABORATORS)
    return answer_json(
        {
            row.principal_name: "read-write" if _CHANGING & set(row.actions) else "read-only"
            for row in rows
            if row.principal_name is not None
        }
    )


def _require_package(call: Call) -> None:
    load_package(call, address_of(call.request, _BELOW).name, full=False)


def _access(call: Call) -> str:
    return "public" if call.repository.public else "restricted"
