"""The addresses of a container registry. Names of images have slashes in them, and may have the words of routes.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints
"""

from __future__ import annotations

import msgspec

from application.formats.oci import about, merging, pushing, reading, remote, writing
from application.wire import Route, ServerRoute

_UPLOADS, _UPLOAD = "/blobs/uploads", "/blobs/uploads/{upload}"
_BLOB, _MANIFEST = "/blobs/{digest}", "/manifests/{reference}"

_OF_AN_IMAGE = (
    *(
        Route(
            method="POST",
            pattern=pattern,
            needs="write",
            handler=pushing.start_upload,
            body=pushing.BLOB_BODY,
            spool=pushing.spool_of_start,
        )
        for pattern in (f"{_UPLOADS}/", _UPLOADS)
    ),
    Route(
        method="PATCH",
        pattern=_UPLOAD,
        needs="write",
        handler=pushing.put_part,
        body=pushing.BLOB_BODY,
        spool=pushing.spool_of_part,
    ),
    Route(
        method="PUT",
        pattern=_UPLOAD,
        needs="write",
        handler=pushing.finish_upload,
        body=pushing.BLOB_BODY,
        spool=pushing.spool_of_last,
    ),
    Route(method="GET", pattern=_UPLOAD, needs="write", handler=pushing.get_upload),
    Route(method="DELETE", pattern=_UPLOAD, needs="write", handler=pushing.cancel_upload),
    Route(
        method="GET",
        pattern=_BLOB,
        needs="read",
        handler=reading.get_blob,
        remote=remote.get_blob,
        package=reading.image_package,
    ),
    Route(method="DELETE", pattern=_BLOB, needs="delete", handler=writing.remove_blob),
    Route(
        method="GET",
        pattern=_MANIFEST,
        needs="read",
        handler=reading.get_manifest,
        document=reading.manifest_key,
        remote=remote.get_manifest,
        package=reading.image_package,
    ),
    Route(method="PUT", pattern=_MANIFEST, needs="write", handler=writing.put_manifest, body=writing.MANIFEST_BODY),
    Route(method="DELETE", pattern=_MANIFEST, needs="delete", handler=writing.remove_manifest),
    Route(
        method="GET",
        pattern="/tags/list",
        needs="read",
        handler=reading.list_tags,
        document=reading.tags_key,
        remote=remote.list_tags,
        merge=merging.TAGS,
        package=reading.image_package,
    ),
    Route(
        method="GET",
        pattern="/referrers/{digest}",
        needs="read",
        handler=reading.list_referrers,
        document=reading.referrers_key,
        remote=remote.list_referrers,
        merge=merging.REFERRERS,
        package=reading.image_package,
    ),
)

ROUTES = tuple(
    route
    for image in ("/{image+}", "")
    for route in (msgspec.structs.replace(found, pattern=image + found.pattern) for found in _OF_AN_IMAGE)
)
"""Each twice: an image may also be called as the repository alone."""

SERVER = (
    ServerRoute(method="GET", pattern="", needs="nothing", handler=about.ping),
    ServerRoute(method="GET", pattern="/_catalog", needs="nothing", handler=about.list_images),
    ServerRoute(method="GET", pattern="/token", needs="nothing", handler=about.get_token),
    ServerRoute(method="POST", pattern="/token", needs="nothing", handler=about.post_token, body=about.TOKEN_BODY),
)
