"""`cargo owner`: who is named as owner of a crate. It gives nobody rights: those are granted for the repository."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from application.formats.cargo.crates import asked_key, load_crate
from application.formats.cargo.dialect import answer_bytes, answer_json
from application.formats.cargo.index import Owner, render_owners
from application.formats.cargo.names import CrateKey
from application.identity.client_accounts import ClientAccounts
from application.publishing import DecidePackage, PackageDecision, Target
from application.wire import Answer, Call
from domain import package
from domain.errors import Conflict, Invalid, NotFound
from domain.event import Event
from domain.package import Package

_MAX_USERS = 100


class LastOwner(Conflict):
    """Nobody would be left."""

    template = "crate `{name}` needs an owner; name another one first"

    def __init__(self, name: str) -> None:
        super().__init__(name=name)


class _Users(msgspec.Struct):
    users: list[str]


def list_owners(call: Call) -> Answer:
    """GET api/v1/crates/{name}/owners. Names are asked each time and kept nowhere: they can change, and be erased."""
    key = _asked_crate(call)
    marks = call.services.catalogue.marks(call.content, key, "owner", call.at)
    owners = [UUID(owner) for owner in sorted(marks, key=lambda owner: int(marks[owner]))]
    names = _accounts(call).usernames(owners) if owners else {}
    return answer_bytes(render_owners([Owner(_number(owner), names[owner]) for owner in owners if owner in names]))


def add_owners(call: Call) -> Answer:
    """PUT api/v1/crates/{name}/owners."""
    key, users, ids = _asked(call)

    def decide(state: Package) -> list[Event]:
        return package.set_owners(state, call.content, key, tuple(dict.fromkeys((*state.owners, *ids))))

    _judge(call, key, decide)
    return answer_json({"ok": True, "msg": f"named as owner of {key}: {', '.join(users)}; rights go by the repository"})


def remove_owners(call: Call) -> Answer:
    """DELETE api/v1/crates/{name}/owners."""
    key, users, ids = _asked(call)

    def decide(state: Package) -> list[Event]:
        left = tuple(owner for owner in state.owners if owner not in ids)
        if not left:
            raise LastOwner(key)
        return package.set_owners(state, call.content, key, left)

    _judge(call, key, decide)
    return answer_json({"ok": True, "msg": f"no longer named as owner of {key}: {', '.join(users)}"})


def _asked(call: Call) -> tuple[CrateKey, list[str], list[UUID]]:
    """The crate, and the accounts that the body names. Raises CrateNotFound, AccountNotFound, Invalid."""
    try:
        users = msgspec.json.decode(call.text, type=_Users).users
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"malformed JSON body: {error}") from None
    if not 0 < len(users) <= _MAX_USERS:
        raise Invalid(f"name between one and {_MAX_USERS} users")
    key = _asked_crate(call)
    return key, users, _ids(call, users)


def _ids(call: Call, users: Sequence[str]) -> list[UUID]:
    accounts = _accounts(call)
    return [accounts.user(name).id for name in users]


def _asked_crate(call: Call) -> CrateKey:
    key = asked_key(call.params["name"])
    load_crate(call, key)
    return key


def _judge(call: Call, key: CrateKey, decide: DecidePackage) -> None:
    target = Target(call.content, call.repository.settings, call.meta)
    call.services.publishing.judge(target, PackageDecision(key, decide))


def _accounts(call: Call) -> ClientAccounts:
    if call.services.client_accounts is None:
        raise NotFound("accounts are managed in the console or through the API")
    return call.services.client_accounts


def _number(account: UUID) -> int:
    """A number of 31 bits that stays with the account; cargo wants one and shows it to nobody."""
    return account.int & 0x7FFFFFFF
