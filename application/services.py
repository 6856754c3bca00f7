"""Everything that handlers of package protocols may use, in one frozen value."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from application.access import Access
from application.catalogue import Catalogue
from application.documents import Documents
from application.finding import Finder
from application.format import Formats
from application.identity.client_accounts import ClientAccounts
from application.identity.client_tokens import ClientTokens
from application.identity.directory import Directory
from application.ports import BlobStore, Spool
from application.proxying.proxy import Proxy
from application.publishing import Publishing
from application.searching import SearchIndex, Shelves
from application.signing import PackageSigner
from application.signing_keys import RepositorySigner
from application.uploading.streamed import StreamedUploads
from application.usage import Usage


class Services(msgspec.Struct, frozen=True):
    """Wired once by the composition root. access: for what a request concerns besides its own repository.

    What may be None is not offered then: tests of formats run without accounts and without search. documents: for what
    several addresses are made of. recorded_at: when the event at a position was recorded.
    """

    catalogue: Catalogue
    finder: Finder
    publishing: Publishing
    blobs: BlobStore
    spool: Spool
    access: Access
    formats: Formats
    client_accounts: ClientAccounts | None = None
    client_tokens: ClientTokens | None = None
    search: SearchIndex | None = None
    shelves: Shelves | None = None
    directory: Directory | None = None
    usage: Usage | None = None
    package_signer: PackageSigner | None = None
    proxy: Proxy | None = None
    documents: Documents | None = None
    recorded_at: Callable[[int], datetime] | None = None
    streamed_uploads: StreamedUploads | None = None
    repository_signer: RepositorySigner | None = None
