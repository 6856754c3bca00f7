"""Names, versions, requirements and places in an index, as cargo has them."""

from __future__ import annotations

import pytest

from application.formats.cargo.names import (
    NameInvalid,
    VersionInvalid,
    crate_key,
    highest,
    index_path,
    order_key,
    parse_name,
    parse_version,
    similarity_key,
    without_build,
)
from application.formats.cargo.requirements import RequirementInvalid, canonical_requirement


@pytest.mark.parametrize("name", ["a", "demo", "Demo_Crate", "x-y_z9", "a" * 64, "comma", "console", "core2"])
def test_names_that_crates_may_have(name: str) -> None:
    assert parse_name(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        *((name, "begins with a letter") for name in ("", "9a", "_a", "-a", "a b", "a.b", "a/b", "é", "a\n", "a" * 65)),
        *((name, "keyword") for name in ("fn", "Self", "async", "GEN")),
        *((name, "standard library") for name in ("std", "Core", "proc-macro", "proc_macro", "alloc")),
        *((name, "device") for name in ("con", "NUL", "com1", "lpt9")),
    ],
)
def test_names_that_are_refused(name: str, why: str) -> None:
    with pytest.raises(NameInvalid, match=why):
        parse_name(name)


def test_a_crate_is_known_in_lower_case_and_separators_tell_crates_apart() -> None:
    assert crate_key("Demo_Crate") == "demo_crate"
    assert crate_key("no/name") is None
    assert similarity_key("Demo-Crate") == similarity_key("demo_crate")


@pytest.mark.parametrize(
    ("name", "path"),
    [("a", "1/a"), ("ab", "2/ab"), ("abc", "3/a/abc"), ("abcd", "ab/cd/abcd"), ("Demo_Crate", "de/mo/demo_crate")],
)
def test_files_of_an_index_lie_where_cargo_looks(name: str, path: str) -> None:
    key = crate_key(name)
    assert key is not None
    assert "/".join(index_path(key)) == path


@pytest.mark.parametrize("text", ["1.0.0", "0.0.0", "1.2.3-rc.1", "1.2.3-0a.-+b.01", "18446744073709551615.0.0"])
def test_versions_are_kept_as_they_are(text: str) -> None:
    assert parse_version(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "1.0", "v1.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.0+", "1.0.0\n", "1.0.0-a..b", "\u0661.0.0"),
        *("18446744073709551616.0.0", f"1.0.0-{'a' * 300}"),
    ],
)
def test_versions_that_cargo_could_not_read_are_refused(text: str) -> None:
    with pytest.raises(VersionInvalid):
        parse_version(text)


def test_build_metadata_makes_no_other_version() -> None:
    assert without_build(parse_version("1.0.7+x.1")) == without_build(parse_version("1.0.7")) == "1.0.7"
    assert order_key("1.0.7+x") == order_key("1.0.7")


def test_versions_order_by_precedence() -> None:
    ordered = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0", "1.10.0"]
    assert sorted((ordered[-1], *ordered[:-1]), key=order_key) == ordered


def test_the_highest_version_is_a_stable_one_where_there_is_any() -> None:
    assert highest(["1.0.0", "2.0.0-rc.1", "1.9.0"]) == "1.9.0"
    assert highest(["2.0.0-rc.1", "2.0.0-rc.2"]) == "2.0.0-rc.2"
    assert highest([]) is None


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1", "^1"),
        ("1.2.3", "^1.2.3"),
        ("^0.3", "^0.3"),
        (" 1.2 ", "^1.2"),
        ("1.2, <1.9", "^1.2, <1.9"),
        (">= 1, < 3", ">=1, <3"),
        (">=1.0.0,<2.0.0", ">=1.0.0, <2.0.0"),
        ("=0.3", "=0.3"),
        ("~1.2.3-rc.1", "~1.2.3-rc.1"),
        ("=1.2.3+build.7", "=1.2.3"),
        ("*", "*"),
        ("X", "*"),
        ("1.*", "1.*"),
        ("1.2.x", "1.2.*"),
        ("1.*.*", "1.*"),
        (">=1.*", ">=1"),
    ],
)
def test_requirements_are_written_as_cargo_prints_them(text: str, canonical: str) -> None:
    assert canonical_requirement(text) == canonical
    assert canonical_requirement(canonical) == canonical


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", "1,", "1 2", "==1", ">>1", "01", "1.02", "1.*.3", "1.2-rc", "*, 1", "a", "1.2.3.4", "1.2.*-rc"),
        *("99999999999999999999", "1," * 40 + "1", "1" * 2000),
    ],
)
def test_requirements_that_cargo_could_not_read_are_refused(text: str) -> None:
    with pytest.raises(RequirementInvalid):
        canonical_requirement(text)
