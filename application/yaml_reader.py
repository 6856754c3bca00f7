"""YAML of strangers as a tree of plain text: no types are guessed, nothing is constructed, all of it bounded.

A scalar stays the text that its author wrote (`1.10` is not a number, `no` is not false); only a plain scalar that is
empty or says null is None. Readers that know better what a field holds convert it themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NoReturn, TypeAlias

import yaml

from domain.errors import Invalid

MAX_BYTES = 1 << 20
MAX_NODES = 50_000
MAX_DEPTH = 64

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The parser in C, where it was built."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_STANDARD = "tag:yaml.org,2002:"
_TAGS = frozenset({"!", *(_STANDARD + kind for kind in ("null", "bool", "int", "float", "str", "seq", "map"))})
_MERGE = "<<"
_FAULTS = (yaml.YAMLError, UnicodeError, ValueError)

Tree: TypeAlias = "str | list[Tree] | dict[str, Tree] | None"


class YamlInvalid(Invalid):
    """Not YAML that is read here."""

    template: ClassVar[str] = "{name}: {problem}"

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name=name[:200], problem=problem[:300])


def parse_yaml(data: bytes, name: str, *, max_bytes: int = MAX_BYTES, max_nodes: int = MAX_NODES) -> Tree:
    """The only document of a YAML file; None for an empty one. name: of the file, for the message.

    Aliases count as what they stand for, so that a few of them cannot become a mountain. Raises YamlInvalid, and
    nothing else, for any bytes: for more than `max_nodes` values or MAX_DEPTH within each other, for keys that are
    there twice or are no text, for tags that are not YAML's own.
    """
    if len(data) > max_bytes:
        raise YamlInvalid(name, f"larger than {max_bytes} bytes")
    builder = _Builder(name, max_nodes)
    try:
        for event in _events(data):
            builder.take(event)
    except _FAULTS as fault:
        raise YamlInvalid(name, f"not well-formed YAML: {fault}".replace("\n", " ")) from None
    return builder.root


def parse_typed_yaml(data: bytes, name: str) -> Any:
    """The same document with numbers, truths and times where YAML 1.1 sees them. Raises YamlInvalid."""
    parse_yaml(data, name)  # bounds it, what aliases stand for included
    try:
        return yaml.load(data, Loader=_LOADER)  # noqa: S506 - one of the two safe ones
    except (*_FAULTS, TypeError, OverflowError, AttributeError) as fault:
        raise YamlInvalid(name, f"a value cannot be read: {fault}".replace("\n", " ")) from None


def _events(data: bytes) -> Iterator[yaml.Event]:
    parsed: Iterator[yaml.Event] = yaml.parse(data, Loader=_LOADER)
    return parsed


class _Open:
    """A collection that has not ended. count: how many values are in it, itself included."""

    __slots__ = ("anchor", "count", "key", "merged", "merging", "value", "waiting")

    def __init__(self, value: list[Tree] | dict[str, Tree], anchor: str | None) -> None:
        self.value = value
        self.anchor = anchor
        self.count = 1
        self.key = ""
        self.waiting = True  # for a key, in a mapping
        self.merging = False
        self.merged: list[Tree] = []


class _Builder:
    def __init__(self, name: str, max_nodes: int) -> None:
        self._name = name
        self._max_nodes = max_nodes
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Tree, int]] = {}
        self._documents = 0
        self._count = 0
        self.root: Tree = None

    def take(self, event: yaml.Event) -> None:
        """Follow one event of the parser."""
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._refuse("there is more than one document")
            case yaml.ScalarEvent():
                self._check_tag(event.tag)
                plain = not event.style and event.tag in (None, f"{_STANDARD}null")
                text = None if plain and event.value in _NULLS else event.value
                self._place(text, 1, event.anchor, merge=plain and event.value == _MERGE)
            case yaml.AliasEvent():
                if event.anchor not in self._anchors:
                    self._refuse(f"the alias {event.anchor!r} stands for nothing that is complete")
                value, count = self._anchors[event.anchor]
                self._place(value, count, None)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._check_tag(event.tag)
                if len(self._open) >= MAX_DEPTH:
                    self._refuse(f"more than {MAX_DEPTH} levels")
                self._open.append(_Open([] if isinstance(event, yaml.SequenceStartEvent) else {}, event.anchor))
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                ended = self._open.pop()
                if isinstance(ended.value, dict):
                    self._merge(ended)
                self._place(ended.value, ended.count, ended.anchor)

    def _place(self, value: Tree, count: int, anchor: str | None, *, merge: bool = False) -> None:
        """Put a complete value where the document has it."""
        if anchor is not None:
            self._anchors[anchor] = (value, count)
        if not self._open:
            self.root = value
            return
        parent = self._open[-1]
        parent.count += count
        self._count = max(self._count, sum(one.count for one in self._open))
        if self._count > self._max_nodes:
            self._refuse(f"more than {self._max_nodes} values")
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.waiting:
            self._take_key(parent, value, merge=merge)
        else:
            self._take_value(parent, value)

    def _take_key(self, parent: _Open, key: Tree, *, merge: bool) -> None:
        if not isinstance(key, str):
            self._refuse("a key is no text")
        if not merge and key in parent.value:
            self._refuse(f"the key {key[:80]!r} is there twice")
        parent.key, parent.merging, parent.waiting = key, merge, False

    def _take_value(self, parent: _Open, value: Tree) -> None:
        parent.waiting = True
        if parent.merging:
            parent.merged += value if isinstance(value, list) else [value]
        else:
            mapping: Any = parent.value
            mapping[parent.key] = value

    def _merge(self, ended: _Open) -> None:
        """What `<<` names goes in where the mapping itself says nothing; the first that says something has it."""
        mapping: Any = ended.value
        for other in ended.merged:
            if not isinstance(other, dict):
                self._refuse("only mappings can be merged")
            for key, value in other.items():
                mapping.setdefault(key, value)

    def _check_tag(self, tag: str | None) -> None:
        if tag is not None and tag not in _TAGS:
            self._refuse(f"the tag {tag[:80]!r} is not one of YAML's own")

    def _refuse(self, problem: str) -> NoReturn:
        raise YamlInvalid(self._name, problem)
