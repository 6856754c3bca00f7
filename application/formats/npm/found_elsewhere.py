"""What other registries answer besides packuments: results of searches, keys, attestations. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import ClassVar, TypeVar

import msgspec

from application.formats.npm.index import timestamp
from domain.errors import Invalid

_encode = msgspec.json.encode
_T = TypeVar("_T")


class AnswerMalformed(Invalid):
    """Not what a registry answers to this question."""

    template: ClassVar[str] = "not an answer of a registry: {detail}"


class _Package(msgspec.Struct):
    name: str


class _Hit(msgspec.Struct):
    package: _Package


class Results(msgspec.Struct, frozen=True):
    """Results of a search, each as JSON. total: how many there are in all, as far as is known."""

    objects: tuple[msgspec.Raw, ...]
    total: int = 0


class _Key(msgspec.Struct):
    keyid: str


class _Keys(msgspec.Struct):
    keys: list[msgspec.Raw]


class _Attestations(msgspec.Struct):
    attestations: list[dict[str, msgspec.Raw]]


def read_results(body: bytes) -> Results:
    """The answer to a search. Raises AnswerMalformed."""
    results = _decode(body, Results)
    for one in results.objects:
        _name(one)
    return results


def only(results: Results, admits: Callable[[str], bool]) -> Results:
    """The results whose names are admitted."""
    kept = tuple(one for one in results.objects if admits(_name(one)))
    return Results(kept, max(results.total - len(results.objects) + len(kept), len(kept)))


def all_results(every: Sequence[Results]) -> Results:
    """The results of several registries, each package once and as the first one tells of it."""
    found: dict[str, msgspec.Raw] = {}
    for results in every:
        for one in results.objects:
            found.setdefault(_name(one), one)
    twice = sum(len(results.objects) for results in every) - len(found)
    return Results(tuple(found.values()), sum(results.total for results in every) - twice)


def write_results(results: Results, now: datetime) -> bytes:
    """The answer to a search."""
    return _encode({"objects": results.objects, "total": results.total, "time": timestamp(now)})


def read_keys(body: bytes) -> dict[str, msgspec.Raw]:
    """The keys with which a registry signs, by their ids. Raises AnswerMalformed."""
    return {_decode(key, _Key).keyid: key for key in _decode(body, _Keys).keys}


def write_keys(keys: dict[str, msgspec.Raw]) -> bytes:
    """The keys as clients read them."""
    return _encode({"keys": list(keys.values())})


def check_attestations(body: bytes) -> None:
    """Raise AnswerMalformed for what are no attestations. What they state, clients check for themselves."""
    _decode(body, _Attestations)


def _name(result: msgspec.Raw) -> str:
    return _decode(result, _Hit).package.name


def _decode(data: bytes | msgspec.Raw, shape: type[_T]) -> _T:
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AnswerMalformed(str(error)[:200]) from None
