"""The small documents of the module proxy protocol.

Source: https://go.dev/ref/mod#goproxy-protocol
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from application.formats.go.versions import listed

TEXT_TYPE = "text/plain; charset=utf-8"
JSON_TYPE = "application/json"


def render_list(versions: Iterable[str]) -> bytes:
    """`@v/list`: a line for each version that is no commit; retracted ones too, clients know them by the go.mod."""
    return "".join(f"{version}\n" for version in listed(versions)).encode()


def render_info(version: str, time: datetime) -> bytes:
    """`@v/{version}.info`, and `@latest`."""
    return msgspec.json.encode({"Version": version, "Time": f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"})
