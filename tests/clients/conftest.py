"""What the tests of clients share: one registry in processes of its own, and machines whose users know nothing of it.

registry: `artifact-keeper serve` with fresh data, once for all tests (`tests/clients/registry.py`). Make a repository
    for each test, and give people rights to it; the people themselves stay.
machine: a home of its own with the clients on its path (`tests/clients/machine.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.machine import Machine
from tests.clients.registry import Registry
from tests.live import live

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.client)


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    with live() as running:
        yield Registry(running)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)
