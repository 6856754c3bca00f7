"""What the description of the API says beyond what the framework knows: errors, and what each route needs."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, Request
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.plugins import JsonRenderPlugin

ERROR = "Error"
_REFUSED = "Refused"
_REF = {"$ref": f"#/components/responses/{_REFUSED}"}
_SCHEMA = {
    "type": "object",
    "description": "Why a request was refused. code: for programs; message: for people.",
    "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
    "required": ["code", "message"],
    "additionalProperties": False,
}
_RESPONSE = {
    "description": "Refused: the code and the message say why.",
    "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{ERROR}"}}},
}
_MISSING = ("400", "4XX", "503")
_BY_NEEDS = {"anonymous": (), "user": ("401", "403"), "admin": ("401", "403")}
_OF_REPOSITORIES = ("401", "403", "404", "405")


class DescriptionPlugin(JsonRenderPlugin):
    """Serves the description as JSON."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document; completed once, since the framework keeps the same one."""
        complete(openapi_schema, request.app)
        return self.render_json(request, openapi_schema)


def complete(document: dict[str, Any], app: Litestar) -> None:
    """Add to a description, in place: the one error body, where it comes, and `x-needs`. Does nothing a second time."""
    components = document["components"]
    if ERROR in components.get("schemas", {}):
        return
    for schema in components.get("schemas", {}).values():
        for member in schema.get("properties", {}).values():
            if {} in member.get("oneOf", ()):
                del member["oneOf"]  # anything, or null: that is anything
    components.setdefault("schemas", {})[ERROR] = _SCHEMA
    components.setdefault("responses", {})[_REFUSED] = _RESPONSE
    needs = _needs(app)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if isinstance(operation, dict) and "responses" in operation:
                _complete_operation(operation, needs.get((path, method.upper()), "user"))


def _complete_operation(operation: dict[str, Any], needs: str) -> None:
    operation["x-needs"] = needs
    if needs == "anonymous":
        operation["security"] = [{}, {"bearer": []}, {"basic": []}, {"token": []}]
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path" and parameter["schema"].get("format") == "uri":
            del parameter["schema"]["format"]  # the rest of a path, with its slashes, is none
    responses = operation["responses"]
    for response in responses.values():
        if response.get("content", {}).get("application/json", {}).get("schema") == {"type": "null"}:
            del response["content"]  # nothing is said by saying nothing
    responses.pop("400", None)  # the framework's own, which is never sent
    for status in (*_MISSING, *_BY_NEEDS.get(needs, _OF_REPOSITORIES)):
        responses.setdefault(status, _REF)


def _needs(app: Litestar) -> dict[tuple[str, str], str]:
    return {
        (route.path_format, method): str(handler.opt.get("needs", "anonymous"))
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler, HTTPRouteHandler)
        for method in handler.http_methods
    }
