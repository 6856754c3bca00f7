"""What the ways in are given: every wired object, in one frozen value, by the port that it keeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import msgspec

from api.exchange import Exchange
from application.access import Access
from application.audit.entries import AuditTrail
from application.audit.lines import Describer
from application.audit.streaming import AuditLine, Change, Channel
from application.audit.transparency import TransparencyLog
from application.catalogue import Catalogue, Storage
from application.collecting import Collector
from application.comparing import Comparison
from application.configuring import Configuring
from application.depositing import Depositor
from application.downloads import DownloadRecorder
from application.finding import Finder
from application.format import Formats
from application.health import Probes, State
from application.identity.accounts import Accounts
from application.identity.directory import Directory
from application.identity.grants import Grants
from application.identity.sessions import Sessions
from application.identity.setup import SetupLock
from application.identity.tickets import Tickets
from application.identity.tokens import Tokens
from application.key_ring import KeyRing
from application.labelling import Labelling
from application.log import EventLog
from application.past import Past
from application.ports import BlobStore, Spool
from application.promoting import Promoting, Promotions
from application.publishing import Progress, Publishing
from application.repositories import Repositories
from application.resolving import Resolved, Resolver
from application.searching import SearchIndex, Shelves
from application.signing_keys import RepositorySigner, SigningKeyView
from application.uploading.uploads import Uploads
from application.usage import DownloadCounter, Usage
from application.wire import File
from domain.permissions import Principal

SendFile: TypeAlias = Callable[[Exchange, File, Resolved, Principal], Awaitable[int]]
"""Sends a file of a repository to whoever may read it."""


class App(msgspec.Struct, frozen=True, kw_only=True):
    """Made once a process by `api.composition`. settings: as `infrastructure.settings` read them.

    send: the one way out of stored bytes. audit_lines, changes: the growing log for auditors and for screens. reindex:
    begins to build the search index anew; False when that is going on. render_metrics: in the text form of Prometheus.
    pool_figures: of the database connections of this process.
    """

    settings: Any
    pool: ThreadPoolExecutor
    log: EventLog
    progress: Progress
    access: Access
    directory: Directory
    accounts: Accounts
    sessions: Sessions
    tokens: Tokens
    tickets: Tickets
    grants: Grants
    setup_lock: SetupLock
    resolver: Resolver
    formats: Formats
    catalogue: Catalogue
    finder: Finder
    storage: Storage
    comparison: Comparison
    publishing: Publishing
    repositories: Repositories
    configuring: Configuring
    signing_keys: SigningKeyView
    key_ring: KeyRing
    promotions: Promotions
    promoting: Promoting
    repository_signer: RepositorySigner
    collector: Collector
    transparency: TransparencyLog
    uploads: Uploads
    depositor: Depositor
    labelling: Labelling
    blobs: BlobStore
    spool: Spool
    send: SendFile
    audit: AuditTrail
    describer: Describer
    audit_lines: Channel[AuditLine]
    changes: Channel[Change]
    usage: Usage
    downloads: DownloadCounter
    recorder: DownloadRecorder
    search: SearchIndex
    shelves: Shelves
    past: Past
    state: State
    probes: Probes
    reindex: Callable[[], bool]
    render_metrics: Callable[[], bytes]
    pool_figures: Callable[[], dict[str, int]]
