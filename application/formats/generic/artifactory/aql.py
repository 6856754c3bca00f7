"""The query language: `items.find({…}).include(…).sort({…}).offset(n).limit(n)`, over files.

Criteria are read into a condition over items; what could be narrowed by the catalogue is told besides.
Source: https://jfrog.com/help/r/jfrog-rest-apis/artifactory-query-language
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from domain.errors import Invalid

MAX_QUERY_CHARACTERS = 64 * 1024
_MAX_DEPTH = 20
_STEP = re.compile(r"\s*\.\s*(find|include|sort|offset|limit)\s*\(\s*")

_SORTABLE = (
    *("repo", "path", "name", "type", "size", "depth", "created", "created_by", "modified", "modified_by", "updated"),
    *("sha256", "actual_md5", "actual_sha1", "original_md5", "original_sha1"),
)
FIELDS = frozenset((*_SORTABLE, "property.key", "property.value"))

Item = Mapping[str, Any]
"""Every field of FIELDS but the properties' own, and `properties`, name to values."""

Condition = Callable[[Item], bool]


class QueryInvalid(Invalid):
    """Not a query that is understood here."""

    template = "AQL: {detail}"


class Query(msgspec.Struct, frozen=True):
    """repositories: only these can hold what fits; None is any. include: names of fields, empty for the usual ones.

    sort: fields, and whether downwards.
    """

    condition: Condition
    repositories: frozenset[str] | None
    include: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    descending: bool = False
    offset: int = 0
    limit: int | None = None


def parse_query(text: str) -> Query:
    """Read a query. Raises QueryInvalid."""
    if len(text) > MAX_QUERY_CHARACTERS:
        raise QueryInvalid(f"longer than {MAX_QUERY_CHARACTERS} characters")
    text = text.strip()
    if not text.startswith("items"):
        raise QueryInvalid("only items can be found: items.find({…})")
    steps: dict[str, list[Any]] = {}
    for name, values in _steps(text, len("items")):
        if name in steps:
            raise QueryInvalid(f"{name} is given twice")
        steps[name] = values
    if "find" not in steps:
        raise QueryInvalid("expected items.find({…})")
    criteria = _criteria(steps["find"])
    descending, sort = _sorting(steps.get("sort", []))
    return Query(
        condition=_all_of(criteria, 0),
        repositories=_repositories(criteria),
        include=tuple(str(name) for name in steps.get("include", [])),
        sort=sort,
        descending=descending,
        offset=_number(steps, "offset") or 0,
        limit=_number(steps, "limit"),
    )


def _steps(text: str, at: int) -> Iterator[tuple[str, list[Any]]]:
    """Each `.name(values)`; values are JSON."""
    decoder = json.JSONDecoder()
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            raise QueryInvalid(f"cannot read on at {text[at : at + 40]!r}")
        at = step.end()
        values: list[Any] = []
        while text[at : at + 1] != ")":
            try:
                value, at = decoder.raw_decode(text, at)
            except (ValueError, RecursionError):
                raise QueryInvalid(f"expected JSON at {text[at : at + 40]!r}") from None
            values.append(value)
            separator = re.compile(r"\s*,?\s*").match(text, at)
            at = separator.end() if separator else at
        at += 1
        yield step[1], values


def _criteria(values: list[Any]) -> list[dict[str, Any]]:
    if not all(isinstance(value, dict) for value in values):
        raise QueryInvalid("find takes objects")
    return values


def _sorting(values: list[Any]) -> tuple[bool, tuple[str, ...]]:
    if not values:
        return False, ()
    if len(values) == 1 and isinstance(values[0], dict) and len(values[0]) == 1:
        direction, fields = next(iter(values[0].items()))
        if direction in {"$asc", "$desc"} and isinstance(fields, list) and all(field in _SORTABLE for field in fields):
            return direction == "$desc", tuple(fields)
    raise QueryInvalid('sort takes {"$asc": [fields]} or {"$desc": [fields]}')


