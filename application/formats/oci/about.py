"""What clients ask of the server as a whole: whether it is one, what is on it, and for a token.

Source: https://distribution.github.io/distribution/spec/auth/token/, …/oauth/
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from heapq import merge
from itertools import groupby
from urllib.parse import parse_qsl

import msgspec

from application.access import CredentialNeeded
from application.catalogue import RepositoryRow
from application.formats.oci.dialect import PREFIX, answer_json
from application.formats.oci.index import next_link, render_catalogue
from application.formats.oci.mounting import present, readable
from application.formats.oci.names import ROOT_IMAGE, full_name
from application.formats.oci.reading import MAX_PAGE, page_size
from application.wire import Answer, Body, ServerCall
from domain.errors import Invalid, NotAllowed

MAX_DEPTH = 8
_PAGE = 1_000

TOKEN_BODY = Body(kind="text", max_bytes=8 * 1024)


def ping(call: ServerCall) -> Answer:
    """GET /v2/: asks for a credential even where reading needs none, or clients would never send one."""
    if "authorization" not in call.request.headers and not call.principal.authenticated:
        raise CredentialNeeded
    return answer_json(b"{}")


# what there is


def list_images(call: ServerCall) -> Answer:
    """GET /v2/_catalog: the images that the caller may read."""
    limit = page_size(call.request)
    wanted = MAX_PAGE if limit is None else limit
    found: list[str] = []
    for name in _images(call, call.request.query_value("last")):
        if len(found) > wanted:
            break
        found.append(name)
    more = len(found) > wanted > 0
    names = found[:wanted]
    headers = (next_link(f"/{PREFIX}/_catalog", names[-1], len(names)),) if more else ()
    return answer_json(render_catalogue(names), headers=headers)


def _images(call: ServerCall, last: str) -> Iterator[str]:
    """Full names after `last`, by repository and then by image."""
    last_key, _, last_image = last.partition("/")
    for row in readable(call.services, call.principal):
        if row.key < last_key:
            continue
        after = (last_image or ROOT_IMAGE) if row.key == last_key else ""
        yield from (full_name(row.key, image) for image in _of_repository(call, row, after, MAX_DEPTH))


def _of_repository(call: ServerCall, row: RepositoryRow, after: str, depth: int) -> Iterator[str]:
    """The images of a repository in order; of a virtual one, those of its members that the caller may read."""
    if row.kind == "virtual":
        members = [call.services.catalogue.repository_by_id(member.repository) for member in row.settings.members]
        shown = call.services.access.visible(call.principal, [member for member in members if member is not None])
        if depth:
            parts = (_of_repository(call, member, after, depth - 1) for member in shown)
            yield from (image for image, _ in groupby(merge(*parts)))
        return
    resolved = present(row)
    while packages := call.services.catalogue.packages(resolved.content, resolved.at, after=after, limit=_PAGE):
        yield from (found.package for found in packages)
        after = packages[-1].package


# tokens


def get_token(call: ServerCall) -> Answer:
    """GET /v2/token: for the credential of the request; for nobody's, one that says so.

    What it is good for is decided when it is used, and never more than its holder may do; so a scope needs no reading.
    """
    return _token(call, call.request.headers)


def post_token(call: ServerCall) -> Answer:
    """POST /v2/token: the same with the credential in a form. A token stands in the place of a refresh token."""
    form = _form(call.text)
    match form.get("grant_type"):
        case "password":
            pair = f"{form.get('username', '')}:{form.get('password', '')}".encode()
            shown = "Basic " + b64encode(pair).decode()
        case "refresh_token":
            shown = f"Bearer {form.get('refresh_token', '')}"
        case _:
            raise Invalid("grant_type must be password or refresh_token")
    if "\r" in shown or "\n" in shown:
        raise Invalid("a token has no line breaks")
    return _token(call, {**call.request.headers, "authorization": shown})


def _form(text: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(text.decode(), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        raise Invalid("the form cannot be read") from None


def _token(call: ServerCall, headers: Mapping[str, str]) -> Answer:
    if call.services.client_tokens is None:
        raise NotAllowed("tokens are not given here; send the credential itself")
    token = call.services.client_tokens.issue(headers, call.request.client)
    answer = {
        "token": token.secret,
        "access_token": token.secret,
        "expires_in": token.seconds,
        "issued_at": token.issued_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return answer_json(msgspec.json.encode(answer))
