"""The keys of repositories, wired: for the API, and for the worker that ends what is overdue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec

from api.composition.core import Core
from application.format import Formats
from application.formats import FORMATS
from application.key_ring import KeyRing
from application.publishing import Progress
from application.signing_keys import OpenPgpSigner, SigningKeyView
from infrastructure.signing.vault import SealedKeys
from projections.catalogue.signing import SigningKeyTables


class Signing(msgspec.Struct, frozen=True):
    """Queries over keys, commands on them, and signatures by them."""

    view: SigningKeyView
    ring: KeyRing
    signer: OpenPgpSigner


def compose_signing(core: Core, progress: Progress) -> Signing:
    """Wire them."""
    formats = Formats(FORMATS)

    def signs(key: str) -> bool:
        found = formats.by_key(key)
        return found is not None and found.signs != ""

    view = SigningKeyTables(core.connect)
    vault = SealedKeys(core.settings.instance_key)
    ring = KeyRing(
        core.log,
        view,
        vault,
        core.blobs,
        progress,
        signs=signs,
        overlap=timedelta(days=core.settings.signing_key_overlap_days),
        now=partial(datetime.now, UTC),
    )
    return Signing(view, ring, OpenPgpSigner(view, vault))
