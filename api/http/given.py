"""What every handler may ask for by name, with its type."""

from __future__ import annotations

from typing import Any, TypeAlias

from litestar import Request
from litestar.di import NamedDependency

from api.app import App
from application.resolving import Resolved
from domain.event import Metadata
from domain.permissions import Principal

AnyRequest: TypeAlias = Request[Any, Any, Any]

GivenApp: TypeAlias = NamedDependency[App]
GivenPrincipal: TypeAlias = NamedDependency[Principal]
GivenMeta: TypeAlias = NamedDependency[Metadata]
GivenResolved: TypeAlias = NamedDependency[Resolved]
