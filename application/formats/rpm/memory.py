"""What this process remembers of things that never change, up to a size."""

from __future__ import annotations

import random
import threading
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memory(Generic[K, V]):
    """Values by key, with a weight each. When they are too heavy together some go, by chance: the usual reader walks
    through all of them in order, and what was used longest ago is what it needs next.
    """

    def __init__(self, max_weight: int) -> None:
        self._max_weight = max_weight
        self._weight = 0
        self._values: dict[K, tuple[V, int]] = {}
        self._keys: list[K] = []
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """The value; None when it is not remembered."""
        found = self._values.get(key)
        return found[0] if found else None

    def put(self, key: K, value: V, weight: int) -> None:
        """Remember, unless it is there already."""
        with self._lock:
            if key in self._values:
                return
            self._values[key] = value, weight
            self._keys.append(key)
            self._weight += weight
            while self._weight > self._max_weight:
                self._forget_one()

    def _forget_one(self) -> None:
        place = random.randrange(len(self._keys))
        self._keys[place], self._keys[-1] = self._keys[-1], self._keys[place]
        self._weight -= self._values.pop(self._keys.pop())[1]
