"""What the address of a request names: an image, a digest, a tag, an upload; and the addresses that answers tell."""

from __future__ import annotations

from uuid import UUID

from application.formats.oci.names import ROOT_IMAGE, Digest, ImageName, Tag, parse_digest, parse_image, parse_reference
from application.formats.oci.stored import Shelf
from application.publishing import Target
from application.uploading.sessions import UploadNotFound
from application.wire import Call, Request


def image_in(request: Request) -> ImageName:
    """The image. Raises NameInvalid."""
    return parse_image(request.params.get("image", ""))


def digest_in(request: Request) -> Digest:
    """The digest at the end of the path. Raises DigestInvalid."""
    return parse_digest(request.params["digest"])


def reference_in(request: Request) -> Digest | Tag:
    """The digest or tag at the end of the path. Raises DigestInvalid, TagInvalid."""
    return parse_reference(request.params["reference"])


def upload_in(request: Request) -> UUID:
    """The upload at the end of the path. Raises UploadNotFound for what cannot be one."""
    try:
        return UUID(request.params["upload"])
    except ValueError:
        raise UploadNotFound from None


def shelf_of(call: Call) -> Shelf:
    """The images that the request reads."""
    return Shelf(call.services, call.content, call.at)


def target_of(call: Call) -> Target:
    """The repository of the request as the target of commands."""
    return Target(call.content, call.repository.settings, call.meta)


def image_path(request: Request, image: ImageName) -> str:
    """The path of an image, from the root of the server."""
    return request.mount if image == ROOT_IMAGE else f"{request.mount}/{image}"


def image_url(request: Request, image: ImageName) -> str:
    """The address of an image."""
    return request.base_url + image_path(request, image)
