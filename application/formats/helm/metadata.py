"""What a chart says of itself: its archive read for Chart.yaml, and for the dependencies of the first kind of charts.

Source: https://helm.sh/docs/topics/charts/#the-chartyaml-file
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, ClassVar, Literal

import msgspec

from application.archives.tarballs import Entry, TarballLimits, read_entries
from application.formats.helm.names import ChartName, ChartVersion, parse_name, parse_version
from application.yaml_reader import Tree, parse_yaml
from domain.errors import Invalid

CHART = "Chart.yaml"
REQUIREMENTS = "requirements.yaml"
VALUES = "values.yaml"
TEMPLATES = "templates"
MAX_YAML_BYTES = 1 << 20

LIMITS = TarballLimits(max_entries=20_000, max_unpacked_bytes=100 * 1024**2)
"""Helm unpacks no chart beyond this."""

_ALIAS = re.compile(r"[A-Za-z0-9_-]{1,250}\Z")
_TRUTHS = {
    **dict.fromkeys(("true", "yes", "on", "y"), True),
    **dict.fromkeys(("false", "no", "off", "n"), False),
}


class ChartInvalid(Invalid):
    """The file is no chart, or one that helm would not take."""

    template: ClassVar[str] = "not a chart: {problem}"

    def __init__(self, problem: str) -> None:
        super().__init__(problem=problem[:400])


class Maintainer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who looks after a chart."""

    name: str = ""
    email: str = ""
    url: str = ""


class Dependency(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="kebab"):
    """Another chart that is needed. import_values: names of values, or pairs of child and parent."""

    name: str
    version: str = ""
    repository: str = ""
    condition: str = ""
    tags: tuple[str, ...] = ()
    enabled: bool = False
    import_values: tuple[Any, ...] = ()
    alias: str = ""


class Chart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The fields of Chart.yaml that helm knows; by these names it finds them in an index, too."""

    api_version: Literal["v1", "v2"]
    name: str
    version: str
    app_version: str = ""
    kube_version: str = ""
    type: Literal["", "application", "library"] = ""
    description: str = ""
    home: str = ""
    icon: str = ""
    keywords: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    maintainers: tuple[Maintainer, ...] = ()
    annotations: dict[str, str] = {}
    dependencies: tuple[Dependency, ...] = ()
    deprecated: bool = False
    condition: str = ""
    tags: str = ""

    @property
    def coordinates(self) -> tuple[ChartName, ChartVersion]:
        """Its name and version, which were checked."""
        return ChartName(self.name), ChartVersion(self.version)


def read_chart(file: BinaryIO) -> Chart:
    """The chart in an archive. Raises TarballMalformed, YamlInvalid, ChartInvalid, NameInvalid, VersionInvalid.

    Its one top folder is called as the chart. Nothing but an Invalid is raised for any bytes.
    """
    found = read_files(file, lambda path: path in ((CHART,), (REQUIREMENTS,)), MAX_YAML_BYTES)
    if (CHART,) not in found.files:
        raise ChartInvalid(f"there is no {CHART} in its top folder")
    chart = parse_chart(found.files[CHART,])
    if found.top != chart.name:
        raise ChartInvalid(f"its folder is {found.top!r}, {CHART} says {chart.name!r}")
    if chart.api_version == "v1" and (REQUIREMENTS,) in found.files:
        chart = msgspec.structs.replace(chart, dependencies=_requirements(found.files[REQUIREMENTS,]))
    return chart


class Files(msgspec.Struct, frozen=True):
    """Files of a chart by their path below its folder, and the name of that."""

    top: str
    files: dict[tuple[str, ...], bytes]


def read_files(
    file: BinaryIO, wanted: Callable[[tuple[str, ...]], bool], max_bytes: int, max_total_bytes: int | None = None
) -> Files:
    """The wanted files of an archive. Raises TarballMalformed, ChartInvalid: for a second top folder, for a file that
    is there twice, for more than `max_bytes` in one, or `max_total_bytes` in all of them.
    """
    tops: set[str] = set()
    files: dict[tuple[str, ...], bytes] = {}
    left = max_total_bytes
    for entry in read_entries(file, LIMITS):
        path = _below(entry)
        tops.add(entry.path[0])
        if not wanted(path):
            continue
        if path in files:
            raise ChartInvalid(f"{'/'.join(path)!r} is there twice")
        if entry.size_bytes > max_bytes:
            raise ChartInvalid(f"{'/'.join(path)!r} has {entry.size_bytes} bytes; at most {max_bytes} are read")
        left = None if left is None else left - entry.size_bytes
        if left is not None and left < 0:
            raise ChartInvalid(f"its files have more than {max_total_bytes} bytes together")
        files[path] = entry.read(max_bytes)
    if len(tops) != 1:
        raise ChartInvalid("everything is in one folder, which is called as the chart")
    return Files(tops.pop(), files)


def parse_chart(data: bytes, name: str = CHART) -> Chart:
    """Chart.yaml, with its fields checked as helm checks them. Raises as `read_chart` does."""
    return chart_of(_mapping(parse_yaml(data, name), name), name)


def chart_of(tree: Mapping[str, Any], name: str) -> Chart:
    """What Chart.yaml says, as a tree: of text, or of JSON's values. Raises as `read_chart` does."""
    fields = dict(tree)
    if "deprecated" in fields:
        fields["deprecated"] = _truth(fields["deprecated"], "deprecated")
    fields["dependencies"] = [_dependency(one) for one in _list(fields.get("dependencies"), "dependencies")]
    chart: Chart = _converted(fields, Chart, name)
    parse_name(chart.name)
    parse_version(chart.version)
    _check_aliases(chart.dependencies)
    return chart


