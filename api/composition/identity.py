"""Who is who: accounts, credentials, sessions, permissions, and what every process must forget when they change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec

from api.composition.core import Core
from application.identity.accounts import Accounts
from application.identity.authentication import Authenticator
from application.identity.client_accounts import ClientAccounts
from application.identity.client_tokens import ClientTokens
from application.identity.clients import ClientSeals
from application.identity.denials import Denials
from application.identity.grants import Grants
from application.identity.limits import Bucket, Buckets, Exemptions, Limits
from application.identity.passwords import PasswordRules
from application.identity.people import People
from application.identity.remembering import Remembered
from application.identity.sessions import Sessions
from application.identity.setup import Setup, SetupChoices, SetupLock
from application.identity.sign_ins import SignIns
from application.identity.tickets import Tickets
from application.identity.tokens import Tokens
from application.publishing import Progress
from domain.passwords import PasswordPolicy
from domain.sign_in import Lockout
from infrastructure.auth.jwt import JwtTokens
from infrastructure.auth.password_file import AdminPasswordFile
from infrastructure.auth.passwords import Argon2Passwords
from infrastructure.auth.strength import common_passwords, strength
from infrastructure.auth.tickets import StoredTickets
from infrastructure.auth.token_use import TokenUse
from infrastructure.personal import PersonKeys
from infrastructure.rate_limits import MemoryLimiter, RedisLimiter
from infrastructure.settings import Settings
from projections.access.changes import AccessChanges
from projections.access.view import AccessView

PASSWORD_FILE = "admin.password"  # noqa: S105 - a file name


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about people, wired."""

    directory: AccessView
    keys: PersonKeys
    seals: ClientSeals
    denials: Denials
    limits: Limits
    accounts: Accounts
    sessions: Sessions
    tokens: Tokens
    client_accounts: ClientAccounts
    client_tokens: ClientTokens
    tickets: Tickets
    grants: Grants
    authenticator: Authenticator
    setup: Setup
    setup_lock: SetupLock
    token_use: TokenUse
    changes: AccessChanges

    def start(self) -> None:
        """Begin to write what was noted; provision the first administrator."""
        self.denials.start()
        self.token_use.start()
        self.setup.ensure_administrator()
        self.setup_lock.refresh()

    def stop(self) -> None:
        """Write the rest."""
        self.denials.stop()
        self.token_use.stop()


class LateProgress:
    """Progress that is known only after what follows it was wired."""

    def __init__(self) -> None:
        self.progress: Progress | None = None
        self.is_fresh: Callable[[], bool] = lambda: False

    def reached(self, names: object, position: int, timeout_seconds: float = 6.0) -> bool:
        """See Progress."""
        assert self.progress is not None  # noqa: S101 - set before anything is served
        return self.progress.reached(names, position, timeout_seconds)  # type: ignore[arg-type]


def person_keys(core: Core) -> PersonKeys:
    """The keys that seal personal data."""
    return PersonKeys(core.connect, core.settings.instance_key)


def compose_identity(core: Core, progress: LateProgress) -> Identity:
    """Wire everything about people."""
    settings = core.settings
    now = partial(datetime.now, UTC)
    keys = person_keys(core)
    seals = ClientSeals(keys)
    denials = Denials(core.log, seals)
    limits = _limits(settings)
    directory = AccessView(core.connect)
    people = People(core.log, keys)
    passwords = Argon2Passwords(settings.auth_max_concurrency)
    accounts = Accounts(core.log, directory, people, passwords, _password_rules(settings), progress)
    lockout = Lockout(settings.account_lockout_threshold, timedelta(minutes=settings.account_lockout_duration_minutes))
    sign_ins = SignIns(core.log, directory, people, passwords, denials, lockout=lockout, now=now)
    session_tokens = JwtTokens(
        settings.jwt_secret,
        access_seconds=settings.jwt_access_token_expiry_minutes * 60,
        refresh_seconds=settings.jwt_refresh_token_expiry_days * 86_400,
    )
    tickets = StoredTickets(core.connect)
    token_use = TokenUse(core.connect)
    memory = Remembered(lambda: progress.is_fresh())  # noqa: PLW0108 - it is replaced later
    authenticator = Authenticator(
        directory,
        sign_ins,
        session_tokens,
        tickets,
        limits,
        denials,
        seals,
        memory,
        token_used=token_use.touch,
        now=now,
    )
    password_file = AdminPasswordFile(settings.data_dir / PASSWORD_FILE)
    setup_lock = SetupLock(core.log, people, password_file, skip=settings.skip_admin_provisioning)

    tokens = Tokens(core.log, progress, now=now)
    return Identity(
        directory=directory,
        keys=keys,
        seals=seals,
        denials=denials,
        limits=limits,
        accounts=accounts,
        sessions=Sessions(core.log, directory, session_tokens, sign_ins, limits, seals, progress, now=now),
        tokens=tokens,
        client_accounts=ClientAccounts(directory, sign_ins, tokens, limits, seals),
        client_tokens=ClientTokens(session_tokens, authenticator, core.log.head, progress),
        tickets=tickets,
        grants=Grants(core.log, directory, core.catalogue, progress),
        authenticator=authenticator,
        setup=Setup(
            core.log,
            directory,
            accounts,
            people,
            password_file,
            SetupChoices(
                password=settings.admin_password, skip=settings.skip_admin_provisioning, demo=settings.demo_mode
            ),
        ),
        setup_lock=setup_lock,
        token_use=token_use,
        changes=AccessChanges(directory, [memory.forget, setup_lock.refresh, keys.forget]),
    )


def _password_rules(settings: Settings) -> PasswordRules:
    policy = PasswordPolicy(
        min_length=settings.password_min_length,
        max_length=settings.password_max_length,
        uppercase=settings.password_require_uppercase,
        lowercase=settings.password_require_lowercase,
        digit=settings.password_require_digit,
        special=settings.password_require_special,
        min_strength=settings.password_min_strength,
        history=settings.password_history_count,
    )
    return PasswordRules(policy, common_passwords, strength)


def _limits(settings: Settings) -> Limits:
    limiter = RedisLimiter(settings.redis_url) if settings.redis_url else MemoryLimiter()
    window = settings.rate_limit_window_seconds
    buckets = Buckets(
        api=Bucket("api", settings.rate_limit_api, window),
        auth=Bucket("auth", settings.rate_limit_auth, window),
        login=Bucket("login", settings.rate_limit_login, settings.rate_limit_login_window_seconds),
        login_all=Bucket("login-all", settings.rate_limit_login_global, window),
        search=Bucket("search", settings.rate_limit_search, window),
        presign=Bucket("presign", settings.rate_limit_presign, window),
        password=Bucket("password", settings.rate_limit_password, settings.rate_limit_password_window_seconds),
    )
    exemptions = Exemptions(
        frozenset(settings.rate_limit_exempt_usernames), tuple(settings.rate_limit_trusted_networks)
    )
    return Limits(limiter, buckets, exemptions, enabled=settings.rate_limit_enabled)
