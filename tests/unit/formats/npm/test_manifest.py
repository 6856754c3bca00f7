from __future__ import annotations

from typing import Any

import msgspec
import pytest

from application.formats.npm.manifest import abbreviated_manifest, full_manifest
from application.formats.npm.people import Person, parse_person


def full(**fields: Any) -> dict[str, Any]:
    made = full_manifest({"name": "@acme/x", "version": "1.0.0", **fields}, shrinkwrapped=False, has_gyp_file=False)
    result: dict[str, Any] = msgspec.to_builtins(made)
    return result


@pytest.mark.parametrize(
    ("bin_", "commands"),
    [
        ("./cli.js", {"x": "cli.js"}),
        ({"run": "bin/run.js"}, {"run": "bin/run.js"}),
        (["bin/a.js", 7, "b.js"], {"a.js": "bin/a.js", "b.js": "b.js"}),
        ({"../../evil": "../../../etc/passwd"}, {"evil": "etc/passwd"}),
        ({"C:\\evil": "..\\x.js"}, {"evil": "x.js"}),
        ({"..": "a", "b": "", "c": 7}, None),
        (7, None),
    ],
)
def test_commands_are_file_names_for_paths_inside_the_package(bin_: object, commands: object) -> None:
    assert full(bin=bin_).get("bin") == commands


@pytest.mark.parametrize(
    ("bundled", "names"),
    [(True, ["a", "b"]), (False, []), (["a"], ["a"]), ({"a": "1"}, ["a"]), (7, None)],
)
def test_bundled_dependencies_are_a_list_of_names(bundled: object, names: object) -> None:
    dependencies = {"a": "1", "b": "2"}
    assert full(bundleDependencies=bundled, dependencies=dependencies).get("bundleDependencies") == names
    assert full(bundledDependencies=bundled, dependencies=dependencies).get("bundleDependencies") == names
    assert "bundledDependencies" not in full(bundledDependencies=bundled)


def test_a_dependency_listed_twice_is_optional() -> None:
    made = full(dependencies={"a": "1", "b": "1"}, optionalDependencies={"a": "1"})
    assert (made["dependencies"], made["optionalDependencies"]) == ({"b": "1"}, {"a": "1"})
    assert "dependencies" not in full(dependencies={"a": "1"}, optionalDependencies={"a": "1"})


def test_values_of_the_wrong_kind_are_dropped() -> None:
    made = full(
        scripts={"a": "b", "c": 7}, dependencies=["a"], engines=["node"], os=7, cpu="x64", libc=["glibc", None], keywords="a, b c",
        peerDependenciesMeta={"a": {"optional": True}, "b": 7}, license={"type": "MIT", "url": "u"}, description=7, author=[],
        contributors=["a <a@example.org>", 7], funding="https://example.org", bugs="bugs@example.org", repository=7,
    )  # fmt: skip
    assert made == {
        "name": "@acme/x", "version": "1.0.0", "_hasShrinkwrap": False, "scripts": {"a": "b"}, "cpu": ["x64"], "libc": ["glibc"],
        "keywords": ["a", "b", "c"], "peerDependenciesMeta": {"a": {"optional": True}}, "license": "MIT",
        "contributors": [{"name": "a", "email": "a@example.org"}], "funding": {"url": "https://example.org"}, "bugs": {"email": "bugs@example.org"},
    }  # fmt: skip


def test_fields_of_the_registry_cannot_be_set_by_a_package() -> None:
    made = full(
        _id="x",
        _npmUser={"name": "root"},
        dist={},
        readme="r",
        time={},
        users={},
        hasInstallScript=True,
        maintainers=[],
        deprecated="d",
    )
    assert made == {"name": "@acme/x", "version": "1.0.0", "_hasShrinkwrap": False}


def test_unknown_fields_are_served_as_they_are() -> None:
    assert full(exports={".": {"import": "./x.mjs"}}, custom=[1, None, {"a": 1.5}])["custom"] == [1, None, {"a": 1.5}]


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("acme/x", "git+https://github.com/acme/x.git"),
        ("gitlab:acme/x#main", "git+https://gitlab.com/acme/x.git#main"),
        ("gist:11081aaa281", "git+https://gist.github.com/11081aaa281.git"),
        ({"type": "git", "url": "bitbucket:acme/x"}, "git+https://bitbucket.org/acme/x.git"),
        ("https://git.example.org/x.git", "https://git.example.org/x.git"),
    ],
)
def test_a_repository_is_an_object_with_an_address(value: object, url: str) -> None:
    assert full(repository=value)["repository"] == {"type": "git", "url": url}


def test_the_short_form_has_what_an_install_needs_and_nothing_else() -> None:
    needed = {
        "dependencies": {"a": "1"}, "optionalDependencies": {"b": "1"}, "devDependencies": {"c": "1"}, "peerDependencies": {"d": "1"},
        "peerDependenciesMeta": {"d": {"optional": True}}, "acceptDependencies": {"a": "2"}, "bundleDependencies": ["a"], "bin": {"x": "x.js"},
        "directories": {"bin": "b"}, "engines": {"node": "*"}, "os": ["linux"], "cpu": ["x64"], "libc": ["musl"], "funding": {"url": "u"},
    }  # fmt: skip
    made = full(**needed, scripts={"install": "x"}, description="d", main="m", exports={})
    assert abbreviated_manifest(made) == {"name": "@acme/x", "version": "1.0.0", **needed, "hasInstallScript": True}


@pytest.mark.parametrize(
    ("value", "person"),
    [
        ("Ada <ada@example.org> (https://example.org)", Person("Ada", "ada@example.org", "https://example.org")),
        ("Ada", Person("Ada")),
        ("<ada@example.org>", Person("", "ada@example.org")),
        ({"name": "Ada", "mail": "x"}, Person("Ada")),
        ({"name": 7}, None),
        ("", None),
        (None, None),
    ],
)
def test_people_are_read_in_both_notations(value: object, person: Person | None) -> None:
    assert parse_person(value) == person
