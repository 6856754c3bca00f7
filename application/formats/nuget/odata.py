"""The questions of the second protocol: `$filter` and `$orderby`, as far as clients of package feeds write them. Pure.

A filter is asked with what is known so far; where that does not decide it, the answer is None.
Source: https://www.odata.org/documentation/odata-version-2-0/uri-conventions/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeAlias

from domain.errors import Invalid

MAX_CHARS = 8_000
MAX_DEPTH = 60

Value: TypeAlias = "str | bool | int | float | datetime | None"
Known: TypeAlias = Mapping[str, Value]
Filter: TypeAlias = Callable[[Known], "bool | None"]
_Term: TypeAlias = Callable[[Known], Any]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<time>datetime'[^']*')|(?P<number>-?\d{1,18}(?:\.\d{1,18})?)[LlMmFfDd]?\b"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<mark>[(),]))"
)
_UNKNOWN = object()
"""The value of a property that is not known yet, and of whatever is made of it."""

_CONSTANTS: dict[str, Value] = {"true": True, "false": False, "null": None}


class QueryInvalid(Invalid):
    """Not a question that is understood here."""

    template: ClassVar[str] = "{what} is not understood: {problem}"

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(what=what, problem=problem[:200])


def parse_filter(text: str, properties: Collection[str]) -> Filter:
    """The filter that a text is. properties: their names, whose case does not matter. Raises QueryInvalid.

    Texts are compared without regard to case, as the databases of feeds do.
    """
    if not text.strip():
        return lambda _: True
    parser = _Parser(text, {name.lower(): name for name in properties})
    term = parser.alternatives(0)
    parser.end()

    def decide(known: Known) -> bool | None:
        found = term(known)
        return None if found is _UNKNOWN else found is True

    return decide


def parse_order(text: str, properties: Collection[str]) -> list[tuple[str, bool]]:
    """Properties to order by, the most important first, and whether downwards. Raises QueryInvalid."""
    names = {name.lower(): name for name in properties}
    found = []
    for part in text.split(",") if text.strip() else ():
        words = part.split()
        if not 1 <= len(words) <= 2 or words[0].lower() not in names or words[1:] not in ([], ["asc"], ["desc"]):
            raise QueryInvalid("$orderby", repr(part[:80]))
        found.append((names[words[0].lower()], words[1:] == ["desc"]))
    return found


def text_value(text: str) -> str:
    """What a parameter in quotes says; old and careless clients leave them away."""
    if len(text) >= 2 and text[0] == text[-1] == "'":
        text = text[1:-1]
    return text.replace("''", "'")


def quoted(text: str) -> str:
    """A text as a literal."""
    return "'" + text.replace("'", "''") + "'"


class _Parser:
    """Recursive descent over the tokens of a filter."""

    def __init__(self, text: str, names: Mapping[str, str]) -> None:
        self._names = names
        self._tokens = _tokens(text)
        self._at = 0

    def alternatives(self, depth: int) -> _Term:
        """Terms joined by `or`."""
        return self._joined("or", lambda: self._joined("and", lambda: self._negation(depth)))

    def end(self) -> None:
        """Nothing may follow."""
        if self._at < len(self._tokens):
            raise QueryInvalid("$filter", f"{self._tokens[self._at][1]!r} at the end")

    def _joined(self, word: str, part: Callable[[], _Term]) -> _Term:
        terms = [part()]
        while self._takes("name", word):
            terms.append(part())
        return terms[0] if len(terms) == 1 else _any(terms) if word == "or" else _all(terms)

    def _negation(self, depth: int) -> _Term:
        if depth > MAX_DEPTH:
            raise QueryInvalid("$filter", f"more than {MAX_DEPTH} levels")
        if self._takes("name", "not"):
            term = self._negation(depth + 1)
            return lambda known: _not(term(known))
        return self._comparison(depth)

    def _comparison(self, depth: int) -> _Term:
        left = self._operand(depth)
        kind, text = self._peek()
        if kind != "name" or text.lower() not in _COMPARISONS:
            return left
        self._at += 1
        right, compare = self._operand(depth), _COMPARISONS[text.lower()]
        return lambda known: _compared(compare, left(known), right(known))

    def _operand(self, depth: int) -> _Term:
        kind, text = self._take()
        if kind == "mark" and text == "(":
            term = self._nested(depth)
            self._expect(")")
            return term
        if kind == "name":
            return self._named(text, depth)
        return _constant(_literal(kind, text))

    def _nested(self, depth: int) -> _Term:
        if depth > MAX_DEPTH:
            raise QueryInvalid("$filter", f"more than {MAX_DEPTH} levels")
        return self.alternatives(depth + 1)

    def _named(self, text: str, depth: int) -> _Term:
        lowered = text.lower()
        if self._takes("mark", "("):
            return self._called(lowered, depth)
        if lowered in _CONSTANTS:
            return _constant(_CONSTANTS[lowered])
        name = self._names.get(lowered)
        if name is None:
            raise QueryInvalid("$filter", f"there is no property {text[:80]!r}")
        return lambda known: known.get(name, _UNKNOWN)

    def _called(self, name: str, depth: int) -> _Term:
        arguments = [self._nested(depth)]
        while self._takes("mark", ","):
            arguments.append(self._nested(depth))
        self._expect(")")
        count, function = _FUNCTIONS.get(name, (0, None))
        if function is None or len(arguments) != count:
            raise QueryInvalid("$filter", f"there is no function {name[:80]!r} of {len(arguments)} values")
        return lambda known: _applied(function, [argument(known) for argument in arguments])

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take(self) -> tuple[str, str]:
        kind, text = self._peek()
        if kind == "end" or (kind == "mark" and text != "("):
            raise QueryInvalid("$filter", f"a value is missing before {text or 'the end'!r}")
        self._at += 1
        return kind, text

    def _takes(self, kind: str, text: str) -> bool:
        found, word = self._peek()
        if found != kind or word.lower() != text:
            return False
        self._at += 1
        return True

    def _expect(self, mark: str) -> None:
        if not self._takes("mark", mark):
            raise QueryInvalid("$filter", f"expected {mark!r} before {self._peek()[1] or 'the end'!r}")


def _tokens(text: str) -> list[tuple[str, str]]:
    if len(text) > MAX_CHARS:
        raise QueryInvalid("$filter", f"it has more than {MAX_CHARS} characters")
    found, at, text = [], 0, text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise QueryInvalid("$filter", f"at {text[at : at + 40]!r}")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


def _constant(value: Value) -> _Term:
    return lambda _: value


def _literal(kind: str, text: str) -> Value:
    if kind == "text":
        return text_value(text)
    if kind == "number":
        return float(text) if "." in text else int(text)
    try:
        moment = datetime.fromisoformat(text_value(text.removeprefix("datetime")))
    except ValueError:
        raise QueryInvalid("$filter", f"{text[:60]} is no time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _any(terms: Sequence[_Term]) -> _Term:
    def decide(known: Known) -> object:
        found: object = False
        for term in terms:
            one = term(known)
            if one is True:
                return True
            found = _UNKNOWN if one is _UNKNOWN else found
        return found

    return decide


def _all(terms: Sequence[_Term]) -> _Term:
    def decide(known: Known) -> object:
        found: object = True
        for term in terms:
            one = term(known)
            if one is _UNKNOWN:
                found = _UNKNOWN
            elif one is not True:
                return False
        return found

    return decide


def _not(value: object) -> object:
    return _UNKNOWN if value is _UNKNOWN else value is not True


def _compared(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> object:
    if left is _UNKNOWN or right is _UNKNOWN:
        return _UNKNOWN
    left, right = _folded(left), _folded(right)
    try:
        return compare(left, right)
    except TypeError:
        return False


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _applied(function: Callable[..., Value], values: list[Any]) -> object:
    if any(value is _UNKNOWN for value in values):
        return _UNKNOWN
    if not all(isinstance(value, str) for value in values):
        return None
    return function(*values)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: left >= right,
    "lt": lambda left, right: left < right,
    "le": lambda left, right: left <= right,
}
_FUNCTIONS: dict[str, tuple[int, Callable[..., Value]]] = {
    "substringof": (2, lambda part, text: part.casefold() in text.casefold()),
    "contains": (2, lambda text, part: part.casefold() in text.casefold()),
    "startswith": (2, lambda text, part: text.casefold().startswith(part.casefold())),
    "endswith": (2, lambda text, part: text.casefold().endswith(part.casefold())),
    "indexof": (2, lambda text, part: text.casefold().find(part.casefold())),
    "tolower": (1, lambda text: text.lower()),
    "toupper": (1, lambda text: text.upper()),
    "trim": (1, lambda text: text.strip()),
    "length": (1, len),
}
