"""Charts read from their archives, and everything about them that may be wrong."""

from __future__ import annotations

import io

import msgspec
import pytest

from application.formats.helm.metadata import Chart, ChartInvalid, Dependency, Maintainer, read_chart, read_files
from application.formats.helm.stored import encode_facts
from domain.errors import Invalid
from tests.samples.helm import make


def read(data: bytes) -> Chart:
    return read_chart(io.BytesIO(data))


def test_every_field_of_a_chart_is_read_as_it_was_written() -> None:
    chart = read(
        make.chart(
            "demo",
            "1.2.3+a",
            appVersion="1.10",
            kubeVersion=">=1.20",
            type="application",
            description="Says hello",
            home="https://example.org",
            icon="https://example.org/i.png",
            keywords=["one", "two"],
            sources=["https://example.org/src"],
            maintainers=[{"name": "Ada", "email": "ada@example.org"}],
            annotations={"category": "x", "count": 3},
            deprecated=True,
            dependencies=[
                {"name": "db", "version": "^1", "repository": "https://example.org", "condition": "db.enabled",
                 "tags": ["a"], "alias": "store", "import-values": ["data", {"child": "a", "parent": "b"}]}
            ],
            unknown={"x": 1},
        )
    )  # fmt: skip
    assert chart == Chart(
        api_version="v2",
        name="demo",
        version="1.2.3+a",
        app_version="1.10",
        kube_version=">=1.20",
        type="application",
        description="Says hello",
        home="https://example.org",
        icon="https://example.org/i.png",
        keywords=("one", "two"),
        sources=("https://example.org/src",),
        maintainers=(Maintainer(name="Ada", email="ada@example.org"),),
        annotations={"category": "x", "count": "3"},
        deprecated=True,
        dependencies=(
            Dependency(
                name="db",
                version="^1",
                repository="https://example.org",
                condition="db.enabled",
                tags=("a",),
                alias="store",
                import_values=("data", {"child": "a", "parent": "b"}),
            ),
        ),
    )
    facts = msgspec.json.decode(encode_facts(chart))
    assert facts["apiVersion"] == "v2"
    assert facts["dependencies"][0]["import-values"] == ["data", {"child": "a", "parent": "b"}]
    assert "condition" not in facts


@pytest.mark.parametrize(
    ("written", "read_as"), [("1.10", "1.10"), ("1e3", "1e3"), ("2026-03-03", "2026-03-03"), ("no", "no"), ("", "")]
)
def test_an_app_version_is_never_taken_for_a_number(written: str, read_as: str) -> None:
    data = make.pack({"demo/Chart.yaml": make.chart_yaml() + f"appVersion: {written}\n".encode()})
    assert read(data).app_version == read_as


def test_the_first_kind_of_charts_names_dependencies_in_a_file_of_its_own() -> None:
    extra = {"requirements.yaml": b"dependencies:\n- name: db\n  version: 1.x\n  enabled: yes\n"}
    assert read(make.chart(apiVersion="v1", extra=extra)).dependencies == (
        Dependency(name="db", version="1.x", enabled=True),
    )
    assert read(make.chart(extra=extra)).dependencies == ()


@pytest.mark.parametrize("data", make.REFUSED.values(), ids=make.REFUSED)
def test_what_is_no_chart_or_could_be_two_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        read(data)


def test_files_of_a_chart_are_read_within_bounds() -> None:
    def wanted(path: tuple[str, ...]) -> bool:
        return path[0] == "templates"

    data = make.chart(extra={"templates/b.yaml": b"b" * 100})
    found = read_files(io.BytesIO(data), wanted, 1000, 1000)
    assert (found.top, sorted(found.files)) == ("demo", [("templates", "b.yaml"), ("templates", "map.yaml")])
    for bounds in ((99, 1000), (1000, 120)):
        with pytest.raises(ChartInvalid):
            read_files(io.BytesIO(data), wanted, *bounds)


def test_a_damaged_archive_is_refused_wherever_it_breaks() -> None:
    data = make.chart()
    for cut in range(0, len(data), 7):
        with pytest.raises(Invalid):
            read(data[:cut])
