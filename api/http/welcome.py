"""What somebody sees who opens the address of the registry in a browser."""

from __future__ import annotations

from html import escape
from importlib.metadata import version

from litestar import Controller, Response, get

from api.http.given import GivenApp, GivenPrincipal
from application.catalogue import RepositoryRow

MAX_ROWS = 500

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Artifact Keeper</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 3rem auto; padding: 0 1rem; color: #223; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid #dde; }}
</style>
</head>
<body>
<h1>Artifact Keeper</h1>
{repositories}
<p>{links}Version {version}.</p>
</body>
</html>
"""
_TABLE = """<table>
<tr><th>Repository</th><th>Format</th><th>Kind</th><th>Address for clients</th></tr>
{rows}
</table>"""
_NOTHING = "<p>No repository can be read without signing in.</p>"
_API_LINK = '<a href="api/v1/docs">The API, with everything that can be asked of it</a>. '


class WelcomeController(Controller):
    """`/`."""

    include_in_schema = False

    @get("/", opt={"needs": "anonymous"}, media_type="text/html", sync_to_thread=True)
    def welcome(self, app: GivenApp, principal: GivenPrincipal) -> Response[str]:
        """The repositories that the caller may read, and where clients find them."""
        visible = app.access.visible(principal, app.catalogue.repositories())
        page = _PAGE.format(
            repositories=_table(app, visible[:MAX_ROWS]) if visible else _NOTHING,
            links=_API_LINK if app.settings.swagger else "",
            version=escape(version("artifact-keeper")),
        )
        return Response(page, headers={"cache-control": "private, no-store"})


def _table(app: GivenApp, rows: list[RepositoryRow]) -> str:
    return _TABLE.format(rows="\n".join(_row(app, row) for row in rows))


def _row(app: GivenApp, row: RepositoryRow) -> str:
    found = app.formats.by_key(row.format)
    address = f"/{found.prefix}/{row.key}/" if found is not None else ""
    cells = (row.key, found.title if found is not None else row.format, row.kind, address)
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
