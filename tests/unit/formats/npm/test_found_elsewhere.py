"""What other registries answer to searches, and with what they sign."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from application.formats.npm.found_elsewhere import (
    AnswerMalformed,
    Results,
    all_results,
    check_attestations,
    only,
    read_keys,
    read_results,
    write_keys,
    write_results,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def results(*names: str, total: int = 0, says: str = "") -> Results:
    hits = [{"package": {"name": name, "says": says}, "searchScore": 1.50} for name in names]
    return read_results(json.dumps({"objects": hits, "total": total or len(names), "more": 1}).encode())


def names(found: Results) -> list[str]:
    return [one["package"]["name"] for one in json.loads(write_results(found, NOW))["objects"]]


def test_results_keep_what_is_told_of_each() -> None:
    told = json.loads(write_results(results("a", total=7), NOW))
    hit = {"package": {"name": "a", "says": ""}, "searchScore": 1.5}
    assert told == {"objects": [hit], "total": 7, "time": "2026-03-01T00:00:00.000Z"}


def test_names_that_are_not_admitted_are_not_counted() -> None:
    found = only(results("a", "b", "c", total=10), lambda name: name != "b")
    assert (names(found), found.total) == (["a", "c"], 9)


def test_results_of_several_have_each_package_once() -> None:
    found = all_results([results("a", "b", says="first", total=5), results("b", "c", says="second", total=2)])
    assert (names(found), found.total) == (["a", "b", "c"], 6)
    assert json.loads(write_results(found, NOW))["objects"][1]["package"]["says"] == "first"


def test_keys_are_known_by_their_ids() -> None:
    keys = read_keys(b'{"keys":[{"keyid":"a","x":1},{"keyid":"b"}]}')
    assert list(keys) == ["a", "b"]
    assert json.loads(write_keys(keys)) == {"keys": [{"keyid": "a", "x": 1}, {"keyid": "b"}]}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"objects":[{}]}', b'{"objects":3}', b"[" * 9**6])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    for read in (read_results, read_keys, check_attestations):
        with pytest.raises(AnswerMalformed):
            read(body)