def _requirements(data: bytes) -> tuple[Dependency, ...]:
    tree = _mapping(parse_yaml(data, REQUIREMENTS), REQUIREMENTS)
    listed = [_dependency(one) for one in _list(tree.get("dependencies"), "dependencies")]
    found: tuple[Dependency, ...] = _converted(listed, tuple[Dependency, ...], REQUIREMENTS)
    _check_aliases(found)
    return found


def _check_aliases(dependencies: tuple[Dependency, ...]) -> None:
    for dependency in dependencies:
        if dependency.alias and not _ALIAS.match(dependency.alias):
            raise ChartInvalid(f"the dependency {dependency.name!r} has the alias {dependency.alias!r}")


def _converted(tree: Any, kind: Any, name: str) -> Any:
    try:
        return msgspec.convert(_without_nulls(tree), kind)
    except msgspec.ValidationError as fault:
        raise ChartInvalid(f"{name}: {fault}") from None


def _without_nulls(tree: Any) -> Any:
    """A field that says nothing is as good as none."""
    match tree:
        case dict():
            return {key: _without_nulls(value) for key, value in tree.items() if value is not None}
        case list():
            return [_without_nulls(value) for value in tree if value is not None]
        case _:
            return tree


def _dependency(tree: Tree) -> dict[str, Any]:
    fields = _mapping(tree, "dependencies")
    if "enabled" in fields:
        fields["enabled"] = _truth(fields["enabled"], "enabled")
    return fields


def _mapping(tree: Tree, name: str) -> dict[str, Any]:
    if not isinstance(tree, dict):
        raise ChartInvalid(f"{name}: expected fields with values")
    return dict(tree)


def _list(tree: Tree, name: str) -> list[Tree]:
    if not isinstance(tree, list | None):
        raise ChartInvalid(f"{name}: expected a list")
    return tree or []


def _truth(tree: Tree | bool, name: str) -> bool:
    if tree is None or isinstance(tree, bool):
        return bool(tree)
    if not isinstance(tree, str) or tree.lower() not in _TRUTHS:
        raise ChartInvalid(f"{name} is true or false")
    return _TRUTHS[tree.lower()]


def _below(entry: Entry) -> tuple[str, ...]:
    """The path below the top folder; a file beside it has none."""
    path = tuple(part for part in entry.path[1:] if part not in ("", "."))
    if not path:
        raise ChartInvalid(f"{'/'.join(entry.path)[:200]!r} is not inside the folder of the chart")
    return path
