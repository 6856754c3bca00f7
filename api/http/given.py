"""What every handler may ask for by name, with its type."""

from __future__ import annotations

from typing import Any, TypeAlias

from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.serialization import default_serializer
from litestar.types import Serializer

from api.app import App
from application.resolving import Resolved
from domain.event import Metadata
from domain.permissions import Principal


class Answer(Response[Any]):
    """An answer whose body is empty, rather than `null`, when there is nothing to say."""

    def render(self, content: Any, media_type: str, enc_hook: Serializer = default_serializer) -> bytes:
        """The body."""
        return b"" if content is None else super().render(content, media_type, enc_hook)


AnyRequest: TypeAlias = Request[Any, Any, Any]

GivenApp: TypeAlias = NamedDependency[App]
GivenPrincipal: TypeAlias = NamedDependency[Principal]
GivenMeta: TypeAlias = NamedDependency[Metadata]
GivenResolved: TypeAlias = NamedDependency[Resolved]
