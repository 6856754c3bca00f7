"""The API's description as a page: Swagger UI, served from here so that it works without the internet."""

from __future__ import annotations

from importlib.resources import files

from litestar import Controller, Response, get
from litestar.params import FromPath

from domain.errors import NotFound

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Artifact Keeper API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "openapi.json", dom_id: "#api", deepLinking: true, docExpansion: "list", defaultModelsExpandDepth: 0,
  displayRequestDuration: true, tryItOutEnabled: true, filter: true, validatorUrl: null,
  requestInterceptor: (request) => { request.headers["X-Requested-With"] = "docs"; return request; },
});
"""
_TYPES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}


class DocsController(Controller):
    """`/api/v1/docs`; there while the description is."""

    path = "/docs"
    include_in_schema = False

    @get(opt={"needs": "anonymous"}, media_type="text/html", sync_to_thread=False)
    def page(self) -> str:
        """The page."""
        return _PAGE

    @get("/{name:str}", opt={"needs": "anonymous"}, sync_to_thread=True)
    def part(self, name: FromPath[str]) -> Response[bytes]:
        """What the page is made of."""
        if name == "start.js":
            return Response(_START.encode(), media_type="text/javascript")
        if name not in _TYPES:
            raise NotFound(f"no part of this page is called {name!r}")
        body = files("swagger_ui").joinpath("static", name).read_bytes()
        return Response(body, media_type=_TYPES[name], headers={"cache-control": "public, max-age=86400"})
