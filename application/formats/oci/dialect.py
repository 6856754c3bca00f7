"""How container clients are told of errors, and how they are asked for a credential.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes,
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import msgspec

from application.formats.oci.names import ROOT_IMAGE, NameInvalid, full_name, parse_image
from application.uploading.sessions import UploadBusy, UploadLost, UploadNotFound
from application.uploading.streamed import OutOfOrder
from application.wire import Answer, Request
from domain.errors import DigestMismatch, RegistryError, SizeMismatch, TooLarge

PREFIX = "v2"
TOKEN_PATH = f"/{PREFIX}/token"
VERSION = ("docker-distribution-api-version", "registry/2.0")

CODES = frozenset(
    {
        "BLOB_UNKNOWN",
        "BLOB_UPLOAD_INVALID",
        "BLOB_UPLOAD_UNKNOWN",
        "DENIED",
        "DIGEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_INVALID",
        "MANIFEST_UNKNOWN",
        "NAME_INVALID",
        "NAME_UNKNOWN",
        "SIZE_INVALID",
        "TOOMANYREQUESTS",
        "UNAUTHORIZED",
        "UNSUPPORTED",
    }
)

_BY_CLASS: tuple[tuple[type[RegistryError], str], ...] = (
    (DigestMismatch, "DIGEST_INVALID"),
    (SizeMismatch, "SIZE_INVALID"),
    (TooLarge, "SIZE_INVALID"),
    (UploadNotFound, "BLOB_UPLOAD_UNKNOWN"),
    (UploadLost, "BLOB_UPLOAD_UNKNOWN"),
    (UploadBusy, "BLOB_UPLOAD_INVALID"),
    (OutOfOrder, "BLOB_UPLOAD_INVALID"),
)
_BY_STATUS = {
    400: "NAME_INVALID",
    401: "UNAUTHORIZED",
    403: "DENIED",
    404: "NAME_UNKNOWN",
    405: "UNSUPPORTED",
    409: "DENIED",
    429: "TOOMANYREQUESTS",
}
_UNNAMED = "UNKNOWN"


def answer_error(request: Request, fault: RegistryError, status: int) -> Answer:
    """The answer to a request that was refused."""
    headers = [VERSION]
    if status == 401:
        headers.append(("www-authenticate", challenge(request)))
    if isinstance(fault, OutOfOrder):
        status = 416
        headers.append(("range", received_range(int(str(fault.fields["size_bytes"])))))
    elif isinstance(fault, UploadLost):
        status = 404
    body = {"errors": [{"code": code_of(fault, status), "message": str(fault), "detail": None}]}
    return Answer(status=status, body=msgspec.json.encode(body), media_type="application/json", headers=tuple(headers))


def code_of(fault: RegistryError, status: int) -> str:
    """The name of an error that clients know."""
    if fault.code in CODES:
        return fault.code
    found = next((code for family, code in _BY_CLASS if isinstance(fault, family)), None)
    return found or _BY_STATUS.get(status, _UNNAMED)


def answer_json(body: bytes, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """A small answer in JSON."""
    return Answer(status=status, body=body, media_type="application/json", headers=(VERSION, *headers))


def received_range(size_bytes: int) -> str:
    """What of an upload is here, as clients want to be told; nothing looks like one byte."""
    return f"0-{max(0, size_bytes - 1)}"


def challenge(request: Request) -> str:
    """Where to get a token, and for what; without that, some clients ask again and again with one for nothing."""
    parameters = [("realm", f"{request.base_url}{TOKEN_PATH}"), ("service", urlsplit(request.base_url).netloc)]
    scope = wanted_scope(request)
    if scope:
        parameters.append(("scope", scope))
    return "Bearer " + ",".join(f'{name}="{value}"' for name, value in parameters)


def wanted_scope(request: Request) -> str:
    """What a token for this request must be good for; nothing for what is no image's."""
    key = request.mount.removeprefix(f"/{PREFIX}/")
    if key == "_catalog":
        return "registry:catalog:*"
    image = image_of(request.segments)
    if image is None:
        return ""
    actions = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(request.method, "pull,push")
    if "uploads" in request.segments[-2:]:
        actions = "pull,push"
    return f"repository:{quote(full_name(key, image), safe='/-._~')}:{actions}"


def image_of(segments: tuple[str, ...]) -> str | None:
    """The name in a path below a repository, which is read from its end: it may have such words in it itself."""
    for ending, words in ((3, ("blobs", "uploads")), (2, ("blobs",)), (2, ("manifests",)), (2, ("referrers",))):
        if segments[-ending : len(segments) - ending + len(words)] == words:
            return _named(segments[:-ending])
    if segments[-2:] in (("tags", "list"), ("blobs", "uploads")):
        return _named(segments[:-2])
    return None


def _named(segments: tuple[str, ...]) -> str | None:
    try:
        return parse_image("/".join(segments)) if segments else ROOT_IMAGE
    except NameInvalid:
        return None
