"""What a go.mod says, by the grammar of the go command."""

from __future__ import annotations

import pytest

from application.formats.go.gomod import MAX_GO_MOD_BYTES, Requirement, Retraction, parse_go_mod
from domain.errors import Invalid

FULL = b"""\
// Of this, nothing is said.

// Package demo says hello.
//
// Deprecated: use example.com/demo/v2,
// which says more.
//
// It was good.
module "example.com/demo" // still here

go 1.21 // or later
toolchain go1.21.3

require example.com/one v1.0.0
require (
\texample.com/two v0.0.0-20260303101500-abcdefabcdef // indirect
\t"example.com/three" v2.0.0+incompatible // indirect; needed by two

\texample.com/four v1 // not indirect
)

replace example.com/one => ../one
replace (
\texample.com/two v1.0.0 => example.com/fork v1.0.1
)
exclude example.com/one v1.0.1
tool example.com/one/cmd/x
ignore (
\t./node_modules
)
retract v1.0.1 // eats data
// Never meant to be.
//
// Sorry.
retract [v1.1.0, v1.1.9]
// A whole block.
retract (
\tv1.2.0
\t[v1.3.0,v1.3.5] // worse
)
"""


def test_everything_that_concerns_dependents_is_read() -> None:
    found = parse_go_mod(FULL)
    assert (found.module, found.go, found.toolchain) == ("example.com/demo", "1.21", "go1.21.3")
    assert found.deprecated == "use example.com/demo/v2,\nwhich says more."
    assert found.requires == (
        Requirement("example.com/one", "v1.0.0"),
        Requirement("example.com/two", "v0.0.0-20260303101500-abcdefabcdef", indirect=True),
        Requirement("example.com/three", "v2.0.0+incompatible", indirect=True),
        Requirement("example.com/four", "v1"),
    )
    assert found.retracts == (
        Retraction("v1.0.1", "v1.0.1", "eats data"),
        Retraction("v1.1.0", "v1.1.9", "Never meant to be.\n\nSorry."),
        Retraction("v1.2.0", "v1.2.0", "A whole block."),
        Retraction("v1.3.0", "v1.3.5", "worse"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "module example.com/demo",
        "\r\n  module\texample.com/demo\r\n",
        "module (\n\texample.com/demo\n)\n",
        "require ()\nmodule example.com/demo//x\n",
        "module example.com/demo\nfuture [a, b] {c}\n",
    ],
)
def test_spellings_of_a_short_one(text: str) -> None:
    found = parse_go_mod(text.encode())
    assert (found.module, found.deprecated, found.requires) == ("example.com/demo", "", ())


def test_a_comment_that_an_empty_line_parts_from_module_deprecates_nothing() -> None:
    assert parse_go_mod(b"// Deprecated: no\n\nmodule example.com/demo\n").deprecated == ""
    assert parse_go_mod(b"// Deprecated: yes\nmodule example.com/demo\n").deprecated == "yes"
    assert parse_go_mod(b"module example.com/demo // Deprecated: yes").deprecated == "yes"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "go.mod:1: it does not say of which module it is"),
        ("go 1.21\n", "of which module"),
        ("module a.b\nmodule a.b\n", "go.mod:2: module is there twice"),
        ("module a.b c\n", "behind module stands one word"),
        ("module a.b\ngo 1.20\ngo 1.21\n", "go is there twice"),
        ("module a.b\nrequire example.com/x\n", "go.mod:2: behind require"),
        ("module a.b\nrequire example.com/x master\n", "go.mod:2: invalid version 'master'"),
        ("module a.b\nrequire nowhere v1.0.0\n", "go.mod:2: invalid module path 'nowhere'"),
        ("module a.b\nretract v1.0.0, v1.1.0\n", "behind retract"),
        ("module a.b\nretract [v1.0.0]\n", "behind retract"),
        ("module a.b\nretract (\nv1.0.0\n", "the block of retract does not end"),
        ("module `a.b`\n", "invalid module path"),
        ("module a.b\nrequire `example.com/x` v1.0.0\n", "invalid module path"),
        ("module a.b\nrequire example.com/x `v1.0.0`\n", "invalid version"),
        ("module a.b\ngo latest\n", "go.mod:2: behind go stands a version"),
        ("module a.b\n)\n", "a parenthesis where none can be"),
        ("module a.b\nrequire ( x\n", "a parenthesis"),
        ("module a.b\n/* no */\n", "unexpected text at column 1"),
        ('module "a.b\n', "unexpected text at column 8"),
        ("module a.b\nx \u00a0 y\n", "unexpected text"),
        ("\xff", "module"),
    ],
)
def test_what_the_go_command_would_not_take_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(Invalid) as fault:
        parse_go_mod(text.encode())
    assert says in str(fault.value)


def test_other_text_is_refused() -> None:
    for data in (b"\xff\xfe", b"module a.b\n" + b"/" * MAX_GO_MOD_BYTES, b"module nowhere\n"):
        with pytest.raises(Invalid):
            parse_go_mod(data)
