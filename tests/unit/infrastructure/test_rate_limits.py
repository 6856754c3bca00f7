"""Fixed windows in one process."""

from __future__ import annotations

from domain.errors import RegistryError
from infrastructure.rate_limits import MAX_KEYS, MemoryLimiter, RedisLimiter


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_window_begins_with_the_first_use_and_ends_in_time() -> None:
    clock = Time()
    limiter = MemoryLimiter(clock)
    answers = [limiter.take("k", 2, 60) for _ in range(3)]
    assert [(answer.allowed, answer.remaining) for answer in answers] == [(True, 1), (True, 0), (False, 0)]
    clock.now = 59.5
    assert limiter.take("k", 2, 60).retry_after_seconds == 1
    clock.now = 60
    assert limiter.take("k", 2, 60).allowed


def test_a_look_counts_nothing() -> None:
    limiter = MemoryLimiter(Time())
    assert all(limiter.peek("k", 1, 60).allowed for _ in range(5))
    limiter.take("k", 1, 60)
    assert not limiter.peek("k", 1, 60).allowed
    assert limiter.peek("other", 1, 60).allowed


def test_memory_is_bounded_and_live_windows_go_last() -> None:
    clock = Time()
    limiter = MemoryLimiter(clock)
    limiter.take("short", 1, 1)
    limiter.take("long", 1, 3600)
    clock.now = 2
    for number in range(MAX_KEYS):
        limiter.take(f"flood-{number}", 1, 60)
    assert len(limiter._windows) <= MAX_KEYS
    assert "short" not in limiter._windows


def test_without_a_server_each_process_counts_alone_and_asks_again_later(tmp_path: object) -> None:
    clock = Time()
    limiter = RedisLimiter(f"unix://{tmp_path}/absent.sock", clock)
    try:
        assert limiter.take("k", 1, 60).allowed
        assert not limiter.take("k", 1, 60).allowed
        assert not limiter.peek("k", 1, 60).allowed
        asked = limiter._away_until
        clock.now = asked
        limiter.take("k", 1, 60)
        assert limiter._away_until > asked
    except RegistryError as error:
        raise AssertionError("a limiter never fails a request") from error
    finally:
        limiter.close()
