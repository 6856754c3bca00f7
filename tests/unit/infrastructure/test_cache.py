"""The cache of a process that shares none."""

from __future__ import annotations

from infrastructure.cache import MemoryCache


def test_what_was_used_last_is_kept_within_its_bounds() -> None:
    cache = MemoryCache(10)
    for key in "abc":
        cache.put(key, key.encode() * 3)
    assert cache.get("a") == b"aaa"
    cache.put("d", b"dddd")
    assert [cache.get(key) for key in "abcd"] == [b"aaa", None, b"ccc", b"dddd"]
    cache.put("a", b"a")
    cache.put("e", b"eeeee")
    assert [cache.get(key) for key in "acde"] == [b"a", None, b"dddd", b"eeeee"]
    cache.put("f", b"f" * 11)
    assert cache.get("f") is None
