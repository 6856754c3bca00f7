"""Windows that processes share through a real server, and what happens when it goes away."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis

from infrastructure.rate_limits import RedisLimiter


@pytest.fixture
def limiters(valkey_url: str) -> Iterator[tuple[RedisLimiter, RedisLimiter]]:
    with redis.Redis.from_url(valkey_url) as client:
        client.flushall()
    pair = RedisLimiter(valkey_url), RedisLimiter(valkey_url)
    yield pair
    for limiter in pair:
        limiter.close()


def test_two_processes_count_in_one_window(limiters: tuple[RedisLimiter, RedisLimiter]) -> None:
    here, there = limiters
    answers = [limiter.take("ann", 3, 60) for limiter in (here, there, here, there)]
    assert [answer.allowed for answer in answers] == [True, True, True, False]
    assert [answer.remaining for answer in answers] == [2, 1, 0, 0]
    assert 0 < answers[-1].retry_after_seconds <= 60
    assert there.take("bob", 3, 60).allowed
    assert not here.peek("ann", 3, 60).allowed
    assert here.peek("nobody", 3, 60).remaining == 3


def test_a_window_ends(limiters: tuple[RedisLimiter, RedisLimiter]) -> None:
    here, there = limiters
    assert here.take("ann", 1, 1).allowed
    assert not there.take("ann", 1, 1).allowed
    deadline = time.monotonic() + 3
    while not there.peek("ann", 1, 1).allowed:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert here.take("ann", 1, 1).allowed


def test_every_key_has_an_end_and_names_nobody(limiters: tuple[RedisLimiter, RedisLimiter], valkey_url: str) -> None:
    limiters[0].take("login:ann@example.org|192.0.2.7", 5, 60)
    limiters[0].peek("other", 5, 60)
    with redis.Redis.from_url(valkey_url) as client:
        keys = client.keys("*")
        assert isinstance(keys, list)
        assert len(keys) == 1
        assert b"ann" not in keys[0]
        assert 0 < client.ttl(keys[0]) <= 60


def test_a_value_of_something_else_does_not_fail_a_request(
    limiters: tuple[RedisLimiter, RedisLimiter], valkey_url: str
) -> None:
    limiters[0].take("ann", 5, 60)
    with redis.Redis.from_url(valkey_url) as client:
        [key] = client.keys("*")
        client.set(key, "not a number")
    assert limiters[0].take("ann", 5, 60).allowed
