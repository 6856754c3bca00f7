"""The Litestar application of the management API: controllers, what they are given, and the one error body."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from typing import Any

from litestar import Controller, Litestar, Request, Response, Router
from litestar.config.cors import CORSConfig
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import Message, Scope

from api.app import App
from api.errors import Unframed, error_headers, status_of
from api.guards import AdministratorNeeded, check_declared, enforce, sender
from api.http.docs import DocsController
from api.http.given import Answer
from api.openapi import DescriptionPlugin
from api.throttling import Throttle, tell_allowance
from application.access import ActionForbidden
from application.identity.limits import Limits
from application.resolving import Resolved
from domain.errors import Forbidden, RegistryError
from domain.event import Metadata
from domain.permissions import Principal

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 2 << 20
_LOOPBACK = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?"

_BROKEN_OFF = "client disconnected prematurely"
"""What the framework calls a body that ends too early, and takes for a fault of the server."""

_CODES = {400: "VALIDATION_ERROR", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 413: "PAYLOAD_TOO_LARGE"}


def management(
    app: App, controllers: Sequence[type[Controller]], version: str, limits: Limits | None = None
) -> Litestar:
    """The application; raises NeedUndeclared for a route that does not say what it needs. limits: None applies none."""
    litestar = Litestar(
        route_handlers=list(controllers),
        guards=[enforce, *([Throttle(limits)] if limits is not None else [])],
        before_send=[tell_allowance, _untyped_nothing],
        response_class=Answer,
        dependencies={
            "app": Provide(lambda: app, sync_to_thread=False, use_cache=True),
            "principal": Provide(_principal, sync_to_thread=False),
            "meta": Provide(_metadata, sync_to_thread=True),
            "resolved": Provide(_resolved, sync_to_thread=False),
        },
        exception_handlers={
            RegistryError: _registry_error,
            ValidationException: _malformed,
            HTTPException: _http_error,
            Exception: _server_error,
        },
        cors_config=_cors(app),
        openapi_config=_openapi(version) if app.settings.swagger or not app.settings.production else None,
        request_max_body_size=MAX_BODY_BYTES,
        debug=False,
        logging_config=None,
    )
    litestar.state.app = app
    handlers = [
        handler
        for route in litestar.routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler, HTTPRouteHandler)
    ]
    check_declared(handlers)
    for handler in handlers:
        handler.summary = handler.summary or _promise(handler)
    return litestar


def _cors(app: App) -> CORSConfig | None:
    """Web pages elsewhere that may call: those listed; in development those of this machine too, signed in as well.

    Source: https://fetch.spec.whatwg.org/#http-cors-protocol.
    """
    settings = app.settings
    if not settings.cors_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.cors_origins),
        allow_origin_regex=None if settings.production else _LOOPBACK,
        allow_credentials=not settings.production,
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=["Authorization", "Content-Type", "If-Match", "If-None-Match", "X-API-Key", "X-Requested-With"],
        expose_headers=["ETag", "Retry-After", "X-Correlation-ID"],
    )


def _promise(handler: HTTPRouteHandler) -> str:
    """The first paragraph of its docstring, in a line."""
    written = getattr(handler.fn, "func", handler.fn)  # the framework wraps what runs in a thread
    return (inspect.getdoc(written) or "").partition("\n\n")[0].replace("\n", " ")


def _openapi(version: str) -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Artifact Keeper",
        version=version,
        use_handler_docstrings=True,
        description="Repositories, artifacts, accounts, audit, time travel. Package clients use their own protocols.",
        openapi_router=Router(
            "/api/v1", route_handlers=[DocsController], opt={"needs": "anonymous"}, include_in_schema=False
        ),
        render_plugins=[DescriptionPlugin(path="/openapi.json")],
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(type="http", scheme="bearer"),
                "basic": SecurityScheme(type="http", scheme="basic"),
                "token": SecurityScheme(type="apiKey", security_scheme_in="header", name="X-API-Key"),
            }
        ),
        security=[{"bearer": []}, {"basic": []}, {"token": []}],
    )


async def _untyped_nothing(message: Message, scope: Scope) -> None:
    """No body is no JSON either: an empty answer does not say that it is."""
    if message["type"] == "http.response.start":
        headers = list(message["headers"])
        if (b"content-length", b"0") in headers and (b"content-type", b"application/json") in headers:
            message["headers"] = [pair for pair in headers if pair[0] != b"content-type"]


def _principal(request: Request[Any, Any, Any]) -> Principal:
    principal: Principal = request.scope["principal"]  # type: ignore[typeddict-item]
    return principal


def _resolved(request: Request[Any, Any, Any]) -> Resolved:
    resolved: Resolved = request.scope["resolved"]  # type: ignore[typeddict-item]
    return resolved


def _metadata(request: Request[Any, Any, Any], app: NamedDependency[App]) -> Metadata:
    scope: dict[str, Any] = request.scope  # type: ignore[assignment]
    incoming = scope["incoming"]
    return app.access.metadata(
        scope["principal"], scope["request_id"], incoming.client, incoming.headers.get("user-agent", "")
    )


def _respond(code: str, message: str, status: int, headers: dict[str, str] | None = None) -> Response[dict[str, str]]:
    body = {"code": code, "message": message}
    # Said here, or it would be the type of what the route gives when it succeeds.
    return Response(body, status_code=status, headers=headers or {}, media_type="application/json")


def _registry_error(request: Request[Any, Any, Any], error: RegistryError) -> Response[dict[str, str]]:
    if isinstance(error, Forbidden) and not isinstance(error, (ActionForbidden, AdministratorNeeded)):
        # what a handler refuses; the others were taken down where the need that is declared was not met
        app: App = request.app.state.app
        app.access.denied(
            request.scope["principal"],  # type: ignore[typeddict-item]
            request.method.lower(),
            request.url.path,
            None,
            **sender(request.scope),
        )
    browser = "sec-fetch-mode" in request.headers or "text/html" in request.headers.get("accept", "")
    headers: dict[str, str] = {}
    for name, value in error_headers(error, browser=browser):
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return _respond(error.code, str(error), status_of(error), headers)


def _malformed(request: Request[Any, Any, Any], error: ValidationException) -> Response[dict[str, str]]:
    reasons = [
        f"{item.get('key', '')}: {item.get('message', '')}".strip(": ")
        for item in (error.extra if isinstance(error.extra, list) else [])
        if isinstance(item, dict)
    ]
    return _respond("VALIDATION_ERROR", "; ".join(reasons) or "the request is malformed", 400)


def _http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, str]]:
    code = _CODES.get(error.status_code, "INTERNAL_ERROR" if error.status_code >= 500 else "VALIDATION_ERROR")
    if error.detail == _BROKEN_OFF:
        return _registry_error(request, Unframed("the body broke off"))
    if error.status_code >= 500:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _respond(code, "internal error", error.status_code)
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
    return _respond(code, error.detail, error.status_code, headers)


def _server_error(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, str]]:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _respond("INTERNAL_ERROR", "internal error", 500)
