"""The table of settings: every variable, what it means, what it accepts, and its default. Data, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from infrastructure.setting_kinds import (
    ADDRESS,
    BYTES,
    FLAG,
    INDEX_NAME,
    KEY_NAME,
    NAMES,
    NETWORKS,
    ORIGINS,
    PATH,
    PORT,
    POSTGRES_URL,
    REDIS_URL,
    TEXT,
    WEB_URL,
    Kind,
    choice,
    whole,
)

_DAY_SECONDS = 86400
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_ENVIRONMENT = choice("development", "production")
_PRODUCTION = Kind(_ENVIRONMENT.accepts, lambda text: _ENVIRONMENT.read(text) == "production")


class Computed(msgspec.Struct, frozen=True):
    """A default that depends on the machine or on settings earlier in the table. text: how it is described."""

    text: str
    value: Callable[[Mapping[str, Any]], Any]


class Setting(msgspec.Struct, frozen=True):
    """One row of the table.

    default: text as it would stand in the environment, or Computed; None means no value. secret: the value is never
    shown, neither in an error nor by a command.
    """

    name: str
    field: str
    default: str | Computed | None
    parse: Kind
    description: str
    secret: bool = False


class Section(msgspec.Struct, frozen=True):
    """Rows that are documented together."""

    title: str
    settings: tuple[Setting, ...]


SECTIONS: tuple[Section, ...] = (
    Section(
        "Running",
        (
            Setting(
                "AK_ENV_FILE", "env_file", None, PATH, "File with further variables, NAME=value; the environment wins"
            ),
            Setting(
                "ENVIRONMENT",
                "production",
                "development",
                _PRODUCTION,
                "`production` demands chosen secrets and hides the API description",
            ),
            Setting(
                "AK_DATA_DIR",
                "data_dir",
                ".data",
                PATH,
                "Holds the embedded servers' files, blobs and generated secrets",
            ),
            Setting("BIND_ADDRESS", "bind_address", "127.0.0.1:8080", ADDRESS, "Where the HTTP server listens"),
            Setting(
                "AK_EXTERNAL_URL",
                "external_url",
                None,
                WEB_URL,
                "Base of the URLs in answers; without it they follow the request's host",
            ),
            Setting(
                "AK_ENFORCE_HTTPS",
                "enforce_https",
                "false",
                FLAG,
                "Refuse credentials over plain HTTP, mark cookies Secure",
            ),
            Setting(
                "AK_API_WORKERS",
                "api_workers",
                Computed("number of cores", lambda _: _CORES),
                whole(1, 256),
                "HTTP worker processes",
            ),
            Setting(
                "AK_API_THREADS",
                "api_threads",
                Computed("4 for each core", lambda _: 4 * _CORES),
                whole(1, 512),
                "Threads for blocking work in each HTTP worker",
            ),
            Setting("AK_JOB_THREADS", "job_threads", "4", whole(1, 256), "Threads of the job worker"),
            Setting(
                "GLOBAL_MAX_CONCURRENCY",
                "max_concurrency",
                "512",
                whole(1, 100_000),
                "Requests at once in one worker; further ones get 503",
            ),
            Setting(
                "AK_BODY_IDLE_SECS",
                "body_idle_seconds",
                "60",
                whole(1, _DAY_SECONDS),
                "A request body that brings nothing for so long, or after that under 1 KiB/s on average, is given up",
            ),
            Setting(
                "AUTH_MAX_CONCURRENCY",
                "auth_max_concurrency",
                Computed("8 for each core, at least 32", lambda _: max(32, 8 * _CORES)),
                whole(1, 10_000),
                "Sign-ins at once in one worker; further ones get 503",
            ),
        ),
    ),
    Section(
        "Database, cache, search",
        (
            Setting(
                "DATABASE_URL",
                "database_url",
                Computed("embedded server", lambda _: None),
                POSTGRES_URL,
                "PostgreSQL 18 of your own; `serve` starts one in the data directory otherwise",
                secret=True,
            ),
            Setting(
                "DATABASE_MAX_CONNECTIONS",
                "database_max_connections",
                Computed(
                    "20; with more than 8 workers 160 divided by them",
                    lambda values: max(4, min(20, 160 // values["api_workers"])),
                ),
                whole(2, 1000),
                "Pooled connections of one process; all processes together must fit into the server's limit",
            ),
            Setting(
                "DATABASE_MIN_CONNECTIONS",
                "database_min_connections",
                "2",
                whole(0, 1000),
                "Pooled connections that are kept open",
            ),
            Setting(
                "DATABASE_ACQUIRE_TIMEOUT_SECS",
                "database_acquire_timeout_seconds",
                "5",
                whole(1, 300),
                "Wait for a free connection; then 503",
            ),
            Setting(
                "DATABASE_IDLE_TIMEOUT_SECS",
                "database_idle_timeout_seconds",
                "600",
                whole(1, _DAY_SECONDS),
                "Idle connections above the minimum are closed after this",
            ),
            Setting(
                "DATABASE_MAX_LIFETIME_SECS",
                "database_max_lifetime_seconds",
                "1800",
                whole(60, _DAY_SECONDS),
                "A connection is replaced at this age",
            ),
            Setting(
                "REDIS_URL",
                "redis_url",
                Computed("embedded server", lambda _: None),
                REDIS_URL,
                "Valkey or Redis of your own, for the shared cache and job queues; `serve` starts one otherwise",
                secret=True,
            ),
            Setting("AK_VALKEY_BYTES", "valkey_max_bytes", "256MiB", BYTES, "Memory cap of the embedded Valkey"),
            Setting(
                "AK_DOCUMENT_CACHE_BYTES",
                "document_cache_bytes",
                "64MiB",
                BYTES,
                "Rendered indexes kept in the memory of each HTTP worker",
            ),
            Setting(
                "MEILISEARCH_URL",
                "meilisearch_url",
                Computed("PostgreSQL searches", lambda _: None),
                WEB_URL,
                "Meilisearch server for search",
            ),
            Setting(
                "MEILISEARCH_API_KEY",
                "meilisearch_api_key",
                None,
                TEXT,
                "Its key, allowed to write indexes",
                secret=True,
            ),
            Setting(
                "AK_MEILISEARCH_INDEX",
                "meilisearch_index",
                "artifact-keeper",
                INDEX_NAME,
                "Its index, this registry's alone",
            ),
        ),
    ),
    Section(
        "Storage",
        (
            Setting(
                "STORAGE_BACKEND", "storage_backend", "filesystem", choice("filesystem", "s3"), "Where blobs are kept"
            ),
            Setting(
                "STORAGE_PATH",
                "storage_path",
                Computed("`blobs` in AK_DATA_DIR", lambda values: values["data_dir"] / "blobs"),
                PATH,
                "Directory of the blobs, and of the first administrator's password",
            ),
            Setting("S3_BUCKET", "s3_bucket", None, TEXT, "Bucket; it must exist"),
            Setting("S3_PREFIX", "s3_prefix", "", TEXT, "Put before every key"),
            Setting("S3_REGION", "s3_region", "us-east-1", TEXT, "Region"),
            Setting(
                "S3_ENDPOINT",
                "s3_endpoint",
                "https://s3.amazonaws.com",
                WEB_URL,
                "Service; `http://…` for one without TLS",
            ),
            Setting(
                "AK_S3_PUBLIC_ENDPOINT",
                "s3_public_endpoint",
                Computed("S3_ENDPOINT", lambda _: None),
                WEB_URL,
                "The same service as clients reach it, where redirects lead to",
            ),
            Setting(
                "S3_ACCESS_KEY_ID",
                "s3_access_key_id",
                Computed("from the machine's role", lambda _: None),
                TEXT,
                "Access key",
            ),
            Setting("S3_SECRET_ACCESS_KEY", "s3_secret_access_key", None, TEXT, "Its secret", secret=True),
            Setting(
                "S3_CA_CERT_PATH", "s3_ca_cert_path", None, PATH, "PEM file to trust instead of public authorities"
            ),
            Setting(
                "PRESIGNED_DOWNLOADS_ENABLED",
                "presigned_downloads",
                "false",
                FLAG,
                "Redirect downloads of more than 64 KiB to the object store, where clients follow; PyPI files go out "
                "from here",
            ),
            Setting(
                "PRESIGNED_DOWNLOAD_EXPIRY_SECS",
                "presigned_download_expiry_seconds",
                "300",
                whole(10, 7 * _DAY_SECONDS),
                "How long such a redirect may be followed",
            ),
            Setting(
                "AK_UPLOAD_STAGING_DIR",
                "upload_staging_dir",
                Computed("`incoming` in STORAGE_PATH", lambda values: values["storage_path"] / "incoming"),
                PATH,
                "Where bodies are received; on the file system of the blobs nothing is copied",
            ),
            Setting("MAX_UPLOAD_SIZE", "max_upload_bytes", "10GiB", BYTES, "Largest upload; 0 for no limit"),
            Setting(
                "BLOB_GC_ENABLED", "blob_gc_enabled", "false", FLAG, "Remove blobs that nothing refers to any more"
            ),
            Setting(
                "BLOB_GC_SWEEP_GRACE_SECS",
                "blob_gc_grace_seconds",
                "3600",
                whole(60, 365 * _DAY_SECONDS),
                "A blob is kept at least this long after it was last stored or let go",
            ),
        ),
    ),
    Section(
        "History and audit",
        (
            Setting(
                "AK_LOG_ORIGIN",
                "log_origin",
                "artifact-keeper.localhost/log",
                KEY_NAME,
                "Name of the transparency log in its checkpoints; choose before the first publish",
            ),
            Setting(
                "AK_LOG_SIGNING_KEY",
                "log_signing_key",
                Computed("kept in AK_DATA_DIR", lambda _: None),
                TEXT,
                "Ed25519 private key (PEM) that signs checkpoints; the same for all processes",
                secret=True,
            ),
            Setting(
                "AK_SIGNING_KEY_OVERLAP_DAYS",
                "signing_key_overlap_days",
                "30",
                whole(0, 3650),
                "How long a repository's former signing key signs beside the one that took its place",
            ),
            Setting(
                "AK_HISTORY_RETENTION_DAYS",
                "history_retention_days",
                "0",
                whole(0, 36_500),
                "How far back repositories can be read as they were; 0 for ever",
            ),
            Setting(
                "AUDIT_STREAM",
                "audit_stream",
                "off",
                choice("off", "stdout"),
                "`stdout` prints every audit entry as a line of JSON",
            ),
        ),
    ),
    Section(
        "Accounts and access",
        (
            Setting(
                "JWT_SECRET",
                "jwt_secret",
                Computed("generated outside production, kept in AK_DATA_DIR", lambda _: None),
                TEXT,
                "Signs sessions; at least 32 bytes and no placeholder; the same for all processes",
                secret=True,
            ),
            Setting(
                "AK_INSTANCE_KEY",
                "instance_key",
                Computed("generated outside production, kept in AK_DATA_DIR", lambda _: None),
                TEXT,
                "Wraps the keys that seal personal data and those that sign for repositories, "
                "makes the one that signs npm packages; "
                "the same for all processes, never to be changed or lost",
                secret=True,
            ),
            Setting(
                "JWT_ACCESS_TOKEN_EXPIRY_MINUTES",
                "jwt_access_token_expiry_minutes",
                "30",
                whole(1, 1440),
                "Lifetime of an access token",
            ),
            Setting(
                "JWT_REFRESH_TOKEN_EXPIRY_DAYS",
                "jwt_refresh_token_expiry_days",
                "7",
                whole(1, 365),
                "Lifetime of a refresh token",
            ),
            Setting(
                "ADMIN_PASSWORD",
                "admin_password",
                Computed("generated at first boot", lambda _: None),
                TEXT,
                "Password of the first administrator, `admin`",
                secret=True,
            ),
            Setting("SKIP_ADMIN_PROVISIONING", "skip_admin_provisioning", "false", FLAG, "Make no local administrator"),
            Setting(
                "SETUP_PASSWORD_HINT",
                "setup_password_hint",
                None,
                TEXT,
                "Shown while the first password is not changed: where to find it",
            ),
            Setting(
                "AK_GUEST_ACCESS_ENABLED",
                "guest_access",
                "true",
                FLAG,
                "Let anonymous callers read public repositories",
            ),
            Setting("DEMO_MODE", "demo_mode", "false", FLAG, "Refuse every write"),
            Setting(
                "ACCOUNT_LOCKOUT_THRESHOLD",
                "account_lockout_threshold",
                "5",
                whole(1, 1000),
                "Wrong passwords in a row that lock an account",
            ),
            Setting(
                "ACCOUNT_LOCKOUT_DURATION_MINUTES",
                "account_lockout_duration_minutes",
                "30",
                whole(1, 10_080),
                "How long it stays locked",
            ),
            Setting("PASSWORD_MIN_LENGTH", "password_min_length", "8", whole(1, 128), "Shortest password"),
            Setting("PASSWORD_MAX_LENGTH", "password_max_length", "128", whole(8, 1024), "Longest password"),
            Setting(
                "PASSWORD_HISTORY_COUNT",
                "password_history_count",
                "0",
                whole(0, 24),
                "Former passwords that are refused",
            ),
            Setting(
                "PASSWORD_REQUIRE_UPPERCASE", "password_require_uppercase", "false", FLAG, "Demand an upper-case letter"
            ),
            Setting(
                "PASSWORD_REQUIRE_LOWERCASE", "password_require_lowercase", "false", FLAG, "Demand a lower-case letter"
            ),
            Setting("PASSWORD_REQUIRE_DIGIT", "password_require_digit", "false", FLAG, "Demand a digit"),
            Setting("PASSWORD_REQUIRE_SPECIAL", "password_require_special", "false", FLAG, "Demand another character"),
            Setting("PASSWORD_MIN_STRENGTH", "password_min_strength", "0", whole(0, 4), "Least strength score"),
        ),
    ),
    Section(
        "Limits and browsers",
        (
            Setting("RATE_LIMIT_ENABLED", "rate_limit_enabled", "true", FLAG, "Limit requests to the management API"),
            Setting("RATE_LIMIT_WINDOW_SECS", "rate_limit_window_seconds", "60", whole(1, 3600), "Length of a window"),
            Setting(
                "RATE_LIMIT_API_PER_MIN",
                "rate_limit_api",
                "10000",
                whole(1, 10**9),
                "Requests of one caller in a window",
            ),
            Setting("RATE_LIMIT_AUTH_PER_MIN", "rate_limit_auth", "120", whole(1, 10**9), "The same for sessions"),
            Setting("RATE_LIMIT_SEARCH_PER_MIN", "rate_limit_search", "300", whole(1, 10**9), "The same for searches"),
            Setting(
                "RATE_LIMIT_PRESIGN_PER_MIN",
                "rate_limit_presign",
                "30",
                whole(1, 10**9),
                "The same for signed downloads",
            ),
            Setting(
                "RATE_LIMIT_LOGIN_PER_WINDOW",
                "rate_limit_login",
                "10",
                whole(1, 10**6),
                "Sign-ins by one name from one address",
            ),
            Setting(
                "RATE_LIMIT_LOGIN_WINDOW_SECS",
                "rate_limit_login_window_seconds",
                "900",
                whole(1, _DAY_SECONDS),
                "in this time",
            ),
            Setting(
                "RATE_LIMIT_LOGIN_GLOBAL_PER_WINDOW",
                "rate_limit_login_global",
                "8192",
                whole(1, 10**9),
                "Sign-ins of everybody in a window",
            ),
            Setting(
                "RATE_LIMIT_PASSWORD_CHANGE_PER_WINDOW",
                "rate_limit_password",
                "5",
                whole(1, 10**6),
                "Changes of a password",
            ),
            Setting(
                "RATE_LIMIT_PASSWORD_CHANGE_WINDOW_SECS",
                "rate_limit_password_window_seconds",
                "900",
                whole(1, _DAY_SECONDS),
                "in this time",
            ),
            Setting(
                "RATE_LIMIT_EXEMPT_USERNAMES", "rate_limit_exempt_usernames", "", NAMES, "Users that are not limited"
            ),
            Setting(
                "RATE_LIMIT_TRUSTED_CIDRS",
                "rate_limit_trusted_networks",
                "",
                NETWORKS,
                "Networks whose clients are not limited",
            ),
            Setting(
                "RATE_LIMIT_TRUSTED_PROXY_CIDRS",
                "trusted_proxies",
                "",
                NETWORKS,
                "Proxies whose `X-Forwarded-…` headers are believed",
            ),
            Setting(
                "AK_SSRF_ALLOW_PRIVATE_CIDRS",
                "upstream_networks",
                "",
                NETWORKS,
                "Networks that upstreams may be in although they are private, or this machine's own",
            ),
            Setting(
                "UPSTREAM_ALLOW_PRIVATE_IPS",
                "upstream_private",
                "false",
                FLAG,
                "Upstreams may be in any private network; never on this machine, nor at a cloud's metadata",
            ),
            Setting(
                "CUSTOM_CA_CERT_PATH",
                "ca_cert_path",
                None,
                PATH,
                "Certificates of authorities that upstreams are trusted by, besides those of the system (PEM)",
            ),
            Setting(
                "CORS_ORIGINS",
                "cors_origins",
                Computed(
                    "http://localhost:3000 in development",
                    lambda values: () if values["production"] else ("http://localhost:3000",),
                ),
                ORIGINS,
                "Web pages of these origins may call the API",
            ),
        ),
    ),
    Section(
        "Watching it",
        (
            Setting(
                "LOG_LEVEL", "log_level", "info", choice("debug", "info", "warning", "error"), "What is worth a line"
            ),
            Setting(
                "LOG_FORMAT",
                "log_format",
                "pretty",
                choice("pretty", "json"),
                "Lines for people, or one JSON object each",
            ),
            Setting("LOG_PROBE_REQUESTS", "log_probe_requests", "false", FLAG, "Log health checks too"),
            Setting(
                "METRICS_PORT",
                "metrics_port",
                Computed("no listener", lambda _: None),
                PORT,
                "Serve Prometheus metrics, without credentials, on this port of BIND_ADDRESS's host",
            ),
            Setting(
                "ENABLE_SWAGGER",
                "swagger",
                Computed("true in development", lambda values: not values["production"]),
                FLAG,
                "Serve the API description and the page to browse it",
            ),
            Setting(
                "EXPOSE_DETAILED_HEALTH",
                "detailed_health",
                "false",
                FLAG,
                "Tell the pool's figures and the build in `/health`",
            ),
        ),
    ),
)
"""The table, in the order in which it is documented; a Computed default may use fields from rows above its own."""

SETTINGS: tuple[Setting, ...] = tuple(setting for section in SECTIONS for setting in section.settings)
