"""What clients ask about the registry and about themselves, and what this registry does not offer."""

from __future__ import annotations

from application.formats.npm.dialect import answer_bytes, answer_json
from application.formats.npm.index import render_keys
from application.wire import Answer, Call, ServerCall
from domain.errors import NotFound, Unauthenticated


class NotOffered(NotFound):
    """The address is one of npm's, and this registry has nothing behind it. Clients then do without."""

    template = "{what}"

    def __init__(self, what: str) -> None:
        super().__init__(what=what)


def ping(call: Call) -> Answer:
    """GET -/ping."""
    return answer_json({})


def whoami(call: Call) -> Answer:
    """GET -/whoami."""
    if not call.principal.authenticated:
        raise Unauthenticated("authentication required")
    return answer_json({"username": call.principal.username})


def list_all(call: Call) -> Answer:
    """GET -/all: the search index of clients before npm 4, which take an empty one for no matches."""
    return answer_json({})


def refuse_audit(call: Call) -> Answer:
    """POST to the audit addresses.

    Every well-formed answer would say of each package that it is either vulnerable or not. Nothing was checked, so none
    is given: an install goes on without, an audit fails and shows this sentence.
    """
    raise NotOffered("this registry has no source of advisories: no package was checked")


def list_keys(call: Call) -> Answer:
    """GET -/npm/v1/keys: what `npm audit signatures` checks with. 404 is a registry that does not sign."""
    signer = call.services.package_signer
    if signer is None:
        raise NotOffered("this registry does not sign packages")
    return answer_bytes(render_keys([(signer.key.id, signer.key.spki)]))


def refuse_web_login(call: ServerCall) -> Answer:
    """POST -/v1/login: clients then ask for the password themselves."""
    raise NotOffered("sign in with --auth-type=legacy")


def refuse(call: Call) -> Answer:
    """Anything else below `-/`, before a package called `-` is looked for."""
    raise NotOffered(f"{call.request.method} /{'/'.join(call.request.segments)[:300]} is not offered here")