def _number(steps: dict[str, list[Any]], name: str) -> int | None:
    values = steps.get(name)
    if values is None:
        return None
    if len(values) != 1 or type(values[0]) is not int or not 0 <= values[0] < 1 << 31:
        raise QueryInvalid(f"{name} takes a number")
    return int(values[0])


def _repositories(criteria: list[dict[str, Any]]) -> frozenset[str] | None:
    """Those that top-level criteria name; a repository must fit all of them."""
    found: frozenset[str] | None = None
    for criterion in criteria:
        value = criterion.get("repo")
        if isinstance(value, dict):
            value = value.get("$eq") if len(value) == 1 else None
        if isinstance(value, str):
            found = frozenset({value}) if found is None else found & {value}
        nested = criterion.get("$and")
        if isinstance(nested, list) and all(isinstance(item, dict) for item in nested):
            below = _repositories(nested)
            if below is not None:
                found = below if found is None else found & below
    return found


def _all_of(criteria: list[dict[str, Any]], depth: int) -> Condition:
    conditions = [_condition(key, value, depth) for criterion in criteria for key, value in criterion.items()]
    return lambda item: all(condition(item) for condition in conditions)


def _condition(key: str, value: Any, depth: int) -> Condition:
    if depth > _MAX_DEPTH:
        raise QueryInvalid("too deeply nested")
    if key in {"$and", "$or", "$msp"}:
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise QueryInvalid(f"{key} takes a list of objects")
        parts = [_all_of([item], depth + 1) for item in value]
        quantifier = any if key == "$or" else all
        return lambda item: quantifier(part(item) for part in parts)
    if isinstance(value, dict):
        tests = [_comparison(key, operator, operand) for operator, operand in value.items()]
        return lambda item: all(test(item) for test in tests)
    return _comparison(key, "$eq", value)


def _comparison(key: str, operator: str, operand: Any) -> Condition:
    if not isinstance(operand, str | int | float):
        raise QueryInvalid(f"{key} is compared with a text or a number")
    test = _OPERATORS.get(operator)
    if test is None:
        raise QueryInvalid(f"operator {operator[:40]!r} is not known")
    if key == "type":
        fits = operand == "any" or test("file", operand)
        return lambda _: fits
    if key not in FIELDS and not key.startswith("@"):
        raise QueryInvalid(f"field {key[:40]!r} is not known")
    if operator in {"$ne", "$nmatch"}:
        return lambda item: all(test(value, operand) for value in _values(item, key))
    return lambda item: any(test(value, operand) for value in _values(item, key))


def _values(item: Item, key: str) -> list[Any]:
    """The values of a field; of a property `@name` all of them. `*` as its name means any property."""
    properties: Mapping[str, tuple[str, ...]] = item["properties"]
    if key.startswith("@"):
        return list(properties.get(key[1:], ()))
    if key == "property.key":
        return list(properties)
    if key == "property.value":
        return [value for values in properties.values() for value in values]
    return [item[key]]


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """A comparison of numbers as numbers; times are texts that order as they do."""

    def test(value: Any, operand: Any) -> bool:
        if isinstance(value, int):
            try:
                return compare(value, float(operand))
            except (ValueError, OverflowError):
                return False
        return compare(str(value), str(operand))

    return test


def _equal(value: Any, operand: Any) -> bool:
    return str(value) == str(operand) if operand != "*" else True


def _match(value: Any, operand: Any) -> bool:
    """`*` and `?`; brackets mean themselves here."""
    pattern = str(operand).replace("[", "[[]")
    return fnmatch.fnmatchcase(str(value), pattern)


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": _equal,
    "$ne": lambda value, operand: not _equal(value, operand),
    "$match": _match,
    "$nmatch": lambda value, operand: not _match(value, operand),
    "$gt": _ordered(lambda value, operand: value > operand),
    "$gte": _ordered(lambda value, operand: value >= operand),
    "$lt": _ordered(lambda value, operand: value < operand),
    "$lte": _ordered(lambda value, operand: value <= operand),
}
