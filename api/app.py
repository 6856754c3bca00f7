"""What the ways in are given: every wired object, in one frozen value, by the port that it keeps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from application.access import Access
from application.accounts import Accounts
from application.catalogue import Catalogue, Storage
from application.collecting import Collector
from application.comparing import Comparison
from application.directory import Directory
from application.format import Formats
from application.grants import Grants
from application.log import EventLog
from application.publishing import Progress, Publishing
from application.repositories import Repositories
from application.resolving import Resolver
from application.sessions import Sessions
from application.setup import SetupLock
from application.tickets import Tickets
from application.tokens import Tokens
from application.transparency import TransparencyLog
from application.uploads import Uploads


class App(msgspec.Struct, frozen=True, kw_only=True):
    """Made once a process by `api.composition`. settings: as `infrastructure.settings` read them."""

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
    storage: Storage
    comparison: Comparison
    publishing: Publishing
    repositories: Repositories
    collector: Collector
    transparency: TransparencyLog
    uploads: Uploads
