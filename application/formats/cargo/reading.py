"""What cargo reads: the configuration, the index, crates, and the page that says where tokens come from."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from application.catalogue import package_scope
from application.formats.cargo.crates import asked_release, load_crate
from application.formats.cargo.index import INDEX_TYPE, JSON_TYPE, render_config, render_index
from application.formats.cargo.names import CrateKey, crate_key, index_path
from application.formats.cargo.stored import index_entries
from application.wire import Answer, Call, Document, DocumentKey, File, Request, ServerCall
from domain.errors import NotFound
from domain.permissions import Principal

_INDEX_FOLDER = "index"

_LOGIN_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Get a token for cargo</title>
<h1>Get a token for cargo</h1>
<p>Tokens are API tokens of your account here. Make one that may read and write artifacts, with your own name in it;
the answer shows it once:</p>
<pre>curl -u NAME {base}/api/v1/auth/tokens -H 'Content-Type: application/json' \\
  -d '{{"name": "cargo", "scopes": ["read:artifacts", "write:artifacts"]}}'</pre>
<p>Then give it to cargo, at the question that <code>cargo login</code> asks, or as the variable
<code>CARGO_REGISTRIES_NAME_TOKEN</code>.</p>
</html>
"""


# keys of documents


def indexed_key(request: Request) -> CrateKey | None:
    """The crate whose file in the index an address is; None for one that is no crate's."""
    segments = request.segments[1:] if request.segments[0] == _INDEX_FOLDER else request.segments
    key = crate_key(segments[-1])
    return key if key is not None and index_path(key) == segments else None


def index_key(request: Request) -> DocumentKey | None:
    """Of the file of a crate in the index."""
    key = indexed_key(request)
    return DocumentKey(package_scope(key), "index") if key is not None else None


def crate_file_key(request: Request) -> DocumentKey | None:
    """Of a crate itself: small ones are held in memory."""
    key = crate_key(request.params["name"])
    if key is None:
        return None
    return DocumentKey(package_scope(key), f"crate {request.params['version']}", shared=False)


def asked_package(request: Request) -> str | None:
    """The crate that an address below the web API is about."""
    return crate_key(request.params["name"])


# handlers


def get_config(call: Call) -> Document:
    """GET config.json. Never kept: whether a credential is needed is no fact of any package."""
    everybody = call.services.access.visible(Principal(), [call.repository])
    body = render_config(call.request.repository_url, auth_required=not everybody)
    return Document(body=body, media_type=JSON_TYPE)


def get_index(call: Call) -> Document:
    """GET {prefix}/{name}: in lower case and as it was published; cargo asks for other spellings besides."""
    key = indexed_key(call.request)
    if key is None:
        raise NotFound("no such address in this repository")
    return Document(body=render_index(index_entries(load_crate(call, key))), media_type=INDEX_TYPE)


def get_crate(call: Call) -> File:
    """GET api/v1/crates/{name}/{version}/download."""
    row = asked_release(call)
    settings = call.repository.settings
    return File(
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        media_type=row.media_type,
        filename=row.filename,
        last_modified=row.published_at,
        artifact=row.id,
        immutable=settings.overwrite != "allow" and not settings.versioning_enabled,
    )


def get_own_config(call: Call, members: Sequence[Call]) -> Document:
    """The same of a virtual repository, whatever its members say."""
    del members
    return get_config(call)


def get_login_page(call: ServerCall) -> Answer:
    """GET me: what `cargo login` sends people to. It is the same for everybody, and for repositories that are not."""
    page = _LOGIN_PAGE.format(base=escape(call.request.base_url))
    return Answer(body=page.encode(), media_type="text/html; charset=utf-8")
