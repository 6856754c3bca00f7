"""The addresses of an RPM repository: documents under repodata, packages under packages, and what uploads need."""

from __future__ import annotations

from collections.abc import Sequence

from application.formats.rpm.extras import MAX_BYTES
from application.formats.rpm.reading import (
    ZSTD,
    get_document,
    get_package,
    get_public_key,
    get_repomd,
    get_signature,
    get_snippet,
    package_key,
    public_key_key,
    repomd_key,
    requested_package,
    signature_key,
)
from application.formats.rpm.remote import (
    remote_document,
    remote_file,
    remote_key,
    remote_repomd,
    remote_signature,
)
from application.formats.rpm.virtual import virtual_document, virtual_key, virtual_repomd, virtual_signature
from application.formats.rpm.writing import (
    admit_extra,
    admit_package,
    delete_extra,
    delete_package,
    post_package,
    put_extra,
    put_package,
)
from application.wire import AnyAnswer, Body, Call, Route
from domain.errors import NotFound

_PACKAGE = Body(kind="bytes", announced=True)
_ANY = Body(kind="either", announced=True)
_EXTRA = Body(kind="bytes", max_bytes=MAX_BYTES)

_KEY_ADDRESSES = (
    "/repodata/repomd.xml.key",
    f"/{ZSTD}/repodata/repomd.xml.key",
    "/gpg-key.asc",
    "/repository.key",
)


def _not_there(call: Call, members: Sequence[Call]) -> AnyAnswer:
    """What only hosted repositories offer."""
    raise NotFound("a virtual repository has its documents in gzip alone")


ROUTES = (
    Route(
        method="GET",
        pattern="/repodata/repomd.xml",
        needs="read",
        handler=get_repomd,
        document=repomd_key,
        remote=remote_repomd,
        virtual=virtual_repomd,
    ),
    Route(
        method="GET",
        pattern="/repodata/repomd.xml.asc",
        needs="read",
        handler=get_signature,
        document=signature_key,
        remote=remote_signature,
        virtual=virtual_signature,
    ),
    *(
        Route(
            method="GET",
            pattern=pattern,
            needs="read",
            handler=get_public_key,
            document=public_key_key,
            remote=remote_key,
            virtual=virtual_key,
        )
        for pattern in _KEY_ADDRESSES
    ),
    Route(
        method="GET",
        pattern="/repodata/{file}",
        needs="read",
        handler=get_document,
        remote=remote_document,
        virtual=virtual_document,
    ),
    Route(
        method="GET",
        pattern="/config.repo",
        needs="read",
        handler=get_snippet,
        remote=get_snippet,
        virtual=lambda call, _: get_snippet(call),
    ),
    Route(
        method="GET",
        pattern=f"/{ZSTD}/repodata/repomd.xml",
        needs="read",
        handler=get_repomd,
        document=repomd_key,
        virtual=_not_there,
    ),
    Route(
        method="GET",
        pattern=f"/{ZSTD}/repodata/repomd.xml.asc",
        needs="read",
        handler=get_signature,
        document=signature_key,
        virtual=_not_there,
    ),
    Route(method="GET", pattern=f"/{ZSTD}/repodata/{{file}}", needs="read", handler=get_document, virtual=_not_there),
    Route(
        method="GET",
        pattern="/{path+}",
        needs="read",
        handler=get_package,
        document=package_key,
        remote=remote_file,
        package=requested_package,
    ),
    Route(
        method="PUT",
        pattern="/packages/{path+}",
        needs="write",
        handler=put_package,
        body=_PACKAGE,
        admit=admit_package,
    ),
    Route(method="POST", pattern="/upload", needs="write", handler=post_package, body=_ANY),
    Route(method="DELETE", pattern="/packages/{path+}", needs="delete", handler=delete_package),
    Route(method="PUT", pattern="/repodata/{file}", needs="write", handler=put_extra, body=_EXTRA, admit=admit_extra),
    Route(method="DELETE", pattern="/repodata/{file}", needs="delete", handler=delete_extra),
)
