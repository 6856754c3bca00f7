"""Everything that handlers of package protocols may use, in one frozen value."""

from __future__ import annotations

import msgspec

from application.catalogue import Catalogue
from application.ports import BlobStore, Spool
from application.publishing import Publishing


class Services(msgspec.Struct, frozen=True):
    """Wired once by the composition root."""

    catalogue: Catalogue
    publishing: Publishing
    blobs: BlobStore
    spool: Spool
