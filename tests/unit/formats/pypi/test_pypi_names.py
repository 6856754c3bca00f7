import pytest

from application.formats.pypi.names import (
    DistributionName,
    FilenameInvalid,
    NameInvalid,
    PypiName,
    VersionInvalid,
    canonical_version,
    guess_version,
    normalise,
    order_key,
    parse_filename,
    parse_version,
)


@pytest.mark.parametrize(
    ("spelled", "key"),
    [
        ("demo", "demo"),
        ("Demo.Pkg-x", "demo-pkg-x"),
        ("a__b..c--d", "a-b-c-d"),
        ("A", "a"),
        ("zope.interface", "zope-interface"),
        ("9lives", "9lives"),
    ],
)
def test_spellings_of_a_name_meet(spelled: str, key: str) -> None:
    assert normalise(spelled) == key


@pytest.mark.parametrize(
    "text", ["", "-a", "a-", "_", ".", "a b", "a/b", "é", "a\n", "a\x00", "\u212a", "\u0131", "..", "a" * 256, "a@1"]
)
def test_text_that_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(NameInvalid):
        normalise(text)


def test_spellings_of_a_version_meet() -> None:
    assert len({canonical_version(text) for text in ("1", "1.0", "v1.0.0", " 1.0", "1.00")}) == 1
    assert canonical_version("1.0-alpha.1") == "1a1"
    assert canonical_version("1!2.0+Ubuntu.1") == "1!2+ubuntu.1"


@pytest.mark.parametrize("text", ["", "one", "1.0-", "1..0", "1.0+", "1\u0660", "1" * 256, "1.0\x00", "1 0"])
def test_text_that_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(VersionInvalid):
        parse_version(text)


def test_versions_order_as_pep_440_says() -> None:
    ascending = [
        "nightly", "1.0.dev1", "1.0a1.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0+local", "1.0.post1", "1.1", "1.10",
        "1!0.1",
    ]  # fmt: skip
    shuffled = ascending[1::2] + ascending[::2]
    assert sorted(shuffled, key=order_key) == ascending


@pytest.mark.parametrize(
    ("filename", "parsed"),
    [
        ("demo-1.0-py3-none-any.whl", DistributionName("wheel", PypiName("demo"), "1", "py3")),
        ("Demo.Pkg_x-1.0.1-2b-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
         DistributionName("wheel", PypiName("demo-pkg-x"), "1.0.1", "cp311")),
        ("demo-1.0+local.1-py2.py3-none-any.whl", DistributionName("wheel", PypiName("demo"), "1+local.1", "py2.py3")),
        ("demo-1.0.tar.gz", DistributionName("sdist", PypiName("demo"), "1", "source")),
        ("Demo.Pkg-x-2.0rc1.zip", DistributionName("sdist", PypiName("demo-pkg-x"), "2rc1", "source")),
    ],
)  # fmt: skip
def test_names_of_wheels_and_sdists_are_read(filename: str, parsed: DistributionName) -> None:
    assert parse_filename(filename) == parsed


@pytest.mark.parametrize(
    "filename",
    [
        "", "demo", "demo.whl", "demo-1.0.whl", "demo-1.0-py3-none.whl", "demo-1.0-x-py3-none-any.whl", "-1.0.tar.gz",
        "demo-x.tar.gz", "demo-1.0.egg", "demo-1.0-py2.7.egg", "demo-1.0.win32.exe", "demo-1.0.tar.bz2", "demo-1.0.tgz",
        "../demo-1.0.tar.gz", "a/demo-1.0.tar.gz", "a\\demo-1.0.tar.gz", "demo-1.0.tar.gz\n", ".demo-1.0.tar.gz",
        "demo-1.0\x00.tar.gz", "démo-1.0.tar.gz", "demo-1.0-py3-none-any.WHL", "demo-1.0.tar.gz?", "d" * 250 + "-1.tar.gz",
        "_demo_-1.0-py3-none-any.whl", "demo__x-1.0-py3-none-any.whl",
    ],
)  # fmt: skip
def test_other_file_names_are_refused(filename: str) -> None:
    with pytest.raises(FilenameInvalid):
        parse_filename(filename)


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        ("old-name-1.2.tar.bz2", "1.2"),
        ("Old.Name-1.2-py2.7.egg", "1.2"),
        ("old-name-1.2.win32-py2.7.exe", "1.2"),
        ("old_name-1.2.win-amd64.msi", "1.2"),
        ("old-name-1.2.tar.gz", "1.2"),
        ("other-1.2.tar.gz", None),
        ("old-name.txt", None),
        ("old-name-latest.tgz", None),
    ],
)
def test_the_version_in_a_legacy_file_name_is_guessed(filename: str, version: str | None) -> None:
    assert guess_version(normalise("old-name"), filename) == version


def test_messages_quote_and_cut_hostile_text() -> None:
    with pytest.raises(NameInvalid) as caught:
        normalise("<script>\n" * 100)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
